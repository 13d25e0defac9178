//! What a plugin is given of what it needs: the one place where that is decided.

use std::{collections::BTreeSet, fmt};

use crate::{
    capability::{Capability, CapabilityPattern, Grants, Needs, Reach},
    id::PluginId,
    manifest::{ConfigKey, Reason},
    policy::{Policy, Rule, verdict::place},
    reader::shown,
};

/// What becomes of a capability that a plugin asks for, and that no rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ungranted {
    /// Whoever runs the host is asked; where nobody can be, it is refused.
    #[default]
    Ask,
    /// It is refused.
    Deny,
}

/// What a rule says of capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilityRules {
    /// Never, whatever anybody else says.
    pub deny: Vec<CapabilityPattern>,
    /// Only where a person agrees.
    pub ask: Vec<CapabilityPattern>,
    /// Without asking anybody.
    pub grant: Vec<CapabilityPattern>,
    /// Addresses that granted requests may go to, beside those of the Internet.
    pub addresses: Vec<Reach>,
}

impl CapabilityRules {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is decided of everything that a plugin needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    id: PluginId,
    file: String,
    items: Vec<Decided>,
    unknown: Vec<String>,
    reach: BTreeSet<Reach>,
}

/// What is decided of one capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The capability.
    pub capability: Capability,
    /// Whether the author asked for it; else an import leads there.
    pub asked: bool,
    /// What came of it.
    pub ruling: Ruling,
    /// What is granted of it: all, parts or nothing.
    pub granted: Vec<Capability>,
    /// Who says so.
    pub by: By,
}

/// What came of a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// All of it is granted.
    Granted,
    /// What is not granted needs a person to agree.
    Open,
    /// What is not granted is refused.
    Denied,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A rule.
    Rule {
        /// Its id.
        id: ConfigKey,
        /// Its line, from 1.
        line: usize,
        /// Why there is such a rule.
        reason: Option<Reason>,
    },
    /// Whoever runs the host, when asked.
    Consent,
    /// Nobody: this is what holds where no rule speaks of it.
    Default,
}

impl By {
    fn rule(rule: &Rule) -> Self {
        Self::Rule { id: rule.id.clone(), line: rule.line, reason: rule.reason.clone() }
    }
}

impl Policy {
    /// What the plugin `id` is given of what it needs, where whoever runs the host has agreed to `consented`.
    ///
    /// All rules that match count, and their order decides nothing. Of each capability: a rule that denies something that
    /// it touches refuses it; else a rule that asks needs consent that covers it; else it is granted as far as rules
    /// grant it; and what then is left goes by [`Policy::ungranted`]. What only imports lead to is granted where no rule
    /// speaks of it: a dependency was declared, and an interface of the host is offered so that it is used.
    pub fn decide(&self, id: &PluginId, needs: &Needs, consented: &Grants) -> Decision {
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.matches.takes(id)).collect();
        let usual = Grants::usual();
        let implied = needs.implied().filter(|implied| !needs.asks().any(|asked| asked == *implied));
        let all = needs.asks().map(|c| (c, true)).chain(implied.map(|c| (c, false)));
        let items = all.map(|(capability, asked)| {
            let (ruling, granted, by) = self.rule_on(&rules, capability, asked && !usual.covers(capability), consented);
            Decided { capability: capability.clone(), asked, ruling, granted, by }
        });
        Decision {
            id: id.clone(),
            file: self.file.clone(),
            items: items.collect(),
            unknown: needs.unknown().map(str::to_owned).collect(),
            reach: rules.iter().flat_map(|rule| &rule.capabilities.addresses).copied().collect(),
        }
    }

    /// `must` tells that somebody has to grant it, where no rule denies it or asks.
    fn rule_on(
        &self,
        rules: &[&Rule],
        capability: &Capability,
        must: bool,
        consented: &Grants,
    ) -> (Ruling, Vec<Capability>, By) {
        let whole = || vec![capability.clone()];
        let touched = |patterns: &[CapabilityPattern]| patterns.iter().any(|p| p.is_touched_by(capability));
        if let Some(rule) = rules.iter().find(|rule| touched(&rule.capabilities.deny)) {
            return (Ruling::Denied, Vec::new(), By::rule(rule));
        }
        let agreed = consented.covers(capability);
        if let Some(rule) = rules.iter().find(|rule| touched(&rule.capabilities.ask)) {
            return if agreed {
                (Ruling::Granted, whole(), By::Consent)
            } else {
                (Ruling::Open, Vec::new(), By::rule(rule))
            };
        }
        let mut parts = Vec::new();
        for rule in rules {
            for met in rule.capabilities.grant.iter().filter_map(|pattern| pattern.meet(capability)) {
                if met == *capability {
                    return (Ruling::Granted, whole(), By::rule(rule));
                }
                parts.push(met);
            }
        }
        let parts = Grants::new(parts).capabilities().cloned().collect();
        match self.ungranted {
            _ if !must => (Ruling::Granted, whole(), By::Default),
            Ungranted::Ask if agreed => (Ruling::Granted, whole(), By::Consent),
            Ungranted::Ask => (Ruling::Open, parts, By::Default),
            Ungranted::Deny => (Ruling::Denied, parts, By::Default),
        }
    }
}

