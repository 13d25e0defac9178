//! From `stoa publish` to visible for a client, at an idle registry and at a busy one.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Outcome, Row, floor, spread};
use crate::downloads;

/// Rounds that count, of each size. One more goes before.
const ROUNDS: usize = 11;
/// Bytes of components: the second goes in three steps.
const SIZES: [usize; 2] = [100_000, 4_000_000];
/// How long nothing happens before a publish at an idle registry: longer than the second in which a registry takes what
/// comes after a publish together.
const IDLE: Duration = Duration::from_millis(1_500);
/// Between two publishes of others at a busy registry: 20 in a second.
const PACE: Duration = Duration::from_millis(50);
/// The most above the bytes' own time.
const TARGET: f64 = 150.0;
const TARGET_TEXT: &str = "≤ 150 ms above its bound";

/// An author at a registry.
struct Author {
    stoa: String,
    folder: PathBuf,
    address: String,
    root: PathBuf,
    key: String,
}

pub(super) fn rows(stoa: &str) -> Outcome<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let registry = dir.path().join("registry");
    let made = said(Command::new(stoa).args(["init", "--json", "--dir"]).arg(&registry))?;
    let server = downloads::serve(stoa, &registry, &dir.path().join("address"))?;
    let mut author = Author {
        stoa: stoa.to_owned(),
        folder: dir.path().join("plugins"),
        address: format!("http://{}", server.address),
        root: registry.join("root.json"),
        key: member(&made, "admin_key")?,
    };
    said(&mut author.stoa(&["namespace", "create", "demo", "--json"]))?;
    author.key = member(
        &said(&mut author.stoa(&["key", "create", "--label", "bench", "--scope", "publish:demo", "--json"]))?,
        "key",
    )?;

    let mut rows = Vec::new();
    for bytes in SIZES {
        rows.push(author.rounds("an idle registry", "idle", bytes, IDLE)?);
        eprintln!("publish: {bytes} B, idle: done");
    }
    rows.push(author.rounds("a registry that was published to just before", "after", SIZES[0], Duration::ZERO)?);
    let (over, others) = (AtomicBool::new(false), Mutex::new((0_u32, Duration::ZERO)));
    let row = thread::scope(|scope| {
        let busy = scope.spawn(|| author.others(&over, &others));
        // What is to be measured begins when others are at it.
        thread::sleep(Duration::from_secs(1));
        let row = author.rounds("a registry with 20 publishes a second", "beside", SIZES[0], Duration::ZERO);
        over.store(true, SeqCst);
        busy.join().map_err(|_| "the others panicked")??;
        row
    });
    let (count, within) = *others.lock().map_err(|_| "the others panicked")?;
    let rate = f64::from(count) / within.as_secs_f64();
    rows.push(Row { note: format!("{rate:.1} publishes a second beside it"), ..row? });
    Ok(rows)
}

