use proptest::prelude::*;

use super::*;

fn sample() -> Lock {
    let id = |text: &str| text.parse::<PluginId>().expect("an id");
    let version = |text: &str| text.parse::<Version>().expect("a version");
    let entry = |text: &str, publisher, dependencies: &[(&str, &str)]| Entry {
        version: version(text),
        registry: "main".parse().expect("a name"),
        artifact: BlobRef::of(text.as_bytes()),
        record: Digest::of(b"record"),
        publisher,
        dependencies: dependencies.iter().map(|(i, v)| (id(i), version(v))).collect(),
        decision: Digest::of(b"decision"),
    };
    Lock {
        header: Header {
            url: "https://registry.example".into(),
            root_sha256: Digest::of(b"root"),
            root: 1,
            snapshot: 42,
            offer: Digest::of(b"offer"),
        },
        entries: BTreeMap::from([
            (id("demo:site"), entry("0.1.0", Publisher::None, &[("demo:markdown", "1.0.0-rc.1")])),
            (id("demo:markdown"), entry("1.0.0-rc.1", Publisher::Key(Digest::of(b"key")), &[])),
        ]),
    }
}

#[test]
fn the_file_is_sorted_and_spells_everything_one_way() {
    insta::assert_snapshot!(sample().print());
}

#[test]
fn a_refusal_names_the_line_the_thing_and_the_rule() {
    let good = sample().print();
    let cases = [
        good.replace("version = 1\n", "version = 2\nshape = \"new\"\n"),
        good.replace("version = 1\n", ""),
        good.replace("snapshot = 42", "snapshot = 42\nmachine = \"here\""),
        good.replace("snapshot = 42", "snapshot = -1"),
        good.replace("demo:markdown@1.0.0-rc.1", "demo:markdown"),
        good.replace("publisher = \"none\"", "publisher = \"nobody\""),
        good.replace("registry = \"main\"", "<<<<<<< ours\nregistry = \"main\""),
        good.replace("    \"demo:markdown@1.0.0-rc.1\",", "    \"demo:markdown@1.0.0\",\n    \"demo:markdown@1.0.0\","),
        good.replace("id = \"demo:site\"", "id = \"demo:markdown\""),
    ];
    let messages: Vec<String> = cases
        .iter()
        .map(|text| match Lock::parse(text) {
            Ok(lock) => panic!("accepted: {lock:?}"),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn bounds_are_refused_by_value() {
    let text = " ".repeat(MAX_LOCK_BYTES + 1);
    assert_eq!(Lock::parse(&text), Err(LockError::TooLarge(8 * 1024 * 1024 + 1)));
    let mut lock = sample();
    lock.header.url = format!("https://{}", "a".repeat(MAX_URL));
    assert_eq!(Lock::parse(&lock.print()), Err(LockError::Url(MAX_URL + 8)));
}

#[test]
fn the_decision_digest_ignores_order_and_sees_every_grant() {
    let listing = |capabilities: &[&str], tracks: &[&str]| Listing {
        artifact: BlobRef::of(b""),
        record: Digest::of(b""),
        seq: 1,
        published_at: crate::time::Time::from_unix(0),
        dependencies: BTreeMap::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        tracks: tracks.iter().map(|t| (*t).to_owned()).collect(),
        capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
        limits: BTreeMap::new(),
        runtime: crate::release::Runtime::default(),
        attestations: Default::default(),
        state: crate::document::State::Listed,
        takedown: None,
        certified: None,
    };
    let both = decision_digest(&listing(&["net.http", "clock"], &["wasi:0.2"]));
    assert_eq!(both, decision_digest(&listing(&["clock", "net.http"], &["wasi:0.2"])));
    assert_ne!(both, decision_digest(&listing(&["clock"], &["wasi:0.2"])));
    assert_ne!(both, decision_digest(&listing(&["clock", "net.http"], &[])));
    // `echo -n '{"capabilities":["clock","net.http"],"format":1,"tracks":["wasi:0.2"]}' | sha256sum`
    insta::assert_snapshot!(both, @"b823c2d00ebfae226e300164421741cfcdbf5e21b776364e161819a2959d6084");
}

fn locks() -> impl Strategy<Value = Lock> {
    let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
    let id = || "[a-z][a-z0-9]{0,6}zz:[a-z][a-z0-9]{0,6}zz".prop_map(|text| text.parse::<PluginId>().expect("an id"));
    let version = || {
        (0u64..20, 0u64..20, any::<bool>())
            .prop_map(|(a, b, pre)| format!("{a}.{b}.0{}", if pre { "-rc.1" } else { "" }).parse().expect("a version"))
    };
    let publisher = prop_oneof![Just(Publisher::None), digest.prop_map(Publisher::Key)];
    let dependencies = proptest::collection::btree_map(id(), version(), 0..4);
    let entry = (version(), publisher, dependencies, any::<u32>(), any::<[u8; 32]>()).prop_map(
        |(version, publisher, dependencies, size, bytes)| Entry {
            version,
            registry: "main".parse().expect("a name"),
            artifact: BlobRef { digest: Digest::from_bytes(bytes), size: size.into() },
            record: Digest::of(&bytes),
            publisher,
            dependencies,
            decision: Digest::of(&bytes[1..]),
        },
    );
    // Any text may be in an address: quotes, line ends, control characters.
    let header = (any::<String>(), 0..i64::MAX as u64, 1u64..9).prop_map(|(url, snapshot, root)| Header {
        url: url.chars().take(400).collect(),
        root_sha256: Digest::of(b"r"),
        root,
        snapshot,
        offer: Digest::of(b"o"),
    });
    (header, proptest::collection::btree_map(id(), entry, 0..6)).prop_map(|(header, entries)| Lock { header, entries })
}

proptest! {
    #[test]
    fn a_lock_reads_back_as_itself(lock in locks()) {
        let text = lock.print();
        let read = Lock::parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&lock));
        prop_assert_eq!(read.map(|lock| lock.print()), Ok(text));
    }
}