impl Decision {
    /// The plugin.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// What is decided, need by need: first what is asked for.
    pub fn items(&self) -> &[Decided] {
        &self.items
    }

    /// What is granted.
    pub fn grants(&self) -> Grants {
        let granted: Grants = self.items.iter().flat_map(|item| &item.granted).cloned().collect();
        granted.reaching(self.reach.iter().copied())
    }

    /// What a person has to be asked for.
    pub fn open(&self) -> Grants {
        let open = self.items.iter().filter(|item| item.ruling == Ruling::Open);
        open.map(|item| item.capability.clone()).collect()
    }

    /// Why the plugin can not be run at all, if so. What it merely may not reach does not keep it from running: it is
    /// told so when it tries.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let unknown =
            self.unknown.iter().map(|text| Obstacle { id: self.id.clone(), why: Hindrance::Unknown(shown(text)) });
        let denied = self.items.iter().filter(|item| item.ruling == Ruling::Denied && !item.capability.can_be_told());
        let denied = denied.map(|item| Obstacle {
            id: self.id.clone(),
            why: Hindrance::Denied(item.capability.clone(), self.said_by(&item.by)),
        });
        unknown.chain(denied).collect()
    }

    /// Who says so, with file and line.
    pub fn said_by(&self, by: &By) -> String {
        match by {
            By::Rule { id, line, reason } => {
                let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("the rule `{id}` ({}){because}", place(&self.file, *line))
            }
            By::Consent => "your consent".to_owned(),
            By::Default => "default: no rule speaks of it".to_owned(),
        }
    }
}

/// Why a plugin can not be run under a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Obstacle {
    id: PluginId,
    why: Hindrance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hindrance {
    Denied(Capability, String),
    Unknown(String),
}

impl Obstacle {
    /// The plugin.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// A stable code, for programs and for looking up.
    pub fn code(&self) -> &'static str {
        match self.why {
            Hindrance::Denied(..) => "P011",
            Hindrance::Unknown(_) => "P012",
        }
    }

    /// What to try.
    pub fn hint(&self) -> String {
        match &self.why {
            Hindrance::Denied(..) => "use another plugin; only a change of the rule lets it through".to_owned(),
            Hindrance::Unknown(_) => {
                "a newer version of this program may know it; until then use another plugin".to_owned()
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        match &self.why {
            Hindrance::Denied(capability @ Capability::Host(..), by) => {
                write!(
                    f,
                    "`{id}` can not be linked: it imports what `{capability}` leads to, and that is denied by {by}"
                )
            }
            Hindrance::Denied(capability, by) => {
                write!(f, "`{id}` can not be linked: it imports `{capability}`, which is denied by {by}")
            }
            Hindrance::Unknown(text) => {
                write!(f, "`{id}` can not be run: it needs `{text}`, which this program does not know")
            }
        }
    }
}
