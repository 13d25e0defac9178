//! What a host holds, counted, so that it can be seen that all is returned.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// How much a host holds at a moment. All are 0 after a shutdown, once nobody calls any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Plugins that are linked, each with its compiled component.
    pub components: usize,
    /// Stores.
    pub stores: usize,
    /// Instances in them.
    pub instances: usize,
    /// Compilations, those that nobody waits for any more among them.
    pub compilations: usize,
    /// Bytes of linear memory.
    pub memory: usize,
}

/// Counts one kind of thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts one, until the guard is dropped.
    pub(crate) fn one(&self) -> Counted {
        self.0.fetch_add(1, SeqCst);
        Counted(self.clone())
    }

    pub(crate) fn now(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// One thing that is there.
#[derive(Debug)]
pub(crate) struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

/// What is counted of a host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) components: Count,
    pub(crate) stores: Count,
    pub(crate) instances: Count,
    pub(crate) compilations: Count,
}
