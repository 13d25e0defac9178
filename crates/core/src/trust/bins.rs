//! Hash bins: which role lists which path (TAP 15).

use crate::digest::Digest;

/// How many leading bits of a path's hash choose its bin: 1 to 32 (TAP 15), so 2 to 2³² bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitLength(u8);

/// A number of bits that TAP 15 does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a bit length of {0}: hash bins take 1 to 32 bits")]
pub struct BitLengthError(pub u64);

impl BitLength {
    /// `bits` leading bits.
    ///
    /// # Errors
    /// [`BitLengthError`] outside 1 to 32.
    pub fn new(bits: u64) -> Result<Self, BitLengthError> {
        match u8::try_from(bits) {
            Ok(bits @ 1..=32) => Ok(Self(bits)),
            _ => Err(BitLengthError(bits)),
        }
    }

    /// The number of bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The number of bins, 2^bits.
    pub fn bins(self) -> u64 {
        1 << self.0
    }
}

/// A set of hash bins: their common name and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bins {
    prefix: String,
    bits: BitLength,
}

impl Bins {
    /// Bins named `PREFIX-HEX`. A resized index takes another prefix, because old names stay listed.
    pub fn new(prefix: &str, bits: BitLength) -> Self {
        Self { prefix: prefix.to_owned(), bits }
    }

    /// What comes before the `-`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The leading bits that choose a bin.
    pub fn bit_length(&self) -> BitLength {
        self.bits
    }

    /// The bin of `target_path`: the first bits of the SHA-256 of the path.
    pub fn name_of(&self, target_path: &str) -> String {
        let [a, b, c, d, ..] = *Digest::of(target_path.as_bytes()).as_bytes();
        self.name(u64::from(u32::from_be_bytes([a, b, c, d]) >> (32 - self.bits.0)))
    }

    /// The names of all bins, in order.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.bits.bins()).map(|number| self.name(number))
    }

    /// All names are padded to the length of the last.
    fn name(&self, number: u64) -> String {
        let width = usize::from(self.bits.0.div_ceil(4));
        format!("{}-{number:0width$x}", self.prefix)
    }
}

/// The bin of `target_path` among bins named `bin-HEX`.
pub fn bin_name(bits: BitLength, target_path: &str) -> String {
    Bins::new("bin", bits).name_of(target_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: u64) -> BitLength {
        BitLength::new(bits).expect("1 to 32")
    }

    #[test]
    fn a_path_falls_into_the_bin_of_its_first_bits() {
        // sha256("abc") begins with ba7816bf = 1011_1010_0111...
        for (count, name) in [(1, "bin-1"), (3, "bin-5"), (4, "bin-b"), (5, "bin-17"), (8, "bin-ba"), (12, "bin-ba7")] {
            assert_eq!(bin_name(bits(count), "abc"), name);
        }
        assert_eq!(bin_name(bits(32), "abc"), "bin-ba7816bf");
    }

    #[test]
    fn names_are_padded_to_one_length() {
        let names: Vec<_> = Bins::new("x.hbd", bits(5)).names().collect();
        assert_eq!((names.len(), names[0].as_str(), names[31].as_str()), (32, "x.hbd-00", "x.hbd-1f"));
    }

    #[test]
    fn other_bit_lengths_are_refused_by_value() {
        for count in [0, 33, 256, u64::MAX] {
            assert_eq!(BitLength::new(count), Err(BitLengthError(count)));
        }
    }
}
