//! The API through its router, over the adapters in memory.

mod bucket;
mod docs;
mod document;
mod journey;
mod keys;
mod names;
mod races;
mod refusals;
mod replay;
mod requests;
mod signing;
mod support;
mod sweep;
mod takedown;
mod uses;
mod yank;
