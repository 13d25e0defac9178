//! What the writer will not write.

use stoa_core::trust::{
    PublicKey,
    writer::{Signers, SignersError},
};

use crate::repo::key;

#[test]
fn a_role_that_could_not_be_signed_is_refused() {
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| key(*seed).public().clone()).collect::<Vec<_>>();
    let error = |seeds, threshold| Signers::new(keys(seeds), threshold).err();
    assert_eq!(error(&[1, 2], 0), Some(SignersError::Threshold { threshold: 0, keys: 2 }));
    assert_eq!(error(&[1, 2], 3), Some(SignersError::Threshold { threshold: 3, keys: 2 }));
    assert_eq!(error(&[], 1), Some(SignersError::Threshold { threshold: 1, keys: 0 }));
    assert_eq!(error(&[1, 1], 1), Some(SignersError::Repeated(key(1).id().clone())));
    assert_eq!(Signers::new(keys(&[1]), 1), Ok(Signers::one(&key(1))));
}

#[test]
fn a_key_that_verifies_nothing_is_no_signer() {
    let described = serde_json::json!({"keytype": "lattice", "scheme": "x", "keyval": {"public": "y"}});
    let unknown: PublicKey = serde_json::from_value(described.clone()).expect("a key");
    let error = Signers::new([unknown], 1).expect_err("unusable");
    assert_eq!(error, SignersError::Unusable(format!("PublicKey({described})")));
}
