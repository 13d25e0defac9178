//! What plugins may use: one table, from which a host's settings, the wishes of a manifest, the errors and the
//! documentation are made.
//!
//! A limit of a plugin has a default, which holds where a host says nothing; a manifest may wish for less. No host can
//! set one above its hard maximum: beyond that the arithmetic or the machine would fail, and not the plugin.

mod row;
mod table;

pub use self::{
    row::{OutOfBounds, Row, Scope, Unit},
    table::{Limit, Limits, Totals, Wishes},
};

#[cfg(test)]
mod tests;
