//! stoa-indexer
