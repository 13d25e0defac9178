//! Sizes and times with their units.

use std::{fmt, str::FromStr};

use super::text::{TextError, refuse};

/// A number of bytes: `64MiB`. Units are B, KiB, MiB and GiB; prints in the largest that divides it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A time: `2s`. Units are ms, s and min; prints in the largest that divides it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

const BYTES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 3] = [("min", 60_000), ("ms", 1), ("s", 1_000)];

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Millis {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// How many milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

fn parse(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, TextError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let size = units.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    let parsed = number.parse::<u64>().ok().zip(size).and_then(|(number, size)| number.checked_mul(size));
    parsed.map_or_else(
        || {
            let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
            refuse(text, format!("is not a whole number with a unit of {}, as in `{example}`", names.join(", ")))
        },
        Ok,
    )
}

fn print(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let largest = units.iter().filter(|(_, size)| value.is_multiple_of(*size)).max_by_key(|(_, size)| *size);
    match largest.filter(|_| value > 0).or(units.iter().min_by_key(|(_, size)| *size)) {
        Some((name, size)) => write!(f, "{}{name}", value / size),
        None => write!(f, "{value}"),
    }
}

impl FromStr for ByteSize {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        parse(text, &BYTES, "64MiB").map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &BYTES)
    }
}

impl FromStr for Millis {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        parse(text, &TIMES, "2s").map(Self)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &TIMES)
    }
}

text_type!(ByteSize);
text_type!(Millis);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_print_in_their_largest_unit() {
        let bytes =
            [("64MiB", 64 << 20, "64MiB"), ("2048KiB", 2 << 20, "2MiB"), ("1025B", 1025, "1025B"), ("0B", 0, "0B")];
        for (text, count, printed) in bytes {
            let size = text.parse::<ByteSize>();
            assert_eq!(size, Ok(ByteSize(count)));
            assert_eq!(size.map(|size| size.to_string()).as_deref(), Ok(printed));
        }
        let times = [("2s", 2_000, "2s"), ("120s", 120_000, "2min"), ("250ms", 250, "250ms")];
        for (text, count, printed) in times {
            let time = text.parse::<Millis>();
            assert_eq!(time, Ok(Millis(count)));
            assert_eq!(time.map(|time| time.to_string()).as_deref(), Ok(printed));
        }
    }

    #[test]
    fn a_number_without_a_known_unit_is_refused_by_name() {
        for text in
            ["", "64", "MiB", "64MB", "1.5GiB", "-1B", "64 MiB", "99999999999999999999B", "18446744073709551615KiB"]
        {
            let expected = format!("`{text}` is not a whole number with a unit of GiB, MiB, KiB, B, as in `64MiB`");
            assert_eq!(text.parse::<ByteSize>().map_err(|e| e.to_string()), Err(expected));
        }
        let expected = "`2h` is not a whole number with a unit of min, ms, s, as in `2s`";
        assert_eq!("2h".parse::<Millis>().map_err(|e| e.to_string()), Err(expected.to_owned()));
    }
}
