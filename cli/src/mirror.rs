//! Copies of a registry: made, checked, and compared with the log.
//!
//! All three walk everything that the pointer reaches, verified from the pinned root on: trust files, then documents,
//! then release records, then components and other blobs. Pages are outside of what the keys vouch for and are no part.

mod fault;
mod folder;
mod pinned;
mod replay;
mod walk;

pub(crate) use fault::Fault;
pub(crate) use folder::Folder;
pub(crate) use pinned::Pinned;
pub(crate) use replay::replay;
pub(crate) use walk::{Counts, Walk};
