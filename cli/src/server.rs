//! A whole registry in one process. The only module that may use the server's crates.

mod backup;
mod ceremony;
mod files;
mod gc;
mod init;
mod keys;
mod left;
mod recover;
mod registry;
mod restore;
mod serve;

pub(crate) use backup::backup;
pub(crate) use gc::gc;
pub(crate) use init::init;
pub(crate) use recover::{Loss, recover};
pub(crate) use restore::{Signing, restore};
pub(crate) use serve::serve;
