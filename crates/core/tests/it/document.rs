use proptest::prelude::*;
use stoa_core::{
    digest::Digest,
    document::{Document, DocumentError, touched},
    event::{ActorId, Draft, Event, Fact, Head, Sealed},
    id::PluginId,
    release::{Export, Release},
    time::Time,
};

pub(crate) fn release(id: &str, version: &str) -> Release {
    let bytes = format!("{id}@{version}");
    Release::read(
        serde_json::json!({
            "format": 1, "id": id, "version": version, "kind": "plugin",
            "artifact": {"digest": Digest::of(bytes.as_bytes()), "size": bytes.len()},
            "wit": {"digest": Digest::of(b"wit"), "size": 3},
            "exports": [{"name": format!("{id}/render@1.0.0"), "types": "00112233445566aa"}],
            "imports": [{"name": "wasi:cli/stdout@0.2.6", "types": "ffee000000000000", "from": "wasi"}],
            "tracks": ["wasi:0.2"],
            "description": format!("The {version} of {id}"), "license": "MIT",
        })
        .to_string()
        .as_bytes(),
    )
    .expect("a record")
}

pub(crate) fn genesis() -> Sealed {
    let draft =
        Draft { actor: ActorId::registry(), fact: Fact::Genesis { bin_bits: 8, offline: vec![] }, private: None };
    Event::seal(&draft, &Head::none(), Time::from_unix(1_795_000_000)).expect("the first event")
}

pub(crate) fn next(head: &Sealed, fact: Fact) -> Sealed {
    let draft = Draft { actor: "key_1".parse().expect("an actor"), fact, private: None };
    Event::seal(&draft, &head.head(), head.event().time.plus(60)).expect("an event")
}

fn id() -> PluginId {
    "demo:markdown".parse().expect("an id")
}

fn fold(facts: Vec<Fact>) -> Result<Option<Document>, DocumentError> {
    let mut head = genesis();
    let mut document = None;
    for fact in facts {
        head = next(&head, fact);
        document = Document::apply(document, &id(), head.event())?;
    }
    Ok(document)
}

fn released(version: &str) -> Fact {
    Fact::Released { releases: vec![release("demo:markdown", version)], attestations: Default::default() }
}

#[test]
fn a_function_at_top_level_is_kept_and_can_not_be_imported() {
    let mut plain = release("demo:markdown", "1.0.0");
    let types = plain.exports[0].types;
    plain.exports.push(Export { name: "render".parse().expect("a name"), types });
    let document = fold(vec![Fact::Released { releases: vec![plain], attestations: Default::default() }])
        .expect("a fold")
        .expect("a document");
    let bytes = document.to_bytes().expect("bytes");
    assert_eq!(Document::read(&id(), &bytes), Ok(document));
    let mut wire: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(wire["interfaces"][2][0], "render");
    wire["releases"][0]["imports"]["wasi"] = serde_json::json!([2]);
    let refused = DocumentError::Unreadable("1.0.0 imports `render`, which is no interface".to_owned());
    assert_eq!(Document::read(&id(), wire.to_string().as_bytes()), Err(refused));
}

fn yanked(version: &str) -> Fact {
    Fact::Yanked { id: id(), version: version.parse().expect("a version"), reason: "crashes on empty input".into() }
}

#[test]
fn a_document_is_compact_and_sorted() {
    let document = fold(vec![released("1.0.0"), released("1.1.0-rc.1"), released("0.9.0"), yanked("1.0.0")])
        .expect("a fold")
        .expect("a document");
    let bytes = document.to_bytes().expect("bytes");
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes).replace(r#"},{"#, "},\n{"));
    assert_eq!(Document::read(&id(), &bytes), Ok(document));
}

#[test]
fn a_row_of_one_more_version_takes_at_most_400_bytes() {
    let facts = |n: u64| (0..n).map(|minor| released(&format!("1.{minor}.0"))).collect();
    let size = |n| fold(facts(n)).expect("a fold").expect("a document").to_bytes().expect("bytes").len();
    let row = size(101) - size(100);
    assert!(row <= 400, "{row} bytes");
}

#[test]
fn the_highest_release_speaks_for_the_plugin_and_a_prerelease_only_alone() {
    let about = |versions: &[&str]| {
        let facts = versions.iter().map(|version| released(version)).collect();
        fold(facts).expect("a fold").expect("a document").about.version.to_string()
    };
    assert_eq!(about(&["1.0.0-rc.1"]), "1.0.0-rc.1");
    assert_eq!(about(&["2.0.0-rc.1", "1.0.0", "1.1.0", "1.0.1"]), "1.1.0");
}

