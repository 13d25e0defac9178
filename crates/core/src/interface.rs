//! Names of interfaces and the structural hashes of their types.

use std::{fmt, str::FromStr};

/// An extern name of the component model.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// Text that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an interface name")]
pub struct InterfaceNameError(String);

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;
    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        if text.is_empty() || text.len() > 256 {
            Err(InterfaceNameError(text.chars().take(80).collect()))
        } else {
            Ok(Self(text.into()))
        }
    }
}
impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
text_type!(InterfaceName);

/// The first 8 bytes of a structural hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeHash(u64);
impl FromStr for TypeHash {
    type Err = InterfaceNameError;
    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InterfaceNameError(text.into()))
    }
}
impl fmt::Display for TypeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
text_type!(TypeHash);

/// The WIT of `stoa:plugin`.
pub const STOA_PLUGIN_WIT: &str = include_str!("../wit/stoa-plugin.wit");
