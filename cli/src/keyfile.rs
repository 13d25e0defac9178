//! Key files: an ed25519 key with its public half in plain sight, encrypted by a passphrase.
//!
//! ```text
//! stoa key 1
//! role root
//! public 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
//! -----BEGIN AGE ENCRYPTED FILE-----
//! ...
//! -----END AGE ENCRYPTED FILE-----
//! ```
//!
//! Without the encrypted part it is what a holder gives away. The form is in `docs/format/keys.md`.

mod age;
mod passphrase;

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use stoa_core::trust::{PublicKey, SecretKey, ceremony::KeyRole};
use zeroize::Zeroizing;

use crate::report::Failure;

const FIRST_LINE: &str = "stoa key 1";
/// A key file has about 700 bytes. More is something else.
const MAX_BYTES: u64 = 16 * 1024;
/// 128 MiB and about half a second for each guess.
pub(crate) const WORK: u8 = 17;

/// A key file.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// What its holder made it for. A hint: what a key signs, the metadata says.
    role: Option<KeyRole>,
    public: [u8; 32],
    secret: Secret,
}

enum Secret {
    /// It holds the public half alone.
    Elsewhere,
    Plain(Zeroizing<[u8; 32]>),
    Encrypted(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => "Elsewhere",
            Self::Plain(_) => "Plain",
            Self::Encrypted(_) => "Encrypted",
        })
    }
}

/// How a new key file keeps its secret.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keeping {
    /// By a passphrase that is asked for, with this work factor.
    Passphrase(u8),
    /// Not at all.
    PlainForDemos,
}

impl KeyFile {
    /// Makes a key and writes it to a file that did not exist.
    pub(crate) fn generate(path: &Path, role: Option<KeyRole>, keeping: Keeping) -> Result<Self, Failure> {
        if path.exists() {
            return Err(Failure::new(format!("`{}` is there already, and a key is never overwritten", path.display())));
        }
        let seed = random()?;
        let key = SecretKey::from_seed(*seed);
        let public = key.public().to_bytes().ok_or_else(|| Failure::new("the key has no public half"))?;
        let digits = Zeroizing::new(format!("{}\n", *hex(&*seed)));
        let secret = match keeping {
            Keeping::PlainForDemos => Zeroizing::new(format!("plain {}", *digits)),
            Keeping::Passphrase(work) => {
                let passphrase = passphrase::new(path)?;
                Zeroizing::new(age::encrypt(digits.as_bytes(), &passphrase, work, fill)?)
            }
        };
        let text = Zeroizing::new(format!("{}{}", public_text(role, &public), *secret));
        write_new(path, text.as_bytes())?;
        Ok(Self { path: path.to_owned(), role, public, secret: Secret::Elsewhere })
    }

    /// Reads a key file, a public one, or 64 hexadecimal digits as `stoa init` writes them.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let refuse = |e: String| Failure::new(format!("the key file `{shown}` can not be read: {e}"));
        let meta = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
        if meta.len() > MAX_BYTES {
            return Err(refuse(format!("it has {} bytes, and a key file has at most {MAX_BYTES}", meta.len())));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?);
        let (role, public, secret) = parse(&text).map_err(|rule| refuse(rule.to_owned()))?;
        Ok(Self { path: path.to_owned(), role, public, secret })
    }

    /// The public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::ed25519(&self.public)
    }

    /// What its holder made it for, where the file says it.
    pub(crate) fn role(&self) -> Option<KeyRole> {
        self.role
    }

    /// Whether whoever reads the file has the key.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.secret, Secret::Plain(_))
    }

    /// What can be given away: the file without its secret.
    pub(crate) fn public_text(&self) -> String {
        public_text(self.role, &self.public)
    }

    /// The secret half; the passphrase is asked for.
    pub(crate) fn unlock(&self) -> Result<SecretKey, Failure> {
        let shown = self.path.display();
        let seed = match &self.secret {
            Secret::Elsewhere => {
                return Err(Failure::new(format!("`{shown}` holds the public half of the key alone"))
                    .hint("sign where the key file itself is"));
            }
            Secret::Plain(seed) => seed.clone(),
            Secret::Encrypted(armored) => {
                let passphrase = passphrase::ask(&self.path)?;
                let opened = age::decrypt(armored, &passphrase)
                    .map_err(|e| Failure::new(format!("the key file `{shown}` can not be opened: {e}")))?;
                let text = std::str::from_utf8(&opened).ok().map(str::trim);
                text.and_then(unhex).ok_or_else(|| {
                    Failure::new(format!("the key file `{shown}` is damaged: what it encrypts is no key"))
                })?
            }
        };
        let key = SecretKey::from_seed(*seed);
        if key.public().to_bytes() != Some(self.public) {
            return Err(Failure::new(format!("the key file `{shown}` is damaged: its public half is of another key")));
        }
        Ok(key)
    }
}

