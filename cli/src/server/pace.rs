//! How often the index runs: a burst of changes at once, a load once a period.

use std::time::Duration;

use tokio::time::Instant;

/// One run a period in the long term, each with the changes that came meanwhile.
const PERIOD: Duration = Duration::from_secs(1);
/// Runs that may follow each other at once after a rest. A first publish is a namespace, a release and perhaps a
/// second one: whoever waits for it waits for no period.
const BURST: u32 = 4;

/// A bucket of runs: full after a rest, filled by one a period, never beyond [`BURST`].
///
/// It holds an instant instead of a count, the one at which the bucket will be full again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    full_at: Instant,
}

impl Pace {
    /// A full bucket.
    pub(crate) fn rested(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// When the next run may begin. It may lie in the past.
    pub(crate) fn ready_at(&self) -> Instant {
        self.full_at.checked_sub(PERIOD * (BURST - 1)).unwrap_or(self.full_at)
    }

    /// A run begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + PERIOD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `runs` begins, in milliseconds after the first, where a change waits at all times and a run takes
    /// `took`.
    fn begins(pace: &mut Pace, from: Instant, runs: usize, took: Duration) -> Vec<u128> {
        let mut now = from;
        let begin = |_| {
            now = now.max(pace.ready_at());
            pace.begin(now);
            let began = now;
            now += took;
            (began - from).as_millis()
        };
        (0..runs).map(begin).collect()
    }

    #[test]
    fn a_burst_runs_at_once_and_a_load_once_a_second() {
        let from = Instant::now();
        let mut pace = Pace::rested(from);
        let begins = begins(&mut pace, from, 8, Duration::from_millis(30));
        assert_eq!(begins, [0, 30, 60, 90, 1000, 2000, 3000, 4000]);
    }

    #[test]
    fn a_second_of_rest_gives_back_one_run_and_a_long_one_no_more_than_a_burst() {
        let from = Instant::now();
        let mut pace = Pace::rested(from);
        begins(&mut pace, from, 8, Duration::ZERO);
        let soon = from + Duration::from_secs(6);
        assert_eq!(begins(&mut pace, soon, 3, Duration::ZERO), [0, 0, 1000], "two seconds went by since the last");
        let later = from + Duration::from_secs(3600);
        assert_eq!(begins(&mut pace, later, 6, Duration::ZERO), [0, 0, 0, 0, 1000, 2000]);
    }

    #[test]
    fn runs_that_take_longer_than_the_period_follow_each_other() {
        let from = Instant::now();
        let begins = begins(&mut Pace::rested(from), from, 5, Duration::from_secs(2));
        assert_eq!(begins, [0, 2000, 4000, 6000, 8000]);
    }
}
