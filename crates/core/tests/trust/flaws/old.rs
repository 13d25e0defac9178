//! Old files in place of new ones, and history rewritten.

use serde_json::json;
use stoa_core::trust::TrustError;

use super::{Flaw, bin, expire, expired, flaw, head, publish_edited};

pub(super) fn freezes() -> Vec<Flaw> {
    vec![
        flaw(
            "expired-root",
            |r| {
                r.put_root(2, &[1, 2]);
                r.edit("root", expire);
            },
            |_| expired("root", 2),
        ),
        flaw("expired-timestamp", |r| r.edit("timestamp", expire), |_| expired("timestamp", 3)),
        flaw("expired-snapshot", |r| r.edit("snapshot", expire), |_| expired("snapshot", 3)),
        flaw("expired-targets", |r| publish_edited(r, "targets", expire), |_| expired("targets", 6)),
        flaw("expired-index", |r| publish_edited(r, "index", expire), |_| expired("index", 6)),
        flaw("expired-bin", |r| r.edit(&bin(r), expire), |r| expired(&bin(r), 3)),
    ]
}

pub(super) fn rollbacks() -> Vec<Flaw> {
    vec![
        flaw(
            "rolled-back-snapshot",
            |r| r.edit("timestamp", |signed| signed["meta"]["snapshot.json"]["version"] = json!(1)),
            |_| TrustError::Rollback { role: "snapshot".into(), by: "timestamp 3".into(), trusted: 2, found: 1 },
        ),
        flaw(
            "rolled-back-targets",
            |r| r.edit("snapshot", |signed| signed["meta"]["targets.json"]["version"] = json!(4)),
            |_| TrustError::Rollback { role: "targets".into(), by: "snapshot 3".into(), trusted: 5, found: 4 },
        ),
        flaw(
            "rolled-back-index",
            |r| r.edit("snapshot", |signed| signed["meta"]["index.json"]["version"] = json!(1)),
            |_| TrustError::Rollback { role: "index".into(), by: "snapshot 3".into(), trusted: 5, found: 1 },
        ),
        flaw(
            "rolled-back-bin",
            |r| {
                let file = format!("{}.json", bin(r));
                r.edit("snapshot", |signed| signed["meta"][file]["version"] = json!(1));
            },
            |r| TrustError::Rollback { role: bin(r), by: "snapshot 3".into(), trusted: 2, found: 1 },
        ),
        flaw(
            "vanished-catalog",
            |r| r.edit("snapshot", |signed| drop(signed["meta"].as_object_mut().expect("meta").remove("catalog.json"))),
            |_| TrustError::Vanished { role: "catalog".into(), version: 3 },
        ),
        flaw(
            "rolled-back-head",
            |r| r.edit("snapshot", |signed| signed["stoa"] = json!(head(1, 1))),
            |_| TrustError::HeadRollback { trusted: head(2, 2), found: head(1, 1) },
        ),
        flaw(
            "rewritten-event",
            |r| r.edit("snapshot", |signed| signed["stoa"] = json!(head(2, 99))),
            |_| TrustError::HeadFork { trusted: head(2, 2), found: head(2, 99) },
        ),
        flaw(
            "headless-snapshot",
            |r| r.edit("snapshot", |signed| drop(signed.as_object_mut().expect("signed").remove("stoa"))),
            |_| TrustError::NoHead { version: 3 },
        ),
    ]
}
