//! Counting against a limit, for functions that a host provides.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use super::{Exceeded, Limit};

/// Counts up to a limit and then refuses: the bytes of one body, say.
#[derive(Debug, Clone)]
pub struct Meter {
    limit: Limit,
    allowed: u64,
    used: u64,
}

impl Meter {
    /// A count from 0 to `allowed` of `limit`.
    pub fn new(limit: Limit, allowed: u64) -> Self {
        Self { limit, allowed, used: 0 }
    }

    /// Counts `more`, or nothing of it where that is too much.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn take(&mut self, more: u64) -> Result<(), Exceeded> {
        let sum = self.used.saturating_add(more);
        if sum > self.allowed {
            return Err(Exceeded::new(self.limit, self.allowed, sum));
        }
        self.used = sum;
        Ok(())
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.allowed - self.used
    }
}

/// Counts what is there at a time: requests under way, say. Clones count together.
#[derive(Debug, Clone)]
pub struct Gauge {
    limit: Limit,
    allowed: u64,
    used: Arc<AtomicU64>,
}

impl Gauge {
    /// At most `allowed` of `limit` at a time.
    pub fn new(limit: Limit, allowed: u64) -> Self {
        Self { limit, allowed, used: Arc::default() }
    }

    /// Takes `more` until what it returns is dropped.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn take(&self, more: u64) -> Result<Taken, Exceeded> {
        let sum = |used: u64| used.checked_add(more).filter(|sum| *sum <= self.allowed);
        match self.used.try_update(SeqCst, SeqCst, sum) {
            Ok(_) => Ok(Taken { used: self.used.clone(), amount: more }),
            Err(used) => Err(Exceeded::new(self.limit, self.allowed, used.saturating_add(more))),
        }
    }

    /// What is taken now.
    pub fn used(&self) -> u64 {
        self.used.load(SeqCst)
    }
}

/// What was taken of a [`Gauge`]. Dropping it gives it back.
#[derive(Debug)]
pub struct Taken {
    used: Arc<AtomicU64>,
    amount: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.used.fetch_sub(self.amount, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_up_to_its_limit_and_no_further() {
        let mut body = Meter::new(Limit::HttpBody, 1000);
        assert_eq!(body.take(600), Ok(()));
        assert_eq!(body.take(401), Err(Exceeded::new(Limit::HttpBody, 1000, 1001)));
        assert_eq!(body.left(), 400, "what was refused does not count");
        assert_eq!(body.take(400), Ok(()));
        let refused = body.take(u64::MAX).expect_err("all is used");
        assert_eq!(refused.to_string(), "the limit `http-body` is 1000B, and 18446744073709551615B would be needed");
    }

    #[test]
    fn a_gauge_gets_back_what_is_dropped() {
        let requests = Gauge::new(Limit::HttpRequests, 2);
        let first = requests.take(1).expect("one of two");
        let _second = requests.clone().take(1).expect("two of two");
        let refused = requests.take(1).map(drop);
        assert_eq!(refused, Err(Exceeded::new(Limit::HttpRequests, 2, 3)));
        drop(first);
        assert_eq!(requests.used(), 1);
        assert!(requests.take(1).is_ok());
    }
}
