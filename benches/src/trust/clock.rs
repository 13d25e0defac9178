//! How long work takes, by the clock on the wall and on all cores together.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What work took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Took {
    pub(crate) wall: Duration,
    /// User and system time of all threads of the program.
    pub(crate) cpu: Duration,
}

/// The processor time of this program so far, which is what `getrusage` says, in nanoseconds.
pub(crate) fn process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Does some work.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (began, cpu) = (Instant::now(), process());
    let done = work();
    (done, Took { cpu: process().saturating_sub(cpu), wall: began.elapsed() })
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The one in the middle, and the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of some times in milliseconds; zeros where there is none.
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<f64> = times.into_iter().map(ms).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or_default();
        Self { median: at(sorted.len() / 2), least: at(0), most: at(sorted.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, least, most } = self;
        write!(f, "{median:.1} ({least:.1} to {most:.1})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_between_the_least_and_the_most() {
        let spread = Spread::of([9, 1, 5].map(Duration::from_millis));
        assert_eq!(spread.to_string(), "5.0 (1.0 to 9.0)");
    }

    #[test]
    fn work_takes_time_on_both_clocks() {
        let (sum, took) = timed(|| (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert!(sum > 0 && took.wall > Duration::ZERO && took.cpu > Duration::ZERO, "{took:?}");
    }
}
