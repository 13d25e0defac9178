//! Signed releases over the API: which are taken, which not, and what a replay makes of them.
