//! Attacks on the signatures of publishers, and what holds against each.

use stoa_core::{
    attestation::{
        AttestationError, Attestations, Envelope, MAX_ENVELOPE_BYTES, Provenance, ReleaseClaim, STATEMENT_TYPE,
        check_provenance,
    },
    digest::Digest,
    event::{ActorId, Draft, Event, Fact, Head},
    id::Namespace,
    publisher::{COOLDOWN, Change, PublisherError, Publishers, Signed, Statement},
    time::Time,
    trust::{PublicKey, SecretKey},
};

const NOON: i64 = 1_795_420_800;

fn at(seconds: i64) -> Time {
    Time::from_unix(NOON + seconds)
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn registry() -> Digest {
    Digest::of(b"a first root")
}

fn demo() -> Namespace {
    "demo".parse().expect("a namespace")
}

fn claim() -> ReleaseClaim {
    ReleaseClaim {
        registry: registry(),
        id: "demo:markdown".parse().expect("an id"),
        version: "1.0.0".parse().expect("a version"),
        artifact: Digest::of(b"a component"),
        record: Digest::of(b"a record"),
        provenance: None,
    }
}

fn say(number: u64, change: Change, keys: &[&SecretKey]) -> Envelope {
    let statement = Statement { format: 1, registry: registry(), namespace: demo(), number, change };
    statement.sign(keys).expect("a statement")
}

fn add(key: &SecretKey) -> Change {
    Change::Add { key: key.public().clone() }
}

fn revoke(key: &SecretKey) -> Change {
    Change::Revoke { key: key.id().clone(), reason: "it was in a log".into() }
}

/// `demo` with its first key, added by event 3.
fn begun(first: &SecretKey) -> Publishers {
    let none = Publishers::none(registry(), demo());
    none.state(&say(1, add(first), &[first]), 3, at(0)).expect("the first key counts at once")
}

fn refused(result: Result<Signed, PublisherError>) -> String {
    result.expect_err("it is refused").to_string()
}

#[test]
fn what_is_signed_is_a_statement_of_in_toto() {
    let envelope = claim().sign(&[&key(1)]).expect("a signature");
    insta::assert_snapshot!(String::from_utf8_lossy(envelope.payload(STATEMENT_TYPE).expect("its type")), @r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"registry":{"root":{"sha256":"32e5525ea2f63b56a8fa95924aa50be51dd4a90f06c87c2fafa55af4ec389c50"}}},"predicateType":"urn:stoa:release:1","subject":[{"digest":{"sha256":"626d0ce33ca550dc06351c3ea7b698be557ff5d35bf25edc44221b561838594c"},"name":"demo:markdown@1.0.0"},{"digest":{"sha256":"9b700ce8298dbf0750b1d83f36b0733424d6fcce95f86bc5a456b5eb0296697e"},"name":"demo:markdown@1.0.0#record"}]}"#);
}

#[test]
fn a_signature_of_a_key_that_counts_holds() {
    let first = key(1);
    let envelope = claim().sign(&[&first]).expect("a signature");
    let read = Envelope::read(&envelope.to_bytes().expect("bytes")).expect("an envelope");
    let signed = begun(&first).verify(&claim(), &read, 4, at(0)).expect("signed");
    assert_eq!(signed, Signed { keys: vec![first.id().clone()], flagged: Vec::new() });
}

