//! What is known of a file of compiled code, sealed under the user's key.

use std::io;

use serde::{Deserialize, Serialize};
use stoa_core::digest::Digest;

use super::scan::Scan;

/// Longest record. One has about 700 bytes.
pub(super) const MAX_RECORD: usize = 256 * 1024;

/// The keys that authenticate what the cache holds. Whoever can not read them can not make code that is loaded.
pub(super) struct Keys {
    record: [u8; 32],
    code: [u8; 32],
}

impl Keys {
    /// One key for each use, so that neither kind of file passes for the other.
    pub(super) fn derived(secret: &[u8; 32]) -> Self {
        Self {
            record: blake3::derive_key("stoa-loader 2026 aot record", secret),
            code: blake3::derive_key("stoa-loader 2026 aot code", secret),
        }
    }

    /// The MAC of compiled code, read to its end.
    pub(super) fn mac(&self, code: impl io::Read) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.code);
        hasher.update_reader(code)?;
        Ok(hasher.finalize())
    }
}

/// What a file of compiled code should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// What it is stored under: everything that shaped it.
    pub(super) key: Digest,
    /// The component it was compiled from.
    pub(super) artifact: Digest,
    /// Its size in bytes.
    pub(super) length: u64,
    /// Its MAC, BLAKE3 in keyed mode: 64 hexadecimal digits.
    pub(super) mac: String,
    /// What a scan of the component said.
    pub(super) scan: Scan,
}

impl Record {
    /// The record in one line of JSON, and its own MAC in a second one.
    pub(super) fn seal(&self, keys: &Keys) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let mac = blake3::keyed_hash(&keys.record, &bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(mac.to_hex().as_bytes());
        bytes.push(b'\n');
        if bytes.len() > MAX_RECORD {
            return Err(io::Error::other(format!(
                "the record would have {} bytes: at most {MAX_RECORD} are read",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    /// The record, if this user sealed it. Nothing is read from it before that is known.
    pub(super) fn unseal(bytes: &[u8], keys: &Keys) -> Result<Self, &'static str> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let (Some(line), Some(mac), Some([]), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
            return Err("is not two lines");
        };
        // Compared in constant time; what is not even hexadecimal is wrong as well.
        match blake3::Hash::from_hex(mac) {
            Ok(mac) if blake3::keyed_hash(&keys.record, line) == mac => {}
            _ => return Err("has a wrong MAC"),
        }
        serde_json::from_slice(line).map_err(|_| "has an unknown form")
    }
}
