//! The loader's promises, each tested on real components written as text.

mod authority;
mod breaker;
mod callers;
mod calls;
mod capabilities;
mod chains;
mod code_cache;
mod guests;
mod limits;
mod linking;
mod phases;
mod registry;
mod reload;
mod spikes;
