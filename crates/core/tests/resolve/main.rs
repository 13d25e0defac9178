//! The resolver from outside: messages, modes, and properties over random graphs.

mod asks;
mod case;
mod faults;
mod lock;
mod messages;
mod random;
mod resolvo;
mod rules;
mod verify;
mod world;
