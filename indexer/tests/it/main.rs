//! Indexer, signer and pages over the adapters in memory: a log goes in, a tree of files comes out.

mod budget;
mod epoch;
mod gc;
mod history;
mod installed;
mod operations;
mod pages;
mod publishers;
mod races;
mod refusals;
mod signer;
mod world;
