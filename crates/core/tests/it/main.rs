//! Behavior of the formats, seen from outside the crate.

mod document;
mod event;
mod publisher;
mod release;
mod standing;
