//! What the indexer leaves for the signer. Whoever may write there sends any bytes: the signer reads them, and what it
//! puts its own signatures under is what the log makes, whatever a proposal says.
#![no_main]

use std::{collections::BTreeMap, num::NonZeroU64, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use stoa_core::{
    digest::Digest,
    proposal::{Proposal, SignerKeys},
    trust::{
        Envelope, Head, SecretKey,
        writer::{self, CATALOG, SNAPSHOT, Terms, Unsigned},
    },
};
use stoa_fuzz::registry;

static KEYS: LazyLock<SignerKeys> =
    LazyLock::new(|| SignerKeys { timestamp: SecretKey::from_seed([2; 32]), bins: SecretKey::from_seed([3; 32]) });

/// One of each kind that an index makes anew.
static ROLES: LazyLock<[(&str, Unsigned); 3]> = LazyLock::new(|| {
    let terms = Terms { version: NonZeroU64::MIN, expires: registry::now() };
    let head = Head { seq: 1, head: Digest::of(b"event 1"), format: 1 };
    let none = BTreeMap::new();
    [
        ("bin-0", writer::bin(terms, "bin-0", &none)),
        (CATALOG, writer::catalog(terms, &none)),
        (SNAPSHOT, writer::snapshot(terms, &head, &BTreeMap::from([("bin-0".to_owned(), NonZeroU64::MIN)]))),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(proposal) = Proposal::read(bytes) else { return };
    let written = proposal.to_bytes();
    let read = Proposal::read(&written);
    assert_eq!(read.as_ref(), Ok(&proposal));
    assert_eq!(read.map(|read| read.to_bytes()), Ok(written));
    for (role, document) in &*ROLES {
        let Some(completed) = proposal.complete(role, document, &KEYS) else { continue };
        let envelope = Envelope::read(role, &completed).expect("a client can read what a signer made");
        assert_eq!(envelope.payload(), document.payload());
        if *role != SNAPSHOT {
            // Not even where the proposal brings a signature of its own under this name.
            let own = envelope.signatures().get(KEYS.bins.id()).expect("the signer's signature");
            assert!(KEYS.bins.public().verify(envelope.payload(), own));
        }
    }
});
