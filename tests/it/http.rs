//! `stoa serve` as an HTTP server: what clients of every kind get, and what bad ones can not do.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::process::{Server, Stage, status};

/// The bytes of the artifact that is large enough not to fit into the system's buffers: 8 MiB and some more.
const LARGE: usize = 8 << 20;

/// A server with `demo:answer` of at least this many bytes, and the path of its artifact.
fn with_plugin(stage: &Stage, padding: usize, more: &[&str]) -> (Server, String) {
    let server = stage.serve_with(more);
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, padding)]).json();
    let shown = stage.host(&server.url, &stage.path("c"), &["info", "--json", "demo:answer"]).json();
    let digest = shown["document"]["releases"][0]["artifact"].as_str().expect("a digest");
    (server, format!("artifacts/sha256/{digest}"))
}

fn ask(server: &Server, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    server.exchange(&format!("{method} /{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"), b"")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Reads one answer with a known length from a connection that stays open.
fn one_answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a byte of a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    let mut body = vec![0; header(&head, "content-length").expect("a length").parse().expect("a number")];
    stream.read_exact(&mut body).expect("a body");
    (head, body)
}

#[test]
fn a_file_comes_in_the_coding_that_a_client_likes_best_and_each_has_a_tag_of_its_own() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, 0, &[]);
    let (plain, file) = ask(&server, "GET", "trust/1.root.json", "");
    assert_eq!(
        (header(&plain, "content-encoding"), header(&plain, "vary")),
        (None, Some("accept-encoding")),
        "{plain}"
    );
    let mut tags = vec![header(&plain, "etag").expect("a tag").to_owned()];
    for coding in ["br", "zstd", "gzip"] {
        let (head, body) = ask(&server, "GET", "trust/1.root.json", &format!("accept-encoding: {coding}\r\n"));
        assert_eq!((header(&head, "content-encoding"), header(&head, "vary")), (Some(coding), Some("accept-encoding")));
        let mut decoded = Vec::new();
        match coding {
            "br" => brotli::BrotliDecompress(&mut &*body, &mut decoded).expect("Brotli"),
            "zstd" => decoded = zstd::bulk::decompress(&body, 1 << 20).expect("Zstandard"),
            _ => drop(flate2::read::GzDecoder::new(&*body).read_to_end(&mut decoded).expect("gzip")),
        }
        assert_eq!(decoded, file, "{coding}");
        assert!(body.len() < file.len(), "{coding}");
        tags.push(header(&head, "etag").expect("a tag").to_owned());
    }
    let different: std::collections::BTreeSet<_> = tags.iter().collect();
    assert_eq!(different.len(), 4, "{tags:?}");
    // A client that has the file, in whichever coding and by way of whoever weakened its tag, gets no body.
    for tag in &tags {
        for text in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let (head, body) = ask(&server, "GET", "trust/1.root.json", &format!("if-none-match: {text}\r\n"));
            assert_eq!((status(&head), body.len()), (304, 0), "{text}: {head}");
            assert_eq!(header(&head, "cache-control"), Some("public, max-age=31536000, immutable"));
        }
    }
    let (head, _) = ask(&server, "GET", "trust/1.root.json", "if-none-match: \"other\"\r\n");
    assert_eq!(status(&head), 200);
    // A component goes as it is: that is what its digest is of, and it would get little shorter.
    let (head, _) = ask(&server, "GET", &artifact, "accept-encoding: br, gzip\r\n");
    assert_eq!((header(&head, "content-encoding"), header(&head, "vary")), (None, None), "{head}");
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, 100_000, &[]);
    let (head, whole) = ask(&server, "GET", &artifact, "");
    let tag = header(&head, "etag").expect("a tag").to_owned();
    assert_eq!(header(&head, "accept-ranges"), Some("bytes"));
    let rest = format!("range: bytes=50000-\r\nif-range: {tag}\r\n");
    let (head, part) = ask(&server, "GET", &artifact, &rest);
    assert_eq!(status(&head), 206, "{head}");
    let expected = format!("bytes 50000-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(header(&head, "content-range"), Some(&*expected));
    assert_eq!(part, whole[50_000..]);
    let (head, body) = ask(&server, "GET", &artifact, "range: bytes=50000-\r\nif-range: \"other\"\r\n");
    assert_eq!((status(&head), body.len()), (200, whole.len()), "another file is sent whole");
    let (head, _) = ask(&server, "GET", &artifact, &format!("range: bytes={}-\r\n", whole.len()));
    assert_eq!((status(&head), header(&head, "content-range")), (416, Some(&*format!("bytes */{}", whole.len()))));
    let (head, part) = ask(&server, "GET", "trust/1.root.json", "range: bytes=0-9\r\naccept-encoding: br\r\n");
    assert_eq!((status(&head), header(&head, "content-encoding"), part.len()), (206, None, 10), "{head}");
}

