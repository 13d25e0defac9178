//! Names of blobs.

use std::{fmt, str::FromStr};

use stoa_core::{
    digest::Digest,
    path::{Cache, PublicPath},
};

/// The parts of a store. They differ in who may read them and in what may ever change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// `upload/`: what clients sent and nobody has checked yet. Private; expires in a day.
    Upload,
    /// `store/sha256/`: checked bytes under their digest. Private, permanent: what a rebuild reads.
    Store,
    /// `public/`: the tree that the world reads.
    Public,
    /// `events/`: the archive of the log, append-only.
    Events,
    /// `internal/`: the registry's own state: secrets, probes. Private.
    Internal,
}

impl Area {
    /// Every area, in order of their prefixes' bytes.
    pub const ALL: [Self; 5] = [Self::Events, Self::Internal, Self::Public, Self::Store, Self::Upload];

    /// What all paths of the area begin with, slash included.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Upload => "upload/",
            Self::Store => "store/sha256/",
            Self::Public => "public/",
            Self::Events => "events/",
            Self::Internal => "internal/",
        }
    }
}

/// The id of one upload: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId([u8; 16]);

impl UploadId {
    /// A new id that nobody can guess: 128 random bits.
    ///
    /// # Errors
    /// The operating system's, where it has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id with these bytes, for instance a part of a digest.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UploadId {
    type Err = BlobKeyError;

