//! Which crate may depend on which: the shape of the house, in one table.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use super::{Text, code_lines};
use crate::conformance;
use crate::failure::{Failure, Outcome};
use crate::place;

/// Each crate of ours with those of ours that it may depend on, for its tests too.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("stoa-core", &[]),
    ("stoa-store", &["stoa-core"]),
    ("stoa-store-aws", &["stoa-store", "stoa-core"]),
    ("stoa-search", &["stoa-core"]),
    ("stoa-corpus", &["stoa-core"]),
    ("stoa-tuf-client", &["stoa-core"]),
    ("stoa-loader", &["stoa-core", "stoa-search"]),
    ("stoa-indexer", &["stoa-store", "stoa-core", "stoa-search", "stoa-store-aws"]),
    ("stoa-api", &["stoa-store", "stoa-core", "stoa-store-aws"]),
    ("stoa-cli", &["stoa-loader", "stoa-core", "stoa-search", "stoa-api", "stoa-indexer", "stoa-store"]),
    (
        "stoa-tests",
        &[
            "stoa-core",
            "stoa-store",
            "stoa-search",
            "stoa-corpus",
            "stoa-loader",
            "stoa-indexer",
            "stoa-api",
            "stoa-cli",
            "stoa-store-aws",
        ],
    ),
    ("stoa-benches", &["stoa-core", "stoa-store", "stoa-corpus", "stoa-loader", "stoa-indexer"]),
    ("xtask", &[]),
];

/// Crates with packages that must not be in what they are built of, features as they are by default. A
/// name that ends with `-` stands for all that begin so.
const NEVER_IN: [(&str, &[&str]); 3] = [
    ("stoa-core", &["tokio", "mio", "hyper", "reqwest", "axum", "rustls", "rusqlite", "rand", "aws-", "p256"]),
    ("stoa-loader", &["stoa-store", "stoa-api", "stoa-indexer", "rusqlite", "axum", "lambda_http", "aws-", "p256"]),
    ("stoa-cli", &["stoa-store-aws", "lambda_http", "aws-", "p256"]),
];

/// The crates behind the server, as code names them. In the program `stoa` one module alone may.
const SERVER_CRATES: [&str; 3] = ["stoa_api", "stoa_indexer", "stoa_store"];

/// Checks the three tables above.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    let mut broken = Vec::new();
    for workspace in [place::root(), conformance::client_dir()] {
        let metadata = MetadataCommand::new()
            .current_dir(workspace)
            .other_options(["--locked".to_owned()])
            .exec()
            .map_err(|error| Failure::new(format!("`cargo metadata --locked` failed: {error}")))?;
        broken.extend(Graph::of(&metadata).broken());
    }
    broken.extend(server_crates_elsewhere(texts));
    super::refuse(
        broken,
        "move the code to the crate that may use the other, or change the table in xtask/src/checks/imports.rs",
    )
}

/// Packages and what they depend on.
#[derive(Default)]
struct Graph {
    packages: BTreeMap<String, Package>,
}

