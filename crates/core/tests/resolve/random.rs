//! Properties over random registries.

use proptest::prelude::*;
use stoa_core::{
    lock::Lock,
    resolve::{Mode, Resolution, ResolveError, resolve},
    wanted::Wanted,
};

use crate::{
    resolvo,
    verify::{Choice, brute_force, in_order, verify},
    world::{World, options, wishes},
};

/// What a release needs: which plugin, which requirement, optionally or not, and which version of its interface, if any.
type Need = (usize, usize, bool, usize);
/// A release: how it differs from a plain one (yanked, what it needs of the host, which version of its interface it
/// exports), and what it needs.
type Release = (bool, usize, usize, Vec<Need>);

const REQUIREMENTS: [&str; 8] = ["*", "^1", "^2", "^3", ">=2", "=1.0.0", "<2", ">=3.0.0-rc.1"];
const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0", "3.0.0-rc.1"];
/// What the host offers; what plugins need of it is offered, or too new, or not at all.
const OFFER: &str = "offers acme:web/kv@1.1.0\noffers-track wasi:0.2\n";
const OF_HOST: [&str; 5] = [
    "track wasi:0.2",
    "host acme:web/kv@1.0.0 a",
    "host acme:web/kv@1.2.0 a",
    "host acme:web/http@1.0.0 a",
    "track wasi:0.3",
];
const EXPORTED: [&str; 4] = ["1.0.0", "1.1.0", "1.1.0", "2.0.0"];
const IMPORTED: [&str; 2] = ["1.0.0", "1.1.0"];

/// A registry of `plugins` plugins with up to four versions each, whose needs go to plugins of higher numbers (and
/// with `circles` to any), and wishes.
fn registry(plugins: usize, circles: bool) -> impl Strategy<Value = (String, String)> {
    // Most import nothing, and most need nothing of the host that it does not offer.
    let need = (0..plugins, 0..REQUIREMENTS.len(), proptest::bool::weighted(0.25), 0..IMPORTED.len() * 4);
    let release = (
        proptest::bool::weighted(0.1),
        0..OF_HOST.len() * 8,
        0..EXPORTED.len() + 1,
        proptest::collection::vec(need, 0..3),
    );
    let releases = proptest::collection::vec(proptest::collection::vec(release, 0..=VERSIONS.len()), plugins);
    let wish = (0..plugins, 0..REQUIREMENTS.len(), proptest::bool::weighted(0.2));
    let wished = proptest::collection::vec(wish, 1..4);
    (releases, wished).prop_map(move |(releases, wished)| (world(&releases, circles), wanted(&wished)))
}

fn world(plugins: &[Vec<Release>], circles: bool) -> String {
    let mut text = OFFER.to_owned();
    for (number, releases) in plugins.iter().enumerate() {
        if releases.is_empty() {
            text.push_str(&format!("absent demo:p{number}\n"));
        }
        for (version, (yanked, of_host, exported, needs)) in VERSIONS.iter().zip(releases) {
            text.push_str(&format!("demo:p{number} {version}{}\n", if *yanked { " yanked broken" } else { "" }));
            if let Some(needed) = OF_HOST.get(*of_host) {
                text.push_str(&format!("    {needed}\n"));
            }
            if let Some(version) = EXPORTED.get(*exported) {
                text.push_str(&format!("    exports demo:p{number}/x@{version} a\n"));
            }
            let needs: std::collections::BTreeMap<_, _> = needs.iter().map(|need| (need.0, need)).collect();
            for (target, requirement, optional, imported) in needs.values() {
                if *target > number || (circles && *target != number) {
                    let optional = if *optional { " optional" } else { "" };
                    text.push_str(&format!("    needs demo:p{target} {}{optional}\n", REQUIREMENTS[*requirement]));
                    if let Some(version) = IMPORTED.get(*imported) {
                        text.push_str(&format!("    imports demo:p{target}/x@{version} a\n"));
                    }
                }
            }
        }
    }
    text
}

