//! The signed index from the outside: a small registry in memory, a client that pins its root, and everything
//! that can be done to the files between them.

mod attacks;
mod ceremony;
mod client;
mod flaws;
mod lookups;
mod misuse;
mod offline;
mod properties;
mod recovery;
mod refreshes;
mod repo;
mod stolen;
mod tours;
mod tree;
mod vectors;
mod writer;
