//! What every adapter of the two ports has to pass.
//!
//! [`ledger_contract!`](crate::ledger_contract) and [`blobs_contract!`](crate::blobs_contract) make one test of each
//! case; a test crate gives them an expression that makes a fresh [`Place`]. It needs tokio for `#[tokio::test]`.

pub mod blobs;
pub mod ledger;

use std::sync::Arc;

use async_trait::async_trait;

/// Where one adapter keeps one store, which is empty at first.
#[async_trait]
pub trait Place<P: ?Sized>: Send + Sync {
    /// Opens the store that is there. Every call gives a handle of its own, as another process or a restart would have.
    async fn open(&self) -> Arc<P>;
}

/// Makes a macro that makes a test of every case, and makes the cases reachable. A case that is not listed is dead
/// code, which the lints refuse.
macro_rules! suite {
    (($d:tt) $suite:ident in $module:ident: $($part:ident { $($case:ident),* $(,)? })*) => {
        $($(pub use $part::$case;)*)*

        /// One test for each case of the contract; `place` is evaluated anew for each.
        #[macro_export]
        macro_rules! $suite {
            ($d place:expr) => { $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    ::stoa_store::contract::$module::$case(&$d place).await;
                }
            )*)* };
        }
    };
}
use suite;

/// Choices that are made by bytes, so that a test can draw them at random and shrink them. Out of bytes, every choice
/// is 0.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// A number from 0 to `below`, exclusive.
    fn pick(&mut self, below: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % below)
    }
}

/// Bytes that look random and are the same each time (xorshift64*, Marsaglia 2003 and Vigna 2016).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..length).map(|_| byte()).collect()
}
