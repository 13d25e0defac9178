//! The loader's promises, each tested on real components written as text.

mod spikes;
