//! What a publish writes: the last rules, the state and the event, without writing anything.

use std::collections::BTreeMap;

use stoa_core::{
    event::{ActorId, Draft, Fact},
    id::PluginId,
};
use stoa_store::ledger::{Expect, Write};

use crate::{
    items,
    problem::Problem,
    publish::{
        bucket, budget, compat, facts,
        gather::Gathered,
        known::{Known, skeleton},
        set::{Candidate, attested},
    },
    state::{Among, BucketItem, NameItem, PluginItem, PublishersItem, ReleaseItem},
};

/// What each release's component has.
pub(crate) type Facts = BTreeMap<PluginId, facts::Facts>;

/// Checks that the new releases keep what older ones promised and fit into their documents.
pub(crate) fn check_history(fresh: &[&Candidate], known: &Known, facts: &Facts) -> Result<(), Problem> {
    fresh.iter().try_for_each(|candidate| {
        let release = &candidate.release;
        if let (Some(found), Some(before)) = (facts.get(&release.id), known.predecessors.get(&release.id)) {
            compat::check(release, &found.exports, before)?;
        }
        budget::check_release(&release.id, &release.version, document_bytes(candidate, known)?)
    })
}

/// The event, and the writes that go with it.
pub(crate) fn transaction(
    actor: ActorId,
    fresh: &[&Candidate],
    gathered: &Gathered,
    facts: &Facts,
) -> Result<(Draft, Vec<Write>), Problem> {
    let mut writes = Vec::new();
    for candidate in fresh {
        writes.extend(release_writes(candidate, gathered, facts)?);
    }
    let known = &gathered.known;
    for (bucket, entry_bytes) in bucket::with_new(known.new_plugins(fresh.iter().copied()), &known.buckets)? {
        let expect = gathered.bucket_revisions.get(&bucket).map_or(Expect::Absent, |found| Expect::Revision(*found));
        writes.push(items::put(bucket, &BucketItem { format: 1, entry_bytes }, expect, None)?);
    }
    for (namespace, revision) in &gathered.publisher_revisions {
        writes.push(items::check::<PublishersItem>(namespace, Expect::Revision(*revision))?);
    }
    let releases = fresh.iter().map(|candidate| candidate.release.clone()).collect();
    Ok((Draft { actor, fact: Fact::Released { releases, attestations: attested(fresh) }, private: None }, writes))
}

fn release_writes(candidate: &Candidate, gathered: &Gathered, facts: &Facts) -> Result<Vec<Write>, Problem> {
    let Gathered { known, revisions, head, .. } = gathered;
    let release = &candidate.release;
    let (id, version) = (&release.id, &release.version);
    let mut versions = known.plugins.get(id).map(|plugin| plugin.versions.clone()).unwrap_or_default();
    versions.insert(version.clone());
    let document_bytes = document_bytes(candidate, known)?;
    let (takedown, advisories) =
        known.plugins.get(id).map(|plugin| (plugin.takedown.clone(), plugin.advisories)).unwrap_or_default();
    let (plugin_id, kind) = (id.clone(), release.kind);
    let plugin = PluginItem { format: 1, id: plugin_id, kind, versions, document_bytes, takedown, advisories };
    let expect = revisions.get(id).map_or(Expect::Absent, |revision| Expect::Revision(*revision));
    let item = ReleaseItem {
        format: 1,
        version: version.clone(),
        after: *head,
        record: candidate.record.digest,
        artifact: release.artifact,
        imports: release.imports.clone(),
        exports: release.exports.clone(),
        functions: facts.get(id).map(|found| found.exports.clone()).unwrap_or_default(),
        yanked: None,
        takedown: None,
        certified: None,
    };
    let mut writes =
        vec![items::put(id, &plugin, expect, None)?, items::put((id, version), &item, Expect::Absent, None)?];
    if !known.names.contains_key(id) {
        let name = NameItem { format: 1, name: id.name().clone() };
        let key = (Among::Plugins(id.namespace()), &skeleton(id));
        writes.push(items::put(key, &name, Expect::Absent, None)?);
    }
    Ok(writes)
}

