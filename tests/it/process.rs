//! The `stoa` program, a registry of its own for each test, and plugins written as text.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long a server may take to be ready or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test: what `STOA_BIN` names, or the one that was built beside this test.
///
/// `None` where there is none; the test has then said so. Under CI there has to be one.
pub(crate) fn stoa() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("STOA_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "STOA_BIN names `{}`, and there is no such file", path.display());
        return Some(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let beside = test.parent().and_then(Path::parent).expect("a target folder").join("stoa");
    if beside.is_file() {
        return Some(beside);
    }
    skip(&format!(
        "there is no `{}`: build it with `cargo build -p stoa-cli`, or name it in STOA_BIN",
        beside.display()
    ));
    None
}

/// Says why a test does not run. Under CI that is a failure.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "this test must run under CI: {reason}");
    // To the terminal itself: what a passing test prints is not shown.
    let _unseen = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// A folder in memory, where there is one. What a process that dies has written stays in the system's memory in any
/// case; hundreds of crashes need not wait for a disk as well.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its result, where it succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        assert!(self.status.success(), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// What it prints for people, where it succeeded.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.stdout
    }

    /// What it says where it fails.
    #[track_caller]
    pub(crate) fn refusal(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "a failure has no result");
        self.stderr
    }
}

/// A folder with a registry, and the program.
pub(crate) struct Stage {
    program: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) admin_key: String,
    pub(crate) fingerprint: String,
}

impl Stage {
    /// Runs `stoa init`. `None` where there is no program to test.
    pub(crate) fn new() -> Option<Self> {
        Self::at(tempfile::tempdir().expect("a folder"))
    }

    /// As [`Stage::new`], in this folder.
    pub(crate) fn at(dir: tempfile::TempDir) -> Option<Self> {
        let mut stage = Self { program: stoa()?, dir, admin_key: String::new(), fingerprint: String::new() };
        let registry = stage.registry();
        let made = stage.run(["init", "--json", "--dir", &registry]).json();
        made["admin_key"].as_str().expect("a key").clone_into(&mut stage.admin_key);
        made["root_sha256"].as_str().expect("a fingerprint").clone_into(&mut stage.fingerprint);
        Some(stage)
    }

