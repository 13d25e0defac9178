//! The signed index from the outside: a small registry in memory, a client that pins its root, and everything
//! that can be done to the files between them.

mod client;
mod lookups;
mod refreshes;
mod repo;