#[test]
fn replayed_as_another_version_name_registry_or_bytes_it_is_refused_by_the_part_that_differs() {
    type Other = fn(&mut ReleaseClaim);
    let first = key(1);
    let (publishers, envelope) = (begun(&first), claim().sign(&[&first]).expect("a signature"));
    let cases: [(&str, Other); 6] = [
        ("the release", |claim| claim.version = "1.0.1".parse().expect("a version")),
        ("the release", |claim| claim.id = "demo:other".parse().expect("an id")),
        ("the component", |claim| claim.artifact = Digest::of(b"another")),
        ("the record", |claim| claim.record = Digest::of(b"another")),
        ("the provenance", |claim| claim.provenance = Some(Digest::of(b"a provenance"))),
        ("the registry", |claim| claim.registry = Digest::of(b"another root")),
    ];
    for (part, change) in cases {
        let mut other = claim();
        change(&mut other);
        match publishers.verify(&other, &envelope, 4, at(0)) {
            Err(PublisherError::Attestation(AttestationError::Differs { member, .. })) => assert_eq!(member, part),
            other => panic!("{part}: {other:?}"),
        }
    }
    // The same keys in another registry: its document names itself, and what is signed names the first.
    let mut elsewhere = publishers.clone();
    elsewhere.registry = Digest::of(b"another root");
    let mut there = claim();
    there.registry = elsewhere.registry;
    assert!(refused(elsewhere.verify(&there, &envelope, 4, at(0))).starts_with("what is signed has the registry"));
    // Another namespace with the same key.
    let mut other = claim();
    other.id = "acme:markdown".parse().expect("an id");
    assert!(refused(publishers.verify(&other, &envelope, 4, at(0))).contains("the namespace `demo`"));
}

#[test]
fn an_envelope_of_another_payload_type_is_refused() {
    let first = key(1);
    let payload = claim().statement().expect("a statement");
    let envelope = Envelope::sign("application/vnd.stoa.namespace+json", &payload, &[&first]);
    let message = refused(begun(&first).verify(&claim(), &envelope, 4, at(0)));
    assert_eq!(
        message,
        "the payload is of type `application/vnd.stoa.namespace+json`, not `application/vnd.in-toto+json`"
    );
    // And the type is part of what is signed: renaming it breaks the signature.
    let bytes = String::from_utf8(envelope.to_bytes().expect("bytes")).expect("text");
    let renamed = bytes.replace("application/vnd.stoa.namespace+json", STATEMENT_TYPE);
    let renamed = Envelope::read(renamed.as_bytes()).expect("an envelope");
    let message = refused(begun(&first).verify(&claim(), &renamed, 4, at(0)));
    assert_eq!(message, format!("the signature of key {} does not verify", first.id()));
}

#[test]
fn of_two_signatures_both_have_to_hold() {
    let (first, stranger) = (key(1), key(2));
    let publishers = begun(&first);
    let both = claim().sign(&[&first, &stranger]).expect("a signature");
    let unknown = PublisherError::Unknown { namespace: demo(), key: stranger.id().clone() };
    assert_eq!(publishers.verify(&claim(), &both, 4, at(0)), Err(unknown));
    let two = publishers.state(&say(2, add(&stranger), &[&stranger, &first]), 4, at(0)).expect("vouched for");
    assert_eq!(two.verify(&claim(), &both, 5, at(0)).map(|signed| signed.keys.len()), Ok(2));
    // One of the two is broken.
    let other = ReleaseClaim { record: Digest::of(b"x"), ..claim() }.sign(&[&stranger]).expect("a signature");
    let mut json: serde_json::Value = serde_json::to_value(&both).expect("JSON");
    json["signatures"][1]["sig"] = serde_json::to_value(&other).expect("JSON")["signatures"][0]["sig"].clone();
    let broken = Envelope::read(json.to_string().as_bytes()).expect("an envelope");
    let bad = AttestationError::Signature(stranger.id().clone());
    assert_eq!(two.verify(&claim(), &broken, 5, at(0)), Err(bad.into()));
}

#[test]
fn a_key_id_that_lies_helps_nobody() {
    let (first, thief) = (key(1), key(2));
    let envelope = claim().sign(&[&thief]).expect("a signature");
    let text = String::from_utf8(envelope.to_bytes().expect("bytes")).expect("text");
    let lying = Envelope::read(text.replace(thief.id().as_str(), first.id().as_str()).as_bytes()).expect("an envelope");
    let bad = AttestationError::Signature(first.id().clone());
    assert_eq!(begun(&first).verify(&claim(), &lying, 4, at(0)), Err(bad.into()));
    // In the document, too, a key can not be called what it is not.
    let document = String::from_utf8(begun(&first).to_bytes().expect("bytes")).expect("text");
    let lying = document.replace(first.id().as_str(), thief.id().as_str());
    let error = Publishers::read(&demo(), lying.as_bytes()).expect_err("it lies");
    assert_eq!(error, PublisherError::Unreadable(format!("the key {} is another one", thief.id())));
}

