//! stoa-indexer

pub mod site;
