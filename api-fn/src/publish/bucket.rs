//! Keeping the lists of the index within their bound before they exist.
//!
//! A bin of the signed index lists every plugin whose target path hashes into it, for ever, and a client reads at
//! most [`targets_bytes`](stoa_core::trust::Limits::targets_bytes) of one: 5,000,000 bytes. The indexer can not
//! refuse an event. So the API counts, for each [`Bucket`] of paths, an upper bound of what its plugins take, and
//! refuses the new plugin that would exceed [`MAX_BYTES`]: names that hash alike cost an attacker nothing.

use std::{collections::BTreeMap, fmt};

use stoa_core::{digest::Digest, id::PluginId, path::PublicPath};

use crate::problem::{Code, Problem};

/// The plugins of one bucket take at most so many bytes in their bin; a million is left for all else in it.
pub const MAX_BYTES: u64 = 4_000_000;
/// What an entry takes besides its path: the digest's 64 digits, and as many bytes for its length (7 digits for
/// the longest document), the names of the members and what JSON puts between them.
const AROUND_PATH: u64 = 2 * 64;

/// The plugins whose target path has a SHA-256 that begins with this byte.
///
/// With 8 bits, which every genesis has, a bucket is a bin; with more, several bins share its budget, which is
/// then stricter than it needs to be. With fewer bits than 8 one bin would get several budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u8);

impl Bucket {
    /// Where this plugin is listed.
    pub fn of(id: &PluginId) -> Self {
        let [first, ..] = *Digest::of(PublicPath::target_path(id).as_bytes()).as_bytes();
        Self(first)
    }
}

/// Two lower-case hexadecimal digits.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// How many bytes the entry of a plugin takes in its bin at the most.
pub fn entry_bytes(id: &PluginId) -> u64 {
    PublicPath::target_path(id).len() as u64 + AROUND_PATH
}

/// What the buckets of `new` plugins hold with them, where they hold `before` without.
///
/// # Errors
/// [`Code::IndexFull`] for the first plugin that does not fit.
pub fn with_new<'p>(
    new: impl IntoIterator<Item = &'p PluginId>,
    before: &BTreeMap<Bucket, u64>,
) -> Result<BTreeMap<Bucket, u64>, Problem> {
    let mut after = BTreeMap::new();
    for id in new {
        let bucket = Bucket::of(id);
        let bytes = after.entry(bucket).or_insert_with(|| before.get(&bucket).copied().unwrap_or_default());
        *bytes += entry_bytes(id);
        if *bytes > MAX_BYTES {
            let detail = format!(
                "part {bucket} of the index could take {bytes} bytes with `{id}`, and {MAX_BYTES} are possible"
            );
            return Err(Problem::new(Code::IndexFull, detail).with("id", id.to_string()));
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use stoa_core::{
        document::MAX_DOCUMENT_BYTES,
        index::bin_of,
        time::Time,
        trust::{
            BitLength, Limits,
            writer::{self, Target, Terms},
        },
    };

    use super::*;

    fn ids() -> Vec<PluginId> {
        let long = |letter: &str| letter.repeat(stoa_core::id::MAX_LABEL);
        let texts = ["demo:markdown", "a:b", "demo:x1", &format!("{}:{}", long("n"), long("p"))].map(str::to_owned);
        texts.iter().map(|text| text.parse().expect("an id")).collect()
    }

    fn bin(ids: &[PluginId]) -> u64 {
        let terms = Terms { version: NonZeroU64::MAX, expires: Time::MAX };
        let target = Target { length: MAX_DOCUMENT_BYTES as u64, sha256: Digest::of(b"x") };
        let targets = ids.iter().map(|id| (PublicPath::target_path(id), target)).collect();
        writer::bin(terms, "bin-0f", &targets).into_bytes().len() as u64
    }

    #[test]
    fn an_entry_of_a_bin_as_it_is_written_takes_what_is_counted_or_a_little_less() {
        for id in ids() {
            // Besides a first entry, so that the comma between two is counted.
            let first: PluginId = "zz:first".parse().expect("an id");
            let real = bin(&[first.clone(), id.clone()]) - bin(&[first]);
            let counted = entry_bytes(&id);
            assert!((real..real + 32).contains(&counted), "{id}: {counted} counted, {real} real");
        }
    }

    #[test]
    fn a_full_bucket_is_a_bin_that_clients_read() {
        // What signatures take is far below the slack.
        assert!(bin(&[]) + MAX_BYTES + 500_000 < Limits::default().targets_bytes);
    }

    #[test]
    fn a_bin_of_eight_bits_or_more_lies_in_one_bucket() {
        for (id, bits) in ids().iter().flat_map(|id| (8..=16).map(move |bits| (id, bits))) {
            let bin = bin_of(id, BitLength::new(bits).expect("a length"));
            let number = u64::from_str_radix(bin.trim_start_matches("bin-"), 16).expect("a number");
            assert_eq!(format!("{:02x}", number >> (bits - 8)), Bucket::of(id).to_string(), "{id}, {bits} bits");
        }
    }

    #[test]
    fn a_bucket_takes_plugins_up_to_its_last_byte() {
        let id: PluginId = "demo:markdown".parse().expect("an id");
        let bucket = Bucket::of(&id);
        let with = |before: u64| with_new([&id], &BTreeMap::from([(bucket, before)]));
        let room = MAX_BYTES - entry_bytes(&id);
        assert_eq!(with(room), Ok(BTreeMap::from([(bucket, MAX_BYTES)])));
        let refused = with(room + 1).expect_err("it is full");
        assert_eq!(refused.code(), Code::IndexFull);
        let detail =
            format!("part {bucket} of the index could take 4000001 bytes with `{id}`, and 4000000 are possible");
        assert_eq!(refused.detail(), detail);
    }
}
