use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Event, EventError, Fact, Head, MAX_EVENT_BYTES, Private, PrivatePart, Sealed},
    time::Time,
};

use crate::document::{genesis, next, release};

fn namespace(name: &str) -> Fact {
    Fact::NamespaceCreated { namespace: name.parse().expect("a namespace") }
}

#[test]
fn the_archived_form_of_an_event_is_canonical_json() {
    let second = next(&genesis(), namespace("demo"));
    insta::assert_snapshot!(format!(
        "{}\n{}",
        String::from_utf8_lossy(genesis().bytes()),
        String::from_utf8_lossy(second.bytes())
    ));
}

#[test]
fn an_event_reads_back_and_follows_the_one_before() {
    let (first, second) = (genesis(), next(&genesis(), namespace("demo")));
    assert_eq!(Sealed::read(second.bytes()), Ok(second.clone()));
    assert_eq!(second.follows(&first.head()), Ok(()));
    assert_eq!(first.follows(&Head::none()), Ok(()));
}

#[test]
fn an_event_out_of_place_is_refused_by_rule() {
    let first = genesis();
    let (second, other) = (next(&first, namespace("demo")), next(&first, namespace("acme")));
    let third = next(&second, namespace("third"));
    let refuse = |head, found, rule| Err(EventError::OutOfPlace { head, found, rule });
    assert_eq!(third.follows(&other.head()), refuse(2, 3, "its `prev` is not the hash of the event before"));
    let early = Head { time: Time::MAX, ..first.head() };
    assert_eq!(second.follows(&early), refuse(1, 2, "its time is earlier"));
    let ahead = Head { seq: 7, ..first.head() };
    assert_eq!(second.follows(&ahead), refuse(7, 2, "its place is not the next one"));
}

#[test]
fn a_clock_that_goes_backwards_does_not_take_the_log_with_it() {
    let draft = Draft { actor: ActorId::registry(), fact: namespace("demo"), private: None };
    let event = Event::seal(&draft, &genesis().head(), Time::from_unix(0)).expect("an event");
    assert_eq!(event.event().time, genesis().event().time);
}

