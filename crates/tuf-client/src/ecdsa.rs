//! ECDSA on P-256 with SHA-256, as repositories under test sign.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use stoa_core::trust::Scheme;

/// What this client accepts beside ed25519. The second name of the key type is that of the time before version
/// 1.0.21 of the specification; long chains of roots have it.
pub(crate) const SCHEMES: &[Scheme] = &[
    Scheme::new("ecdsa", "ecdsa-sha2-nistp256", verify),
    Scheme::new("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", verify),
];

/// The beginning of a public key on P-256 in DER (RFC 5480, section 2): what kind of key, and the header of the
/// 66 bytes that follow. DER has one form for it.
const HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The key's point, where the signature in DER (RFC 3279, section 2.2.3) over the message is the key's.
fn verify(public: &str, message: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let point = point(public)?;
    let key = VerifyingKey::from_sec1_bytes(&point).ok()?;
    key.verify(message, &Signature::from_der(signature).ok()?).ok()?;
    Some(point)
}

/// The uncompressed point in a PEM text (RFC 7468), 65 bytes.
fn point(public: &str) -> Option<Vec<u8>> {
    let body = public.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let point = STANDARD.decode(body).ok()?.strip_prefix(&HEAD)?.to_vec();
    (point.len() == 65 && point[0] == 4).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979, section A.2.5: the key of curve NIST P-256, as PEM.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                       MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n\
                       Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n\
                       -----END PUBLIC KEY-----\n";
    /// The same section: with SHA-256, message = "sample", r and s as a DER sequence.
    const SIGNATURE: &str = "3046\
                             022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                             022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

    fn unhex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
    }

    #[test]
    fn the_vector_of_rfc_6979_verifies_and_gives_the_point_of_the_key() {
        let material = verify(KEY, b"sample", &unhex(SIGNATURE)).expect("valid");
        assert_eq!((material.len(), material[0], &material[1..5]), (65, 4, &[0x60, 0xfe, 0xd4, 0xba][..]));
    }

    #[test]
    fn another_message_signature_or_key_does_not() {
        let good = unhex(SIGNATURE);
        let mut other = good.clone();
        other[40] ^= 1;
        assert_eq!(verify(KEY, b"sampler", &good), None);
        assert_eq!(verify(KEY, b"sample", &other), None);
        assert_eq!(verify(KEY, b"sample", &good[..70]), None);
        assert_eq!(verify(KEY, b"sample", b""), None);
        for key in
            ["", "04ab", &KEY.replace("MFkw", "MFkx"), &KEY.replace("PUBLIC", "SECRET"), &KEY.replace("1EYimQ==", "")]
        {
            assert_eq!(verify(key, b"sample", &good), None, "{key}");
        }
    }

    #[test]
    fn one_key_spelled_in_two_ways_is_one_key() {
        let spelled = KEY.replace('\n', "\r\n  ");
        assert_eq!(point(&spelled), point(KEY));
        assert!(point(KEY).is_some());
    }
}
