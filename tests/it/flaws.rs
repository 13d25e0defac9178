//! Each thing that can be wrong with a publish, sent to a running registry: its code, status and hint, in bounded
//! time and memory, and nothing that stays.

mod rows;
pub(crate) mod sample;
pub(crate) mod traces;
pub(crate) mod wire;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stoa_api::problem::Code;

use self::{
    sample::Sample,
    traces::{Memory, Stored, wait_for_pages},
    wire::{Answer, Body, send},
};
use crate::process::{Server, Stage};

/// What a refusal may cost beside what the server held before the first one: 48 MiB, where 19 were seen. 300 MiB
/// are sent, 128 of them to an address that is good for them, and 10 are inspected.
const MEMORY: u64 = 48 * 1024 * 1024;
/// How long a refusal may take, with all that is sent for it.
const TIME: Duration = Duration::from_secs(5);
/// How long a publish beside slow senders may take. They are given up after 30 s.
const BESIDE: Duration = Duration::from_secs(20);

/// A registry that has `demo:known` 1.0.0, and those who ask it for something.
struct Bench {
    stage: Stage,
    server: Server,
    /// A key for `demo`.
    key: String,
}

impl Bench {
    fn new(stage: Stage) -> Self {
        let server = stage.serve();
        let key = stage.author(&server);
        stage.publish(&server.url, &key, &[&stage.plugin("known", "1.0.0", 1, 0)]).json();
        wait_for_pages(&stage, 3);
        Self { stage, server, key }
    }

    fn api(&self, method: &str, path: &str, key: &str, body: Body<'_>) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        send(&self.server.url, method, &format!("/api/v1/{path}"), &headers, body)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.api("POST", path, &self.key, Body::Whole(body.to_string().as_bytes()))
    }

    /// Publishes in one request.
    fn inline(&self, sample: &Sample) -> Answer {
        self.post("publishes/inline", &sample.inline())
    }

    /// Begins a publish. Gives its id, and the address for its component.
    fn begin(&self, sample: &Sample) -> (String, String) {
        let begun = self.post("publishes", &sample.begin());
        assert_eq!(begun.status, 200, "{}", begun.body);
        let artifact = sample.artifact();
        let missing = begun.body["missing"].as_array().expect("a list");
        let missing = missing.iter().find(|missing| missing["digest"] == artifact.as_str()).expect("it is not here");
        let url = missing["upload"]["url"].as_str().expect("an address");
        let path = url.strip_prefix(&self.server.url).expect("an address of this server");
        (begun.body["id"].as_str().expect("an id").to_owned(), path.to_owned())
    }

    fn upload(&self, path: &str, body: Body<'_>) -> Answer {
        send(&self.server.url, "PUT", path, &[], body)
    }

    fn finish(&self, id: &str) -> Answer {
        self.post(&format!("publishes/{id}/finish"), &json!({}))
    }

    /// A key of this registry with the scope to publish, valid or not.
    fn make_key(&self, scopes: &[&str], more: (&str, Value)) -> Value {
        let mut body = json!({"label": "a key of a test", "scopes": scopes});
        body[more.0] = more.1;
        let body = body.to_string();
        let made = self.api("POST", "keys", &self.stage.admin_key, Body::Whole(body.as_bytes()));
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    }
}

/// A flaw, how it is sent, and the code of the answer.
struct Row {
    flaw: &'static str,
    code: Code,
    send: Box<dyn Fn(&Bench) -> Answer>,
}

impl Row {
    fn new(flaw: &'static str, code: Code, send: impl Fn(&Bench) -> Answer + 'static) -> Self {
        Self { flaw, code, send: Box::new(send) }
    }

    /// Sends it and checks all that is the same for every flaw. Gives what the answer says.
    fn check(&self, bench: &Bench, most: u64) -> String {
        let Self { flaw, code, .. } = self;
        let (before, memory) = (Stored::of(&bench.stage), Memory::of(bench.server.pid()));
        memory.forget();
        let began = Instant::now();
        let Answer { status, body } = (self.send)(bench);
        let (took, peak) = (began.elapsed(), memory.peak());
        assert_eq!((body["code"].as_str(), status), (Some(code.as_str()), code.status().as_u16()), "{flaw}: {body}");
        assert_eq!((body["status"].as_u64(), &body["hint"]), (Some(u64::from(status)), &json!(code.hint())), "{flaw}");
        assert!(took < TIME, "{flaw}: took {took:?}");
        assert!(peak < most, "{flaw}: the server came to {} MiB", peak >> 20);
        let after = Stored::of(&bench.stage);
        assert_eq!(after.lasting, before.lasting, "{flaw}: something stays");
        let known = |partition: &String| partition == "publishes" || partition.starts_with("!operation/");
        assert!(after.expiring.iter().all(known), "{flaw}: {:?}", after.expiring);
        let uploads = match after.uploads - before.uploads {
            0 => String::new(),
            count => format!("\n  for a day: {count} upload"),
        };
        let (detail, hint) = (body["detail"].as_str().expect("text"), code.hint());
        format!("{flaw}\n  {status} {code}: {detail}\n  hint: {hint}{uploads}\n")
    }
}

