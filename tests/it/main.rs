//! What people do with Stoa, done through the same doors: the program, its HTTP address, the signed tree.

mod budgets;
mod errors;
mod guests;
mod journey;
mod process;
mod publish;
mod readme;
mod serve;
