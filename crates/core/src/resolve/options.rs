//! How to resolve.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Name, PluginId},
    resolve::{Documents, Known},
    version::Version,
};

/// The decisions that a search may take before it gives up: some seconds at the most.
pub const DEFAULT_BUDGET: u64 = 200_000;

/// How much of a lock is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// All that still fits.
    #[default]
    Keep,
    /// All that still fits, but for these plugins, which get the newest version.
    Update(BTreeSet<PluginId>),
    /// Nothing: every plugin gets the newest version.
    UpdateAll,
    /// Everything, to the letter: nothing is searched, and a lock that would have to change is refused.
    Locked,
}

/// How to resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveOptions {
    /// How much of the lock is kept.
    pub mode: Mode,
    /// The name of the registry that the documents are from.
    pub registry: Name,
    /// The decisions that a search may take before it gives up: usually [`DEFAULT_BUDGET`].
    pub budget: u64,
    /// The releases that are not chosen though nothing else speaks against them, each with the reason, such as what the
    /// host's policy refuses ([`crate::policy::Policy::bars`]). The locked mode does not look at it, since it chooses nothing.
    pub barred: Barred,
    /// The one version of these plugins that will do, whatever others would: it bars all others.
    pub precise: BTreeMap<PluginId, Version>,
}

impl ResolveOptions {
    /// Keeps what fits of the lock, with the default budget.
    pub fn new(registry: Name) -> Self {
        let (barred, precise) = (Barred::new(), BTreeMap::new());
        Self { mode: Mode::Keep, registry, budget: DEFAULT_BUDGET, barred, precise }
    }

    /// These options with other decisions to take before a search is given up.
    #[must_use]
    pub fn with_budget(self, budget: u64) -> Self {
        Self { budget, ..self }
    }

    /// These options with exactly these versions of some plugins.
    #[must_use]
    pub fn with_precise(self, precise: BTreeMap<PluginId, Version>) -> Self {
        Self { precise, ..self }
    }

    /// These options with all that `precise` bars among `documents`.
    pub(super) fn spelt_out(&self, documents: &Documents) -> Self {
        let mut others = Barred::new();
        for (id, precise) in &self.precise {
            let Some(Known::Document(document)) = documents.get(id) else { continue };
            let versions = document.releases.keys().filter(|version| *version != precise);
            others
                .insert(id.clone(), versions.map(|version| (version.clone(), Bar::Precise(precise.clone()))).collect());
        }
        self.clone().and_barred(others)
    }

    /// These options in another mode.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// These options with these releases barred as well. Of two reasons the first stays.
    #[must_use]
    pub fn and_barred(mut self, further: Barred) -> Self {
        for (id, bars) in further {
            let known = self.barred.entry(id).or_default();
            for (version, bar) in bars {
                known.entry(version).or_insert(bar);
            }
        }
        self
    }

    /// These options with other releases barred.
    #[must_use]
    pub fn with_barred(self, barred: Barred) -> Self {
        Self { barred, ..self }
    }
}

/// Releases that are not to be chosen, each with the reason.
pub type Barred = BTreeMap<PluginId, BTreeMap<Version, Bar>>;

/// Why a release is not to be chosen though nothing in its document speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bar {
    /// The host's policy refuses it.
    Policy {
        /// Why, by which rule.
        why: String,
        /// What would satisfy the rule.
        hint: String,
    },
    /// Its component is not kept, and no connection may be opened.
    NotKept,
    /// Exactly this other version was asked for.
    Precise(Version),
}