    fn from_str(text: &str) -> Result<Self, BlobKeyError> {
        let refuse = || BlobKeyError::new(text, "an upload id is 32 lower-case hexadecimal digits");
        // One id, one spelling: `u128` alone would read a sign, upper case and missing zeros.
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(plain) {
            return Err(refuse());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| refuse())?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// The name of a blob of the registry's own: `[a-z0-9][a-z0-9.-]*`, 1 to 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InternalName(String);

impl fmt::Display for InternalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InternalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InternalName {
    type Err = BlobKeyError;

    fn from_str(text: &str) -> Result<Self, BlobKeyError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !begins || text.len() > 64 || !text.bytes().all(plain) {
            let rule = "an internal name is 1 to 64 characters of a-z, 0-9, `.` and `-`, the first a letter or a digit";
            return Err(BlobKeyError::new(text, rule));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a blob. Its path is its `Display`: relative, `/` between parts, never with `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobKey {
    /// `upload/ID`.
    Upload(UploadId),
    /// `store/sha256/HEX`.
    Store(Digest),
    /// `public/PATH`.
    Public(PublicPath),
    /// `events/0000000001.json`: the canonical bytes of the event with this sequence number, which has at
    /// least ten digits.
    Event(u64),
    /// `internal/NAME`.
    Internal(InternalName),
}

impl BlobKey {
    /// The part of the store that it lies in.
    pub fn area(&self) -> Area {
        match self {
            Self::Upload(_) => Area::Upload,
            Self::Store(_) => Area::Store,
            Self::Public(_) => Area::Public,
            Self::Event(_) => Area::Events,
            Self::Internal(_) => Area::Internal,
        }
    }

    /// The `Content-Type` header it is stored with.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Public(path) => path.content_type(),
            Self::Event(_) => "application/json",
            Self::Upload(_) | Self::Store(_) | Self::Internal(_) => "application/octet-stream",
        }
    }

    /// How long a copy may be reused; `None` for what is never served.
    pub fn cache(&self) -> Option<Cache> {
        match self {
            Self::Public(path) => Some(path.cache()),
            _ => None,
        }
    }

    /// The path, after a check that it reads back as this key.
    ///
    /// Some variants of [`PublicPath`] hold plain text, so a value can be built that no parser would give, such
    /// as an asset named `../x`. Adapters name files by this function alone, and so none of them can be led out
    /// of its folder.
    ///
    /// # Errors
    /// [`BlobKeyError`] where the key has no path of its own.
    pub fn path(&self) -> Result<String, BlobKeyError> {
        let path = self.to_string();
        match path.parse::<Self>() {
            Ok(same) if same == *self => Ok(path),
            _ => Err(BlobKeyError::new(&path, "it does not read back as the key that it was made of")),
        }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.area().prefix())?;
        match self {
            Self::Upload(id) => write!(f, "{id}"),
            Self::Store(digest) => write!(f, "{digest}"),
            Self::Public(path) => write!(f, "{path}"),
            Self::Event(seq) => write!(f, "{seq:010}.json"),
            Self::Internal(name) => write!(f, "{name}"),
        }
    }
}

/// Text, or a value, that names no blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no blob: {rule}")]
pub struct BlobKeyError {
    text: String,
    rule: &'static str,
}

impl BlobKeyError {
    fn new(text: &str, rule: &'static str) -> Self {
        Self { text: text.chars().take(200).collect(), rule }
    }
}

impl FromStr for BlobKey {
    type Err = BlobKeyError;

    fn from_str(text: &str) -> Result<Self, BlobKeyError> {
        let within = |area: Area| text.strip_prefix(area.prefix()).map(|rest| (area, rest));
        let Some((area, rest)) = Area::ALL.into_iter().find_map(within) else {
            return Err(BlobKeyError::new(text, "it is in none of the areas"));
        };
        let rule = |rule| move |_| BlobKeyError::new(text, rule);
        match area {
            Area::Upload => rest
                .parse()
                .map(Self::Upload)
                .map_err(|_| BlobKeyError::new(text, "an upload is named by 32 lower-case hexadecimal digits")),
            Area::Store => rest
                .parse()
                .map(Self::Store)
                .map_err(rule("a stored blob is named by 64 lower-case hexadecimal digits")),
            Area::Public => {
                rest.parse().map(Self::Public).map_err(|_| BlobKeyError::new(text, "it is no path of the public tree"))
            }
            Area::Events => event(rest)
                .map(Self::Event)
                .ok_or_else(|| BlobKeyError::new(text, "an event is named by its number in ten digits and `.json`")),
            Area::Internal => rest.parse().map(Self::Internal),
        }
    }
}

fn event(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    let seq = digits.parse().ok()?;
    // One number, one spelling: no sign, no missing or additional zeros.
    (format!("{seq:010}") == digits).then_some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_variant() -> Vec<BlobKey> {
        let digest = Digest::of(b"abc");
        vec![
            BlobKey::Upload(UploadId::from_bytes([0xa5; 16])),
            BlobKey::Store(digest),
            BlobKey::Public(PublicPath::Timestamp),
            BlobKey::Public(PublicPath::Artifact(digest)),
            BlobKey::Event(1),
            BlobKey::Event(u64::MAX),
            BlobKey::Internal("upload-secret".parse().expect("a name")),
        ]
    }

    #[test]
    fn every_variant_has_one_path_type_and_cache_rule() {
        let row = |key: &BlobKey| {
            let cache = key.cache().map_or("not served", Cache::header);
            format!("{key} | {} | {cache}", key.content_type())
        };
        let rows: Vec<String> = every_variant().iter().map(row).collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        upload/a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 | application/octet-stream | not served
        store/sha256/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad | application/octet-stream | not served
        public/trust/timestamp.json | application/json | public, max-age=60
        public/artifacts/sha256/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad | application/octet-stream | public, max-age=31536000, immutable
        events/0000000001.json | application/json | not served
        events/18446744073709551615.json | application/json | not served
        internal/upload-secret | application/octet-stream | not served
        ");
    }

    #[test]
    fn a_key_reads_back_as_itself() {
        for key in every_variant() {
            assert_eq!(key.path().map(|path| path.parse()), Ok(Ok(key)));
        }
    }

    #[test]
    fn other_spellings_name_no_blob() {
        let cases = [
            ("", "`` names no blob: it is in none of the areas"),
            ("upload/A5", "`upload/A5` names no blob: an upload is named by 32 lower-case hexadecimal digits"),
            ("store/ab", "`store/ab` names no blob: it is in none of the areas"),
            (
                "store/sha256/x",
                "`store/sha256/x` names no blob: a stored blob is named by 64 lower-case hexadecimal digits",
            ),
            ("public/../x", "`public/../x` names no blob: it is no path of the public tree"),
            (
                "events/1.json",
                "`events/1.json` names no blob: an event is named by its number in ten digits and `.json`",
            ),
            (
                "events/+000000001.json",
                "`events/+000000001.json` names no blob: an event is named by its number in ten digits and `.json`",
            ),
            (
                "internal/.x",
                "`.x` names no blob: an internal name is 1 to 64 characters of a-z, 0-9, `.` and `-`, the first a letter or a digit",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<BlobKey>().map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }

    #[test]
    fn a_key_that_no_parser_would_give_has_no_path() {
        let key = BlobKey::Public(PublicPath::Asset("../../upload/x".into()));
        let message =
            "`public/assets/../../upload/x` names no blob: it does not read back as the key that it was made of";
        assert_eq!(key.path().map_err(|e| e.to_string()), Err(message.to_owned()));
    }
}
