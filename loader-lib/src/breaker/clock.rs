//! What time it is, and how much luck there is.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The time and the luck by which circuits close again. Clones are handles to the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Real(Arc<AtomicU64>),
    Manual(Arc<Mutex<(Instant, f64)>>),
}

impl Clock {
    /// The real time.
    pub(crate) fn real() -> Self {
        let mut seed = [0; 8];
        // Luck needs no secret: where the system has no random bytes, all programs have the same.
        let _ = getrandom::fill(&mut seed);
        Self(Kind::Real(Arc::new(AtomicU64::new(u64::from_ne_bytes(seed)))))
    }

    /// A clock that stands still until it is moved, and no luck: circuits are open for as long as they can be.
    pub fn manual() -> Self {
        Self(Kind::Manual(Arc::new(Mutex::new((Instant::now(), 0.0)))))
    }

    /// Moves a manual clock. The real time does not care.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(at) = &self.0 {
            at.lock().unwrap_or_else(PoisonError::into_inner).0 += by;
        }
    }

    /// The luck of a manual clock from now on: the part, from 0 to 1, of what luck can take off a delay.
    pub fn set_luck(&self, luck: f64) {
        if let Kind::Manual(at) = &self.0 {
            at.lock().unwrap_or_else(PoisonError::into_inner).1 = luck;
        }
    }

    pub(super) fn now(&self) -> Instant {
        match &self.0 {
            Kind::Real(_) => Instant::now(),
            Kind::Manual(at) => at.lock().unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    pub(super) fn luck(&self) -> f64 {
        match &self.0 {
            Kind::Real(state) => unit(state.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed)),
            Kind::Manual(at) => at.lock().unwrap_or_else(PoisonError::into_inner).1,
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014), as a number from 0 to 1.
fn unit(state: u64) -> f64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // 53 bits are what the number can hold.
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_between_0_and_1_and_not_always_the_same() {
        let clock = Clock::real();
        let all: Vec<f64> = (0..1000).map(|_| clock.luck()).collect();
        assert!(all.iter().all(|luck| (0.0..1.0).contains(luck)));
        let mean = all.iter().sum::<f64>() / 1000.0;
        // 10 standard errors: an even spread has 0.5 and 0.0091.
        assert!((0.41..0.59).contains(&mean), "{mean}");
    }
}