#[test]
fn a_yanked_release_is_not_the_newest_until_it_is_back() {
    let newest = |facts| fold(facts).expect("a fold").expect("a document").newest().map(|(v, _)| v.to_string());
    let facts = vec![released("1.0.0"), released("1.1.0"), yanked("1.1.0")];
    assert_eq!(newest(facts.clone()).as_deref(), Some("1.0.0"));
    let version = "1.1.0".parse().expect("a version");
    let back = Fact::Unyanked { id: id(), version, reason: "a false alarm".into() };
    assert_eq!(newest([facts, vec![back]].concat()).as_deref(), Some("1.1.0"));
}

#[test]
fn events_that_do_not_fit_are_refused_by_name() {
    let unknown = DocumentError::Unknown { seq: 2, id: id(), version: "1.0.0".parse().expect("a version") };
    assert_eq!(fold(vec![yanked("1.0.0")]), Err(unknown));
    let again = DocumentError::Again { seq: 3, id: id(), version: "1.0.0".parse().expect("a version") };
    assert_eq!(fold(vec![released("1.0.0"), released("1.0.0")]), Err(again));
}

#[test]
fn an_event_is_taken_once() {
    let event = next(&genesis(), released("1.0.0"));
    let once = Document::apply(None, &id(), event.event()).expect("a fold");
    let covered = DocumentError::Covered { seq: 2, id: id(), covered: 2 };
    assert_eq!(Document::apply(once, &id(), event.event()), Err(covered));
}

#[test]
fn a_document_of_another_plugin_is_refused() {
    let document = fold(vec![released("1.0.0")]).expect("a fold").expect("a document");
    let other = "demo:other".parse().expect("an id");
    let error = Document::read(&other, &document.to_bytes().expect("bytes"));
    let rule = "it is the document of `demo:markdown`, not of `demo:other`".to_owned();
    assert_eq!(error, Err(DocumentError::Unreadable(rule)));
}

#[test]
fn unknown_fields_are_ignored_but_those_that_must_be_understood() {
    let document = fold(vec![released("1.0.0"), released("1.1.0")]).expect("a fold").expect("a document");
    let mut json: serde_json::Value = serde_json::from_slice(&document.to_bytes().expect("bytes")).expect("JSON");
    json["later"] = true.into();
    json["releases"][0]["later"] = 1.into();
    assert_eq!(Document::read(&id(), json.to_string().as_bytes()), Ok(document.clone()));
    json["releases"][0]["must_understand"] = serde_json::json!(["later"]);
    let read = Document::read(&id(), json.to_string().as_bytes()).expect("a document");
    assert_eq!(read.releases.keys().map(ToString::to_string).collect::<Vec<_>>(), ["1.1.0"]);
    let version: stoa_core::version::Version = "1.0.0".parse().expect("a version");
    assert_eq!(read.newer, [(version.clone(), vec!["later".to_owned()])].into());
    // Written by this program, the release would be gone.
    assert_eq!(read.to_bytes(), Err(DocumentError::Newer { id: id(), version }));
}

proptest! {
    #[test]
    fn a_document_reads_back_as_itself(minors in prop::collection::btree_set(0u64..50, 1..20), yank in any::<u64>()) {
        let mut facts: Vec<Fact> = minors.iter().map(|minor| released(&format!("1.{minor}.0"))).collect();
        if let Some(minor) = minors.iter().nth(yank as usize % (minors.len() * 2)) {
            facts.push(yanked(&format!("1.{minor}.0")));
        }
        let document = fold(facts).expect("a fold").expect("a document");
        let bytes = document.to_bytes().expect("bytes");
        let read = Document::read(&id(), &bytes).expect("a document");
        prop_assert_eq!(read.to_bytes().expect("bytes"), bytes);
        prop_assert_eq!(read, document);
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(matches!(Document::read(&id(), &bytes), Err(DocumentError::Unreadable(_))));
    }
}

#[test]
fn the_beginning_touches_no_document_and_a_release_its_own() {
    assert_eq!(touched(genesis().event()), vec![]);
    let set = vec![release("demo:a", "1.0.0"), release("demo:b", "1.0.0")];
    let event = next(&genesis(), Fact::Released { releases: set, attestations: Default::default() });
    let names: Vec<String> = touched(event.event()).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["demo:a", "demo:b"]);
}
