//! stoa-tests
