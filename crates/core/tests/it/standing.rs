//! What others than its author say of a release, in its plugin's document.

use proptest::prelude::*;
use stoa_core::{
    advisory::{Advisory, Content, Issuer, Severity},
    document::{Document, DocumentError},
    event::Fact,
    id::PluginId,
    standing::{Cause, Certified, Measure, Takedown},
    version::Version,
};

use crate::document::{genesis, next, release};

fn id() -> PluginId {
    "demo:markdown".parse().expect("an id")
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

fn released(version: &str) -> Fact {
    Fact::Released { releases: vec![release("demo:markdown", version)], attestations: Default::default() }
}

fn down(measure: Measure, text: Option<&str>) -> Fact {
    let reason = "it mines coins".to_owned();
    Fact::TakenDown { id: id(), version: text.map(version), measure, cause: Cause::Malware, reason }
}

fn restored(text: Option<&str>) -> Fact {
    Fact::Restored { id: id(), version: text.map(version), reason: "a false alarm".into() }
}

fn appealed(text: Option<&str>) -> Fact {
    Fact::Appealed { id: id(), version: text.map(version), reason: "it does not".into() }
}

fn advisory(name: &str, affected: &str) -> Advisory {
    let content = Content {
        issuer: Issuer::Publisher,
        severity: Severity::High,
        summary: "It reads what it should not".parse().expect("a line"),
        affected: vec![affected.parse().expect("a requirement")],
        fixed: Vec::new(),
        link: "https://example.com/a".parse().expect("an address"),
        aliases: Vec::new(),
    };
    Advisory { id: name.parse().expect("an id"), content }
}

fn known(name: &str, affected: &str) -> Fact {
    Fact::AdvisoryPublished { id: id(), advisory: advisory(name, affected) }
}

fn withdrawn(name: &str) -> Fact {
    Fact::AdvisoryWithdrawn { id: id(), advisory: name.parse().expect("an id"), reason: "it was none".into() }
}

/// Every step through the stored bytes, as the indexer does it from run to run.
fn stored(facts: &[Fact]) -> Result<Document, DocumentError> {
    let (mut head, mut bytes) = (genesis(), None::<Vec<u8>>);
    for fact in facts {
        head = next(&head, fact.clone());
        let before = bytes.as_deref().map(|bytes| Document::read(&id(), bytes)).transpose()?;
        bytes = Document::apply(before, &id(), head.event())?.map(|document| document.to_bytes()).transpose()?;
    }
    Document::read(&id(), &bytes.expect("a document"))
}

/// All at once, as a rebuild does it.
fn folded(facts: &[Fact]) -> Result<Document, DocumentError> {
    let (mut head, mut document) = (genesis(), None);
    for fact in facts {
        head = next(&head, fact.clone());
        document = Document::apply(document, &id(), head.event())?;
    }
    Ok(document.expect("a document"))
}

fn document(facts: &[Fact]) -> Document {
    let document = folded(facts).expect("a fold");
    assert_eq!(stored(facts).as_ref(), Ok(&document), "what is stored is what was meant");
    document
}

fn measures(document: &Document) -> Vec<Option<Measure>> {
    document.releases.keys().map(|version| document.takedown_of(version).map(|down| down.measure)).collect()
}

const TWO: [&str; 2] = ["1.0.0", "1.1.0"];

fn two() -> Vec<Fact> {
    TWO.map(released).into()
}

/// What a reader finds that has never heard of takedowns.
fn to_an_older_reader(document: &Document) -> Vec<String> {
    let wire: serde_json::Value = serde_json::from_slice(&document.to_bytes().expect("bytes")).expect("JSON");
    let rows = wire["releases"].as_array().expect("rows").iter();
    rows.map(|row| row["version"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_release_that_was_taken_down_is_withheld_until_it_is_restored() {
    let quarantined = document(&[two(), vec![down(Measure::Quarantine, Some("1.1.0"))]].concat());
    assert_eq!(measures(&quarantined), [None, Some(Measure::Quarantine)]);
    assert_eq!(quarantined.newest().map(|(version, _)| version.to_string()).as_deref(), Some("1.0.0"));
    assert_eq!(to_an_older_reader(&quarantined), ["1.0.0"]);
    insta::assert_snapshot!(
        String::from_utf8_lossy(&quarantined.to_bytes().expect("bytes")).replace(r#"},{"#, "},\n{")
    );

    let steps = [down(Measure::Quarantine, Some("1.1.0")), down(Measure::Kill, Some("1.1.0"))];
    let killed = document(&[two(), steps.into()].concat());
    let takedown = killed.takedown_of(&version("1.1.0")).expect("a takedown");
    assert_eq!((takedown.measure, takedown.seq), (Measure::Kill, 5));
    assert_eq!(takedown.to_string(), "killed 2026-11-18 (malware: \"it mines coins\")");

    let back = document(&[two(), vec![down(Measure::Kill, Some("1.1.0")), restored(Some("1.1.0"))]].concat());
    assert_eq!(to_an_older_reader(&back), TWO);
    assert_eq!(back.releases, document(&two()).releases);
}

#[test]
fn a_plugin_that_was_taken_down_takes_all_its_releases_with_it() {
    let own = vec![down(Measure::Quarantine, None), down(Measure::Kill, Some("1.0.0"))];
    let whole = document(&[two(), own.clone()].concat());
    assert_eq!(measures(&whole), [Some(Measure::Kill), Some(Measure::Quarantine)]);
    assert_eq!((to_an_older_reader(&whole), whole.newest()), (vec![], None));
    let killed = document(&[two(), own.clone(), vec![down(Measure::Kill, None)]].concat());
    assert_eq!(measures(&killed), [Some(Measure::Kill), Some(Measure::Kill)]);
    let own_stays = document(&[two(), own, vec![restored(None)]].concat());
    assert_eq!(measures(&own_stays), [Some(Measure::Kill), None]);
}

#[test]
fn an_appeal_stands_beside_what_it_contradicts_and_ends_with_it() {
    let facts = [two(), vec![down(Measure::Kill, Some("1.0.0")), appealed(Some("1.0.0"))]].concat();
    let appeal = document(&facts);
    let since = |document: &Document| document.takedown_of(&version("1.0.0")).and_then(|down: &Takedown| down.appealed);
    assert!(since(&appeal).is_some_and(|at| at > appeal.releases[&version("1.1.0")].published_at));
    assert_eq!(since(&document(&[facts, vec![restored(Some("1.0.0")), appealed(None)]].concat())), None);
}

#[test]
fn what_was_taken_down_speaks_for_the_plugin_only_alone() {
    let about = |facts: &[Fact]| document(facts).about.version.to_string();
    let killed = [two(), vec![down(Measure::Kill, Some("1.1.0"))]].concat();
    assert_eq!(about(&killed), "1.1.0");
    assert_eq!(about(&[killed, vec![released("1.0.1")]].concat()), "1.0.1");
}

#[test]
fn an_advisory_is_told_of_the_versions_that_have_the_flaw_with_where_it_is_fixed() {
    let facts = [two(), vec![released("1.2.0"), known("CVE-2026-1", "<1.1"), known("CVE-2026-2", "*")]].concat();
    let flawed = document(&facts);
    let told = |document: &Document, text: &str| -> Vec<String> {
        let standing = document.standing(&version(text));
        let fixed = |fixed: &Option<Version>| fixed.as_ref().map_or("nowhere".into(), ToString::to_string);
        standing.advisories.iter().map(|open| format!("{} {}", open.advisory.id, fixed(&open.fixed_in))).collect()
    };
    assert_eq!(told(&flawed, "1.0.0"), ["CVE-2026-1 1.1.0", "CVE-2026-2 nowhere"]);
    assert_eq!(told(&flawed, "1.2.0"), ["CVE-2026-2 nowhere"]);
    assert_eq!(told(&flawed, "9.9.9"), [""; 0], "nothing is said of what is not there");
    let bytes = flawed.to_bytes().expect("bytes");
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes).replace(r#"},{"#, "},\n{"));

    // What can not be chosen fixes nothing.
    let down = document(&[facts.clone(), vec![down(Measure::Quarantine, Some("1.1.0"))]].concat());
    assert_eq!(told(&down, "1.0.0"), ["CVE-2026-1 1.2.0", "CVE-2026-2 nowhere"]);
    let less = document(&[facts, vec![known("CVE-2026-2", "=1.0.0"), withdrawn("CVE-2026-1")]].concat());
    assert_eq!((told(&less, "1.0.0"), told(&less, "1.1.0")), (vec!["CVE-2026-2 1.1.0".to_owned()], vec![]));
    let listed = &less.advisories[&"CVE-2026-2".parse().expect("an id")];
    assert!(listed.modified_at.is_some_and(|at| at > listed.published_at), "{listed:?}");
}

#[test]
fn what_is_offered_was_not_taken_down_and_what_is_withheld_was() {
    let bytes = document(&[two(), vec![down(Measure::Kill, Some("1.1.0"))]].concat()).to_bytes().expect("bytes");
    let wire = || serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON");
    let read = |wire: serde_json::Value| Document::read(&id(), wire.to_string().as_bytes());
    let refused = |rule: &str| Err(DocumentError::Unreadable(rule.to_owned()));

    let mut offered = wire();
    let row = offered["withheld"].take()[0].take();
    offered["releases"].as_array_mut().expect("rows").push(row);
    offered["withheld"] = serde_json::json!([]);
    assert_eq!(read(offered), refused("1.1.0 is offered, and was taken down"));
    let mut nothing = wire();
    nothing["withheld"][0]["takedown"] = serde_json::Value::Null;
    assert_eq!(read(nothing), refused("1.1.0 is withheld, and was not taken down"));
    let mut whole = wire();
    whole["takedown"] = whole["withheld"][0]["takedown"].clone();
    assert_eq!(read(whole), refused("1.0.0 is offered, and was taken down"));
    let mut mute = wire();
    mute["withheld"][0]["takedown"]["reason"] = "".into();
    assert_eq!(read(mute), refused("a takedown: a reason of 0 characters: 1 to 500 are possible"));
}

#[test]
fn a_code_of_a_later_program_is_read_as_the_worst_or_the_least_exact() {
    let facts = [two(), vec![down(Measure::Kill, Some("1.1.0")), known("CVE-2026-1", "*")]].concat();
    let mut wire: serde_json::Value =
        serde_json::from_slice(&document(&facts).to_bytes().expect("bytes")).expect("JSON");
    wire["withheld"][0]["takedown"]["cause"] = "sanctions".into();
    wire["advisories"][0]["advisory"]["content"]["severity"] = "apocalyptic".into();
    let read = Document::read(&id(), wire.to_string().as_bytes()).expect("a document");
    let standing = read.standing(&version("1.1.0"));
    assert_eq!(standing.killed().map(|down| down.cause), Some(Cause::Other));
    assert_eq!(standing.advisories[0].advisory.content.severity, Severity::Critical);
}

#[test]
fn an_event_about_what_is_not_there_is_refused_by_name() {
    let unknown = DocumentError::Unknown { seq: 4, id: id(), version: version("2.0.0") };
    let facts = [two(), vec![down(Measure::Kill, Some("2.0.0"))]].concat();
    assert_eq!(folded(&facts), Err(unknown));
    let absent = DocumentError::Absent { seq: 2, id: id() };
    assert_eq!(folded(&[down(Measure::Kill, None)]), Err(absent.clone()));
    assert_eq!(folded(&[known("CVE-2026-1", "*")]), Err(absent));
}

fn fact() -> impl Strategy<Value = Fact> {
    let subject = || prop_oneof![Just(None), Just(Some("1.0.0")), Just(Some("1.1.0"))];
    let measure = prop_oneof![Just(Measure::Quarantine), Just(Measure::Kill)];
    let name = || prop_oneof![Just("CVE-2026-1"), Just("GHSA-a-b"), Just("STOA-2026-0000-0001")];
    prop_oneof![
        (measure, subject()).prop_map(|(measure, subject)| down(measure, subject)),
        subject().prop_map(restored),
        subject().prop_map(appealed),
        (name(), prop_oneof![Just("<1.1"), Just("*")]).prop_map(|(name, affected)| known(name, affected)),
        name().prop_map(withdrawn),
        prop_oneof![Just("1.0.0"), Just("1.1.0")].prop_map(|text| Fact::Yanked {
            id: id(),
            version: version(text),
            reason: "crashes".into()
        }),
    ]
}

proptest! {
    #[test]
    fn a_rebuild_and_step_by_step_through_stored_bytes_are_the_same(facts in prop::collection::vec(fact(), 0..16)) {
        let facts = [two(), facts].concat();
        let folded = folded(&facts).expect("a fold");
        prop_assert_eq!(stored(&facts), Ok(folded.clone()));
        let offered = to_an_older_reader(&folded);
        for version in folded.releases.keys() {
            let down = folded.takedown_of(version).is_some();
            prop_assert_eq!(down, !offered.contains(&version.to_string()));
        }
    }
}

fn certified(text: &str, level: u8) -> Fact {
    Fact::Certified { id: id(), version: version(text), level, reason: "two of us read it".into() }
}

#[test]
fn a_certification_is_of_one_release_until_it_is_taken_back_or_another_is_given() {
    let level = |document: &Document, text: &str| document.releases[&version(text)].certified.clone();
    let once = document(&[two(), vec![certified("1.0.0", 2)]].concat());
    let found = level(&once, "1.0.0").expect("a certification");
    assert_eq!((found.level, found.seq, found.reason.as_str()), (2, 4, "two of us read it"));
    assert!(found.at > once.releases[&version("1.1.0")].published_at, "its time is the event's");
    assert_eq!(level(&once, "1.1.0"), None, "the next release is another");
    let higher = document(&[two(), vec![certified("1.0.0", 2), certified("1.0.0", 9)]].concat());
    assert_eq!(level(&higher, "1.0.0").map(|found| (found.level, found.seq)), Some((9, 5)));
    let back = document(&[two(), vec![certified("1.0.0", 2), certified("1.0.0", 0)]].concat());
    assert_eq!(back.releases, document(&two()).releases);
    let error = folded(&[two(), vec![certified("1.2.0", 1)]].concat()).expect_err("no such release");
    assert_eq!(
        error.to_string(),
        "event 4 speaks of `demo:markdown` 1.2.0, which the document of `demo:markdown` does not have"
    );
}

#[test]
fn a_document_with_a_level_that_there_is_not_is_refused() {
    let text = String::from_utf8(document(&[two(), vec![certified("1.0.0", 2)]].concat()).to_bytes().expect("bytes"));
    let text = text.expect("text");
    for (level, rule) in [
        ("0", "a certification to level 0: 1 to 9 are possible"),
        ("10", "a certification to level 10: 1 to 9 are possible, and 0 takes one back"),
    ] {
        let forged = text.replace(r#""level":2"#, &format!(r#""level":{level}"#));
        let error = Document::read(&id(), forged.as_bytes()).expect_err("refused");
        assert!(error.to_string().contains(rule), "{error}");
    }
    let sane = Certified { level: 9, reason: "a".into(), seq: 1, at: stoa_core::time::Time::from_unix(1) };
    assert_eq!(sane.check(), Ok(()));
}
