//! The instances of one plugin, and the queue before them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// At most so many things, made when they are first needed; each serves one at a time. First come, first served.
///
/// What is taken out and not put back is gone: the next one finds the place empty and makes another. So nothing
/// that a call left broken is ever met again.
pub(crate) struct Pool<T> {
    size: u32,
    /// One permit for each place.
    places: Semaphore,
    /// What lies ready: never more than there are free places.
    ready: Mutex<Vec<T>>,
    waiting: AtomicUsize,
}

/// Why there was no way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many wait as may.
    Full,
    /// It was closed.
    Closed,
}

impl<T> Pool<T> {
    /// A pool of `size` places; 0 is as good as 1.
    pub(crate) fn new(size: u32) -> Self {
        let size = size.max(1);
        let places = Semaphore::new(size as usize);
        Self { size, places, ready: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a place, as one of at most `waiters`.
    pub(crate) async fn enter(&self, waiters: usize) -> Result<Place<'_, T>, Refused> {
        let permit = match self.places.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let _queued = Queued::join(&self.waiting, waiters).ok_or(Refused::Full)?;
                self.places.acquire().await.map_err(|_| Refused::Closed)?
            }
        };
        let thing = self.ready().pop();
        Ok(Place { pool: self, thing, _permit: permit })
    }

    /// Waits until everything is back, and closes: whoever waits and whoever comes later is refused. Gives what
    /// lay ready.
    pub(crate) async fn close(&self) -> Vec<T> {
        // Closed already, then there is nothing.
        let Ok(all) = self.places.acquire_many(self.size).await else { return Vec::new() };
        self.places.close();
        drop(all);
        std::mem::take(&mut *self.ready())
    }

    /// How many places there are, how many of them are taken, and how many wait for one.
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        let size = self.size as usize;
        (size, size - self.places.available_permits(), self.waiting.load(SeqCst))
    }

    fn ready(&self) -> MutexGuard<'_, Vec<T>> {
        // Nothing panics while it holds the lock, so a poisoned one is whole.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken, with what lay ready there.
pub(crate) struct Place<'p, T> {
    pool: &'p Pool<T>,
    thing: Option<T>,
    _permit: SemaphorePermit<'p>,
}

impl<T> Place<'_, T> {
    /// What lay ready, taken out for good.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.thing.take()
    }

    /// Leaves the place, with `thing` for the next.
    pub(crate) fn leave(self, thing: T) {
        self.pool.ready().push(thing);
    }
}

/// One of those who wait.
struct Queued<'p>(&'p AtomicUsize);

impl<'p> Queued<'p> {
    fn join(waiting: &'p AtomicUsize, limit: usize) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < limit).then_some(waiting + 1);
        waiting.try_update(SeqCst, SeqCst, one_more).ok().map(|_| Self(waiting))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_put_back_is_met_again_and_what_is_not_is_gone() {
        let pool = Pool::new(1);
        pool.enter(0).await.expect("a place").leave("first");
        let mut place = pool.enter(0).await.expect("a place");
        assert_eq!(place.take(), Some("first"));
        drop(place);
        assert_eq!(pool.enter(0).await.expect("a place").take(), None, "it was not put back");
    }

    #[tokio::test]
    async fn so_many_are_inside_and_so_many_wait_and_the_next_is_refused() {
        let pool = Pool::<()>::new(2);
        let inside = (pool.enter(1).await.expect("one"), pool.enter(1).await.expect("two"));
        let mut waiting = Box::pin(pool.enter(1));
        assert!(waiting.as_mut().now_or_never().is_none(), "a third waits");
        assert_eq!(pool.enter(1).await.map(drop), Err(Refused::Full));
        drop(waiting);
        let mut waiting = Box::pin(pool.enter(1));
        assert!(waiting.as_mut().now_or_never().is_none(), "who gave up left the queue");
        drop(inside.0);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn closing_waits_for_who_is_inside_and_refuses_who_comes_later() {
        let pool = Pool::new(2);
        pool.enter(9).await.expect("a place").leave("a");
        let place = pool.enter(9).await.expect("a place");
        let mut closing = Box::pin(pool.close());
        assert!(closing.as_mut().now_or_never().is_none(), "one is inside");
        let mut late = Box::pin(pool.enter(9));
        assert!(late.as_mut().now_or_never().is_none());
        place.leave("b");
        assert_eq!(closing.await, ["b"], "the one that was taken out is not here twice");
        assert_eq!(late.await.map(drop), Err(Refused::Closed));
        assert_eq!(pool.enter(9).await.map(drop), Err(Refused::Closed));
        assert_eq!(pool.close().await, [""; 0]);
    }
}