#[test]
fn head_says_what_get_would_and_sends_nothing() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, 0, &[]);
    for path in ["", "trust/1.root.json", &artifact, "nothing-here", "trust/7.root.json"] {
        for accept in ["", "accept-encoding: gzip\r\n"] {
            let without_date = |head: String| {
                head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect::<Vec<_>>()
            };
            let (get, _) = ask(&server, "GET", path, accept);
            let (head, body) = ask(&server, "HEAD", path, accept);
            assert_eq!((without_date(head), body), (without_date(get), vec![]), "{path} {accept}");
        }
    }
}

#[test]
fn a_connection_serves_many_requests_also_ones_that_are_sent_ahead() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let mut stream = server.connect();
    for _ in 0..20 {
        stream.write_all(b"GET /trust/timestamp.json HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
        assert_eq!(status(&one_answer(&mut stream).0), 200);
    }
    let both = "GET /trust/1.root.json HTTP/1.1\r\nhost: x\r\n\r\nGET /trust/2.root.json HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(both.as_bytes()).expect("two requests");
    assert_eq!([0; 2].map(|_| status(&one_answer(&mut stream).0)), [200, 404]);
}

#[test]
fn what_is_not_there_is_forgotten_soon() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    for (path, cache) in [
        ("trust/2.root.json", "public, max-age=5"),
        ("trust/9.bin-00.json", "public, max-age=5"),
        ("plugins/demo/none/", "public, max-age=60"),
        ("artifacts/sha256/00", "public, max-age=60"),
    ] {
        let (head, _) = ask(&server, "GET", path, "");
        assert_eq!((status(&head), header(&head, "cache-control")), (404, Some(cache)), "{path}");
    }
}

#[test]
fn odd_requests_are_answered_by_their_flaw() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let long = |n| "x".repeat(n);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (what, request, expected) in [
        ("a method that changes", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n".to_owned(), 405),
        ("a path that no file has", format!("GET /{} HTTP/1.1\r\nhost: x\r\n", long(2000)), 414),
        ("a head without an end", format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n", long(100_000)), 431),
        ("too many headers", format!("GET / HTTP/1.1\r\nhost: x\r\n{many}"), 431),
        (
            "two lengths",
            "POST /api/v1/keys HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n".to_owned(),
            400,
        ),
        ("no HTTP", "HELLO\r\n".to_owned(), 400),
        ("a way out", "GET /trust/../../ledger.db HTTP/1.1\r\nhost: x\r\n".to_owned(), 404),
        ("a coded way out", "GET /%2e%2e/ledger.db HTTP/1.1\r\nhost: x\r\n".to_owned(), 404),
        ("another spelling", "GET //trust/timestamp.json HTTP/1.1\r\nhost: x\r\n".to_owned(), 404),
        ("a host in the address", "GET http://y/trust/1.root.json HTTP/1.1\r\nhost: x\r\n".to_owned(), 200),
        (
            "a header of a proxy that is deceived",
            {
                // RFC 9112, section 6.1: the length is not believed, and the connection is not used again.
                "GET /trust/1.root.json HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n"
                    .to_owned()
            },
            200,
        ),
    ] {
        let mut stream = server.connect();
        // The server may have answered and gone before the last byte of a request that is too long.
        let _written = stream.write_all(format!("{request}connection: close\r\n\r\n0\r\n\r\n").as_bytes());
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(&start, format!("HTTP/1.1 {expected}").as_bytes(), "{what}");
    }
    assert_eq!(status(&server.get("trust/timestamp.json").0), 200);
}

#[test]
fn slow_clients_are_ended_and_keep_nobody_waiting() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, LARGE, &["--patience", "1"]);
    let silent: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    let mut half: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut half {
        stream.write_all(b"GET /trust/timestamp.json HTTP/1.1\r\nhost:").expect("half a head");
    }
    let mut drip = server.connect();
    let mut dripping = true;
    drip.write_all(b"GET /trust/timestamp.json HTTP/1.1\r\nx: ").expect("a beginning");
    let mut full = server.connect();
    full.write_all(format!("GET /{artifact} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).expect("a request");
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(300));
        dripping &= drip.write_all(b"x").is_ok();
        assert_eq!(status(&server.get("trust/timestamp.json").0), 200);
    }
    assert!(!dripping, "a head that comes byte by byte was taken for longer than its time");
    for mut stream in silent.into_iter().chain(half) {
        let mut said = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{said:?}");
    }
    let mut got = Vec::new();
    let _reset_or_end = full.read_to_end(&mut got);
    assert!(got.len() < LARGE, "a reader that did not read for its time got all {} bytes", got.len());
}

