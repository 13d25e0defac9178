//! What people do with Stoa, done through the same doors: the program, its HTTP address, the signed tree.

mod budgets;
mod crash;
mod disk;
mod errors;
mod journey;
mod kill;
mod process;
mod publish;
mod readme;
mod serve;
