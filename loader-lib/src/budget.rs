//! Memory accounts: one a plugin, all drawing on one budget of the host.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stoa_core::id::PluginId;
use wasmtime::ResourceLimiter;

use crate::{
    event::{Bell, Event},
    limits::Limits,
};

/// Linear memory that all plugins of a host share, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.try_update(SeqCst, SeqCst, take).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, SeqCst);
    }

    /// Bytes in use by all plugins.
    pub(crate) fn used(&self) -> usize {
        self.used.load(SeqCst)
    }
}

/// What one store may hold, and what it holds. Dropping it returns its memory to the budget.
pub(crate) struct Account {
    plugin: PluginId,
    limits: Arc<Limits>,
    budget: Arc<Budget>,
    bell: Bell,
    memory: usize,
    /// Granted last, until the engine says that it could not be had after all.
    granted: usize,
    tables: usize,
}

impl Account {
    pub(crate) fn new(plugin: PluginId, limits: Arc<Limits>, budget: Arc<Budget>, bell: Bell) -> Self {
        Self { plugin, limits, budget, bell, memory: 0, granted: 0, tables: 0 }
    }
}

impl ResourceLimiter for Account {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let sum = self.memory.saturating_add(more);
        self.granted = 0;
        // The module's own maximum is its own affair; the plugin's limit and the host's budget are ours.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if sum > self.limits.memory || !self.budget.take(more) {
            self.bell.ring(Event::MemoryRefused { plugin: self.plugin.clone(), has: self.memory, wanted: sum });
            return Ok(false);
        }
        self.memory = sum;
        self.granted = more;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(target: "stoa_loader", plugin = %self.plugin, %error, "granted memory could not be had");
        self.memory -= self.granted;
        self.budget.give_back(std::mem::take(&mut self.granted));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let sum = self.tables.saturating_add(desired.saturating_sub(current));
        let fits = sum <= self.limits.table_elements && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            self.tables = sum;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.give_back(self.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(budget: &Arc<Budget>, memory: usize) -> Account {
        let plugin = "demo:a".parse().expect("an id");
        Account::new(plugin, Arc::new(Limits { memory, ..Limits::default() }), budget.clone(), Bell::new())
    }

    #[test]
    fn a_plugin_stays_below_its_limit_over_all_its_memories() {
        let budget = Arc::new(Budget::new(1000));
        let mut one = account(&budget, 100);
        assert!(one.memory_growing(0, 60, None).expect("an answer"));
        assert!(!one.memory_growing(0, 60, None).expect("an answer"), "a second memory counts too");
        assert!(one.memory_growing(60, 100, None).expect("an answer"));
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn plugins_share_the_budget_of_their_host_and_return_what_they_had() {
        let budget = Arc::new(Budget::new(100));
        let (mut one, mut two) = (account(&budget, 80), account(&budget, 80));
        assert!(one.memory_growing(0, 80, None).expect("an answer"));
        assert!(!two.memory_growing(0, 80, None).expect("an answer"));
        drop(one);
        assert!(two.memory_growing(0, 80, None).expect("an answer"));
    }

    #[test]
    fn memory_that_the_system_could_not_give_is_not_charged() {
        let budget = Arc::new(Budget::new(100));
        let mut one = account(&budget, 100);
        assert!(one.memory_growing(0, 90, None).expect("an answer"));
        one.memory_grow_failed(wasmtime::Error::msg("no memory")).expect("noted");
        assert_eq!(budget.used(), 0);
        assert!(one.memory_growing(0, 100, None).expect("an answer"));
    }
}