#[test]
fn odd_envelopes_are_refused() {
    let envelope = claim().sign(&[&key(1)]).expect("a signature").to_bytes().expect("bytes");
    let text = String::from_utf8(envelope).expect("text");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let signature = json["signatures"][0].to_string();
    let many = |count| text.replace(&signature, &vec![signature.as_str(); count].join(","));
    let cases = [
        (text.replacen('{', r#"{"payload":"","#, 1), "not an envelope: the member `payload` stands twice".to_owned()),
        (text.replacen('{', r#"{"extra":1,"#, 1), "unknown field `extra`".to_owned()),
        (many(2), format!("not an envelope: key {} signs twice", key(1).id())),
        (many(5), "not an envelope: 5 signatures: at most 4 are read".to_owned()),
        (
            text.replace(json["signatures"][0]["sig"].as_str().expect("text"), "AAAA"),
            "a signature of 3 bytes".to_owned(),
        ),
        (text.replace(json["signatures"][0]["sig"].as_str().expect("text"), "A_=="), "`sig` is not base64".to_owned()),
        ("[".repeat(100), "nested deeper than 32".to_owned()),
        (format!("{text} x"), "trailing characters".to_owned()),
    ];
    for (bytes, expected) in cases {
        let message = Envelope::read(bytes.as_bytes()).expect_err(&expected).to_string();
        assert!(message.contains(&expected), "{message}");
    }
    let long = vec![b' '; MAX_ENVELOPE_BYTES as usize + 1];
    let error = AttestationError::TooLarge { size: long.len(), limit: MAX_ENVELOPE_BYTES };
    assert_eq!(Envelope::read(&long), Err(error));
    let unsigned = claim().sign(&[]).expect("an envelope");
    let error = PublisherError::Unsigned { namespace: demo() };
    assert_eq!(begun(&key(1)).verify(&claim(), &unsigned, 4, at(0)), Err(error));
}

#[test]
fn a_key_that_no_other_vouches_for_waits_by_the_time_of_events() {
    let (first, second) = (key(1), key(2));
    let publishers = begun(&first).state(&say(2, add(&second), &[&second]), 4, at(60)).expect("it waits");
    let envelope = claim().sign(&[&second]).expect("a signature");
    let usable_at = at(60 + COOLDOWN);
    let waiting = |at| PublisherError::Waiting { key: second.id().clone(), usable_at, at };
    let early = at(60 + COOLDOWN - 1);
    assert_eq!(publishers.verify(&claim(), &envelope, 5, early), Err(waiting(early)));
    assert_eq!(publishers.verify(&claim(), &envelope, 5, usable_at).map(|signed| signed.keys.len()), Ok(1));
    // While it waits it vouches for nobody, and takes nobody's place.
    let third = key(3);
    let helped = publishers.clone().state(&say(3, add(&third), &[&third, &second]), 5, early);
    assert_eq!(helped, Err(waiting(early)));
    let rotated = Change::Rotate { key: third.public().clone(), replaces: first.id().clone() };
    assert_eq!(publishers.clone().state(&say(3, rotated, &[&third, &second]), 5, early), Err(waiting(early)));
    // Its owner, who sees it come, revokes it meanwhile.
    let safe = publishers.state(&say(3, revoke(&second), &[&first]), 5, early).expect("revoked");
    let ended = PublisherError::Ended { key: second.id().clone(), how: "revoked", seq: 5 };
    assert_eq!(safe.verify(&claim(), &envelope, 6, usable_at), Err(ended));
}

#[test]
fn a_revoked_key_signs_nothing_later_and_flags_what_it_signed() {
    let (first, second) = (key(1), key(2));
    let publishers = begun(&first).state(&say(2, add(&second), &[&second, &first]), 4, at(0)).expect("added");
    let envelope = claim().sign(&[&second]).expect("a signature");
    let revoked = publishers.state(&say(3, revoke(&second), &[&second]), 6, at(60)).expect("by itself");
    let flagged = vec![(second.id().clone(), "it was in a log".to_owned())];
    assert_eq!(revoked.verify(&claim(), &envelope, 5, at(0)).map(|signed| signed.flagged), Ok(flagged));
    let ended = PublisherError::Ended { key: second.id().clone(), how: "revoked", seq: 6 };
    assert_eq!(revoked.verify(&claim(), &envelope, 7, at(60)), Err(ended.clone()));
    assert_eq!(revoked.clone().state(&say(4, add(&key(3)), &[&key(3), &second]), 7, at(60)), Err(ended));
    let again = revoked.state(&say(4, add(&second), &[&second, &first]), 7, at(60)).expect_err("it was registered");
    assert_eq!(again.to_string(), format!("`demo`: the key {} is registered already, or was", second.id()));
}

#[test]
fn a_replaced_key_signs_nothing_later_and_flags_nothing() {
    let (first, second) = (key(1), key(2));
    let change = Change::Rotate { key: second.public().clone(), replaces: first.id().clone() };
    let rotated = begun(&first).state(&say(2, change, &[&second, &first]), 5, at(60)).expect("rotated");
    let envelope = claim().sign(&[&first]).expect("a signature");
    assert_eq!(rotated.verify(&claim(), &envelope, 4, at(0)).map(|signed| signed.flagged), Ok(Vec::new()));
    let ended = PublisherError::Ended { key: first.id().clone(), how: "replaced", seq: 5 };
    assert_eq!(rotated.verify(&claim(), &envelope, 6, at(60)), Err(ended));
    let later = claim().sign(&[&second]).expect("a signature");
    let error = rotated.verify(&claim(), &later, 4, at(60)).expect_err("it came later");
    assert_eq!(error.to_string(), format!("`demo`: the key {} was added by event 5, after what it signs", second.id()));
}

#[test]
fn statements_can_not_be_replayed_or_made_by_others() {
    let (first, second) = (key(1), key(2));
    let publishers = begun(&first);
    let demand = say(2, Change::Demand { signatures: true }, &[&first]);
    let demanding = publishers.clone().state(&demand, 4, at(0)).expect("demanded");
    assert_eq!(demanding.demanded, Some(4));
    let off = say(3, Change::Demand { signatures: false }, &[&first]);
    let open = demanding.clone().state(&off, 5, at(0)).expect("no longer");
    let demanding = open.state(&say(4, Change::Demand { signatures: true }, &[&first]), 6, at(0)).expect("again");
    let replayed = demanding.clone().state(&off, 7, at(0)).expect_err("it was said before").to_string();
    assert_eq!(replayed, "what is signed has the number `3`, and this is `5`");
    let mut statement = Statement {
        format: 1,
        registry: Digest::of(b"another root"),
        namespace: demo(),
        number: 5,
        change: Change::Demand { signatures: false },
    };
    let elsewhere = statement.sign(&[&first]).expect("a statement");
    assert!(demanding.clone().state(&elsewhere, 7, at(0)).expect_err("elsewhere").to_string().contains("the registry"));
    (statement.registry, statement.namespace) = (registry(), "acme".parse().expect("a namespace"));
    let other = statement.sign(&[&first]).expect("a statement");
    assert!(
        demanding.clone().state(&other, 7, at(0)).expect_err("another").to_string().contains("the namespace `acme`")
    );
    // Nobody but a key that counts.
    let unknown = PublisherError::Unknown { namespace: demo(), key: second.id().clone() };
    let by_others = say(5, Change::Demand { signatures: false }, &[&second]);
    assert_eq!(demanding.clone().state(&by_others, 7, at(0)), Err(unknown));
    let unsigned = PublisherError::Unsigned { namespace: demo() };
    assert_eq!(demanding.clone().state(&say(5, revoke(&first), &[]), 7, at(0)), Err(unsigned));
    let stolen = demanding.state(&say(5, add(&second), &[&first]), 7, at(0)).expect_err("not by its holder");
    let rule = format!("`demo`: the new key {} has not signed: nobody registers what others hold", second.id());
    assert_eq!(stolen.to_string(), rule);
}

#[test]
fn a_demand_holds_for_what_comes_after_it_and_for_nothing_before() {
    let first = key(1);
    let demanding = begun(&first).state(&say(2, Change::Demand { signatures: true }, &[&first]), 4, at(0));
    let demanding = demanding.expect("demanded");
    let bare = Attestations::default();
    let refused = Err(PublisherError::Demanded { namespace: demo(), since: 4 });
    // A release can not be of the same event: 4 says something else.
    assert_eq!([3, 4, 5].map(|seq| demanding.admit(&bare, seq)), [Ok(()), Ok(()), refused.clone()]);
    let signature = Some(stoa_core::release::BlobRef::of(b"whatever it is"));
    assert_eq!(demanding.admit(&Attestations { signature, provenance: None }, 5), Ok(()));
    let provenance = signature;
    assert_eq!(demanding.admit(&Attestations { signature: None, provenance }, 5), refused);
    // Nothing that happens to keys takes a demand back, only a statement does.
    let revoked = demanding.clone().revoke(first.id(), "lost", 5, at(9)).expect("revoked");
    assert_eq!(revoked.admit(&bare, 6), refused);
    let off = demanding.state(&say(3, Change::Demand { signatures: false }, &[&first]), 5, at(9)).expect("no longer");
    assert_eq!(off.admit(&bare, 6), Ok(()));
}

#[test]
fn weak_and_decorated_keys_are_no_publishers_keys() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let decorated = serde_json::json!({"keytype": "ed25519", "scheme": "ed25519", "x": 1,
        "keyval": serde_json::to_value(key(1).public()).expect("JSON")["keyval"]});
    let decorated: PublicKey = serde_json::from_value(decorated).expect("a key");
    for key in [PublicKey::ed25519(&neutral), decorated] {
        let envelope = say(1, Change::Add { key }, &[]);
        let error = Publishers::none(registry(), demo()).state(&envelope, 3, at(0)).expect_err("no key");
        assert_eq!(error.to_string(), "`demo`: a publisher's key is an ed25519 key without other members");
    }
}

#[test]
fn the_fold_of_the_log_makes_the_document_that_reads_back() {
    let first = key(1);
    let facts = [
        Fact::PublisherStated { namespace: demo(), statement: say(1, add(&first), &[&first]) },
        Fact::PublisherKeyRevoked { namespace: demo(), key: first.id().clone(), reason: "lost".into() },
    ];
    let mut head = Head { seq: 2, hash: Digest::of(b""), time: at(0) };
    let mut publishers = None;
    for fact in facts {
        let draft = Draft { actor: ActorId::registry(), fact, private: None };
        let event: Event = {
            let sealed = Event::seal(&draft, &head, at(5)).expect("an event");
            head = sealed.head();
            sealed.event().clone()
        };
        publishers = Publishers::apply(publishers, &event).expect("it follows");
    }
    let publishers = publishers.expect("keys");
    let bytes = publishers.to_bytes().expect("bytes");
    assert_eq!(Publishers::read(&demo(), &bytes), Ok(publishers));
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"{"format":1,"keys":{"7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12":{"ended":{"at":"2026-11-23T08:00:05Z","revoked":"lost","seq":4},"key":{"keytype":"ed25519","keyval":{"public":"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"},"scheme":"ed25519"},"seq":3,"usable_at":"2026-11-23T08:00:05Z"}},"namespace":"demo","number":1,"registry":"32e5525ea2f63b56a8fa95924aa50be51dd4a90f06c87c2fafa55af4ec389c50","seq":4}"#);
    let other: Namespace = "acme".parse().expect("a namespace");
    let error = PublisherError::Unreadable("it is of `demo` in format 1".into());
    assert_eq!(Publishers::read(&other, &bytes), Err(error));
}

#[test]
fn a_provenance_is_of_the_component_or_refused() {
    let statement = |digest: &Digest, predicate: &str| {
        serde_json::json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate,
            "subject": [{"name": "plugin.wasm", "digest": {"sha256": digest}}], "predicate": {}})
    };
    let (component, slsa) = (Digest::of(b"a component"), "https://slsa.dev/provenance/v1");
    let sign = |statement: serde_json::Value| {
        Envelope::sign(STATEMENT_TYPE, statement.to_string().as_bytes(), &[&key(9)]).to_bytes().expect("bytes")
    };
    let plain = sign(statement(&component, slsa));
    assert_eq!(check_provenance(&plain, &component), Ok(()));
    let bundle = format!(r#"{{"mediaType":"x","dsseEnvelope":{}}}"#, String::from_utf8(plain).expect("text"));
    assert_eq!(check_provenance(bundle.as_bytes(), &component), Ok(()));
    let other = check_provenance(&sign(statement(&Digest::of(b"another"), slsa)), &component);
    assert!(matches!(other, Err(AttestationError::Differs { member: "the component", .. })), "{other:?}");
    let own = check_provenance(&claim().sign(&[&key(1)]).expect("ours").to_bytes().expect("bytes"), &component);
    assert_eq!(own, Err(AttestationError::Malformed("`urn:stoa:release:1` is no SLSA provenance".into())));
    assert!(Attestations::default().is_empty());
}

#[test]
fn where_a_component_was_built_is_read_from_both_versions_of_slsa() {
    let component = Digest::of(b"a component");
    let read = |version: &str, predicate: serde_json::Value| {
        let statement = serde_json::json!({"_type": "https://in-toto.io/Statement/v1", "predicate": predicate,
            "predicateType": format!("https://slsa.dev/provenance/{version}"),
            "subject": [{"name": "plugin.wasm", "digest": {"sha256": component}}]});
        let bytes = Envelope::sign(STATEMENT_TYPE, statement.to_string().as_bytes(), &[]).to_bytes().expect("bytes");
        Provenance::read(&bytes, &component).expect("a provenance")
    };
    let built = Provenance {
        builder: "https://builder.example/v1".into(),
        repository: "https://git.example/demo/markdown".into(),
        workflow: ".github/workflows/release.yml".into(),
    };
    let workflow =
        serde_json::json!({"repository": built.repository, "path": built.workflow, "ref": "refs/heads/main"});
    let first = serde_json::json!({"buildDefinition": {"externalParameters": {"workflow": workflow}},
        "runDetails": {"builder": {"id": built.builder}}});
    assert_eq!(read("v1", first.clone()), built);
    assert_eq!(read("v1.1", first), built);
    let before = |uri: &str| {
        let source = serde_json::json!({"uri": uri, "entryPoint": built.workflow});
        read("v0.2", serde_json::json!({"builder": {"id": built.builder}, "invocation": {"configSource": source}}))
    };
    for uri in [
        "git+https://git.example/demo/markdown@refs/heads/main",
        "git+https://git.example/demo/markdown@refs/tags/v1/rc",
        "git+https://git.example/demo/markdown@0a1b2c",
        "https://git.example/demo/markdown",
    ] {
        assert_eq!(before(uri), built, "{uri}");
    }
    // An `@` before the path is a user's name: cut off there, another address would be left.
    assert_eq!(before("git+https://git.example@evil.example/x").repository, "https://git.example@evil.example/x");
    // What is not said is nothing that a policy can ask for, and numbers are no addresses.
    let silent = read("v1", serde_json::json!({"runDetails": {"builder": {"id": 7}}}));
    assert_eq!([&silent.builder, &silent.repository, &silent.workflow], ["", "", ""]);
    assert_eq!(silent.to_string(), "at a place that its provenance does not name");
    let said = "from https://git.example/demo/markdown by .github/workflows/release.yml on https://builder.example/v1";
    assert_eq!(built.to_string(), said);
}
