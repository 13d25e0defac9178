//! Work that goes on in threads while something else is done.

use std::thread::{self, JoinHandle};

use crate::failure::Outcome;

/// Pieces of work, each in a thread of its own. Waited for when it is dropped, so that no failure elsewhere leaves an
/// install at work.
pub(crate) struct Background<T>(Vec<JoinHandle<Outcome<T>>>);

impl<T: Send + 'static> Background<T> {
    pub(crate) fn start<W>(works: impl IntoIterator<Item = W>) -> Self
    where
        W: FnOnce() -> Outcome<T> + Send + 'static,
    {
        Self(works.into_iter().map(thread::spawn).collect())
    }
}

impl<T> Background<T> {
    /// Waits for all; the first failure counts.
    pub(crate) fn finish(mut self) -> Outcome<Vec<T>> {
        self.wait()
    }

    fn wait(&mut self) -> Outcome<Vec<T>> {
        let outcomes: Vec<Outcome<T>> = self.0.drain(..).map(joined).collect();
        outcomes.into_iter().collect()
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Err(failure) = self.wait() {
            eprintln!("\n{failure}");
        }
    }
}

fn joined<T>(handle: JoinHandle<Outcome<T>>) -> Outcome<T> {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn results_come_in_the_order_of_the_works_and_the_first_failure_counts() {
        let work = |n: u32| move || if n < 3 { Ok(n) } else { Err(Failure::new(format!("no {n}"))) };
        assert_eq!(Background::start([work(1), work(2)]).finish().expect("done"), [1, 2]);
        let failure = Background::start([work(4), work(1), work(3)]).finish().expect_err("fails");
        assert_eq!(failure.to_string(), "no 4");
    }
}
