//! The names of trust files.

use std::fmt::{self, Write as _};

use crate::path::{PublicPath, RoleFile};

/// A file that a client wants: a role's metadata, of one version or, without, the current one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustFile {
    /// The role: `root`, `timestamp`, `snapshot`, `targets` or a delegated one such as `bin-0f`.
    pub role: String,
    /// The version in the name; `None` for the timestamp, and for all but roots in a repository without
    /// consistent snapshots.
    pub version: Option<u64>,
}

impl TrustFile {
    /// Where a registry keeps it. `None` where its tree has no such file.
    pub fn path(&self) -> Option<PublicPath> {
        match self.version {
            None if self.role == "timestamp" => Some(PublicPath::Timestamp),
            None => None,
            Some(version) => Some(PublicPath::Role(RoleFile { version, role: self.role.clone() })),
        }
    }
}

impl fmt::Display for TrustFile {
    /// The file's name below the metadata URL, `7.bin-0f.json`: the role is quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = self.version {
            write!(f, "{version}.")?;
        }
        write!(f, "{}.json", quote(&self.role))
    }
}

/// A role's name as one segment of a URL or one file name: every byte but `A-Z a-z 0-9 - . _ ~` is
/// percent-encoded (RFC 3986, section 2.3), `/` too, so a name such as `../x` stays where it is put.
pub fn quote(role: &str) -> String {
    let mut quoted = String::with_capacity(role.len());
    for byte in role.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            quoted.push(byte as char);
        } else {
            write!(quoted, "%{byte:02X}").expect("a String takes all that is written");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_can_not_leave_its_folder() {
        let name = |role: &str, version| TrustFile { role: role.into(), version }.to_string();
        assert_eq!(name("../evil", Some(1)), "1...%2Fevil.json");
        assert_eq!(name("a/b?#%\0é", None), "a%2Fb%3F%23%25%00%C3%A9.json");
        assert_eq!(name("bin-0f", Some(7)), "7.bin-0f.json");
    }

    #[test]
    fn a_file_of_a_registry_has_a_public_path() {
        let path = |role: &str, version| TrustFile { role: role.into(), version }.path().map(|path| path.to_string());
        assert_eq!(path("timestamp", None).as_deref(), Some("trust/timestamp.json"));
        assert_eq!(path("bin-0f", Some(7)).as_deref(), Some("trust/7.bin-0f.json"));
        assert_eq!(path("snapshot", None), None);
    }
}
