//! UTC time, which always arrives from outside.

use std::{fmt, str::FromStr};

/// A moment in UTC, in whole seconds since 1970-01-01T00:00:00Z.
///
/// Text form: `2026-11-23T08:00:00Z`, the only one TUF 1.0 allows (section 4.2.1). Core never reads a
/// clock: every function that needs the time takes it as `now`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Seconds in a day.
pub const DAY: i64 = 24 * 60 * 60;

impl Time {
    /// 9999-12-30T22:00:00Z, the last whole second that jiff can hold.
    pub const MAX: Self = Self(253_402_207_200);

    /// A moment from seconds since 1970, held between the year 0 and [`Time::MAX`].
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(-62_167_219_200, Self::MAX.0))
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This moment moved by `seconds`, held between the year 0 and [`Time::MAX`].
    pub fn plus(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

text_type!(Time);

/// Text that is not a UTC time in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a UTC time in whole seconds, as in `2026-11-23T08:00:00Z`")]
pub struct TimeError(String);

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refuse = || TimeError(text.chars().take(40).collect());
        // One moment, one spelling: offsets, fractions and lower case are refused.
        let shape = text.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b });
        if !shape.eq(*b"0000-00-00T00:00:00Z") {
            return Err(refuse());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| refuse())?;
        let time = Self(time.as_second());
        // A leap second would read back as another moment.
        if time.to_string() == text { Ok(time) } else { Err(refuse()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_as_it_was_read() {
        for text in ["1970-01-01T00:00:00Z", "2026-11-23T08:00:00Z", "9999-12-30T22:00:00Z"] {
            assert_eq!(text.parse::<Time>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Time::MAX.to_string(), "9999-12-30T22:00:00Z");
    }

    #[test]
    fn other_spellings_of_a_moment_are_refused() {
        for text in [
            "2026-11-23T08:00:00.5Z",
            "2026-11-23T08:00:00+00:00",
            "2026-11-23t08:00:00z",
            "2026-02-30T08:00:00Z",
            "2026-06-30T23:59:60Z",
            "",
        ] {
            assert_eq!(text.parse::<Time>(), Err(TimeError(text.to_owned())));
        }
    }

    #[test]
    fn moving_past_the_last_year_stays_there() {
        assert_eq!(Time::MAX.plus(i64::MAX), Time::MAX);
    }
}
