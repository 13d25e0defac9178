//! API keys as text: `stoa_ID_SECRET_CHECKSUM`.
//!
//! - `ID`: 12 hexadecimal digits. Public: it names the key in listings, events and logs.
//! - `SECRET`: 64 hexadecimal digits, 32 random bytes.
//! - `CHECKSUM`: the first 8 hexadecimal digits of `sha256("stoa/api-key-checksum/1" ‖ "stoa_ID_SECRET")`.
//!
//! Prefix and checksum let a scanner for leaked secrets find keys without false alarms, and let a command
//! line tell a typing error without asking anyone.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use stoa_core::{
    digest::{Digest, Hasher},
    event::ActorId,
};
use subtle::ConstantTimeEq;

const ID_DIGITS: usize = 12;
const SECRET_BYTES: usize = 32;
const CHECKSUM_DIGITS: usize = 8;

/// The public name of an API key: 12 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

/// Text that is not the id of an API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an API key: it needs {ID_DIGITS} lower-case hexadecimal digits")]
pub struct KeyIdError(String);

impl KeyId {
    /// Who the key's holder is in the log: `key_ID`.
    pub fn actor(&self) -> ActorId {
        // A key's id is lower-case hexadecimal, which the grammar of actors takes.
        format!("key_{self}").parse().unwrap_or_else(|_| ActorId::registry())
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        if text.len() == ID_DIGITS && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyIdError(text.chars().take(40).collect()))
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An API key with its secret. It has no `Display`, and its `Debug` shows the id alone.
#[derive(Clone)]
pub struct Token {
    id: KeyId,
    secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

/// Why text is not an API key. It never repeats the text: a mistyped secret is nearly the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It does not have the four parts.
    #[error(
        "an API key is `stoa_`, {ID_DIGITS} digits, `_`, 64 digits, `_`, {CHECKSUM_DIGITS} digits, all hexadecimal"
    )]
    Shape,
    /// Its checksum does not fit the rest.
    #[error("the checksum of the API key does not fit the rest of it")]
    Checksum,
}

impl Token {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system's, where it has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID_DIGITS / 2];
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self::new(id, secret))
    }

    /// The key with this id and secret.
    pub fn new(id: [u8; ID_DIGITS / 2], secret: [u8; SECRET_BYTES]) -> Self {
        Self { id: KeyId(hex(&id)), secret }
    }

    /// Its public name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The whole key as text: for the one answer that hands it out, and nowhere else.
    pub fn reveal(&self) -> String {
        let body = format!("stoa_{}_{}", self.id, hex(&self.secret));
        let sum = checksum(&body);
        format!("{body}_{sum}")
    }

    /// The last four digits of the key as text: digits of the checksum, which help a person to tell keys apart.
    pub fn last_four(&self) -> String {
        let text = self.reveal();
        text[text.len() - 4..].to_owned()
    }

    /// What is kept of the secret.
    pub fn hash(&self) -> SecretHash {
        let mut hasher = Hasher::new();
        hasher.update(b"stoa/api-key/1");
        hasher.update(self.id.0.as_bytes());
        hasher.update(&self.secret);
        SecretHash(hasher.finish())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split('_');
        let (Some("stoa"), Some(id), Some(secret), Some(sum), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Shape);
        };
        if sum.len() != CHECKSUM_DIGITS || !is_hex(sum) {
            return Err(TokenError::Shape);
        }
        let id = id.parse().map_err(|_| TokenError::Shape)?;
        // 32 bytes of hexadecimal are what a digest reads.
        let secret = *secret.parse::<Digest>().map_err(|_| TokenError::Shape)?.as_bytes();
        let body = &text[..text.len() - CHECKSUM_DIGITS - 1];
        if checksum(body) != sum {
            return Err(TokenError::Checksum);
        }
        Ok(Self { id, secret })
    }
}

/// What the registry keeps of a secret: `sha256("stoa/api-key/1" ‖ ID ‖ secret)`.
///
/// One round of a fast hash is right here: the secret is 256 random bits, so guessing from a stolen hash is
/// hopeless at any speed. A slow password hash would only make every request, and a flood of wrong ones,
/// expensive. The prefix keeps the hash from meaning anything elsewhere; the id keeps one key's hash from
/// standing in for another's.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(Digest);

impl SecretHash {
    /// Whether `token` is the one that this was made from. The time taken does not depend on where they differ.
    pub fn admits(&self, token: &Token) -> bool {
        self.0.as_bytes().ct_eq(token.hash().0.as_bytes()).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

fn checksum(body: &str) -> String {
    let mut hasher = Hasher::new();
    hasher.update(b"stoa/api-key-checksum/1");
    hasher.update(body.as_bytes());
    hasher.finish().short(CHECKSUM_DIGITS)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new([0xab; 6], [0x17; 32])
    }

    #[test]
    fn a_key_has_one_spelling_and_reads_back() {
        let text = token().reveal();
        // Vector: Python's hashlib.sha256(b"stoa/api-key-checksum/1" + b"stoa_" + b"ab" * 6 + b"_" + b"17" * 32).
        assert_eq!(text, format!("stoa_{}_{}_{}", "ab".repeat(6), "17".repeat(32), "194bd037"));
        let read: Token = text.parse().expect("it reads back");
        assert_eq!(read.reveal(), text);
        assert_eq!(token().last_four(), text[text.len() - 4..]);
    }

    #[test]
    fn any_one_wrong_character_is_found_without_asking_anyone() {
        let text = token().reveal();
        for place in 5..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            let expected = if text.as_bytes()[place] == b'_' { TokenError::Shape } else { TokenError::Checksum };
            assert_eq!(wrong.parse::<Token>().err(), Some(expected), "character {place}");
        }
        for text in ["", "stoa", "stoa_a_b_c", &text[1..], &text[..text.len() - 1], &text.to_uppercase(), "stoa_é_é_é"]
        {
            assert_eq!(text.parse::<Token>().err(), Some(TokenError::Shape), "{text}");
        }
    }

    #[test]
    fn the_hash_admits_its_own_key_and_no_other() {
        let hash = token().hash();
        assert!(hash.admits(&token()));
        assert!(!hash.admits(&Token::new([0xab; 6], [0x18; 32])), "another secret");
        assert!(!hash.admits(&Token::new([0xac; 6], [0x17; 32])), "the same secret under another id");
    }

    #[test]
    fn debugging_output_has_no_secret() {
        assert_eq!(format!("{:?} {:?}", token(), token().hash()), "Token(abababababab) SecretHash");
    }
}