fn wanted(wished: &[(usize, usize, bool)]) -> String {
    let wished: std::collections::BTreeMap<_, _> =
        wished.iter().map(|(id, req, optional)| (id, (req, optional))).collect();
    let lines = wished.into_iter().map(|(id, (requirement, optional))| {
        format!("demo:p{id} {{ version = \"{}\", optional = {optional} }}", REQUIREMENTS[*requirement])
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn choice(resolution: &Resolution) -> Choice {
    resolution.plugins.iter().map(|plugin| (plugin.id.clone(), plugin.version.clone())).collect()
}

/// The wishes with every optional one required that was granted and left away that was not.
fn as_granted(wanted: &Wanted, resolution: &Resolution) -> Wanted {
    let left_out = |want: &stoa_core::wanted::Want| resolution.left_out.iter().any(|left| left.id == want.id);
    let plugins = wanted.plugins().iter().filter(|want| !left_out(want)).cloned();
    let plugins = plugins.map(|want| stoa_core::wanted::Want { optional: false, ..want });
    Wanted::new(wanted.registries().clone(), plugins.collect()).expect("wishes")
}

/// The wishes, every one of them required.
fn required(wanted: &Wanted) -> Wanted {
    let plugins = wanted.plugins().iter().cloned().map(|want| stoa_core::wanted::Want { optional: false, ..want });
    Wanted::new(wanted.registries().clone(), plugins.collect()).expect("wishes")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_keeps_the_rules_and_no_answer_means_there_is_none((text, lines) in registry(5, false)) {
        let (world, wanted) = (World::of(&text), wishes(&lines));
        match resolve(&wanted, None, &world.offer, &world.documents, &options()) {
            Ok(resolution) => {
                prop_assert_eq!(verify(&as_granted(&wanted, &resolution), &world, &choice(&resolution)), Ok(()));
                prop_assert_eq!(in_order(&resolution), Ok(()));
                for left in &resolution.left_out {
                    prop_assert!(!left.why.is_empty());
                }
            }
            Err(ResolveError::Unsatisfiable(explanation)) => {
                prop_assert!(!brute_force(&wanted, &world), "{}", explanation);
                prop_assert!((1..=3).contains(&explanation.sentences().len()));
            }
            Err(other) => prop_assert!(false, "{}", other.report()),
        }
    }

    #[test]
    fn another_solver_finds_an_answer_where_this_one_does_and_nowhere_else((text, lines) in registry(14, false)) {
        let (world, wanted) = (World::of(&text), required(&wishes(&lines)));
        let theirs = resolvo::solve(&wanted, &world);
        if let Some(choice) = &theirs {
            prop_assert_eq!(verify(&wanted, &world, choice), Ok(()), "resolvo's answer");
        }
        match resolve(&wanted, None, &world.offer, &world.documents, &options()) {
            Ok(resolution) => {
                prop_assert_eq!(verify(&wanted, &world, &choice(&resolution)), Ok(()));
                prop_assert!(theirs.is_some(), "resolvo finds no answer");
            }
            Err(ResolveError::Unsatisfiable(explanation)) => prop_assert!(theirs.is_none(), "{explanation}: {theirs:?}"),
            Err(other) => prop_assert!(false, "{}", other.report()),
        }
    }

    #[test]
    fn an_optional_wish_is_left_out_only_where_it_must_be((text, lines) in registry(4, false)) {
        let (world, wanted) = (World::of(&text), wishes(&lines));
        if let Ok(resolution) = resolve(&wanted, None, &world.offer, &world.documents, &options())
            && let [left] = resolution.left_out.as_slice()
        {
            let mut plugins = wanted.plugins().to_vec();
            plugins.iter_mut().for_each(|want| want.optional = false);
            let all = Wanted::new(Default::default(), plugins).expect("wishes");
            prop_assert!(!brute_force(&all, &world), "{} could be had", left.id);
        }
    }

    #[test]
    fn the_order_of_the_wishes_changes_nothing((text, lines) in registry(8, false)) {
        let (world, wanted) = (World::of(&text), wishes(&lines));
        let mut plugins = wanted.plugins().to_vec();
        plugins.reverse();
        let reversed = Wanted::new(Default::default(), plugins).expect("wishes");
        let answer = |wanted| resolve(wanted, None, &world.offer, &world.documents, &options());
        prop_assert_eq!(answer(&wanted), answer(&reversed));
    }

    #[test]
    fn a_lock_changes_nothing_and_is_accepted_to_the_letter((text, lines) in registry(8, false)) {
        let world = World::of(&text);
        if let Ok(first) = world.resolve(&lines, None, Mode::Keep) {
            let lock = first.lock(world.header());
            prop_assert_eq!(Lock::parse(&lock.print()), Ok(lock.clone()));
            for mode in [Mode::Keep, Mode::Locked] {
                let again = world.resolve(&lines, Some(&lock), mode).map_err(|e| TestCaseError::fail(e.report()))?;
                prop_assert_eq!(&again.plugins, &first.plugins);
                prop_assert!(again.diff.is_empty());
                prop_assert_eq!(again.lock(world.header()), lock.clone());
            }
        }
    }

    #[test]
    fn the_locked_mode_takes_no_other_versions((text, lines) in registry(6, false), pick in any::<prop::sample::Index>()) {
        let world = World::of(&text);
        let Ok(first) = world.resolve(&lines, None, Mode::Keep) else { return Ok(()) };
        let mut lock = first.lock(world.header());
        if lock.entries.is_empty() {
            return Ok(());
        }
        // One entry moves to another release of its plugin, with that release's digests, as an editor would do it.
        let id = lock.entries.keys().nth(pick.index(lock.entries.len())).cloned().expect("an entry");
        let stoa_core::resolve::Known::Document(document) = &world.documents[&id] else { return Ok(()) };
        let entry = lock.entries.get_mut(&id).expect("an entry");
        let Some((version, listing)) = document.releases.iter().find(|(version, _)| **version != entry.version) else { return Ok(()) };
        (entry.version, entry.artifact, entry.record) = (version.clone(), listing.artifact, listing.record);
        if let Ok(moved) = world.resolve(&lines, Some(&lock), Mode::Locked) {
            let mut world = world.clone();
            if let Some(stoa_core::resolve::Known::Document(document)) = world.documents.get_mut(&id)
                && let Some(listing) = document.releases.get_mut(version)
            {
                // Locked, and so allowed although it is yanked.
                listing.state = stoa_core::document::State::Listed;
            }
            prop_assert_eq!(verify(&as_granted(&wishes(&lines), &moved), &world, &choice(&moved)), Ok(()));
        }
    }

    #[test]
    fn a_circle_is_named_and_is_one((text, lines) in registry(5, true)) {
        let world = World::of(&text);
        match world.resolve(&lines, None, Mode::Keep) {
            Ok(resolution) => prop_assert_eq!(in_order(&resolution), Ok(())),
            Err(ResolveError::Cycle { circle: cycle, .. }) => {
                prop_assert!(cycle.len() >= 3);
                prop_assert_eq!(cycle.first(), cycle.last());
                for pair in cycle.windows(2) {
                    let stoa_core::resolve::Known::Document(document) = &world.documents[&pair[0].id] else { panic!("absent") };
                    prop_assert!(document.releases[&pair[0].version].dependencies.contains_key(&pair[1].id));
                }
            }
            Err(ResolveError::Unsatisfiable(_)) => prop_assert!(!brute_force(&wishes(&lines), &world)),
            Err(other) => prop_assert!(false, "{}", other.report()),
        }
    }
}

/// 600 plugins with ten versions each, where a release needs up to four others: two searches and a check of the lock.
#[test]
fn a_large_registry_is_resolved_within_the_budget() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        // Xorshift: the same registry in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut text = String::new();
    for number in 0..600 {
        for version in 0..10 {
            text.push_str(&format!("demo:p{number} {}.{}.0\n", version / 4 + 1, version % 4));
            for _ in 0..random(5) {
                let target = number + 1 + random(40);
                if target < 600 {
                    text.push_str(&format!("    needs demo:p{target} >={}\n", random(3) + 1));
                }
            }
        }
    }
    let world = World::of(&text);
    let lines = (0..40).map(|number| format!("demo:p{} *", number * 3)).collect::<Vec<_>>().join("\n");
    let first = world.resolve(&lines, None, Mode::Keep).unwrap_or_else(|error| panic!("{}", error.report()));
    assert!(first.plugins.len() > 200, "{}", first.plugins.len());
    assert_eq!(verify(&wishes(&lines), &world, &choice(&first)), Ok(()));
    let lock = first.lock(world.header());
    let again = world.resolve(&lines, Some(&lock), Mode::Locked).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(again.plugins, first.plugins);
}
