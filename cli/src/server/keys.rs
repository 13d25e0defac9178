//! The keys of an embedded registry, as files that only their owner can read.

use std::path::{Path, PathBuf};

use stoa_core::trust::{KeyId, SecretKey};
use zeroize::Zeroizing;

use crate::{
    keyfile::{hex, random, unhex, write_new},
    report::Failure,
};

/// How many people hold an offline key, and how many of them have to sign.
pub(super) const OFFLINE_KEYS: usize = 3;
pub(super) const OFFLINE_THRESHOLD: u64 = 2;

/// The names of the online keys, which are those of their roles.
pub(super) const ONLINE: [&str; 3] = ["snapshot", "catalog", "timestamp"];

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

impl OnlineKeys {
    /// The id of the online key of this name.
    pub(super) fn id(dir: &Path, name: &str) -> Result<KeyId, Failure> {
        Ok(load(&place(dir, name))?.id().clone())
    }

    /// The ids of the online keys, and of those that wait to take their places.
    pub(super) fn all_ids(dir: &Path) -> Result<Vec<KeyId>, Failure> {
        let mut ids = Vec::new();
        for name in ONLINE {
            ids.push(Self::id(dir, name)?);
            let next = next_path(dir, name);
            if next.exists() {
                ids.push(load(&next)?.id().clone());
            }
        }
        Ok(ids)
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

/// The online key of this name that waits for the ceremony which names it; made where there is none yet.
pub(super) fn next_online(dir: &Path, name: &str) -> Result<SecretKey, Failure> {
    let path = next_path(dir, name);
    if !path.exists() {
        write_secret(&path, hex(&*random()?).as_bytes())?;
    }
    load(&path)
}

/// Where the online key of this name lies.
fn place(dir: &Path, name: &str) -> PathBuf {
    folder(dir, "online").join(format!("{name}.key"))
}

fn next_path(dir: &Path, name: &str) -> PathBuf {
    place(dir, name).with_extension("key.next")
}

/// Puts each waiting key that `named` knows in the place of the one before, which is then gone: nobody can steal it any
/// more. Gives their names. Doing it again does nothing.
pub(super) fn take_next_online(dir: &Path, named: impl Fn(&KeyId) -> bool) -> Result<Vec<&'static str>, Failure> {
    let mut taken = Vec::new();
    for name in ONLINE {
        let (next, place) = (next_path(dir, name), place(dir, name));
        if !next.exists() || !named(load(&next)?.id()) {
            continue;
        }
        let rename = || {
            std::fs::rename(&next, &place)?;
            place.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
        };
        rename().map_err(|e: std::io::Error| {
            Failure::new(format!("the key `{}` can not be put in place: {e}", next.display()))
        })?;
        taken.push(name);
    }
    Ok(taken)
}

/// Brings the online keys from one folder of a registry to another of the same registry, where all are there: what was
/// rotated since is replaced. Gives whether they are. Offline keys are never copied.
pub(super) fn copy_online(from: &Path, to: &Path) -> Result<bool, Failure> {
    let (from, to) = (folder(from, "online"), folder(to, "online"));
    let names = ONLINE.map(|name| format!("{name}.key"));
    if names.iter().any(|name| !from.join(name).exists()) {
        return Ok(false);
    }
    // A rotation may have been begun: then both keys are needed.
    let next = names.iter().map(|name| format!("{name}.next")).filter(|name| from.join(name).exists());
    for name in names.iter().cloned().chain(next) {
        let (secret, target) = (read_secret(&from.join(&name))?, to.join(&name));
        let there = target.exists().then(|| read_secret(&target)).transpose()?;
        match there {
            Some(there) if there == secret => {}
            // The registry has rotated it since the backup before.
            Some(_) => replace_secret(&target, hex(&*secret).as_bytes())?,
            None => write_secret(&target, hex(&*secret).as_bytes())?,
        }
    }
    for name in names.iter().map(|name| format!("{name}.next")).filter(|name| !from.join(name).exists()) {
        remove(&to.join(name))?;
    }
    Ok(true)
}

/// Puts a secret in the place of another one: one of them is there at any time.
fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fresh = path.with_extension("key.new");
    remove(&fresh)?;
    write_secret(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
        .map_err(|e| Failure::new(format!("the secret `{}` can not be written: {e}", path.display())))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("`{}` can not be removed: {e}", path.display())))
        }
        _ => Ok(()),
    }
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
    write_new(path, &[bytes, b"\n"].concat())
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
