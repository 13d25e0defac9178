//! Names of WIT interfaces, as far as linking needs them.

use stoa_core::version::{Version, VersionReq};

/// `demo:markdown/render@1.0.0`, taken apart. Borrowed, since names are compared far more often than kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InterfaceName<'n> {
    /// `demo:markdown/render`.
    pub(crate) path: &'n str,
    /// `1.0.0`; none where it has none or one that is no semantic version.
    pub(crate) version: Option<Version>,
}

impl<'n> InterfaceName<'n> {
    pub(crate) fn new(name: &'n str) -> Self {
        match name.split_once('@') {
            Some((path, version)) => Self { path, version: version.parse().ok() },
            None => Self { path: name, version: None },
        }
    }

    /// `demo:markdown` of `demo:markdown/render`.
    pub(crate) fn package(&self) -> &'n str {
        self.path.split_once('/').map_or(self.path, |(package, _)| package)
    }

    /// `render` of `demo:markdown/render`.
    pub(crate) fn label(&self) -> &'n str {
        self.path.split_once('/').map_or(self.path, |(_, label)| label)
    }

    /// Whether an export of this name serves an import named `import`: the same interface, of the same
    /// track and not older.
    pub(crate) fn serves(&self, import: &InterfaceName<'_>) -> bool {
        self.path == import.path
            && match (&self.version, &import.version) {
                (Some(has), Some(wants)) => has >= wants && track(has) == track(wants),
                (None, None) => true,
                _ => false,
            }
    }

    /// Whether it is the interface `path` in a version that `requirement` allows.
    pub(crate) fn matches(&self, path: &str, requirement: Option<&VersionReq>) -> bool {
        self.path == path
            && requirement.is_none_or(|wants| self.version.as_ref().is_some_and(|version| wants.matches(version)))
    }
}

/// The part of a version that must agree: the first number that is not 0, and what comes before it. A
/// pre-release is a track of its own.
fn track(version: &Version) -> (u64, u64, u64, Option<&str>) {
    let version = version.as_semver();
    let pre = (!version.pre.is_empty()).then(|| version.pre.as_str());
    match (version.major, version.minor) {
        (0, 0) => (0, 0, version.patch, pre),
        (0, minor) => (0, minor, 0, pre),
        (major, _) => (major, 0, 0, pre),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_serves_imports_of_its_track_that_are_not_newer() {
        let cases = [
            ("a:b/c@1.2.0", "a:b/c@1.2.0", true),
            ("a:b/c@1.2.0", "a:b/c@1.0.3", true),
            ("a:b/c@1.2.0", "a:b/c@1.3.0", false),
            ("a:b/c@2.0.0", "a:b/c@1.0.0", false),
            ("a:b/c@0.2.5", "a:b/c@0.2.0", true),
            ("a:b/c@0.3.0", "a:b/c@0.2.0", false),
            ("a:b/c@0.0.2", "a:b/c@0.0.1", false),
            ("a:b/c@1.0.0", "a:b/c@1.0.0-rc.1", false),
            ("a:b/c", "a:b/c", true),
            ("a:b/c@1.0.0", "a:b/c", false),
            ("a:b/d@1.0.0", "a:b/c@1.0.0", false),
        ];
        for (export, import, serves) in cases {
            let found = InterfaceName::new(export).serves(&InterfaceName::new(import));
            assert_eq!(found, serves, "{export} for {import}");
        }
    }
}
