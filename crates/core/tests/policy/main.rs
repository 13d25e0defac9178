//! Policies from outside: what a file may say, what each rule refuses and how it says so, and what holds for all of them.

mod capabilities;
mod judge;
mod properties;
mod read;
