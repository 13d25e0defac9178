//! The loader's promises, each tested on real components written as text.

mod authority;
mod calls;
mod code_cache;
mod guests;
mod limits;
mod linking;
mod registry;
mod reload;
mod spikes;
