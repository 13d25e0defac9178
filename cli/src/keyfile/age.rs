//! The age format, version 1, with a passphrase: what `age -p -a` writes and `age -d` reads.
//!
//! Source: <https://c2sp.org/age@v1.0.0>. One recipient, `scrypt`, and one chunk are all that a key file needs; what asks for
//! more is refused. The derivations and ciphers are those of the crates `scrypt` and `ring`.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const VERSION: &str = "age-encryption.org/v1";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const TAG: usize = 16;
/// The whole content is one chunk; a key takes 65 bytes of the 64 KiB that one may have.
const MAX_CONTENT: usize = 1024;
/// scrypt takes 2^N KiB of memory (r = 8): more than 1 GiB is no passphrase file but an attack on whoever opens it.
const MAX_WORK: u8 = 20;

/// Why a file can not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AgeError {
    #[error("the encrypted part is damaged: {0}")]
    Malformed(&'static str),
    #[error("it asks for a work factor of {0}, and at most {MAX_WORK} is spent on a key file")]
    TooMuchWork(u8),
    #[error("the passphrase is wrong, or the file was changed")]
    WrongPassphrase,
}

/// Encrypts `content` for whoever knows the passphrase. `random` fills a buffer; `work` is the log₂ of scrypt's N.
pub(super) fn encrypt<E>(
    content: &[u8],
    passphrase: &str,
    work: u8,
    mut random: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<String, E> {
    let (mut key, mut salt, mut nonce) = (Zeroizing::new([0; 16]), [0; 16], [0; 16]);
    random(&mut *key)?;
    random(&mut salt)?;
    random(&mut nonce)?;
    let wrapped = seal(&wrapping_key(passphrase, &salt, work), [0; NONCE_LEN], &*key);
    let mut file = format!(
        "{VERSION}\n-> scrypt {} {work}\n{}\n---",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(wrapped)
    );
    let mac = hmac::sign(&header_key(&*key), file.as_bytes());
    file += &format!(" {}\n", STANDARD_NO_PAD.encode(mac));
    let mut bytes = file.into_bytes();
    bytes.extend(nonce);
    bytes.extend(seal(&derive(&*key, &nonce, b"payload"), last_chunk(), content));
    Ok(armor(&bytes))
}

/// The content of a file that [`encrypt`] or another program of the format wrote.
pub(super) fn decrypt(armored: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let bytes = unarmor(armored)?;
    let malformed = AgeError::Malformed;
    // The header is text up to the line of its MAC; what follows is not.
    let mut rest = bytes.as_slice();
    let mut line = || -> Result<&str, AgeError> {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(malformed("its header has no end"))?;
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        std::str::from_utf8(line).map_err(|_| malformed("its header is no text"))
    };
    if line()? != VERSION {
        return Err(malformed("it is not of version 1 of the format"));
    }
    let (stanza, body, end) = (line()?, line()?, line()?);
    let (salt, work) = stanza
        .strip_prefix("-> scrypt ")
        .and_then(|arguments| arguments.split_once(' '))
        .ok_or(malformed("it is not encrypted by a passphrase"))?;
    let salt: [u8; 16] = decoded(salt).ok_or(malformed("its salt has not 16 bytes"))?;
    let plain = work.bytes().all(|b| b.is_ascii_digit()) && !work.starts_with('0');
    let work = work.parse::<u8>().ok().filter(|_| plain).ok_or(malformed("its work factor is no number"))?;
    let wrapped: [u8; 16 + TAG] = decoded(body).ok_or(malformed("its wrapped key has not 32 bytes"))?;
    let mac = end.strip_prefix("--- ").ok_or(malformed("it has more than one recipient"))?;
    let mac: [u8; 32] = decoded(mac).ok_or(malformed("its MAC has not 32 bytes"))?;
    let covered = format!("{VERSION}\n{stanza}\n{body}\n---");
    if work > MAX_WORK {
        return Err(AgeError::TooMuchWork(work));
    }
    let key = open(&wrapping_key(passphrase, &salt, work), [0; NONCE_LEN], &wrapped);
    let key = key.ok_or(AgeError::WrongPassphrase)?;
    hmac::verify(&header_key(&key), covered.as_bytes(), &mac).map_err(|_| malformed("its header was changed"))?;
    let (nonce, sealed) = rest.split_at_checked(16).ok_or(malformed("its content is cut off"))?;
    if sealed.len() > MAX_CONTENT + TAG {
        return Err(malformed("it is too long for a key"));
    }
    open(&derive(&key, nonce, b"payload"), last_chunk(), sealed).ok_or(malformed("its content was changed"))
}

fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn wrapping_key(passphrase: &str, salt: &[u8; 16], work: u8) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(work, 8, 1).expect("r = 8 and p = 1 fit every N up to 2^20");
    let salt: Vec<u8> = SALT_LABEL.iter().chain(salt).copied().collect();
    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key).expect("32 bytes can be derived");
    key
}

