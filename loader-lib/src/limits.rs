//! What one plugin may use, and how wishes narrow it.

use std::time::Duration;

use wasmtime::component::Val;

const MIB: usize = 1024 * 1024;

/// Ceilings for each plugin of a host. A plugin's own wishes may only lower them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all memories of a plugin together. Default 64 MiB.
    pub memory: usize,
    /// Elements of all tables of a plugin together. Default 100 000 (one pointer each).
    pub table_elements: usize,
    /// Core instances in a plugin's store; a component made of many modules needs several. Default 64.
    pub instances: usize,
    /// Time a plugin's own code may run in one call, counted in ticks of 5 ms. Waiting is free. Default 2 s.
    pub guest_time: Duration,
    /// The same for instantiating and `lifecycle.init`, together. Default 5 s.
    pub init_guest_time: Duration,
    /// Wall clock from the start of a call to its end, waiting included. Default 10 s.
    pub deadline: Duration,
    /// Bytes that may cross in one direction of one call. Default 2 MiB.
    pub call_bytes: usize,
    /// Calls that may wait for a busy plugin; one more is refused as unavailable. Default 64.
    pub waiters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            table_elements: 100_000,
            instances: 64,
            guest_time: Duration::from_secs(2),
            init_guest_time: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            call_bytes: 2 * MIB,
            waiters: 64,
        }
    }
}

impl Limits {
    /// These ceilings, lowered where `wishes` asks for less.
    pub fn narrowed(&self, wishes: &Wishes) -> Self {
        let less = |ceiling: usize, wish: Option<usize>| wish.map_or(ceiling, |wish| wish.min(ceiling));
        let sooner = |ceiling: Duration, wish: Option<Duration>| wish.map_or(ceiling, |wish| wish.min(ceiling));
        Self {
            memory: less(self.memory, wishes.memory),
            guest_time: sooner(self.guest_time, wishes.guest_time),
            init_guest_time: sooner(self.init_guest_time, wishes.init_guest_time),
            deadline: sooner(self.deadline, wishes.deadline),
            call_bytes: less(self.call_bytes, wishes.call_bytes),
            ..self.clone()
        }
    }

    /// The engine's fuel for values that a guest hands to the host in one call: what they may take while
    /// they are `Val`s, where even a byte has the size of the largest kind. Twice that, so that what is
    /// somewhat too large is counted and answered by the bridge. What is far too large is stopped here before
    /// it is allocated, by a trap: 160 MiB with the default limit (a `Val` has 40 bytes).
    pub(crate) fn hostcall_fuel(&self) -> usize {
        self.call_bytes.saturating_mul(2 * size_of::<Val>())
    }
}

/// What a plugin's manifest asks for; `None` = whatever the host gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// See [`Limits::memory`].
    pub memory: Option<usize>,
    /// See [`Limits::guest_time`].
    pub guest_time: Option<Duration>,
    /// See [`Limits::init_guest_time`].
    pub init_guest_time: Option<Duration>,
    /// See [`Limits::deadline`].
    pub deadline: Option<Duration>,
    /// See [`Limits::call_bytes`].
    pub call_bytes: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_lowers_a_ceiling_and_never_raises_it() {
        let host = Limits::default();
        let wishes = Wishes { memory: Some(MIB), deadline: Some(Duration::from_secs(3600)), ..Wishes::default() };
        let limits = host.narrowed(&wishes);
        assert_eq!(limits, Limits { memory: MIB, ..host });
    }
}