/// Under a name that is its id: two versions of a package are two packages.
#[derive(Default)]
struct Package {
    name: String,
    /// Whether it is a crate of this repository.
    ours: bool,
    /// Ids of what it is built of.
    built_of: BTreeSet<String>,
    /// Ids of what its tests use beside that.
    tested_with: BTreeSet<String>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let mut graph = Self::default();
        for package in &metadata.packages {
            let ours = package.source.is_none();
            let name = package.name.to_string();
            graph.packages.insert(package.id.repr.clone(), Package { name, ours, ..Package::default() });
        }
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let Some(package) = graph.packages.get_mut(&node.id.repr) else { continue };
            for used in &node.deps {
                let only_for_tests = used.dep_kinds.iter().all(|kind| kind.kind == DependencyKind::Development);
                let set = if only_for_tests { &mut package.tested_with } else { &mut package.built_of };
                set.insert(used.pkg.repr.clone());
            }
        }
        graph
    }

    fn broken(&self) -> Vec<String> {
        let ours: Vec<_> = self.packages.values().filter(|package| package.ours).collect();
        let uses = ours.iter().flat_map(|package| self.forbidden_uses(package));
        let trees = ours.iter().flat_map(|package| self.forbidden_tree(package));
        uses.chain(trees).collect()
    }

    /// Crates of ours that a crate of ours may not name among its dependencies.
    fn forbidden_uses(&self, package: &Package) -> Vec<String> {
        let name = package.name.as_str();
        let Some((_, allowed)) = MAY_USE.iter().find(|(crate_name, _)| *crate_name == name) else {
            return vec![format!("{name} has no row in the table of who may use whom")];
        };
        let used = package.built_of.union(&package.tested_with).filter_map(|id| self.packages.get(id));
        // A crate's tests may name the crate itself, to switch on a feature that is for tests.
        let used = used.filter(|used| used.ours && used.name != name && !allowed.contains(&used.name.as_str()));
        let allowed = if allowed.is_empty() { "no crate of ours".to_owned() } else { allowed.join(", ") };
        used.map(|used| format!("{name} depends on {}, but may use {allowed}", used.name)).collect()
    }

    /// What must not be among everything a crate is built of, with the way that leads there.
    fn forbidden_tree(&self, package: &Package) -> Vec<String> {
        let Some((_, never)) = NEVER_IN.iter().find(|(name, _)| *name == package.name) else { return Vec::new() };
        let mut broken = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut ways = vec![(package, package.name.clone())];
        while let Some((package, way)) = ways.pop() {
            for id in &package.built_of {
                let Some(used) = self.packages.get(id).filter(|_| seen.insert(id)) else { continue };
                let way = format!("{way} → {}", used.name);
                if never.iter().any(|never| is(&used.name, never)) {
                    broken.push(format!(
                        "{} is built of {}, which it never may be: {way}",
                        package_of(&way),
                        used.name
                    ));
                } else {
                    ways.push((used, way));
                }
            }
        }
        broken.sort();
        broken
    }
}

fn is(name: &str, never: &str) -> bool {
    name == never || (never.ends_with('-') && name.starts_with(never))
}

/// The crate that a way begins with.
fn package_of(way: &str) -> &str {
    way.split(' ').next().unwrap_or(way)
}

