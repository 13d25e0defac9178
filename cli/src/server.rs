//! A whole registry in one process. The only module that may use the server's crates.

mod backup;
mod ceremony;
mod coding;
mod files;
mod front;
mod gc;
mod import;
mod init;
mod installed;
mod keys;
mod left;
mod pace;
mod patient;
mod propose;
mod range;
mod recover;
mod registry;
mod restore;
mod serve;
mod shelf;
mod signer;
mod status;

pub(crate) use backup::backup;
pub(crate) use gc::gc;
pub(crate) use import::{Imported, import};
pub(crate) use init::{Beginning, init};
pub(crate) use propose::{Change, begin, propose};
pub(crate) use recover::{Loss, recover};
pub(crate) use registry::write_file;
pub(crate) use restore::{Signing, restore};
pub(crate) use serve::serve;
pub(crate) use signer::signer;
pub(crate) use status::{Due, RoleStatus, status};
