//! Why there is no answer, in at most three sentences: what was asked, what that needs, where it ends.
//!
//! The solver's proof is a tree of derivations that only a solver likes to read. Its leaves are plain facts about
//! releases, and those that matter are few; they are told here in the order in which a person would find them. The
//! whole proof is kept in machine form ([`Explanation::proof`]).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    id::PluginId,
    resolve::{
        solve::{Failure, Proof, solve},
        universe::Universe,
    },
    wanted::Want,
};

mod facts;
mod hints;
mod notes;
mod proof;
mod tell;
mod words;

pub(super) use hints::out_of_the_circle;

/// Plugins named in the first sentence.
const MAX_ASKED: usize = 3;
/// Hints; each costs a search.
const MAX_HINTS: usize = 3;

/// Why no set of versions will do. `Display` is the sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    sentences: Vec<String>,
    hints: Vec<String>,
    notes: Vec<String>,
    proof: Value,
}

impl Explanation {
    /// At most three: what was asked, what that needs, and where it ends.
    pub fn sentences(&self) -> &[String] {
        &self.sentences
    }

    /// What would work. Each change of what is asked for, offered or allowed is tried before it is said; what can not be
    /// tried here (another name, a newer program, a connection) is said where the facts point at it.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Releases that were passed over and may have been expected: yanked ones, pre-releases, other interfaces.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The solver's whole proof: `{"nodes": […]}`, each node after those that it follows from.
    ///
    /// A node has a `kind`. `derived` has `because` (two places in the list) and `not_all` (what can not hold
    /// together); the others are facts: `asked`, `needs`, `needs-interface`, `needs-track`, `no-version`,
    /// `unusable`, and the solver's own `start` and `bookkeeping`. The last node is the contradiction.
    pub fn proof(&self) -> &Value {
        &self.proof
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentences.join(" "))
    }
}

/// Explains a proof.
pub(super) fn explain(universe: &Universe<'_>, proof: &Proof<'_>, budget: u64) -> Explanation {
    let facts = facts::Facts::of(universe, proof);
    Explanation {
        sentences: tell::sentences(universe, &facts),
        hints: hints::hints(universe, &facts, budget),
        notes: notes::notes(universe, &facts),
        proof: proof::to_json(universe, proof),
    }
}

/// Why an optional wish can not be granted: as if it were not optional.
pub(super) fn why_left_out(universe: &Universe<'_>, id: &PluginId, budget: u64) -> String {
    let Some(want) = universe.wants.get(id) else { return String::new() };
    let required = Want { optional: false, ..(*want).clone() };
    let universe = universe.with_want(&required);
    match solve(&universe, budget) {
        Err(Failure::Impossible(proof)) => {
            let facts = facts::Facts::of(&universe, &proof);
            tell::sentences(&universe, &facts).join(" ")
        }
        // The first search proved that it can not be had, with this budget.
        Ok(_) | Err(Failure::GaveUp(_)) => "the search for a set of versions with it was given up".to_owned(),
    }
}

/// The plugins of a set, in the order in which they first appear.
fn unique<'a>(ids: impl Iterator<Item = &'a PluginId>) -> Vec<&'a PluginId> {
    let mut seen = BTreeSet::new();
    ids.filter(|id| seen.insert(*id)).collect()
}