#[test]
fn two_thousand_idle_connections_cost_little_and_others_are_served() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    assert_eq!(status(&server.get("trust/timestamp.json").0), 200);
    let before = resident(&server);
    let idle: Vec<TcpStream> = (0..2000)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /trust/timestamp.json HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
            assert_eq!(status(&one_answer(&mut stream).0), 200);
            stream
        })
        .collect();
    let each = (resident(&server) - before) / idle.len();
    assert!(each <= 32, "an idle connection takes {each} KiB");
    assert_eq!(status(&server.get("").0), 200);
    assert_eq!(server.post("namespaces", &stage.admin_key, &serde_json::json!({"namespace": "demo"})).0, 201);
    // They still are connections.
    let mut last = idle.into_iter().next_back().expect("one");
    last.write_all(b"GET /trust/1.root.json HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
    assert_eq!(status(&one_answer(&mut last).0), 200);
}

/// Memory that a server has resident, in KiB.
fn resident(server: &Server) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn one_connection_too_many_is_told_so_and_a_place_that_is_free_again_is_given() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve_with(&["--max-connections", "3"]);
    let mut open: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut open {
        stream.write_all(b"GET /trust/1.root.json HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
        one_answer(stream);
    }
    let mut said = String::new();
    server.connect().read_to_string(&mut said).expect("an answer");
    assert_eq!(status(&said), 503, "{said}");
    assert_eq!(header(&said, "retry-after"), Some("1"));
    assert!(said.ends_with("\r\n\r\ntoo many connections are open\n"), "{said}");
    open.pop();
    let again = || {
        let mut stream = server.connect();
        stream.write_all(b"GET /trust/1.root.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok()?;
        (status(&said.to_lowercase()) == 200).then_some(())
    };
    let given = (0..100).find_map(|_| {
        again().or_else(|| {
            std::thread::sleep(Duration::from_millis(20));
            None
        })
    });
    assert_eq!(given, Some(()), "the place of a connection that ended");
}

#[test]
fn a_signal_lets_a_download_end_and_takes_no_new_connection() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, LARGE, &[]);
    let (url, mut idle) = (server.url.clone(), server.connect());
    let mut stream = server.connect();
    stream.write_all(format!("GET /{artifact} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).expect("a request");
    let mut begun = [0; 1024];
    stream.read_exact(&mut begun).expect("a beginning");
    let reading = std::thread::spawn(move || {
        // The server has had its signal by then; the test waits for its end.
        std::thread::sleep(Duration::from_millis(500));
        let refused = TcpStream::connect(url.trim_start_matches("http://")).map_err(|error| error.kind());
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the rest");
        (refused.map(drop), rest.len())
    });
    let ended = server.stop();
    let (refused, rest) = reading.join().expect("a reader");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(refused, Err(std::io::ErrorKind::ConnectionRefused));
    assert!(begun.len() + rest > LARGE, "{rest} bytes more");
    assert_eq!(idle.read(&mut [0]).expect("the end of an idle connection"), 0);
}

#[tokio::test]
async fn http_2_without_tls_carries_many_requests_on_one_connection() {
    let Some(stage) = Stage::new() else { return };
    let (server, artifact) = with_plugin(&stage, 300_000, &[]);
    assert_eq!(server.stop().code(), Some(0));
    let server = stage.serve_with(&["--max-connections", "1"]);
    let _there_already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let url = |path: &str| format!("{}/{path}", server.url);
    let first = client.get(url("trust/timestamp.json")).send().await.expect("an answer");
    assert_eq!((first.version(), first.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    // There is one connection, so what comes at a time comes on that.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let request = client.get(url(&artifact)).send();
        asked.spawn(async move { request.await?.bytes().await });
    }
    while let Some(body) = asked.join_next().await {
        assert!(body.expect("a task").expect("a body").len() > 300_000);
    }
    let absent = client.get(url("trust/7.root.json")).send().await.expect("an answer");
    assert_eq!(absent.status().as_u16(), 404);
    let health = client.get(url("api/v1/health")).send().await.expect("an answer");
    assert_eq!(health.status().as_u16(), 200);
}