    /// The program in an empty folder.
    pub(crate) fn bare() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        Some(Self { program: stoa()?, dir, admin_key: String::new(), fingerprint: String::new() })
    }

    /// Where the program lies.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("a path of text").to_owned()
    }

    pub(crate) fn registry(&self) -> String {
        self.path("registry")
    }

    /// The first root: what a host pins.
    pub(crate) fn root(&self) -> String {
        self.path("registry/root.json")
    }

    /// The program with none of this machine's settings. Where there is something to `prepare`, it has a view of the
    /// file system of its own, and these lines of `sh` mount something before it takes the shell's place.
    pub(crate) fn prepared<'a>(&self, prepare: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = if prepare.is_empty() {
            Command::new(&self.program)
        } else {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-ec", prepare, "sh"]).arg(&self.program);
            command
        };
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.dir.path()).env("NO_COLOR", "1");
        command
    }

    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        self.run_prepared("", args)
    }

    /// As [`Stage::run`], prepared as [`Stage::prepared`] says.
    pub(crate) fn run_prepared<'a>(&self, prepare: &str, args: impl IntoIterator<Item = &'a str>) -> Ran {
        let output = self.prepared(prepare, args).output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs the program as a host that reads the registry at `url` with its own cache.
    pub(crate) fn host<'a>(&'a self, url: &'a str, cache: &'a str, args: &[&'a str]) -> Ran {
        let root = self.root();
        let shared = ["--registry", url, "--root", &root, "--cache", cache];
        self.run(args.iter().copied().chain(shared))
    }

    /// Publishes the plugins in these folders as the holder of `key`, and waits for the signed index.
    pub(crate) fn publish(&self, url: &str, key: &str, dirs: &[&str]) -> Ran {
        let args = ["publish", "--json", "--wait", "--api-key", key];
        let args: Vec<&str> = args.iter().chain(dirs).copied().collect();
        self.host(url, &self.path("cache-of-the-author"), &args)
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_at("127.0.0.1:0")
    }

    /// Serves at an address that another server had before.
    pub(crate) fn serve_at(&self, listen: &str) -> Server {
        self.serve_as("", listen)
    }

    /// As [`Stage::serve`], prepared as [`Stage::prepared`] says.
    pub(crate) fn serve_prepared(&self, prepare: &str) -> Server {
        self.serve_as(prepare, "127.0.0.1:0")
    }

    /// As [`Stage::serve`], with more arguments.
    pub(crate) fn serve_with(&self, more: &[&str]) -> Server {
        self.once_ready(self.starting_with("", "127.0.0.1:0", more))
    }

    /// Runs the signer with the keys in this folder.
    pub(crate) fn signer(&self, keys: &str) -> Server {
        let ready = self.dir.path().join("signer-ready");
        let _left_by_an_earlier_one = fs::remove_file(&ready);
        let log = fs::File::create(self.dir.path().join("signer.log")).expect("a log");
        let args = ["signer", "--dir", "registry", "--keys", keys, "--ready-file", "signer-ready"];
        let child = self.prepared("", args).stdout(Stdio::null()).stderr(log).spawn();
        let mut signer = Server { child: child.expect("the program runs"), url: String::new() };
        let until = Instant::now() + PATIENCE;
        while !ready.exists() {
            let ended = signer.child.try_wait().expect("a child");
            let said = || fs::read_to_string(self.dir.path().join("signer.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "the signer is not ready ({ended:?}): {}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        signer
    }

    fn serve_as(&self, prepare: &str, listen: &str) -> Server {
        self.once_ready(self.starting(prepare, listen))
    }

    fn once_ready(&self, mut server: Server) -> Server {
        let (ready, log) = (self.dir.path().join("address"), self.dir.path().join("server.log"));
        let until = Instant::now() + PATIENCE;
        while server.url.is_empty() {
            let ended = server.child.try_wait().expect("a child");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "the server is not ready ({ended:?}): {}", said());
            std::thread::sleep(Duration::from_millis(10));
            fs::read_to_string(&ready).unwrap_or_default().trim().clone_into(&mut server.url);
        }
        server
    }

    /// A server that has just begun to start at `listen`, and has no address yet.
    pub(crate) fn starting(&self, prepare: &str, listen: &str) -> Server {
        self.starting_with(prepare, listen, &[])
    }

    fn starting_with(&self, prepare: &str, listen: &str, more: &[&str]) -> Server {
        let _left_by_an_earlier_one = fs::remove_file(self.dir.path().join("address"));
        let log = fs::File::create(self.dir.path().join("server.log")).expect("a log");
        let listen = listen.trim_start_matches("http://");
        let args = ["serve", "--listen", listen, "--ready-file", "address", "--dir", "registry"];
        let args = args.iter().chain(more).copied();
        let child = self.prepared(prepare, args).stdout(Stdio::null()).stderr(log).spawn();
        Server { child: child.expect("the program runs"), url: String::new() }
    }

    /// Makes the namespace `demo` over HTTP, and a key for it.
    pub(crate) fn author(&self, server: &Server) -> String {
        let (status, made) = server.post("namespaces", &self.admin_key, &json!({"namespace": "demo"}));
        assert_eq!(status, 201, "{made}");
        let body = json!({"label": "an author", "scopes": ["publish:demo", "yank:demo"]});
        let (status, made) = server.post("keys", &self.admin_key, &body);
        assert_eq!(status, 201, "{made}");
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A folder with the plugin `demo:NAME`, whose one function adds `sum` to its argument. `padding` bytes
    /// more make it large.
    pub(crate) fn plugin(&self, name: &str, version: &str, sum: u32, padding: usize) -> String {
        let folder = self.dir.path().join(format!("{name}-{version}"));
        fs::create_dir(&folder).expect("a new folder");
        let manifest = format!(
            "manifest = 1\n\n[plugin]\nid = \"demo:{name}\"\nversion = \"{version}\"\nkind = \"plugin\"\n\
             description = \"Adds {sum} to a number\"\nlicense = \"MIT\"\nreadme = \"README.md\"\n\n\
             [build]\ncomponent = \"{name}.wasm\"\n"
        );
        fs::write(folder.join("plugin.toml"), manifest).expect("a manifest");
        fs::write(folder.join("README.md"), format!("# {name}\n\nAdds {sum}.\n")).expect("a readme");
        fs::write(folder.join(format!("{name}.wasm")), component(name, sum, padding)).expect("a component");
        folder.to_str().expect("a path of text").to_owned()
    }
}

pub(crate) fn component(name: &str, sum: u32, padding: usize) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const {sum}))))
            (core instance $i (instantiate $m))
            (func $add (param "n" u32) (result u32) (canon lift (core func $i "add")))
            (instance $api (export "add" (func $add)))
            (export "demo:{name}/api@1.0.0" (instance $api)))"#
    );
    let mut bytes = wat::parse_str(text).expect("a component");
    if padding > 0 {
        // A custom section: id 0, its length, the length of its name, its name, its bytes.
        let name = b"padding";
        bytes.push(0);
        bytes.extend(leb128(1 + name.len() + padding));
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name);
        bytes.extend((0..padding).map(|n| (n % 251) as u8));
    }
    bytes
}

fn leb128(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A running `stoa serve`. Killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGKILL, as a lack of memory would.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Ends it by SIGTERM, as an operator would.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "{sent}");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Posts to a path below `/api/v1/`. Gives status and answer.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let head = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let (head, body) = self.exchange(&head, body.as_bytes());
        (status(&head), serde_json::from_slice(&body).expect("JSON"))
    }

    /// Gets a path. Gives the head of the answer, in lower case, and the body.
    pub(crate) fn get(&self, path: &str) -> (String, Vec<u8>) {
        let head = format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        self.exchange(&head, b"")
    }

    /// A connection to it, on which nothing is waited for longer than for the server itself.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
        stream
    }

    /// Sends a head and a body, and reads until the server closes. Gives the head of the answer, in lower case, and the
    /// body.
    pub(crate) fn exchange(&self, head: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).expect("a request");
        stream.write_all(body).expect("a body");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let body = answer.split_off(end + 4);
        (String::from_utf8(answer).expect("text").to_lowercase(), body)
    }
}

pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"))
}

/// Compares with a snapshot after taking out what differs between runs.
pub(crate) fn assert_said(name: &str, text: &str, stage: &Stage) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&stage.dir.path().display().to_string().replace('.', r"\."), "DIR");
    settings.add_filter(r"127\.0\.0\.1:\d+", "ADDRESS");
    settings.add_filter(r"[0-9a-f]{64}", "SHA256");
    settings.add_filter(r"\bkey [0-9a-f]{12}\b", "key ID");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.add_filter(r"\d{4}-\d\d-\d\d", "DATE");
    settings.bind(|| insta::assert_snapshot!(name, text));
}