/// An upper bound of the length of the plugin's document with the new release.
fn document_bytes(candidate: &Candidate, known: &Known) -> Result<u64, Problem> {
    let release = &candidate.release;
    let before = known.plugins.get(&release.id).map_or(budget::FIXED, |plugin| plugin.document_bytes);
    let more = budget::of_release(release, &candidate.attestations, known.neighbors.get(&release.id))
        .map_err(|error| Problem::internal(&error))?;
    Ok(before + more)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use stoa_core::{digest::Digest, event::MAX_RELEASES_PER_EVENT};
    use stoa_store::ledger::{Action, MAX_KEYS};

    use super::*;
    use crate::{
        publish::{
            bucket::Bucket,
            set::{MAX_NAMESPACES, Set},
        },
        state::Item as _,
    };

    /// Besides its writes, a transaction with an event has three keys of the ledger's own: the head, the event and
    /// the operation. The sweep that the publish expects is one more.
    const OWN_KEYS: usize = 3 + 1;

    fn writes(ids: &[String]) -> Vec<Write> {
        let blob = json!({"digest": Digest::of(b"x"), "size": 1});
        let record = |id: &String| {
            json!({
                "format": 1, "id": id, "version": "1.0.0", "kind": "plugin", "artifact": blob, "wit": blob,
                "description": "A plugin of a test", "license": "MIT",
            })
        };
        let set = Set::read(ids.iter().map(record).collect(), BTreeMap::new(), 1024).expect("a set");
        let gathered = Gathered {
            known: Known::default(),
            revisions: BTreeMap::new(),
            bucket_revisions: BTreeMap::new(),
            publisher_revisions: BTreeMap::new(),
            head: 1,
            at: stoa_core::time::Time::from_unix(0),
        };
        let fresh: Vec<&Candidate> = set.candidates().iter().collect();
        let (_, writes) = transaction(ActorId::registry(), &fresh, &gathered, &Facts::new()).expect("a transaction");
        writes
    }

    /// Ids of one namespace, each with its bucket.
    fn ids() -> impl Iterator<Item = (String, Bucket)> {
        (b'a'..=b'z').flat_map(|a| (b'a'..=b'z').map(move |b| format!("demo:{}{}", char::from(a), char::from(b)))).map(
            |id| {
                let bucket = Bucket::of(&id.parse().expect("an id"));
                (id, bucket)
            },
        )
    }

    #[test]
    fn the_largest_set_of_new_plugins_fits_into_one_transaction() {
        let mut taken = BTreeSet::new();
        let apart: Vec<String> = ids().filter(|(_, bucket)| taken.insert(*bucket)).map(|(id, _)| id).collect();
        let writes = writes(&apart[..MAX_RELEASES_PER_EVENT]);
        // A plugin, a release, a name and a bucket each.
        assert_eq!(writes.len(), 4 * MAX_RELEASES_PER_EVENT);
        assert!(
            writes.len() + OWN_KEYS + MAX_NAMESPACES <= MAX_KEYS,
            "with the keys of every namespace as a condition"
        );
    }

    #[test]
    fn two_new_plugins_of_one_bucket_are_one_write_of_it() {
        let bucket = Bucket::of(&"demo:aa".parse().expect("an id"));
        let pair: Vec<String> = ids().filter(|(_, found)| *found == bucket).map(|(id, _)| id).take(2).collect();
        let key = BucketItem::key(bucket).expect("a key");
        let writes = writes(&pair);
        assert_eq!(writes.len(), 3 + 3 + 1);
        let put: Vec<_> = writes.into_iter().filter(|write| write.key == key).map(|write| write.action).collect();
        let value = format!(r#"{{"entry_bytes":{},"format":1}}"#, 2 * ("index/demo/aa.json".len() + 128));
        assert_eq!(put, [Action::Put { value: value.into_bytes(), expires: None }]);
    }
}
