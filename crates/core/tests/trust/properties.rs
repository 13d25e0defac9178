//! What holds for all inputs.

use std::{collections::BTreeMap, sync::LazyLock};

use proptest::prelude::*;
use stoa_core::trust::{Envelope, Step, Updater, bin_name};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now},
};

static GOOD: LazyLock<Repo> = LazyLock::new(Repo::with_markdown);

/// Bytes that get past the first character more often than random ones.
fn documents() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = GOOD.files.values().cloned().collect();
    let cut = (proptest::sample::select(files), any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    let damaged = cut.prop_map(|(mut bytes, at, with, how)| {
        let at = at.index(bytes.len());
        match how {
            0 => bytes.truncate(at),
            1 => bytes[at] = with,
            _ => bytes.insert(at, with),
        }
        bytes
    });
    let json = "[\\[\\]{}\",:0-9a-z\\\\ue.-]{0,200}".prop_map(String::into_bytes);
    prop_oneof![2 => damaged, 1 => json, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever a server answers, the machine neither panics nor trusts anything that is not in the good tree.
    #[test]
    fn arbitrary_answers_never_panic_and_are_never_trusted(
        answers in prop::collection::vec(prop::option::weighted(0.9, documents()), 1..6),
        good_first in 0..3_usize,
    ) {
        let mut updater = Updater::open(GOOD.file("root"), Default::default(), now(), Default::default())
            .expect("a good root");
        for _ in 0..good_first {
            if let Step::Fetch { file, .. } = updater.next() {
                updater.receive(GOOD.files.get(&file.to_string()).map(Vec::as_slice)).expect("a good file");
            }
        }
        for answer in &answers {
            let _ = updater.receive(answer.as_deref());
        }
        let mut lookup = updater.lookup(MARKDOWN);
        for answer in &answers {
            let _ = lookup.next(&mut updater);
            let _ = lookup.receive(&mut updater, answer.as_deref());
        }
        let trusted = updater.take_writes();
        let texts: Vec<_> = trusted.iter().map(|write| format!("{write:?}")).collect();
        for bytes in answers.iter().flatten().filter(|bytes| !is_good(bytes)) {
            let shown = format!("bytes: {bytes:?}");
            prop_assert!(texts.iter().all(|text| !text.contains(&shown)), "trusted: {}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_read_strictly_is_read_again_from_its_payload(bytes in documents()) {
        if let Ok(envelope) = Envelope::read("x", &bytes) {
            let again = serde_json::to_vec(envelope.signed()).expect("JSON");
            prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(&again).expect("JSON"), envelope.signed());
            prop_assert!(!envelope.payload().is_empty());
        }
    }
}

/// The same JSON as a good file's: a damaged space, or none, changes nothing that is signed.
fn is_good(bytes: &[u8]) -> bool {
    let same = |good: &Vec<u8>| match (Envelope::read("x", bytes), Envelope::read("x", good)) {
        (Ok(a), Ok(b)) => a.payload() == b.payload(),
        _ => false,
    };
    GOOD.files.values().any(same)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_lists_a_client_finds_and_nothing_else(
        bits in 1..=6_u64,
        plugins in prop::collection::btree_map("[a-z]{1,8}/[a-z0-9.é -]{1,12}", any::<[u8; 4]>(), 0..12),
        absent in "[a-z]{1,8}/[a-z]{13}",
    ) {
        finds_all(Repo::new(bits), &plugins, &format!("index/{absent}"))?;
    }

    #[test]
    fn bins_of_any_number_up_to_4096_are_found(
        bits in 7..=12_u64,
        name in "[a-z]{1,8}/[a-z]{1,12}",
        document in any::<[u8; 4]>(),
    ) {
        let absent = "index/a/absent-from-all";
        let repo = Repo::sparse(bits, &[absent]);
        finds_all(repo, &BTreeMap::from([(name, document)]), absent)?;
    }
}

fn finds_all(mut repo: Repo, plugins: &BTreeMap<String, [u8; 4]>, absent: &str) -> Result<(), TestCaseError> {
    for (name, document) in plugins {
        repo.publish(&format!("index/{name}"), document);
    }
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    for (name, document) in plugins {
        let path = format!("index/{name}");
        let found = client.find(&repo, &mut updater, &path).expect("a good repository");
        let found = found.ok_or_else(|| TestCaseError::fail(path.clone()))?;
        prop_assert_eq!(found.length, 4);
        prop_assert_eq!(found.hashes.check(document), Ok(()));
        prop_assert!(repo.bins.names().any(|bin| bin == bin_name(repo.bins.bit_length(), &path)));
    }
    prop_assert_eq!(client.find(&repo, &mut updater, absent), Ok(None));
    Ok(())
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    assert_eq!(Repo::with_markdown().files, Repo::with_markdown().files);
}
