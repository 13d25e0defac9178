//! The keys of an embedded registry, as files that only their owner can read.

use std::path::{Path, PathBuf};

use stoa_core::{
    proposal::{IndexKeys, SignerKeys},
    trust::{KeyId, SecretKey},
};
use zeroize::Zeroizing;

use crate::{
    keyfile::{hex, random, unhex, write_new},
    report::Failure,
};

/// How many people hold an offline key, and how many of them have to sign.
pub(super) const OFFLINE_KEYS: usize = 3;
pub(super) const OFFLINE_THRESHOLD: u64 = 2;

/// The names of the online keys.
pub(super) const ONLINE: [&str; 4] = ["snapshot", "catalog", "timestamp", "bins"];

/// Who needs keys while a registry runs: each has a folder of its own below `keys/`, and needs no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Indexer,
    Signer,
}

impl Holder {
    /// The name of its folder.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Indexer => "indexer",
            Self::Signer => "signer",
        }
    }

    /// The names of its keys.
    pub(super) const fn keys(self) -> [&'static str; 2] {
        let [snapshot, catalog, timestamp, bins] = ONLINE;
        match self {
            Self::Indexer => [snapshot, catalog],
            Self::Signer => [timestamp, bins],
        }
    }

    /// Who needs the online key of this name.
    fn of(name: &str) -> Self {
        if Self::Indexer.keys().contains(&name) { Self::Indexer } else { Self::Signer }
    }

    /// Where its keys lie in a registry's folder.
    pub(super) fn folder(self, dir: &Path) -> PathBuf {
        folder(dir, self.name())
    }
}

/// The keys that a running registry needs.
#[derive(Debug)]
pub(super) struct OnlineKeys {
    pub(super) indexer: IndexKeys,
    pub(super) signer: SignerKeys,
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
        let [snapshot, catalog] = all(Holder::Indexer, |name| generate(&Holder::Indexer.folder(dir), name))?;
        let [timestamp, bins] = all(Holder::Signer, |name| generate(&Holder::Signer.folder(dir), name))?;
        Ok(Self { indexer: IndexKeys { snapshot, catalog }, signer: SignerKeys { timestamp, bins } })
    }

    pub(super) fn load(dir: &Path) -> Result<Self, Failure> {
        Ok(Self { indexer: indexer_keys(dir)?, signer: signer_keys(&Holder::Signer.folder(dir))? })
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

/// The keys of the indexer of the registry in `dir`.
pub(super) fn indexer_keys(dir: &Path) -> Result<IndexKeys, Failure> {
    let folder = Holder::Indexer.folder(dir);
    let [snapshot, catalog] = all(Holder::Indexer, |name| load(&folder.join(format!("{name}.key"))))?;
    Ok(IndexKeys { snapshot, catalog })
}

/// The keys of the signer, which may lie anywhere.
pub(super) fn signer_keys(folder: &Path) -> Result<SignerKeys, Failure> {
    let [timestamp, bins] = all(Holder::Signer, |name| load(&folder.join(format!("{name}.key"))))?;
    Ok(SignerKeys { timestamp, bins })
}

fn all(holder: Holder, key: impl Fn(&str) -> Result<SecretKey, Failure>) -> Result<[SecretKey; 2], Failure> {
    let [first, second] = holder.keys();
    Ok([key(first)?, key(second)?])
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
    Holder::of(name).folder(dir).join(format!("{name}.key"))
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
    if ONLINE.iter().any(|name| !place(from, name).exists()) {
        return Ok(false);
    }
    // A rotation may have been begun: then both keys are needed.
    let next = ONLINE.map(|name| (next_path(from, name), next_path(to, name)));
    let next = next.into_iter().filter(|(from, _)| from.exists());
    for (from, target) in ONLINE.map(|name| (place(from, name), place(to, name))).into_iter().chain(next) {
        let secret = read_secret(&from)?;
        let there = target.exists().then(|| read_secret(&target)).transpose()?;
        match there {
            Some(there) if there == secret => {}
            // The registry has rotated it since the backup before.
            Some(_) => replace_secret(&target, hex(&*secret).as_bytes())?,
            None => write_secret(&target, hex(&*secret).as_bytes())?,
        }
    }
    for name in ONLINE.into_iter().filter(|name| !next_path(from, name).exists()) {
        remove(&next_path(to, name))?;
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
        let path = dir.path().join("keys/signer/timestamp.key");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = OnlineKeys::load(dir.path()).expect("keys");
        let ids = |keys: &OnlineKeys| {
            let OnlineKeys { indexer, signer } = keys;
            [&indexer.snapshot, &indexer.catalog, &signer.timestamp, &signer.bins].map(|key| key.id().clone())
        };
        assert_eq!(ids(&again), ids(&keys));
        assert_eq!(std::collections::BTreeSet::from(ids(&keys)).len(), 4);
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
