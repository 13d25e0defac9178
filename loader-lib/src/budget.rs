//! Memory accounts: one a plugin, all drawing on one budget of the host.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stoa_core::id::PluginId;
use wasmtime::ResourceLimiter;

use crate::{
    event::{Bell, Event},
    limits::{Exceeded, Limit, Limits, machine},
};

/// What an element of a table takes: a pointer.
const ELEMENT: usize = 8;

/// Whose memory is set aside when they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admission {
    /// That of plugins which declare a maximum. The others share what is left, whoever comes first.
    #[default]
    Declared,
    /// That of all plugins: who declares nothing has the host's ceiling set aside. No plugin can take memory from
    /// another then, and few fit.
    Everyone,
}

/// Memory that all plugins of a host share, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// In use, or set aside.
    committed: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit: machine(limit), committed: AtomicUsize::new(0), used: AtomicUsize::new(0) }
    }

    fn commit(&self, bytes: usize) -> Result<(), Exceeded> {
        let sum = |committed: usize| committed.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.committed.try_update(SeqCst, SeqCst, sum).map(drop).map_err(|committed| {
            Exceeded::new(Limit::TotalMemory, self.limit as u64, committed.saturating_add(bytes) as u64)
        })
    }

    /// Sets aside what a plugin with these limits may use at most in `instances` at a time.
    pub(crate) fn reserve(self: &Arc<Self>, limits: &Limits, instances: u32) -> Result<Reservation, Exceeded> {
        let one = machine(limits.memory).saturating_add(machine(limits.table_elements).saturating_mul(ELEMENT));
        let bytes = one.saturating_mul(instances as usize);
        self.commit(bytes)?;
        Ok(Reservation { budget: self.clone(), bytes })
    }

    /// Bytes in use by all plugins.
    pub(crate) fn used(&self) -> usize {
        self.used.load(SeqCst)
    }
}

/// Memory that is set aside for one plugin, for all instances that it has beside or after each other. Dropping it gives it
/// back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.committed.fetch_sub(self.bytes, SeqCst);
    }
}

/// What one store may hold, and what it holds. Dropping it returns its memory to the budget.
pub(crate) struct Account {
    plugin: PluginId,
    limits: Arc<Limits>,
    budget: Arc<Budget>,
    /// Whether its plugin has a [`Reservation`], which covers all that it can use.
    reserved: bool,
    bell: Bell,
    memory: usize,
    tables: usize,
    /// Bytes of memory and elements of a table that were granted last, until the engine says that they could not be had
    /// after all.
    granted: (usize, usize),
    /// The first refusal of the call that runs.
    refused: Option<Exceeded>,
}

impl Account {
    pub(crate) fn new(plugin: PluginId, limits: Arc<Limits>, budget: Arc<Budget>, reserved: bool, bell: Bell) -> Self {
        Self { plugin, limits, budget, reserved, bell, memory: 0, tables: 0, granted: (0, 0), refused: None }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
    }

    /// What was refused first to the call that runs.
    pub(crate) fn refused(&self) -> Option<Exceeded> {
        self.refused
    }

    fn draw(&self, bytes: usize) -> Result<(), Exceeded> {
        if !self.reserved {
            self.budget.commit(bytes)?;
        }
        self.budget.used.fetch_add(bytes, SeqCst);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        if !self.reserved {
            self.budget.committed.fetch_sub(bytes, SeqCst);
        }
        self.budget.used.fetch_sub(bytes, SeqCst);
    }

    /// Undoes the grant of what could not be had.
    fn take_back(&mut self) {
        let (bytes, elements) = std::mem::take(&mut self.granted);
        self.memory -= bytes;
        self.tables -= elements;
        self.give_back(bytes + elements * ELEMENT);
    }

    /// Notes a refusal. Told once a call: a guest may ask for more in a loop.
    fn refuse(&mut self, exceeded: Exceeded) -> wasmtime::Result<bool> {
        if self.refused.is_none() {
            self.refused = Some(exceeded);
            self.bell.ring(Event::Limited { plugin: self.plugin.clone(), exceeded });
        }
        Ok(false)
    }
}

/// Whether `sum` is within `limit`.
fn within(limit: Limit, allowed: u64, sum: usize) -> Result<(), Exceeded> {
    if sum <= machine(allowed) { Ok(()) } else { Err(Exceeded::new(limit, allowed, sum as u64)) }
}

