//! A proof in machine form.

use std::{collections::BTreeMap, sync::Arc};

use pubgrub::{DerivationTree, External, Term};
use serde_json::{Value, json};

use crate::{
    id::PluginId,
    resolve::{
        solve::{Package, Proof},
        universe::{Reason, Universe},
        versions::Versions,
    },
};

/// The proof as a list of nodes, causes first, each once. A list and not a nest: proofs share parts and may be
/// deeper than readers of JSON allow.
pub(super) fn to_json(universe: &Universe<'_>, proof: &Proof<'_>) -> Value {
    let mut nodes = Vec::new();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut stack = vec![proof];
    while let Some(tree) = stack.last().copied() {
        let key = std::ptr::from_ref(tree) as usize;
        if places.contains_key(&key) {
            stack.pop();
            continue;
        }
        let node = match tree {
            DerivationTree::External(leaf) => fact(universe, leaf),
            DerivationTree::Derived(derived) => {
                let causes = [&derived.cause1, &derived.cause2];
                let place = |cause: &Arc<Proof<'_>>| places.get(&(Arc::as_ptr(cause) as usize)).copied();
                let (Some(first), Some(second)) = (place(causes[0]), place(causes[1])) else {
                    stack.extend(causes.into_iter().rev().map(Arc::as_ref));
                    continue;
                };
                let mut terms: Vec<Value> =
                    derived.terms.iter().map(|(package, t)| term(universe, package, t)).collect();
                terms.sort_by_key(Value::to_string);
                json!({"kind": "derived", "because": [first, second], "not_all": terms})
            }
        };
        stack.pop();
        places.insert(key, nodes.len());
        nodes.push(node);
    }
    json!({ "nodes": nodes })
}

fn fact(universe: &Universe<'_>, leaf: &External<Package<'_>, Versions, Reason>) -> Value {
    let list = |id: &PluginId, set: &Versions| names(universe, id, set);
    match leaf {
        External::NotRoot(..) => json!({"kind": "start"}),
        External::FromDependencyOf(Package::Host | Package::Wish(_), _, Package::Plugin(id), set) => {
            let want = universe.wants.get(id);
            json!({
                "kind": "asked", "plugin": id, "accepted": list(id, set), "line": want.and_then(|want| want.line),
                "requirement": want.and_then(|want| want.version.clone()),
            })
        }
        External::FromDependencyOf(
            Package::Plugin(id),
            set,
            to @ (Package::Plugin(to_id) | Package::Presence(to_id)),
            accepted,
        ) if id != to_id => {
            let newest = set.places(universe.rows(id).len()).next_back().and_then(|place| universe.row(id, place));
            let requirement =
                newest.and_then(|(_, listing)| listing.dependencies.get(*to_id)).map(|d| d.version.clone());
            json!({
                "kind": "needs", "plugin": id, "versions": list(id, set), "dependency": to_id,
                "requirement": requirement, "accepted": list(to_id, accepted),
                "optional": matches!(to, Package::Presence(_)),
            })
        }
        External::FromDependencyOf(Package::Plugin(id), set, Package::Interface(base), _) => {
            json!({"kind": "needs-interface", "plugin": id, "versions": list(id, set), "interface": base})
        }
        External::FromDependencyOf(Package::Plugin(id), set, Package::Track(track), _) => {
            json!({"kind": "needs-track", "plugin": id, "versions": list(id, set), "track": track})
        }
        External::NoVersions(Package::Plugin(id), set) => {
            json!({"kind": "no-version", "plugin": id, "among": list(id, set)})
        }
        External::Custom(Package::Plugin(id), set, reason) => {
            json!({"kind": "unusable", "plugin": id, "versions": list(id, set), "reason": reason.to_string()})
        }
        other => json!({"kind": "bookkeeping", "fact": other.to_string()}),
    }
}

fn term(universe: &Universe<'_>, package: &Package<'_>, term: &Term<Versions>) -> Value {
    let (key, set) = match term {
        Term::Positive(set) => ("in", set),
        Term::Negative(set) => ("not_in", set),
    };
    match package {
        Package::Plugin(id) => json!({"plugin": id, key: names(universe, id, set)}),
        other => json!({"package": other.to_string(), key: set.to_string()}),
    }
}

/// The versions of a set.
fn names(universe: &Universe<'_>, id: &PluginId, set: &Versions) -> Vec<String> {
    let rows = universe.rows(id);
    set.places(rows.len())
        .filter_map(|place| rows.get(place as usize))
        .map(|(version, _)| version.to_string())
        .collect()
}
