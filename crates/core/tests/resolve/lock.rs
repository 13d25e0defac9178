//! Locks: what they keep, and what they refuse.

use std::collections::BTreeSet;

use stoa_core::{
    digest::Digest,
    document::State,
    lock::{Lock, Publisher},
    release::BlobRef,
    resolve::{Mode, ResolveError, Stale},
    standing::{Cause, Measure, Takedown},
    time::Time,
};

use crate::world::{World, names, parse};

const WORLD: &str = "
offers acme:web/kv@1.0.0
offers-track wasi:0.2
demo:a 1.0.0
    needs demo:b ^1
    track wasi:0.2
    cap clock
demo:b 1.0.0
    host acme:web/kv@1.0.0 a
demo:c 1.0.0
";
const NEWER: &str = "
demo:a 1.1.0
    needs demo:b ^1
demo:b 1.1.0
demo:c 1.1.0
";
const WANTED: &str = "demo:a ^1\ndemo:c ^1";

fn grown() -> World {
    World::of(&format!("{WORLD}{NEWER}"))
}

#[test]
fn a_resolution_prints_as_a_lock() {
    insta::assert_snapshot!(World::of(WORLD).lock(WANTED).print());
}

#[test]
fn what_is_locked_is_kept_until_it_is_updated() {
    let lock = World::of(WORLD).lock(WANTED);
    let chosen = |mode| BTreeSet::from_iter(names(&grown().resolve(WANTED, Some(&lock), mode).expect("a resolution")));
    let expected = |list: [&str; 3]| BTreeSet::from(list.map(str::to_owned));
    assert_eq!(chosen(Mode::Keep), expected(["demo:a@1.0.0", "demo:b@1.0.0", "demo:c@1.0.0"]));
    let one = Mode::Update(BTreeSet::from([parse("demo:b")]));
    assert_eq!(chosen(one), expected(["demo:a@1.0.0", "demo:b@1.1.0", "demo:c@1.0.0"]));
    assert_eq!(chosen(Mode::UpdateAll), expected(["demo:a@1.1.0", "demo:b@1.1.0", "demo:c@1.1.0"]));
    assert_eq!(chosen(Mode::Locked), expected(["demo:a@1.0.0", "demo:b@1.0.0", "demo:c@1.0.0"]));
}

#[test]
fn what_no_longer_fits_is_changed_and_the_rest_is_kept() {
    let lock = World::of(WORLD).lock(WANTED);
    let resolution = grown().resolve("demo:a ^1.1\ndemo:c ^1", Some(&lock), Mode::Keep).expect("a resolution");
    assert_eq!(
        BTreeSet::from_iter(names(&resolution)),
        BTreeSet::from(["demo:a@1.1.0", "demo:b@1.0.0", "demo:c@1.0.0"].map(str::to_owned))
    );
}

#[test]
fn a_yanked_release_stays_where_it_is_locked() {
    let lock = World::of(WORLD).lock(WANTED);
    let mut world = grown();
    world.listing("demo:c", "1.0.0").state = State::Yanked { reason: "broken".into(), at: Time::from_unix(0) };
    for mode in [Mode::Keep, Mode::Locked] {
        let resolution = world.resolve(WANTED, Some(&lock), mode).expect("a resolution");
        assert!(names(&resolution).contains(&"demo:c@1.0.0".to_owned()));
    }
    let updated = world.resolve(WANTED, Some(&lock), Mode::UpdateAll).expect("a resolution");
    assert!(names(&updated).contains(&"demo:c@1.1.0".to_owned()));
    assert!(world.chosen(WANTED).contains(&"demo:c@1.1.0".to_owned()));
}

fn taken_down(measure: Measure) -> World {
    let mut world = grown();
    world.listing("demo:c", "1.0.0").takedown = Some(Takedown {
        measure,
        cause: Cause::Malware,
        reason: "it mines \u{1b}[2J coins".into(),
        seq: 9,
        at: Time::from_unix(1_777_766_400),
        appealed: None,
    });
    world
}

#[test]
fn a_quarantined_release_stays_where_it_is_locked_and_is_chosen_nowhere() {
    let lock = World::of(WORLD).lock(WANTED);
    let world = taken_down(Measure::Quarantine);
    for mode in [Mode::Keep, Mode::Locked] {
        let resolution = world.resolve(WANTED, Some(&lock), mode).expect("a resolution");
        let kept = resolution.plugins.iter().find(|plugin| plugin.id == parse("demo:c")).expect("a plugin");
        assert_eq!(kept.version, parse("1.0.0"));
        assert!(kept.standing.quarantined().is_some(), "whoever runs it is told");
    }
    assert!(names(&world.resolve(WANTED, None, Mode::Keep).expect("one")).contains(&"demo:c@1.1.0".to_owned()));
    insta::assert_snapshot!(world.failure("demo:c =1.0.0").report());
}

