//! When circuits open, and for how long.

use std::time::Duration;

/// Outcomes of calls that a circuit remembers.
pub(crate) const WINDOW: u32 = 20;

/// When circuits open, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many calls of one caller that fail one after the other open its circuit; 0 is as good as 1.
    pub in_a_row: u32,
    /// So many of its last 20 calls that fail do so too.
    pub of_last_20: u32,
    /// So many instances may be lost to calls of one caller within [`restarts_within`](Self::restarts_within), by failures
    /// or since it cut them off; one more opens its circuit.
    pub restarts: u32,
    /// See [`restarts`](Self::restarts).
    pub restarts_within: Duration,
    /// So many starts that fail one after the other open the circuit of the plugin as a whole; 0 is as good as 1.
    pub starts: u32,
    /// How long a circuit is open at the first time.
    pub first: Duration,
    /// How long it is open at the most. Each time is twice as long as the one before, unless it has been as long as this
    /// without a failure.
    pub longest: Duration,
}

impl Default for BreakerRules {
    /// 5 in a row, 10 of the last 20, 20 instances in a minute, 3 starts; 1 s to 60 s.
    fn default() -> Self {
        Self {
            in_a_row: 5,
            of_last_20: 10,
            restarts: 20,
            restarts_within: Duration::from_secs(60),
            starts: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

impl BreakerRules {
    pub(super) fn starts(&self) -> u32 {
        self.starts.max(1)
    }

    /// How long a circuit is open that opens for the `n`th time in a row, from 0 on. `luck`, from 0 to 1, takes off up to
    /// half of it, so that callers which were refused together do not all come back together.
    pub(super) fn delay(&self, n: u32, luck: f64) -> Duration {
        let full = self.first.saturating_mul(1u32.checked_shl(n).unwrap_or(u32::MAX)).min(self.longest);
        full - (full / 2).mul_f64(luck.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_luck_takes_off_up_to_half() {
        let rules = BreakerRules::default();
        let seconds: Vec<_> = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|n| rules.delay(n, 0.0).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60, 60]);
        assert_eq!(rules.delay(1, 1.0), Duration::from_secs(1));
        assert_eq!(rules.delay(1, 0.5), Duration::from_millis(1500));
    }
}
