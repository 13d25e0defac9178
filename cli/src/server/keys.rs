//! The keys of an embedded registry, as files that only their owner can read.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use stoa_core::trust::SecretKey;
use zeroize::Zeroizing;

use crate::report::Failure;

/// How many people hold an offline key, and how many of them have to sign.
pub(super) const OFFLINE_KEYS: usize = 3;
pub(super) const OFFLINE_THRESHOLD: u64 = 2;

/// The keys that a running registry needs.
#[derive(Debug)]
pub(super) struct OnlineKeys {
    pub(super) snapshot: SecretKey,
    pub(super) catalog: SecretKey,
    pub(super) timestamp: SecretKey,
}

/// The keys that only ceremonies need: they belong on other machines.
#[derive(Debug)]
pub(super) struct OfflineKeys {
    pub(super) root: Vec<SecretKey>,
    pub(super) targets: Vec<SecretKey>,
}

fn folder(dir: &Path, kind: &str) -> PathBuf {
    dir.join("keys").join(kind)
}

impl OnlineKeys {
    pub(super) fn generate(dir: &Path) -> Result<Self, Failure> {
        let key = |name| generate(&folder(dir, "online"), name);
        Ok(Self { snapshot: key("snapshot")?, catalog: key("catalog")?, timestamp: key("timestamp")? })
    }

    pub(super) fn load(dir: &Path) -> Result<Self, Failure> {
        let key = |name: &str| load(&folder(dir, "online").join(format!("{name}.key")));
        Ok(Self { snapshot: key("snapshot")?, catalog: key("catalog")?, timestamp: key("timestamp")? })
    }
}

impl OfflineKeys {
    pub(super) fn generate(dir: &Path) -> Result<Self, Failure> {
        let keys = |role: &str| -> Result<Vec<SecretKey>, Failure> {
            (1..=OFFLINE_KEYS).map(|n| generate(&folder(dir, "offline"), &format!("{role}-{n}"))).collect()
        };
        Ok(Self { root: keys("root")?, targets: keys("targets")? })
    }

    pub(super) fn folder(dir: &Path) -> PathBuf {
        folder(dir, "offline")
    }
}

/// Copies the online keys from one folder of a registry to another, where all are there. Gives whether they are. Offline
/// keys are never copied.
pub(super) fn copy_online(from: &Path, to: &Path) -> Result<bool, Failure> {
    let (from, to) = (folder(from, "online"), folder(to, "online"));
    let names = ["snapshot.key", "catalog.key", "timestamp.key"];
    if names.iter().any(|name| !from.join(name).exists()) {
        return Ok(false);
    }
    for name in names {
        let (secret, target) = (read_secret(&from.join(name))?, to.join(name));
        let there = target.exists().then(|| read_secret(&target)).transpose()?;
        match there {
            Some(there) if there == secret => {}
            Some(_) => return Err(Failure::new(format!("`{}` is there already, and another key", target.display()))),
            None => write_secret(&target, hex(&*secret).as_bytes())?,
        }
    }
    Ok(true)
}

/// Random bytes from the operating system.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|e| Failure::new(format!("the system gives no random bytes: {e}")))?;
    Ok(bytes)
}

fn generate(folder: &Path, name: &str) -> Result<SecretKey, Failure> {
    let seed = random()?;
    write_secret(&folder.join(format!("{name}.key")), hex(&*seed).as_bytes())?;
    Ok(SecretKey::from_seed(*seed))
}

/// Writes a secret to a file that did not exist, readable by its owner alone from the first byte on.
pub(super) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let refuse = |e: std::io::Error| Failure::new(format!("the secret `{}` can not be written: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refuse)?;
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(refuse)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(refuse)?;
    file.write_all(bytes).map_err(refuse)?;
    file.write_all(b"\n").map_err(refuse)?;
    file.sync_all().map_err(refuse)
}

/// Reads 32 bytes that [`write_secret`] wrote as hexadecimal digits.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let shown = path.display();
    let text = Zeroizing::new(
        std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format!("the secret `{shown}` can not be read: {e}")))?,
    );
    unhex(text.trim()).ok_or_else(|| {
        Failure::new(format!("the secret `{shown}` is damaged: it has 64 hexadecimal digits and no more"))
    })
}

fn load(path: &Path) -> Result<SecretKey, Failure> {
    Ok(SecretKey::from_seed(*read_secret(path)?))
}

pub(super) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
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
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_its_owners_alone_and_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = OnlineKeys::generate(dir.path()).expect("keys");
        let path = dir.path().join("keys/online/timestamp.key");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = OnlineKeys::load(dir.path()).expect("keys");
        assert_eq!(again.timestamp.id(), keys.timestamp.id());
        assert_ne!(again.timestamp.id(), keys.snapshot.id());
    }

    #[test]
    fn a_secret_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        OnlineKeys::generate(dir.path()).expect("keys");
        let failure = OnlineKeys::generate(dir.path()).expect_err("there are keys");
        assert!(failure.message.contains("snapshot.key` can not be written"), "{}", failure.message);
    }

    #[test]
    fn a_damaged_secret_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.key");
        std::fs::write(&path, "zz").expect("a file");
        let message = read_secret(&path).expect_err("damaged").message;
        let expected = format!("the secret `{}` is damaged: it has 64 hexadecimal digits and no more", path.display());
        assert_eq!(message, expected);
    }
}
