//! Consent: what whoever runs a host agrees to, beyond what its policy grants.

use std::fmt;

use stoa_core::{
    capability::{Capability, Grants},
    id::PluginId,
    lock::Exact,
    policy::{Decision, Ruling},
};

use crate::grant::Voucher;

pub use self::kept::{Agreement, ConsentError, Consents, Kept, MAX_BYTES};

mod kept;

/// Somebody who may agree to what a policy leaves open.
pub trait Consent: Send + Sync {
    /// Whether the plugin may have what it asks for. May take its time: it is asked on a thread of its own.
    fn answer(&self, question: &Question) -> Answer;
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may have all of it.
    Agree,
    /// It may run, but have none of it: what it tries there fails. Where it could not be told so, it does not run.
    Without,
    /// It may not run.
    Refuse,
}

/// Nobody: all that a policy leaves open is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Consent for Nobody {
    fn answer(&self, _: &Question) -> Answer {
        Answer::Refuse
    }
}

impl<F: Fn(&Question) -> Answer + Send + Sync> Consent for F {
    fn answer(&self, question: &Question) -> Answer {
        self(question)
    }
}

/// What somebody has to agree to before a plugin has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    release: Exact,
    voucher: Option<Voucher>,
    capabilities: Grants,
    /// Those that a rule of the policy leaves to a person: one more rule that grants them would not help.
    demanded: Vec<(Capability, String)>,
}

impl Question {
    /// What `decision` leaves open, for a release that `voucher` stands for.
    pub fn new(release: Exact, voucher: Option<Voucher>, decision: &Decision) -> Self {
        let open = decision.items().iter().filter(|item| item.ruling == Ruling::Open);
        let by_rule = open.filter(|item| matches!(item.by, stoa_core::policy::By::Rule { .. }));
        let demanded = by_rule.map(|item| (item.capability.clone(), decision.said_by(&item.by))).collect();
        Self { release, voucher, capabilities: decision.open(), demanded }
    }

    /// The plugin.
    pub fn id(&self) -> &PluginId {
        &self.release.id
    }

    /// The plugin and its version.
    pub fn release(&self) -> &Exact {
        &self.release
    }

    /// Who stands for it; `None` where it comes from no registry.
    pub fn voucher(&self) -> Option<&Voucher> {
        self.voucher.as_ref()
    }

    /// What it would have: all of it is agreed to together, or nothing.
    pub fn capabilities(&self) -> &Grants {
        &self.capabilities
    }

    /// Whether it could run without.
    pub fn can_do_without(&self) -> bool {
        self.capabilities.capabilities().all(Capability::can_be_told)
    }

    /// The rule that grants it, as it stands in `policy.toml`: for hosts where nobody can be asked. `None` where a rule
    /// demands that a person agrees.
    pub fn rule(&self) -> Option<String> {
        let list: Vec<_> = self.capabilities.capabilities().map(|one| format!("\"{one}\"")).collect();
        let id = self.id();
        let word = id.to_string().replace([':', '.', '_'], "-");
        let rule =
            || format!("[[rule]]\nid = \"{word}\"\nmatch = {{ plugin = \"{id}\" }}\ngrant = [{}]", list.join(", "));
        self.demanded.is_empty().then(rule)
    }

    /// What to try.
    pub fn hint(&self) -> String {
        let agree = format!("agree with `stoa caps {} --agree`", self.release);
        match self.rule() {
            Some(rule) => format!("{agree}, or add to policy.toml:\n{rule}"),
            None => {
                let demands = self.demanded.iter().map(|(capability, by)| format!("`{capability}`, by {by}"));
                format!("{agree}: a person has to agree to {}", demands.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<_> = self.capabilities.capabilities().map(|one| format!("`{one}`")).collect();
        write!(f, "{} asks for {}", self.release, list.join(", "))
    }
}
