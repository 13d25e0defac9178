//! What publishers sign, and the keys of a namespace: strangers send both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::{
    attestation::{Envelope, check_provenance},
    digest::Digest,
    id::Namespace,
    publisher::{Publishers, Statement},
    time::Time,
};

fuzz_target!(|bytes: &[u8]| {
    let namespace: Namespace = "demo".parse().expect("a namespace");
    let digest = Digest::of(b"");
    let _ = check_provenance(bytes, &digest);
    if let Ok(publishers) = Publishers::read(&namespace, bytes) {
        let written = publishers.to_bytes().expect("what was read can be written");
        assert_eq!(Publishers::read(&namespace, &written), Ok(publishers));
    }
    let Ok(envelope) = Envelope::read(bytes) else { return };
    let written = envelope.to_bytes().expect("what was read can be written");
    assert_eq!(Envelope::read(&written).as_ref(), Ok(&envelope));
    if let Ok(statement) = Statement::read(&envelope) {
        let none = Publishers::none(statement.registry, statement.namespace.clone());
        let _ = none.state(&envelope, 1, Time::from_unix(0));
    }
});