fn header_key(file_key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*derive(file_key, b"", b"header"))
}

struct Len32;

impl hkdf::KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

fn derive(file_key: &[u8], salt: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(file_key);
    let labels = [label];
    let filled = secret.expand(&labels, Len32).and_then(|derived| derived.fill(&mut *key));
    filled.expect("32 bytes can be derived");
    key
}

/// The nonce of a first chunk that is the last: a counter of 11 bytes, and a byte that says so.
fn last_chunk() -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 1] = 1;
    nonce
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes"))
}

fn seal(key: &[u8; 32], nonce: [u8; NONCE_LEN], content: &[u8]) -> Vec<u8> {
    let mut sealed = Zeroizing::new(content.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key).seal_in_place_separate_tag(nonce, Aad::empty(), &mut sealed);
    let tag = tag.expect("a short content can be sealed");
    sealed.iter().chain(tag.as_ref()).copied().collect()
}

fn open(key: &[u8; 32], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = cipher(key).open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

fn armor(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is text")).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

fn unarmor(text: &str) -> Result<Vec<u8>, AgeError> {
    let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let inner = inner.ok_or(AgeError::Malformed("it has not the lines around it"))?;
    let joined: String = inner.lines().collect();
    STANDARD.decode(joined).map_err(|_| AgeError::Malformed("it is no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(buffer: &mut [u8]) -> Result<(), std::convert::Infallible> {
        buffer.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
        Ok(())
    }

    fn file() -> String {
        encrypt(b"content", "correct horse", 4, counting).expect("a file")
    }

    #[test]
    fn what_was_encrypted_opens_with_its_passphrase_alone() {
        assert_eq!(decrypt(&file(), "correct horse").expect("opens").as_slice(), b"content");
        assert_eq!(decrypt(&file(), "correct Horse"), Err(AgeError::WrongPassphrase));
    }

    #[test]
    fn a_file_of_the_reference_implementation_opens() {
        // Written by the crate `age` 0.12.1 with a work factor of 10.
        let file = include_str!("../../tests/vectors/age-crate-0.12.1.age");
        let opened = decrypt(file, "correct horse battery staple").expect("opens");
        assert_eq!(opened.as_slice(), b"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb\n");
    }

    #[test]
    fn no_byte_can_be_changed_unseen() {
        let bytes = unarmor(&file()).expect("bytes");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = decrypt(&armor(&changed), "correct horse");
            assert!(
                matches!(opened, Err(AgeError::Malformed(_) | AgeError::WrongPassphrase | AgeError::TooMuchWork(_))),
                "byte {at}: {opened:?}"
            );
        }
    }

    #[test]
    fn a_file_that_asks_for_gigabytes_is_refused_before_any_work() {
        let text = String::from_utf8_lossy(&unarmor(&file()).expect("bytes")).into_owned();
        let asked = armor(text.replacen(" 4\n", " 30\n", 1).as_bytes());
        assert_eq!(decrypt(&asked, "correct horse"), Err(AgeError::TooMuchWork(30)));
    }
}
