//! stoa-store
