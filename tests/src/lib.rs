//! Journeys through all of Stoa: over the programs and addresses that its users have. Everything is in
//! `tests/it`; this library is empty.
