//! What people do with Stoa, done through the same doors: the program, its HTTP address, the signed tree.

mod backup;
mod budgets;
mod code_cache;
mod crash;
mod disk;
mod errors;
mod flaws;
mod gc;
mod guests;
mod http;
mod interop;
mod journey;
mod keys;
mod kill;
mod mirror;
mod policy;
mod process;
mod publish;
mod publisher;
mod races;
mod readme;
mod run;
mod serve;
mod signer;
mod takedown;
mod tree;
