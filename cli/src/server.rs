//! A whole registry in one process. The only module that may use the server's crates.

mod ceremony;
mod files;
mod init;
mod keys;
mod registry;
mod serve;

pub(crate) use init::init;
pub(crate) use serve::serve;
