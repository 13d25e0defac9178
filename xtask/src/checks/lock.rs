//! What the lock file may hold once, and what never.

use std::collections::BTreeMap;
use std::fs;

use crate::failure::{Failure, Outcome};
use crate::place;

/// Packages of which one version at most may be in the build, with the reason.
const ONCE: [(&str, &str); 8] = [
    ("wasmparser", "publish must refuse what the engine refuses"),
    ("wit-parser", "two of them read the same WIT differently"),
    ("wasmtime", "compiled code fits one engine"),
    ("rustls", "one place decides about TLS"),
    ("ring", "one place decides about TLS"),
    ("tantivy", "an index is read by what wrote it"),
    ("rusqlite", "one SQLite in the program"),
    ("tokio", "one runtime"),
];

/// Packages that must not be in the build, with the reason.
const NEVER: [(&str, &str); 5] = [
    ("aws-lc-rs", "ring is the one TLS provider"),
    ("aws-lc-sys", "ring is the one TLS provider"),
    ("openssl-sys", "ring is the one TLS provider"),
    ("native-tls", "ring is the one TLS provider"),
    ("async-std", "tokio is the one runtime"),
];

/// Checks the workspace's lock file. The example plugins have their own, and are no part of the build.
pub(crate) fn check() -> Outcome {
    let path = place::root().join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
    super::refuse(
        broken(&text),
        "`cargo tree --invert PACKAGE` shows who brings it; choose features or versions that agree",
    )
}

fn broken(lock: &str) -> Vec<String> {
    let versions = versions(lock);
    let twice = ONCE.iter().filter_map(|(name, why)| {
        let found = versions.get(name).filter(|found| found.len() > 1)?;
        Some(format!("Cargo.lock has {name} {}, but one of them at most is allowed: {why}", found.join(" and ")))
    });
    let never = NEVER.iter().filter_map(|(name, why)| {
        let found = versions.get(name)?;
        Some(format!("Cargo.lock has {name} {}, which is not allowed: {why}", found.join(" and ")))
    });
    twice.chain(never).collect()
}

/// The versions of each package. Cargo writes the name and the version on the two lines behind `[[package]]`.
fn versions(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        if let (Some(name), Some(version)) = (value("name"), value("version")) {
            versions.entry(name).or_default().push(version);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str)]) -> String {
        let package = |(name, version): &(&str, &str)| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [\n \"ring\",\n]\n\n")
        };
        packages.iter().map(package).collect()
    }

    #[test]
    fn one_version_of_each_is_in_order() {
        assert_eq!(
            broken(&lock(&[("ring", "0.17.1"), ("wasmparser", "0.254.0"), ("syn", "2.0.0"), ("syn", "3.0.0")])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_second_version_and_a_forbidden_package_are_named() {
        assert_eq!(
            broken(&lock(&[("wasmparser", "0.254.0"), ("wasmparser", "0.258.3"), ("aws-lc-rs", "1.0.0")])),
            [
                "Cargo.lock has wasmparser 0.254.0 and 0.258.3, but one of them at most is allowed: publish must refuse what the engine refuses",
                "Cargo.lock has aws-lc-rs 1.0.0, which is not allowed: ring is the one TLS provider",
            ]
        );
    }

    #[test]
    fn the_versions_of_the_real_file_are_read() {
        let text = fs::read_to_string(place::root().join("Cargo.lock")).expect("read");
        assert_eq!(versions(&text).get("xtask"), Some(&vec![env!("CARGO_PKG_VERSION")]));
    }
}
