//! What an update asks for again.

use stoa_core::{
    digest::Digest,
    lock::{Lock, Publisher},
    resolve::{Mode, Resolution, asks, resolve},
};

use crate::world::{World, options, parse, wishes};

const OLD: &str = "
offers-track wasi:0.2
demo:a 1.0.0
    cap clock:coarse
    cap http.out:https://a.example
";
const WANTED: &str = "demo:a ^1";

/// What is asked where the lock of `OLD` is updated in a world that also has `newer`.
fn asked(newer: &str) -> String {
    told(&updated(newer, |_| ()))
}

fn told(resolution: &Resolution) -> String {
    resolution.asks.iter().map(|ask| format!("{ask}\n")).collect()
}

fn updated(newer: &str, change: impl FnOnce(&mut Lock)) -> Resolution {
    let mut lock = World::of(OLD).lock(WANTED);
    change(&mut lock);
    World::of(&format!("{OLD}{newer}")).resolve(WANTED, Some(&lock), Mode::UpdateAll).expect("a resolution")
}

#[test]
fn an_update_that_reaches_further_asks_and_names_what_is_new() {
    let cases = [
        (
            "one more",
            "demo:a 1.1.0\n    cap clock:coarse\n    cap net.dns:*.example\n    cap http.out:https://a.example",
        ),
        ("another scope", "demo:a 1.1.0\n    cap http.out:https://b.example"),
        ("a track", "demo:a 1.1.0\n    track wasi:0.2"),
        ("what a terminal acts on", "demo:a 1.1.0\n    cap x\u{1b}[2J"),
        ("many", "demo:a 1.1.0\n    cap a\n    cap b\n    cap c\n    cap d\n    cap e\n    cap f\n    cap g"),
        ("a newcomer that reaches", "demo:a 1.1.0\n    needs demo:b ^1\ndemo:b 1.0.0\n    cap net.tcp:*:443"),
    ];
    let said: Vec<_> = cases.iter().map(|(what, newer)| format!("{what}: {}", asked(newer))).collect();
    insta::assert_snapshot!(said.concat());
}

#[test]
fn an_update_that_asks_for_no_more_passes_in_silence() {
    let same = "demo:a 1.1.0\n    cap http.out:https://a.example\n    cap clock:coarse";
    for newer in [
        "",
        same,
        "demo:a 1.1.0\n    cap clock:coarse",
        "demo:a 1.1.0",
        "demo:a 1.1.0\n    needs demo:b ^1\ndemo:b 1.0.0",
    ] {
        assert_eq!(asked(newer), "", "{newer}");
    }
}

#[test]
fn a_first_lock_asks_nothing_and_neither_does_a_plugin_that_the_host_names() {
    let world = World::of(&format!("{OLD}demo:b 1.0.0\n    cap net.tcp:*:443"));
    let first = world.resolve("demo:a ^1\ndemo:b ^1", None, Mode::Keep).expect("a resolution");
    assert_eq!(told(&first), "");
    let lock = World::of(OLD).lock(WANTED);
    let second = world.resolve("demo:a ^1\ndemo:b ^1", Some(&lock), Mode::Keep).expect("a resolution");
    assert_eq!(told(&second), "");
}

#[test]
fn where_what_was_agreed_to_is_not_known_everything_is_asked() {
    let mut gone = World::of("demo:a 1.1.0\n    cap clock:coarse");
    gone.offer = World::of(OLD).offer;
    let lock = World::of(OLD).lock(WANTED);
    let gone = gone.resolve(WANTED, Some(&lock), Mode::Keep).expect("a resolution");
    // A lock that somebody edited so that the difference is hidden: kept or updated, it is seen.
    let edit =
        |lock: &mut Lock| lock.entries.get_mut(&parse("demo:a")).expect("an entry").decision = Digest::of(b"other");
    let edited = updated("demo:a 1.1.0\n    cap clock:coarse", edit);
    let kept = updated("", edit);
    let less = updated("demo:a 1.1.0", edit);
    insta::assert_snapshot!([gone, edited, kept, less].map(|resolution| told(&resolution)).join("--\n"));
}

#[test]
fn another_key_and_a_signature_that_is_gone_are_asked_about_and_a_first_one_is_not() {
    let (alice, bob) = (Digest::of(b"alice"), Digest::of(b"bob"));
    let keys = [Publisher::None, Publisher::Key(alice), Publisher::Key(bob)];
    let mut said = String::new();
    for locked in keys {
        for found in keys {
            let mut lock = World::of(OLD).lock(WANTED);
            lock.entries.get_mut(&parse("demo:a")).expect("an entry").publisher = locked;
            let world = World::of(&format!("{OLD}demo:a 1.1.0"));
            let (wanted, options) = (wishes(WANTED), options().with_mode(Mode::UpdateAll));
            let resolution = resolve(&wanted, Some(&lock), &world.offer, &world.documents, &options);
            let mut resolution = resolution.expect("a resolution");
            resolution.plugins[0].publisher = found;
            resolution.asks = asks(&wanted, &resolution.plugins, Some(&lock), &world.documents);
            said += &format!("{locked} -> {found}: {}\n", told(&resolution).trim());
            let entry = resolution.lock(world.header()).entries.remove(&parse("demo:a")).expect("an entry");
            assert_eq!(entry.publisher, found, "the lock names the key");
        }
    }
    for (key, name) in [(alice, "ALICE"), (bob, "BOB")] {
        said = said.replace(&key.to_string(), name).replace(&key.short(16), name);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_accepted_is_asked_no_more() {
    let newer = "demo:a 1.1.0\n    needs demo:b ^1\n    cap net.dns:*.example\ndemo:b 1.0.0\n    cap net.tcp:*:443";
    let mut resolution = updated(newer, |_| ());
    assert_eq!(resolution.asks.len(), 2);
    assert!(!resolution.accept(&parse("demo:other")));
    assert!(resolution.accept(&parse("demo:a")));
    assert_eq!(told(&resolution).lines().count(), 1);
    assert!(resolution.accept(&parse("demo:b")));
    assert_eq!(told(&resolution), "");
    // Once it is locked, it is agreed to.
    let world = World::of(&format!("{OLD}{newer}"));
    let lock = resolution.lock(world.header());
    assert_eq!(told(&world.resolve(WANTED, Some(&lock), Mode::UpdateAll).expect("a resolution")), "");
    assert_eq!(told(&world.resolve(WANTED, Some(&lock), Mode::Locked).expect("the lock holds")), "");
}