impl Author {
    fn stoa(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.stoa);
        command
            .args(args)
            .env("STOA_REGISTRY", &self.address)
            .env("STOA_ROOT", &self.root)
            .env("STOA_API_KEY", &self.key);
        command.env("STOA_CACHE", self.folder.join("cache"));
        command
    }

    /// A folder with a release of a plugin of so many bytes that do not repeat.
    fn package(&self, name: &str, patch: usize, bytes: usize) -> Outcome<PathBuf> {
        let folder = self.folder.join(format!("{name}-{patch}"));
        fs::create_dir_all(&folder)?;
        let manifest = format!(
            "manifest = 1\n\n[plugin]\nid = \"demo:{name}\"\nversion = \"1.0.{patch}\"\nkind = \"plugin\"\n\
             description = \"Is published\"\nlicense = \"MIT\"\nreadme = \"README.md\"\n\n\
             [build]\ncomponent = \"plugin.wasm\"\n"
        );
        fs::write(folder.join("plugin.toml"), manifest)?;
        fs::write(folder.join("README.md"), format!("# {name}\n\nNumber {patch}.\n"))?;
        fs::write(folder.join("plugin.wasm"), component(name, patch, bytes)?)?;
        Ok(folder)
    }

    /// The whole command: start, checks, publishing, and waiting until a client that verifies sees it. In turn with its
    /// lower bound: the start of the program, and the bytes through a socket, hashed and written.
    fn rounds(&self, at: &str, name: &str, bytes: usize, pause: Duration) -> Outcome<Row> {
        let name = format!("p{bytes}-{name}");
        let (mut found, mut least) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let package = self.package(&name, round, bytes)?;
            thread::sleep(pause);
            let began = Instant::now();
            said(self.stoa(&["publish", "--wait", "--json"]).arg(&package))?;
            let took = began.elapsed();
            let content = fs::read(package.join("plugin.wasm"))?;
            let began = Instant::now();
            said_nothing(self.stoa(&["--version"]).stdout(Stdio::null()))?;
            let bare = began.elapsed() + carried(content, &self.folder.join("floor"))?;
            if round > 0 {
                found.push(took);
                least.push(bare);
            }
        }
        let met = spread(&found).median - spread(&least).median <= TARGET;
        Ok(Row {
            what: format!("`stoa publish --wait` of {bytes} B at {at}"),
            found,
            bound: "the start of the program, and the bytes over a socket to the disk".to_owned(),
            least,
            note: String::new(),
            target: Some((TARGET_TEXT, met)),
        })
    }

    /// Publishes small releases of another plugin, 20 a second, until it is over.
    fn others(&self, over: &AtomicBool, told: &Mutex<(u32, Duration)>) -> Outcome<()> {
        let (began, mut count, mut running) = (Instant::now(), 0, Vec::<Child>::new());
        while !over.load(SeqCst) {
            let package = self.package("other", usize::try_from(count)?, 1_000)?;
            running.push(self.stoa(&["publish", "--json"]).arg(package).stdout(Stdio::null()).spawn()?);
            count += 1;
            thread::sleep((began + PACE * count).saturating_duration_since(Instant::now()));
        }
        for mut child in running {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("a publish beside the measured ones failed: {status}").into());
            }
        }
        *told.lock().map_err(|_| "a thread panicked")? = (count, began.elapsed());
        Ok(())
    }
}

/// These bytes over the loopback device to a server that hashes them, writes them, waits for the disk, and answers.
fn carried(content: Vec<u8>, to: &Path) -> Outcome<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (length, to) = (content.len(), to.to_owned());
    let server = thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut received = vec![0; length];
        stream.read_exact(&mut received)?;
        floor::keep(&[received], &to)?;
        stream.write_all(b".")
    });
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&content)?;
    stream.read_exact(&mut [0])?;
    let took = began.elapsed();
    server.join().map_err(|_| "the server of the lower bound panicked")??;
    Ok(took)
}

/// A component with a function, and a custom section of bytes that do not repeat.
fn component(name: &str, patch: usize, padding: usize) -> Outcome<Vec<u8>> {
    let mut bytes = wat::parse_str(format!(
        r#"(component
            (core module $m (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const {patch}))))
            (core instance $i (instantiate $m))
            (func $add (param "n" u32) (result u32) (canon lift (core func $i "add")))
            (instance $api (export "add" (func $add)))
            (export "demo:{name}/api@1.0.0" (instance $api)))"#
    ))?;
    let name = b"padding";
    bytes.push(0);
    let mut length = 1 + name.len() + padding;
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.extend([length as u8, name.len() as u8]);
    bytes.extend(name);
    let mut dice = fastrand::Rng::with_seed(u64::try_from(patch)?);
    bytes.extend(std::iter::repeat_with(|| dice.u8(..)).take(padding));
    Ok(bytes)
}

fn said_nothing(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    status.success().then_some(()).ok_or_else(|| format!("{command:?} failed: {status}").into())
}

/// What a command says as JSON.
pub(super) fn said(command: &mut Command) -> Outcome<Value> {
    let output = command.stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("{:?} failed: {}\n{out}{err}", command.get_args(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(super) fn member(value: &Value, name: &str) -> Outcome<String> {
    Ok(value[name].as_str().ok_or_else(|| format!("no `{name}` in {value}"))?.to_owned())
}