fn public_text(role: Option<KeyRole>, public: &[u8; 32]) -> String {
    let role = role.map(|role| format!("role {role}\n")).unwrap_or_default();
    format!("{FIRST_LINE}\n{role}public {}\n", *hex(public))
}

type Parsed = (Option<KeyRole>, [u8; 32], Secret);

fn parse(text: &str) -> Result<Parsed, &'static str> {
    if let Some(seed) = unhex(text.trim()) {
        let public = SecretKey::from_seed(*seed).public().to_bytes().ok_or("it is no ed25519 key")?;
        return Ok((None, public, Secret::Plain(seed)));
    }
    let rest = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n'));
    let mut rest = rest.ok_or("its first line is not `stoa key 1`")?;
    let mut member = |name: &str| -> Option<&str> {
        let (line, after) = rest.split_once('\n')?;
        let value = line.strip_prefix(name)?.strip_prefix(' ')?;
        rest = after;
        Some(value)
    };
    let role = match member("role") {
        Some(name) => Some(name.parse().map_err(|_| "it names a role that there is not")?),
        None => None,
    };
    let public = member("public").and_then(unhex).ok_or("it has no line `public` with 64 hexadecimal digits")?;
    let secret = match member("plain") {
        Some(digits) => Secret::Plain(unhex(digits).ok_or("its line `plain` has not 64 hexadecimal digits")?),
        None if rest.trim().is_empty() => Secret::Elsewhere,
        None => Secret::Encrypted(rest.to_owned()),
    };
    match secret {
        Secret::Plain(_) if !rest.trim().is_empty() => Err("it goes on after its secret"),
        secret => Ok((role, *public, secret)),
    }
}

/// Random bytes from the operating system.
pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(bytes).map_err(|e| Failure::new(format!("the system gives no random bytes: {e}")))
}

/// Writes a file that did not exist, readable by its owner alone from the first byte on, and through to the disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    };
    write()
        .map_err(|e: std::io::Error| Failure::new(format!("the secret `{}` can not be written: {e}", path.display())))
}

pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

    #[test]
    fn every_form_of_a_key_file_reads() {
        let (role, public, secret) = parse(SEED).expect("as `stoa init` writes it");
        assert_eq!((role, hex(&public).as_str()), (None, PUBLIC));
        assert!(matches!(secret, Secret::Plain(_)));
        let text = format!("stoa key 1\nrole root\npublic {PUBLIC}\n");
        let (role, public, secret) = parse(&text).expect("a public file");
        assert_eq!((role, hex(&public).as_str()), (Some(KeyRole::Root), PUBLIC));
        assert!(matches!(secret, Secret::Elsewhere));
        assert!(matches!(parse(&format!("{text}plain {SEED}\n")), Ok((_, _, Secret::Plain(_)))));
        assert!(matches!(parse(&format!("{text}-----BEGIN")), Ok((_, _, Secret::Encrypted(_)))));
    }

    #[test]
    fn other_texts_are_refused_by_their_rule() {
        let public = format!("public {PUBLIC}\n");
        for (text, rule) in [
            (String::new(), "its first line is not `stoa key 1`"),
            (format!("stoa key 2\n{public}"), "its first line is not `stoa key 1`"),
            ("stoa key 1\npublic 00\n".to_owned(), "it has no line `public` with 64 hexadecimal digits"),
            (format!("stoa key 1\nrole king\n{public}"), "it names a role that there is not"),
            (format!("stoa key 1\n{public}plain 0\n"), "its line `plain` has not 64 hexadecimal digits"),
            (format!("stoa key 1\n{public}plain {SEED}\nmore"), "it goes on after its secret"),
        ] {
            assert_eq!(parse(&text).err(), Some(rule), "{text}");
        }
    }
}