#[test]
fn every_flaw_has_its_code_status_and_hint_costs_little_and_leaves_nothing() {
    let Some(stage) = Stage::new() else { return };
    let bench = Bench::new(stage);
    let rows = rows::all(&bench);
    let most = Memory::of(bench.server.pid()).now() + MEMORY;
    let said: Vec<String> = rows.iter().map(|row| row.check(&bench, most)).collect();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b[0-9a-f]{64}\b", "SHA256");
    settings.add_filter(r"\b[0-9a-f]{32}\b", "UPLOAD");
    settings.add_filter(r"\bkey [0-9a-f]{12}\b", "key ID");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.bind(|| insta::assert_snapshot!(said.join("\n")));
    // After all of that it takes what has no flaw.
    let published = bench.inline(&Sample::sound());
    assert_eq!((published.status, &published.body["seq"]), (200, &json!(4)), "{}", published.body);
    assert_eq!(bench.server.stop().code(), Some(0));
}

#[test]
fn an_upload_whose_connection_goes_away_leaves_nothing_and_can_be_sent_again() {
    let Some(stage) = Stage::new() else { return };
    let bench = Bench::new(stage);
    let sample = Sample::of(sample::exporting("cut-off"));
    let (id, address) = bench.begin(&sample);
    let before = Stored::of(&bench.stage);
    for _ in 0..3 {
        let body = Body::Half(&sample.blobs[0]);
        let mut stream = wire::open(&bench.server.url, "PUT", &address, &[], body);
        std::io::Write::write_all(&mut stream, &sample.blobs[0][..9]).expect("some of the body");
        drop(stream);
    }
    // The last one may be on its way still; this one waits for it.
    assert_eq!(bench.upload(&address, Body::Whole(&sample.blobs[0])).status, 204);
    let after = Stored::of(&bench.stage);
    assert_eq!((after.lasting, after.uploads), (before.lasting, before.uploads + 1));
    let finished = bench.finish(&id);
    assert_eq!(finished.body["code"], "blob-missing", "the WIT was not sent");
}

#[test]
fn slow_uploads_of_the_largest_size_take_nothing_from_others() {
    let Some(stage) = Stage::new() else { return };
    let bench = Bench::new(stage);
    let memory = Memory::of(bench.server.pid());
    let (most, began) = (memory.now() + MEMORY, Instant::now());
    memory.forget();
    let open: Vec<_> = (0..8)
        .map(|n| {
            let artifact = json!({"digest": format!("{n}").repeat(64), "size": 128 << 20});
            let (_, address) = bench.begin(&Sample::sound().with("artifact", artifact));
            let headers = [("expect", "100-continue")];
            let mut stream = wire::open(&bench.server.url, "PUT", &address, &headers, Body::Announced(128 << 20));
            // The server says so once it waits for the body.
            let mut answer = [0; 21];
            std::io::Read::read_exact(&mut stream, &mut answer).expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 100 Continue");
            std::io::Write::write_all(&mut stream, &vec![0; 1 << 20]).expect("a beginning");
            stream
        })
        .collect();
    // Larger than one request takes: it is uploaded, and inspected.
    let large = bench.stage.plugin("large", "1.0.0", 41, 8 << 20);
    bench.stage.publish(&bench.server.url, &bench.key, &[&large]).json();
    assert!(memory.peak() < most, "the server came to {} MiB", memory.peak() >> 20);
    assert!(began.elapsed() < BESIDE, "took {:?}", began.elapsed());
    drop(open);
}

#[test]
fn the_command_line_refuses_what_it_can_see_before_anything_is_sent() {
    let Some(stage) = Stage::new() else { return };
    let mut said = String::new();
    let mut case = |flaw: &str, name: &str, change: &dyn Fn(&std::path::Path)| {
        let folder = stage.plugin(name, "1.0.0", 1, 0);
        change(folder.as_ref());
        // Nobody listens there: whatever was sent would be refused otherwise.
        let args = ["publish", &folder, "--registry", "http://127.0.0.1:9", "--api-key", &stage.admin_key];
        said += &format!("## {flaw}\n{}\n", stage.run(args).refusal());
    };
    let manifest = |folder: &std::path::Path, from: &str, to: &str| {
        let path = folder.join("plugin.toml");
        let text = std::fs::read_to_string(&path).expect("a manifest");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("a manifest");
    };
    case("an unknown key", "a", &|folder| manifest(folder, "license =", "licence ="));
    case("a path for a name", "b", &|folder| manifest(folder, "demo:b", "demo:../b"));
    case("a name that differs by case", "c", &|folder| manifest(folder, "demo:c", "demo:C"));
    case("a version with build metadata", "d", &|folder| manifest(folder, "1.0.0", "1.0.0+linux"));
    for (flaw, name, bytes) in [
        ("a text", "e", b"Hello".to_vec()),
        ("an ELF", "f", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("a core module", "g", sample::wat("(module)")),
        ("10,000 nested components", "h", sample::ten_thousand_nested_components()),
        ("10 MB of WIT", "i", sample::ten_megabytes_of_wit()),
        ("WASI 0.3", "j", sample::wat("(component (import \"wasi:cli/environment@0.3.0\" (instance)))")),
        ("an unclassified import", "k", sample::wat("(component (import \"f\" (func)))")),
        ("129 MiB", "l", vec![0; 129 << 20]),
    ] {
        case(flaw, name, &|folder| {
            std::fs::write(folder.join(format!("{name}.wasm")), &bytes).expect("a component");
        });
    }
    crate::process::assert_said("what-the-command-line-sees", &said, &stage);
}
