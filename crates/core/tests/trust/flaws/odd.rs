//! Well-signed documents that say what no document may say.

use serde_json::{Value, json};
use stoa_core::trust::{KeyId, TrustError};

use super::{Flaw, bin, flaw, publish_edited, shape};
use crate::repo::{MARKDOWN, Repo, key};

pub(super) fn odd_keys_and_roles() -> Vec<Flaw> {
    fn root(repo: &mut Repo, change: impl FnOnce(&mut Value)) {
        repo.put_root(2, &[1, 2]);
        repo.edit("root", change);
    }
    fn delegation(repo: &mut Repo, change: impl FnOnce(&mut Value)) {
        publish_edited(repo, "targets", |signed| change(&mut signed["delegations"]));
    }
    fn bins(repo: &mut Repo, change: impl FnOnce(&mut Value)) {
        publish_edited(repo, "index", |signed| change(&mut signed["delegations"]));
    }
    fn lie() -> KeyId {
        "0".repeat(64).parse().expect("an id")
    }
    fn name(name: &str) -> TrustError {
        TrustError::RoleName { role: "targets".into(), name: name.into() }
    }
    fn either(role: &str, of: &str, one: &'static str, other: &'static str) -> TrustError {
        TrustError::Either { role: role.into(), of: of.into(), one, other }
    }
    vec![
        flaw(
            "threshold-0",
            |r| root(r, |signed| signed["roles"]["snapshot"]["threshold"] = json!(0)),
            |_| TrustError::ZeroThreshold { role: "root".into(), of: "snapshot".into() },
        ),
        flaw(
            "delegated-threshold-0",
            |r| bins(r, |given| given["succinct_roles"]["threshold"] = json!(0)),
            |_| TrustError::ZeroThreshold { role: "index".into(), of: "bin".into() },
        ),
        flaw(
            "key-listed-twice",
            |r| root(r, |signed| signed["roles"]["timestamp"]["keyids"] = json!([key(6).id(), key(6).id()])),
            |_| TrustError::RepeatedKey { role: "root".into(), of: "timestamp".into(), key: key(6).id().clone() },
        ),
        flaw(
            "key-id-that-lies",
            |r| root(r, |signed| signed["keys"][lie().as_str()] = json!(key(6).public())),
            |_| TrustError::KeyId { role: "root".into(), listed: lie(), computed: key(6).id().to_string() },
        ),
        flaw(
            "delegated-key-id-that-lies",
            |r| bins(r, |given| given["keys"][lie().as_str()] = json!(key(5).public())),
            |_| TrustError::KeyId { role: "index".into(), listed: lie(), computed: key(5).id().to_string() },
        ),
        flaw(
            "path-escape-in-a-role-name",
            |r| delegation(r, |given| given["roles"][0]["name"] = json!("../catalog")),
            |_| name("../catalog"),
        ),
        flaw(
            "delegation-to-a-top-level-name",
            |r| delegation(r, |given| given["roles"][0]["name"] = json!("snapshot")),
            |_| name("snapshot"),
        ),
        flaw("delegation-to-no-name", |r| delegation(r, |given| given["roles"][0]["name"] = json!("")), |_| name("")),
        flaw(
            "path-escape-in-a-bin-name",
            |r| bins(r, |given| given["succinct_roles"]["name_prefix"] = json!("/etc/bin")),
            |_| TrustError::RoleName { role: "index".into(), name: "/etc/bin".into() },
        ),
        flaw(
            "delegation-given-twice",
            |r| delegation(r, |given| given["roles"][0]["name"] = json!("index")),
            |_| TrustError::RepeatedRole { role: "targets".into(), name: "index".into() },
        ),
        flaw(
            "roles-and-bins",
            |r| bins(r, |given| given["roles"] = json!([])),
            |_| either("index", "the delegation", "roles", "succinct_roles"),
        ),
        flaw(
            "paths-and-prefixes",
            |r| delegation(r, |given| given["roles"][1]["path_hash_prefixes"] = json!(["00"])),
            |_| either("targets", "`index`", "paths", "path_hash_prefixes"),
        ),
        flaw(
            "no-bits",
            |r| bins(r, |given| given["succinct_roles"]["bit_length"] = json!(0)),
            |_| TrustError::BitLength { role: "index".into(), bits: 0 },
        ),
        flaw(
            "33-bits",
            |r| bins(r, |given| given["succinct_roles"]["bit_length"] = json!(33)),
            |_| TrustError::BitLength { role: "index".into(), bits: 33 },
        ),
        flaw(
            "inconsistent-snapshots",
            |r| root(r, |signed| signed["consistent_snapshot"] = json!(false)),
            |_| TrustError::Inconsistent { version: 2 },
        ),
        flaw(
            "target-without-sha256",
            |r| {
                r.edit(&bin(r), |signed| {
                    signed["targets"][MARKDOWN]["hashes"] = json!({"sha512": "0".repeat(128)});
                });
            },
            |r| TrustError::NoSha256 { role: bin(r), target: MARKDOWN.into() },
        ),
        flaw(
            "unknown-digest-algorithm",
            |r| r.edit(&bin(r), |signed| signed["targets"][MARKDOWN]["hashes"] = json!({"md5": "00"})),
            |r| shape(&bin(r), "no hash that can be checked: `md5`, not sha256 or sha512"),
        ),
    ]
}