impl ResourceLimiter for Account {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let sum = self.memory.saturating_add(more);
        self.granted = (0, 0);
        // The module's own maximum is its own affair; the plugin's limit and the host's budget are ours.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if let Err(exceeded) = within(Limit::Memory, self.limits.memory, sum).and_then(|()| self.draw(more)) {
            return self.refuse(exceeded);
        }
        self.memory = sum;
        self.granted = (more, 0);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(target: "stoa_loader", plugin = %self.plugin, %error, "granted memory could not be had");
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let sum = self.tables.saturating_add(more);
        self.granted = (0, 0);
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let fits = within(Limit::Tables, self.limits.table_elements, sum);
        if let Err(exceeded) = fits.and_then(|()| self.draw(more.saturating_mul(ELEMENT))) {
            return self.refuse(exceeded);
        }
        self.tables = sum;
        self.granted = (0, more);
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(target: "stoa_loader", plugin = %self.plugin, %error, "a granted table could not be had");
        self.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        machine(self.limits.instances)
    }

    fn tables(&self) -> usize {
        machine(self.limits.instances)
    }

    fn memories(&self) -> usize {
        machine(self.limits.instances)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.give_back(self.memory + self.tables * ELEMENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: u64) -> Limits {
        Limits { memory, table_elements: 10, ..Limits::default() }
    }

    fn account(budget: &Arc<Budget>, memory: u64) -> Account {
        let plugin = "demo:a".parse().expect("an id");
        Account::new(plugin, Arc::new(limits(memory)), budget.clone(), false, Bell::new())
    }

    #[test]
    fn a_plugin_stays_below_its_limit_over_all_its_memories() {
        let budget = Arc::new(Budget::new(1000));
        let mut one = account(&budget, 100);
        assert!(one.memory_growing(0, 60, None).expect("an answer"));
        assert!(!one.memory_growing(0, 60, None).expect("an answer"), "a second memory counts too");
        assert_eq!(one.refused(), Some(Exceeded::new(Limit::Memory, 100, 120)));
        assert!(one.memory_growing(60, 100, None).expect("an answer"));
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn plugins_share_the_budget_of_their_host_and_return_what_they_had() {
        let budget = Arc::new(Budget::new(100));
        let (mut one, mut two) = (account(&budget, 80), account(&budget, 80));
        assert!(one.memory_growing(0, 80, None).expect("an answer"));
        assert!(!two.memory_growing(0, 80, None).expect("an answer"));
        assert_eq!(two.refused(), Some(Exceeded::new(Limit::TotalMemory, 100, 160)));
        drop(one);
        assert!(two.memory_growing(0, 80, None).expect("an answer"));
    }

    #[test]
    fn tables_count_as_memory_of_the_host() {
        let budget = Arc::new(Budget::new(100));
        let mut one = account(&budget, 80);
        assert!(one.table_growing(0, 10, None).expect("an answer"));
        assert_eq!(budget.used(), 80);
        assert!(!one.table_growing(10, 11, None).expect("an answer"));
        assert_eq!(one.refused(), Some(Exceeded::new(Limit::Tables, 10, 11)));
        assert!(!account(&budget, 80).memory_growing(0, 21, None).expect("an answer"));
    }

    #[test]
    fn what_is_set_aside_for_one_is_there_whatever_the_others_take() {
        let budget = Arc::new(Budget::new(200));
        let reservation = budget.reserve(&limits(80), 1).expect("80 and 10 elements of 8");
        let plugin = "demo:b".parse().expect("an id");
        let mut declared = Account::new(plugin, Arc::new(limits(80)), budget.clone(), true, Bell::new());
        let mut other = account(&budget, 80);
        assert!(!other.memory_growing(0, 41, None).expect("an answer"), "160 of 200 are set aside");
        assert!(other.memory_growing(0, 40, None).expect("an answer"));
        assert!(declared.memory_growing(0, 80, None).expect("an answer"));
        assert!(declared.table_growing(0, 10, None).expect("an answer"));
        assert_eq!(budget.used(), 200);

        drop(declared);
        assert!(!other.memory_growing(40, 41, None).expect("an answer"), "it is kept for the next instance");
        let refused = budget.reserve(&limits(80), 1).map(drop);
        assert_eq!(refused, Err(Exceeded::new(Limit::TotalMemory, 200, 360)));
        drop(reservation);
        assert!(other.memory_growing(40, 80, None).expect("an answer"));
        drop(other);
        assert_eq!(budget.committed.load(SeqCst), 0);
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

    #[test]
    fn a_guest_that_asks_in_a_loop_is_told_of_once_a_call() {
        let budget = Arc::new(Budget::new(100));
        let mut one = account(&budget, 10);
        let mut events = one.bell.listen();
        for _ in 0..1000 {
            assert!(!one.memory_growing(0, 11, None).expect("an answer"));
        }
        one.begin();
        assert!(!one.memory_growing(0, 12, None).expect("an answer"));
        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(
            matches!(told.as_slice(), [Event::Limited { exceeded: first, .. }, Event::Limited { exceeded: second, .. }]
                if (first.wanted, second.wanted) == (Some(11), Some(12))),
            "{told:?}"
        );
    }
}
