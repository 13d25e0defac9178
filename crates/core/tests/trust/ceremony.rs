//! Ceremonies: what is shown is what is signed, and nothing that is signed was not shown.

use serde_json::Value;
use stoa_core::{
    time::Time,
    trust::{
        Bins, BitLength, SecretKey, TrustError,
        ceremony::{CeremonyError, KeyRole, Offer, OfflineDocument, Roster, Standing},
        writer::{RootSigners, Signers, SignersError},
    },
};

/// In 2027.
fn now() -> Time {
    Time::from_unix(1_800_000_000)
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn signers(keys: &[u8], threshold: u64) -> Signers {
    Signers::new(keys.iter().map(|n| key(*n).public().clone()), threshold).expect("signers")
}

/// Root 1 to 3, targets 4 to 6, snapshot and bins 7, timestamp 8, catalog 9.
fn roster() -> Roster {
    let top = RootSigners {
        root: signers(&[1, 2, 3], 2),
        targets: signers(&[4, 5, 6], 2),
        snapshot: signers(&[7], 1),
        timestamp: signers(&[8], 1),
    };
    Roster::new(top, signers(&[9], 1), signers(&[7], 1), Bins::new("bin", BitLength::new(4).expect("4 bits")))
}

fn later() -> Time {
    now().plus(1000)
}

fn signed(mut offer: Offer, keys: &[u8]) -> Offer {
    for n in keys {
        offer.sign(&key(*n)).expect("a signer");
    }
    offer
}

fn standing() -> Standing {
    let offer = Offer::begin(roster(), later()).expect("an offer");
    signed(offer, &[1, 2, 4, 5]).complete(now()).expect("enough have signed")
}

fn documents(offer: &Offer) -> Vec<OfflineDocument> {
    offer.documents().map(|(document, _)| document).collect()
}

/// The offer with one of its documents changed.
fn changed(offer: &Offer, document: &str, change: impl Fn(&mut Value)) -> Result<Offer, CeremonyError> {
    let mut wire: Value = serde_json::from_slice(&offer.to_bytes()).expect("JSON");
    let mut inner: Value = serde_json::from_str(wire["offer"][document].as_str().expect("a document")).expect("JSON");
    change(&mut inner);
    wire["offer"][document] = inner.to_string().into();
    Offer::read(wire.to_string().as_bytes())
}

#[test]
fn who_signs_what_decides_which_documents_are_new() {
    let standing = standing();
    let changes = |change: &dyn Fn(&mut Roster)| {
        let mut roster = standing.roster().clone();
        change(&mut roster);
        documents(&Offer::change(standing.clone(), roster, &[], later()).expect("a change"))
    };
    let replace = |old: u8| move |roster: &mut Roster| roster.replace(key(old).id(), key(20).public()).expect("a key");
    use OfflineDocument::{Index, Root, Targets};
    assert_eq!(changes(&replace(1)), [Root]);
    assert_eq!(changes(&replace(4)), [Root, Targets, Index]);
    assert_eq!(changes(&replace(7)), [Root, Index], "it signs snapshots, which root says, and bins");
    assert_eq!(changes(&replace(8)), [Root]);
    assert_eq!(changes(&replace(9)), [Targets]);
    let nothing = Offer::change(standing.clone(), standing.roster().clone(), &[], later());
    assert_eq!(nothing, Err(CeremonyError::Nothing));
}

#[test]
fn an_offer_reads_back_and_its_number_covers_the_chain_and_what_is_signed() {
    let offer = Offer::change(standing(), roster(), &[OfflineDocument::Root], later()).expect("an offer");
    let again = Offer::read(&offer.to_bytes()).expect("its own bytes");
    assert_eq!(again, offer);
    assert_eq!(signed(again, &[1]).id(), offer.id(), "signatures change nothing of it");
    let other = Offer::change(standing(), roster(), &[OfflineDocument::Root], now().plus(1001)).expect("an offer");
    assert_ne!(other.id(), offer.id());
}

#[test]
fn a_new_root_needs_the_old_threshold_and_its_own() {
    let mut roster = roster();
    for old in [1, 2] {
        roster.replace(key(old).id(), key(old + 20).public()).expect("a key");
    }
    let offer = Offer::change(standing(), roster, &[], later()).expect("an offer");
    let unmet = |keys: &[u8]| match signed(offer.clone(), keys).complete(now()) {
        Err(CeremonyError::Unmet { quorums, .. }) => quorums.into_iter().map(|quorum| quorum.by).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(unmet(&[]), ["root 1", "root 2"]);
    assert_eq!(unmet(&[1, 2]), ["root 2"]);
    assert_eq!(unmet(&[21, 22]), ["root 1"]);
    assert_eq!(unmet(&[3, 21]), ["root 1"], "key 3 counts for both, and is one of two");
    let after = signed(offer, &[1, 3, 21]).complete(now()).expect("two of each");
    assert_eq!(after.roots().len(), 2);
}

#[test]
fn a_document_that_says_more_than_a_ceremony_writes_is_refused() {
    let offer = Offer::change(standing(), roster(), &OfflineDocument::ALL, later()).expect("an offer");
    let layout = |document: &str, change: &dyn Fn(&mut Value)| match changed(&offer, document, change) {
        Err(CeremonyError::Layout { document, rule }) => format!("{document}: {rule}"),
        other => panic!("{other:?}"),
    };
    let more = "it says more, or other things, than keys, thresholds and expiry";
    assert_eq!(layout("root", &|root| root["signed"]["x"] = 1.into()), format!("root: {more}"));
    let own = Value::from("own");
    let said = layout("targets", &|targets| targets["signed"]["delegations"]["roles"][0]["x"] = own.clone());
    assert_eq!(said, format!("targets: {more}"));
    let wide = |targets: &mut Value| targets["signed"]["delegations"]["roles"][0]["paths"][0] = "index/*/*".into();
    assert_eq!(layout("targets", &wide), format!("targets: {more}"), "the catalog would answer for plugins");
    let bins = |index: &mut Value| index["signed"]["delegations"]["succinct_roles"]["bit_length"] = 5.into();
    let said = layout("index", &bins);
    assert_eq!(said, "index: it divides the index by 5 bits and not 4, or under another name");
    let fewer = |root: &mut Value| root["signed"]["roles"]["targets"]["threshold"] = 1.into();
    let said = layout("root", &fewer);
    assert_eq!(said, "targets: it names other keys for `index` than root names for `targets`");
}

#[test]
fn one_key_in_two_descriptions_is_no_two_people() {
    let offer = Offer::change(standing(), roster(), &[OfflineDocument::Root], later()).expect("an offer");
    let described = changed(&offer, "root", |root| {
        let id = key(1).id().to_string();
        let mut twice = root["signed"]["keys"][&id].clone();
        twice["note"] = "another".into();
        let canonical = stoa_core::canonical::to_signed_bytes(&twice).expect("JSON");
        let other = stoa_core::digest::Digest::of(&canonical).to_string();
        root["signed"]["keys"][&other] = twice;
        root["signed"]["roles"]["root"]["keyids"].as_array_mut().expect("ids").push(other.into());
    });
    let unusable = |error: &CeremonyError| {
        matches!(error, CeremonyError::Signers { role: KeyRole::Root, error: SignersError::Unusable(_) })
    };
    assert!(described.as_ref().is_err_and(unusable), "{described:?}");
}

#[test]
fn a_signature_that_does_not_fit_is_refused_wherever_the_file_is_read() {
    let offer = Offer::change(standing(), roster(), &[OfflineDocument::Root], later()).expect("an offer");
    let offer = signed(offer, &[2]);
    let found = changed(&offer, "root", |root| root["signed"]["expires"] = "2099-01-01T00:00:00Z".into());
    let (document, key_2) = (OfflineDocument::Root, key(2).id().clone());
    assert_eq!(found, Err(CeremonyError::BrokenSignature { document, key: key_2 }));
    let mut stranger = offer.clone();
    assert_eq!(stranger.sign(&key(4)), Err(CeremonyError::NotASigner(key(4).id().clone())));
}

#[test]
fn what_would_be_expired_does_not_come_into_force() {
    let offer = Offer::change(standing(), roster(), &[OfflineDocument::Root], later()).expect("an offer");
    let late = signed(offer, &[1, 2]).complete(later());
    let document = OfflineDocument::Root;
    assert_eq!(late, Err(CeremonyError::Expired { document, expires: later(), now: later() }));
}

#[test]
fn a_chain_whose_roots_do_not_follow_is_refused() {
    let offer = Offer::change(standing(), roster(), &[OfflineDocument::Root], later()).expect("an offer");
    let after = signed(offer, &[1, 2]).complete(now()).expect("enough have signed");
    let read = |roots: Vec<Vec<u8>>| {
        let (targets, index) = (after.bytes(OfflineDocument::Targets), after.bytes(OfflineDocument::Index));
        Standing::read(roots, targets.to_vec(), index.to_vec())
    };
    let [one, two] = [after.roots()[0].clone(), after.roots()[1].clone()];
    assert_eq!(read(vec![one.clone(), two.clone()]).as_ref(), Ok(&after));
    let out_of_order = TrustError::RootVersion { expected: 1, found: 2 };
    assert_eq!(read(vec![two]), Err(out_of_order.into()));
    let twice = TrustError::RootVersion { expected: 2, found: 1 };
    assert_eq!(read(vec![one.clone(), one]), Err(twice.into()));
}

#[test]
fn arbitrary_bytes_are_refused_and_never_panic() {
    let offer = Offer::begin(roster(), later()).expect("an offer").to_bytes();
    for cut in (0..offer.len() - 1).step_by(7) {
        assert!(matches!(Offer::read(&offer[..cut]), Err(CeremonyError::Unreadable(_))), "{cut}");
    }
    for at in (0..offer.len()).step_by(11) {
        let mut flipped = offer.clone();
        flipped[at] ^= 1;
        // A flip may fall into what is not signed yet, such as an expiry: then it is another ceremony, and says so.
        if let Ok(other) = Offer::read(&flipped) {
            let mine = Offer::read(&offer).expect("its own bytes");
            assert!(other.id() != mine.id() || flipped.trim_ascii() == offer.trim_ascii(), "byte {at}");
        }
    }
}
