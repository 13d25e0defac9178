//! What people do with Stoa, done through the same doors: the program, its HTTP address, the signed tree.

mod backup;
mod budgets;
mod errors;
mod flaws;
mod journey;
mod process;
mod publish;
mod races;
mod readme;
mod serve;
