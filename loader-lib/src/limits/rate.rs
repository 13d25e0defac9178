//! So much a second, and more at once after a pause.

use std::time::{Duration, Instant};

/// A bucket that fills by itself. Time arrives from outside.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    /// A full bucket.
    pub(crate) fn new(per_second: u64, burst: u64, now: Instant) -> Self {
        let burst = burst as f64;
        Self { per_second: per_second as f64, burst, left: burst, at: now }
    }

    /// Takes `amount`, or nothing where there is less.
    pub(crate) fn take(&mut self, amount: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at);
        self.left = (self.left + passed.as_secs_f64() * self.per_second).min(self.burst);
        self.at = self.at.max(now);
        let fits = amount as f64 <= self.left;
        if fits {
            self.left -= amount as f64;
        }
        fits
    }
}

/// How often the same thing is told.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let began = Instant::now();
        let mut rate = Rate::new(100, 400, began);
        assert!(rate.take(400, began));
        assert!(!rate.take(1, began));
        assert!(!rate.take(101, began + Duration::from_secs(1)), "what is refused takes nothing");
        assert!(rate.take(100, began + Duration::from_secs(1)));
        assert!(rate.take(400, began + Duration::from_secs(3600)));
        assert!(!rate.take(1, began + Duration::from_secs(3600)), "a long pause saves up no more than the burst");
        assert!(!rate.take(1, began), "a clock that goes back gives nothing");
    }
}
