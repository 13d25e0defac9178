//! A copy of a registry's public tree that can be tampered with, and a server of such copies that writes down what it is
//! asked for.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use stoa_core::trust::{Bins, BitLength};

use crate::process::Stage;

/// What clients of the signed index read, by path.
#[derive(Clone)]
pub(crate) struct Tree(BTreeMap<String, Vec<u8>>);

impl Tree {
    /// The tree in a folder, without pages.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for part in ["trust", "index", "artifacts"] {
            collect(folder, part, &mut files);
        }
        Self(files)
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Writes it into a folder.
    pub(crate) fn write(&self, folder: &Path) {
        for (path, bytes) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
    }

    /// The tree of the stage's registry, once its pointer covers event `seq`.
    pub(crate) fn settled(stage: &Stage, seq: u64) -> Self {
        let public = stage.dir.path().join("registry/blobs/public");
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let tree = Self::of(&public);
            let listed = tree.json("trust/timestamp.json")["signed"]["meta"]["snapshot.json"]["version"].as_u64();
            if listed >= Some(seq) && tree.0.contains_key(&tree.snapshot()) {
                return tree;
            }
            assert!(Instant::now() < until, "the signed index does not come to event {seq}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub(crate) fn file(&self, path: &str) -> &[u8] {
        self.0.get(path).unwrap_or_else(|| panic!("no `{path}` among {:?}", self.0.keys()))
    }

    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_slice(self.file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The target paths of all documents, by the names of their files.
    pub(crate) fn targets(&self) -> Vec<String> {
        let documents = self.0.keys().filter_map(|path| path.strip_prefix("index/"));
        let target = |path: &str| {
            let (folder, file) = path.rsplit_once('/').expect("a namespace");
            let (_, name) = file.split_once('.').expect("a digest");
            format!("index/{folder}/{name}")
        };
        let mut targets: Vec<_> = documents.map(target).collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// The path of the snapshot that the pointer lists.
    pub(crate) fn snapshot(&self) -> String {
        let version = &self.json("trust/timestamp.json")["signed"]["meta"]["snapshot.json"]["version"];
        format!("trust/{version}.snapshot.json")
    }

    /// The path of the bin that lists a plugin.
    pub(crate) fn bin_of(&self, id: &str) -> String {
        let listed = self.json(&self.snapshot());
        let version = |role: &str| listed["signed"]["meta"][format!("{role}.json")]["version"].clone();
        let index = self.json(&format!("trust/{}.index.json", version("index")));
        let succinct = &index["signed"]["delegations"]["succinct_roles"];
        let bits = BitLength::new(succinct["bit_length"].as_u64().expect("a number")).expect("a bit length");
        let bin = Bins::new(succinct["name_prefix"].as_str().expect("a prefix"), bits).name_of(&target_of(id));
        format!("trust/{}.{bin}.json", version(&bin))
    }

    /// The path of a plugin's document.
    pub(crate) fn document_of(&self, id: &str) -> String {
        let target = target_of(id);
        let bin = self.json(&self.bin_of(id));
        let digest = bin["signed"]["targets"][&target]["hashes"]["sha256"].as_str().expect("a digest");
        let (folder, name) = target.rsplit_once('/').expect("a folder");
        format!("{folder}/{digest}.{name}")
    }

    pub(crate) fn edit(&mut self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let before = self.file(path).to_vec();
        let bytes = self.0.get_mut(path).expect("there");
        edit(bytes);
        assert_ne!(before, *bytes, "{path} is another one now");
    }

    pub(crate) fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.0.insert(path.to_owned(), bytes);
    }

    pub(crate) fn edit_text(&mut self, path: &str, edit: impl FnOnce(&mut String)) {
        self.edit(path, |bytes| {
            let mut text = String::from_utf8(bytes.clone()).expect("text");
            edit(&mut text);
            *bytes = text.into_bytes();
        });
    }

    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.0.remove(path).is_some(), "there is a {path}");
    }
}

fn target_of(id: &str) -> String {
    format!("index/{}.json", id.replacen(':', "/", 1))
}

fn collect(root: &Path, folder: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("text"));
        if entry.path().is_dir() {
            collect(root, &path, files);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            // A file that is just being written has another name, and may be gone.
            files.insert(path, bytes);
        }
    }
}

/// A server on this machine that has one tree, and then another.
pub(crate) struct Served {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    tree: Tree,
    asked: Vec<String>,
    /// After so many answers it says nothing more, and keeps who asks waiting.
    answers: Option<usize>,
}

impl Served {
    pub(crate) fn start(tree: Tree) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { tree, asked: Vec::new(), answers: None }));
        let shared = state.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    // A client that goes away is its own affair.
                    let _gone = answer(&stream, &shared);
                });
            }
        });
        Self { url, state }
    }

    pub(crate) fn serve(&self, tree: Tree) {
        self.state.lock().expect("the state").tree = tree;
    }

    /// Answers so many requests more, and lets those that follow wait.
    pub(crate) fn answer_only(&self, answers: Option<usize>) {
        self.state.lock().expect("the state").answers = answers;
    }

    /// Waits until a request is kept waiting. `false`: `over` says that none comes any more.
    pub(crate) fn stalled(&self, mut over: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let stalls = {
                let state = self.state.lock().expect("the state");
                state.answers.is_some_and(|answers| state.asked.len() > answers)
            };
            if stalls || over() {
                return stalls;
            }
            assert!(Instant::now() < until, "nobody asks and nothing ends");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The paths that were asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("the state").asked)
    }
}

/// Reads one request and answers it.
fn answer(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let Some(path) = first.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()) else { return Ok(()) };
    let body = {
        let mut state = state.lock().expect("the state");
        state.asked.push(path.to_owned());
        if state.answers.is_some_and(|answers| state.asked.len() > answers) {
            drop(state);
            // Until who asked is gone, or the test is.
            let _gone = std::io::Read::read(&mut stream, &mut [0]);
            return Ok(());
        }
        state.tree.0.get(path).cloned()
    };
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&body)?;
    stream.flush()
}