#[test]
fn a_killed_release_is_kept_by_no_lock() {
    let lock = World::of(WORLD).lock(WANTED);
    let world = taken_down(Measure::Kill);
    let other = world.resolve(WANTED, Some(&lock), Mode::Keep).expect("another version");
    assert!(names(&other).contains(&"demo:c@1.1.0".to_owned()));
    assert_eq!(other.diff.changed.len(), 1, "and the lock says that it changes: {:?}", other.diff);
    let refused = world.resolve(WANTED, Some(&lock), Mode::Locked).expect_err("a killed release");
    assert_eq!(refused.code(), "R010");
    insta::assert_snapshot!(format!("{}\n{}", refused.report(), world.failure("demo:c =1.0.0").report()));
}

#[test]
fn a_changed_release_is_refused_in_every_mode() {
    let lock = World::of(WORLD).lock(WANTED);
    let mut messages = Vec::new();
    for mode in [Mode::Keep, Mode::Update([parse("demo:b")].into()), Mode::UpdateAll, Mode::Locked] {
        let mut world = World::of(WORLD);
        world.listing("demo:b", "1.0.0").artifact = BlobRef::of(b"other bytes");
        messages.push(world.resolve(WANTED, Some(&lock), mode).expect_err("an attack").report());
    }
    messages.dedup();
    let mut world = World::of(WORLD);
    world.listing("demo:b", "1.0.0").record = Digest::of(b"another record");
    messages.push(world.resolve(WANTED, Some(&lock), Mode::Keep).expect_err("an attack").report());
    insta::assert_snapshot!(messages.join("\n"));
}

/// What the locked mode says after `change`.
fn stale(change: impl FnOnce(&mut World, &mut Lock, &mut String)) -> Vec<Stale> {
    let (mut world, mut wanted) = (World::of(WORLD), WANTED.to_owned());
    let mut lock = world.lock(WANTED);
    change(&mut world, &mut lock, &mut wanted);
    match world.resolve(&wanted, Some(&lock), Mode::Locked) {
        Err(ResolveError::Stale(reasons)) => reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_locked_mode_refuses_every_difference_by_name() {
    let entry = |lock: &mut Lock, id: &str| lock.entries.get_mut(&parse(id)).expect("an entry").clone();
    let cases: Vec<(&str, Vec<Stale>)> = vec![
        ("another wish", stale(|_, _, wanted| *wanted = "demo:a ^2\ndemo:c ^1".into())),
        (
            "a further wish",
            stale(|world, _, wanted| {
                *wanted = format!("{wanted}\ndemo:d *");
                world.documents.extend(World::of("demo:d 1.0.0").documents);
            }),
        ),
        ("a wish less", stale(|_, _, wanted| *wanted = "demo:a ^1".into())),
        ("a better offer", stale(|world, _, _| world.offer = world.offer.clone().with_track("wasi:0.3"))),
        (
            "a worse offer",
            stale(|world, lock, _| {
                world.offer = stoa_core::offer::Offer::new();
                lock.header.offer = world.offer.digest();
            }),
        ),
        ("a lost release", stale(|world, _, _| world.documents.extend(World::of("demo:c 0.9.0").documents))),
        (
            "an entry less",
            stale(|_, lock, _| {
                lock.entries.remove(&parse("demo:b"));
            }),
        ),
        (
            "other dependencies",
            stale(|_, lock, _| {
                let mut changed = entry(lock, "demo:c");
                changed.dependencies.insert(parse("demo:b"), parse("1.0.0"));
                lock.entries.insert(parse("demo:c"), changed);
            }),
        ),
        ("another grant", stale(|world, _, _| world.listing("demo:a", "1.0.0").capabilities.push("net.http".into()))),
        (
            "another registry",
            stale(|_, lock, _| {
                let mut changed = entry(lock, "demo:c");
                changed.registry = parse("other");
                lock.entries.insert(parse("demo:c"), changed);
            }),
        ),
        (
            "a publisher's key",
            stale(|_, lock, _| {
                let mut changed = entry(lock, "demo:c");
                changed.publisher = Publisher::Key(Digest::of(b"key"));
                lock.entries.insert(parse("demo:c"), changed);
            }),
        ),
        (
            "another requirement",
            stale(|world, _, _| {
                let dependencies = &mut world.listing("demo:a", "1.0.0").dependencies;
                dependencies.get_mut(&parse("demo:b")).expect("a dependency").version = parse("^2");
            }),
        ),
    ];
    let lines = cases.into_iter().map(|(name, reasons)| format!("{name}: {}", ResolveError::Stale(reasons)));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_locked_mode_needs_a_lock() {
    assert_eq!(World::of(WORLD).resolve(WANTED, None, Mode::Locked), Err(ResolveError::NoLock));
}