#[test]
fn other_bytes_for_the_same_event_are_refused() {
    let text = String::from_utf8_lossy(genesis().bytes()).replace(r#""format":1"#, r#""format": 1"#);
    assert_eq!(Sealed::read(text.as_bytes()), Err(EventError::Unreadable("not canonical".into())));
}

#[test]
fn the_genesis_is_the_first_event_and_no_other() {
    let rule = "the first event, and no other, is the genesis".to_owned();
    let draft = |fact| Draft { actor: ActorId::registry(), fact, private: None };
    let again = draft(Fact::Genesis { bin_bits: 8, offline: vec![] });
    let error = Event::seal(&again, &genesis().head(), Time::from_unix(0));
    assert_eq!(error, Err(EventError::Fact { seq: 2, rule: rule.clone() }));
    let error = Event::seal(&draft(namespace("demo")), &Head::none(), Time::from_unix(0));
    assert_eq!(error, Err(EventError::Fact { seq: 1, rule }));
}

#[test]
fn an_epoch_jumps_past_all_that_was_signed() {
    let epoch = next(&genesis(), Fact::Epoch { lost_after: 40, reason: "the disk was lost".into() });
    assert_eq!(epoch.event().seq, 41);
    assert_eq!(epoch.follows(&genesis().head()), Ok(()));
    // Beyond it there would be no room for the events that follow.
    let fact = Fact::Epoch { lost_after: u64::MAX, reason: "a typing error".into() };
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let rule = "an epoch after event 18446744073709551615: 1125899906842624 is the last possible".to_owned();
    let error = Event::seal(&draft, &genesis().head(), Time::from_unix(0));
    assert_eq!(error, Err(EventError::Fact { seq: u64::MAX, rule }));
}

#[test]
fn a_set_is_sorted_and_bounded() {
    let seal = |releases| {
        let draft = Draft {
            actor: ActorId::registry(),
            fact: Fact::Released { releases, attestations: Default::default() },
            private: None,
        };
        Event::seal(&draft, &genesis().head(), Time::from_unix(0)).map(|_| ())
    };
    let rule = |rule: &str| Err(EventError::Fact { seq: 2, rule: rule.to_owned() });
    assert_eq!(seal(vec![]), rule("0 releases: one event has 1 to 20"));
    let pair = vec![release("demo:b", "1.0.0"), release("demo:a", "1.0.0")];
    assert_eq!(seal(pair), rule("`demo:b` stands before `demo:a`: releases are sorted by id, each once"));
    let mut big = release("demo:a", "1.0.0");
    big.description = "x".repeat(MAX_EVENT_BYTES);
    assert!(matches!(seal(vec![big]), Err(EventError::TooLarge(size)) if size > MAX_EVENT_BYTES));
}

#[test]
fn a_private_part_is_committed_to_and_kept_out() {
    let private = PrivatePart { salt: [7; 32], content: "198.51.100.7".into() };
    let mut other = private.clone();
    other.salt[0] = 8;
    assert_ne!(private.commitment(), other.commitment(), "a guess of the content can not be checked without the salt");
    let draft = Draft { actor: ActorId::registry(), fact: namespace("demo"), private: Some(private.clone().into()) };
    let event = Event::seal(&draft, &genesis().head(), Time::from_unix(0)).expect("an event");
    assert_eq!(event.event().private, Some(private.commitment()));
    assert!(!String::from_utf8_lossy(event.bytes()).contains("198.51"));
    assert_ne!(event.head().hash, Digest::of(b""));
}

#[test]
fn an_event_is_drafted_again_from_itself_without_its_private_part() {
    let private = PrivatePart { salt: [7; 32], content: "198.51.100.7".into() };
    let draft = Draft { actor: ActorId::registry(), fact: namespace("demo"), private: Some(private.into()) };
    let event = Event::seal(&draft, &genesis().head(), genesis().event().time.plus(60)).expect("an event");
    let again = event.event().draft();
    assert_eq!(again.private.as_ref().and_then(Private::kept), None);
    assert_eq!(Event::seal(&again, &genesis().head(), event.event().time), Ok(event));
}

#[test]
fn a_reason_is_one_line_that_reads_as_it_is_written() {
    use stoa_core::event::check_reason;

    assert_eq!(check_reason("Löscht „fremde“ Dateien 🙂"), Ok(()));
    let control = "the reason has control characters: write it on one line";
    assert_eq!(check_reason("one\ntwo"), Err(control.to_owned()));
    for hidden in ['\u{61c}', '\u{200b}', '\u{200f}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{feff}'] {
        let rule = format!("the reason has the invisible character U+{:04X}", u32::from(hidden));
        assert_eq!(check_reason(&format!("safe{hidden}again")), Err(rule));
    }
    assert_eq!(check_reason(""), Err("a reason of 0 characters: 1 to 500 are possible".to_owned()));
}

#[test]
fn what_is_installed_is_offline_metadata_sorted_and_some() {
    let role = |role: &str, version: u64| stoa_core::event::OfflineRole {
        role: role.to_owned(),
        version: version.try_into().expect("from 1"),
        digest: Digest::of(b"a document"),
    };
    let seal = |offline| {
        let draft = Draft { actor: ActorId::registry(), fact: Fact::OfflineInstalled { offline }, private: None };
        Event::seal(&draft, &genesis().head(), Time::from_unix(0)).map(|event| event.event().seq)
    };
    let refuse = |rule: &str| Err(EventError::Fact { seq: 2, rule: rule.to_owned() });
    assert_eq!(seal(vec![role("index", 2), role("root", 2)]), Ok(2));
    assert_eq!(seal(vec![]), refuse("no offline metadata: an event installs one document at least"));
    let other = refuse("offline metadata of another role than root, targets and index");
    assert_eq!(seal(vec![role("bin-00", 900)]), other, "a version of its own would outrun the log's");
    let rule = "`root` stands before `index`: offline metadata is sorted by role, each once";
    assert_eq!(seal(vec![role("root", 2), role("index", 2)]), refuse(rule));
    let rule = "`root` stands before `root`: offline metadata is sorted by role, each once";
    assert_eq!(seal(vec![role("root", 2), role("root", 3)]), refuse(rule));
}
