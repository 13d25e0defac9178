//! Races over HTTP, with the adapters that a registry runs on.

use std::{collections::BTreeSet, process::Stdio, sync::Barrier, thread};

use serde_json::{Value, json};

use crate::{
    flaws::{
        sample::{Sample, exporting},
        traces::wait_for_pages,
    },
    process::{Server, Stage, status},
};

/// Publishes each of these at the same time.
fn all_at_once(server: &Server, key: &str, samples: &[Sample]) -> Vec<(u16, Value)> {
    let barrier = Barrier::new(samples.len());
    thread::scope(|scope| {
        let publish = |sample: &Sample| {
            let body = sample.inline();
            barrier.wait();
            server.post("publishes/inline", key, &body)
        };
        let running: Vec<_> = samples.iter().map(|sample| scope.spawn(move || publish(sample))).collect();
        running.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

/// How many events a registry has.
fn events(server: &Server) -> usize {
    let (_, body) = server.get("api/v1/events?limit=200");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["events"].as_array().expect("a list").len()
}

#[test]
fn of_sixteen_clients_who_publish_one_version_one_wins_and_the_others_learn_its_digest() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let samples: Vec<Sample> = (0..16).map(|n| Sample::of(exporting(&format!("f{n}")))).collect();
    let answers = all_at_once(&server, &key, &samples);
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 200);
    assert_eq!((won.len(), lost.len()), (1, 15), "{won:?}");
    let winner = won[0].1["releases"][0]["artifact"]["digest"].as_str().expect("a digest").to_owned();
    for (status, body) in lost {
        assert_eq!((status, body["code"].as_str(), body["artifact"].as_str()), {
            (409, Some("version-exists"), Some(winner.as_str()))
        });
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains(&winner)), "{body}");
    }
    assert_eq!(events(&server), 3, "genesis, the namespace, one release");
    // The winner's is signed; nobody else's component is public.
    wait_for_pages(&stage, 3);
    let shown = stage.host(&server.url, &stage.path("c"), &["info", "--json", "demo:sample"]).json();
    assert_eq!(shown["document"]["releases"][0]["artifact"], winner.as_str());
    let public: Vec<u16> = samples
        .iter()
        .filter(|sample| sample.artifact() != winner)
        .map(|sample| status(&server.get(&format!("artifacts/sha256/{}", sample.artifact())).0))
        .collect();
    assert_eq!(public, [404; 15]);
}

#[test]
fn sixteen_clients_who_publish_the_same_bytes_all_succeed_with_one_event() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let answers = all_at_once(&server, &key, &vec![Sample::sound(); 16]);
    let places: BTreeSet<_> = answers.iter().map(|(status, body)| (*status, body["seq"].as_u64())).collect();
    assert_eq!(places, BTreeSet::from([(200, Some(3))]));
    assert_eq!(events(&server), 3);
}

#[test]
fn a_second_server_is_refused_by_whatever_name_it_calls_the_folder_and_the_first_goes_on() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let link = stage.path("another-name");
    std::os::unix::fs::symlink(stage.registry(), &link).expect("a link");
    let absolute = stage.registry();
    for folder in ["registry", "./registry/../registry", &absolute, &link] {
        let refused = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", folder]).refusal();
        assert_eq!(refused, format!("error: `{folder}` is in use by process {}\n", server.pid()));
    }
    let (code, published) = server.post("publishes/inline", &key, &Sample::sound().inline());
    assert_eq!((code, &published["seq"]), (200, &json!(3)), "{published}");
    assert_eq!(server.stop().code(), Some(0));
    // What was written meanwhile is what the next one finds.
    let server = stage.serve();
    assert_eq!(events(&server), 3);
}

#[test]
fn of_two_servers_that_start_at_once_one_runs_and_the_other_says_who_does() {
    let Some(stage) = Stage::new() else { return };
    let start = |ready: &str| {
        let args = ["serve", "--listen", "127.0.0.1:0", "--dir", "registry", "--ready-file", ready];
        stage.prepared("", args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program runs")
    };
    let mut pair = [start("one"), start("other")];
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let (lost, ended) = loop {
        let ended = pair.iter_mut().enumerate().find_map(|(n, child)| Some((n, child.try_wait().expect("a child")?)));
        if let Some(ended) = ended {
            break ended;
        }
        assert!(std::time::Instant::now() < until, "two run at once");
        thread::sleep(std::time::Duration::from_millis(10));
    };
    let [one, other] = pair;
    let (lost, mut won) = if lost == 0 { (one, other) } else { (other, one) };
    let refused = lost.wait_with_output().expect("what it said");
    assert_eq!(ended.code(), Some(1));
    let refused = String::from_utf8(refused.stderr).expect("text");
    // In the instant in which the other has the folder and has not yet written its id down, it has none.
    let named = [format!("process {}", won.id()), "another process".to_owned()];
    let possible = named.map(|holder| format!("error: `registry` is in use by {holder}\n"));
    assert!(possible.contains(&refused), "{refused}");
    let ready = ["one", "other"].map(|file| stage.dir.path().join(file));
    while !ready.iter().any(|file| file.exists()) {
        assert!(std::time::Instant::now() < until, "nobody is ready");
        assert_eq!(won.try_wait().expect("a child"), None, "the one that has the folder goes on");
        thread::sleep(std::time::Duration::from_millis(10));
    }
    won.kill().expect("a child");
    won.wait().expect("a child");
}