/// Lines of the program `stoa` that name a crate of the server outside the module `server`.
fn server_crates_elsewhere(texts: &[Text]) -> Vec<String> {
    let module = |path: &str| path == "cli/src/server.rs" || path.starts_with("cli/src/server/");
    let files = texts
        .iter()
        .filter(|file| file.path.starts_with("cli/src/") && file.path.ends_with(".rs") && !module(&file.path));
    let lines = files.flat_map(|file| code_lines(&file.text).map(|(number, line)| (&file.path, number, line)));
    let named = lines.filter_map(|(path, number, line)| {
        let name = SERVER_CRATES
            .iter()
            .find(|name| line.contains(&format!("{name}::")) || line.contains(&format!("use {name}")))?;
        Some(format!("{path}:{number} names {name}, which only the module `server` of the program may"))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of lines such as `stoa-core > serde`; what starts with `stoa` or is `xtask` is ours. `?` in
    /// place of `>` is a dependency of tests.
    fn graph(lines: &[&str]) -> Graph {
        let mut graph = Graph::default();
        let mut add = |name: &str| {
            let ours = name.starts_with("stoa") || name == "xtask";
            graph.packages.entry(name.to_owned()).or_insert(Package { name: name.into(), ours, ..Package::default() });
        };
        lines.iter().flat_map(|line| line.split([' ', '>', '?'])).filter(|name| !name.is_empty()).for_each(&mut add);
        for line in lines {
            let (set, (from, to)) = match line.split_once(" ? ") {
                Some(pair) => (true, pair),
                None => (false, line.split_once(" > ").expect("two names")),
            };
            let package = graph.packages.get_mut(from).expect("added");
            let set = if set { &mut package.tested_with } else { &mut package.built_of };
            set.insert(to.to_owned());
        }
        graph
    }

    #[test]
    fn a_house_in_order_breaks_no_rule() {
        let lines = [
            "stoa-store > stoa-core",
            "stoa-cli > stoa-api",
            "stoa-api > stoa-store",
            "stoa-loader > tokio",
            "stoa-tests > stoa-loader",
        ];
        assert_eq!(graph(&lines).broken(), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_uses_the_wrong_one_is_named_with_what_it_may_use() {
        assert_eq!(
            graph(&["stoa-core > stoa-store"]).broken(),
            ["stoa-core depends on stoa-store, but may use no crate of ours"]
        );
        assert_eq!(
            graph(&["stoa-api ? stoa-indexer"]).broken(),
            ["stoa-api depends on stoa-indexer, but may use stoa-store, stoa-core, stoa-store-aws"],
            "tests are no exception"
        );
        assert_eq!(
            graph(&["stoa-store > stoa-tests"]).broken(),
            ["stoa-store depends on stoa-tests, but may use stoa-core"]
        );
        assert_eq!(
            graph(&["xtask > stoa-core"]).broken(),
            ["xtask depends on stoa-core, but may use no crate of ours"]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        assert_eq!(graph(&["stoa-new > serde"]).broken(), ["stoa-new has no row in the table of who may use whom"]);
    }

    #[test]
    fn what_must_not_be_in_a_tree_is_found_at_any_depth_with_the_way_there() {
        assert_eq!(
            graph(&["stoa-loader > a", "a > b", "b > aws-config", "aws-config > c"]).broken(),
            ["stoa-loader is built of aws-config, which it never may be: stoa-loader → a → b → aws-config"]
        );
        assert_eq!(
            graph(&["stoa-core > pubgrub", "pubgrub > tokio"]).broken(),
            ["stoa-core is built of tokio, which it never may be: stoa-core → pubgrub → tokio"]
        );
    }

    #[test]
    fn another_signature_scheme_is_in_no_tree_but_the_conformance_clients() {
        assert_eq!(graph(&["stoa-tuf-client > stoa-core", "stoa-tuf-client > p256"]).broken(), Vec::<String>::new());
        assert_eq!(
            graph(&["stoa-core > p256"]).broken(),
            ["stoa-core is built of p256, which it never may be: stoa-core → p256"]
        );
    }

    #[test]
    fn what_only_tests_use_is_not_in_the_tree() {
        assert_eq!(graph(&["stoa-core ? proptest", "proptest > rand"]).broken(), Vec::<String>::new());
    }

    #[test]
    fn a_crate_may_name_itself_for_its_tests() {
        assert_eq!(graph(&["stoa-store ? stoa-store"]).broken(), Vec::<String>::new());
    }

    #[test]
    fn a_circle_in_the_tree_ends() {
        assert_eq!(graph(&["stoa-loader > a", "a > b", "b > a"]).broken(), Vec::<String>::new());
    }

    #[test]
    fn the_server_crates_are_named_in_the_module_server_alone() {
        let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let texts = [
            text("cli/src/server.rs", "use stoa_store::Ledger;\n"),
            text("cli/src/server/demo.rs", "use stoa_api::router;\n"),
            text("api-fn/src/lib.rs", "use stoa_store::Ledger;\n"),
            text("cli/src/publish.rs", "// stoa_api:: is not for here\nfn f() {}\nuse stoa_api::Scope;\n"),
        ];
        assert_eq!(
            server_crates_elsewhere(&texts),
            ["cli/src/publish.rs:3 names stoa_api, which only the module `server` of the program may"]
        );
    }
}
