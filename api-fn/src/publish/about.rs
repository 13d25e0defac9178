//! What a record says in words, by the same rules as the manifest that it was made of: a record may come from
//! any tool, and its texts end on pages and terminals.

use std::{fmt::Display, str::FromStr};

use stoa_core::{
    limits::Limit,
    manifest::{CapabilityKind, Category, Description, Keyword, License, MAX_ENTRIES, Reason, Repository},
    release::Release,
};

use crate::problem::{Code, Problem};

/// A release has at most so many keywords, as in a manifest.
const MAX_KEYWORDS: usize = 8;
/// A release stands on at most so many shelves, as in a manifest.
const MAX_CATEGORIES: usize = 3;
/// The most instances that a plugin can ask for, as in a manifest.
const MAX_POOL: u32 = 64;

/// Checks the texts, names and numbers of a record that neither its type nor its component decides.
///
/// # Errors
/// [`Code::RecordInvalid`] naming the member and the rule.
pub fn check(release: &Release) -> Result<(), Problem> {
    let record = Record(release);
    record.text::<Description>("description", &release.description)?;
    record.text::<License>("license", &release.license)?;
    release.repository.iter().try_for_each(|text| record.text::<Repository>("repository", text))?;
    record.count("keywords", release.keywords.len(), MAX_KEYWORDS)?;
    release.keywords.iter().try_for_each(|text| record.text::<Keyword>("keywords", text))?;
    record.count("categories", release.categories.len(), MAX_CATEGORIES)?;
    release.categories.iter().try_for_each(|text| record.text::<Category>("categories", text))?;
    record.count("dependencies", release.dependencies.len(), MAX_ENTRIES)?;
    release.capabilities.iter().try_for_each(|(name, reason)| record.capability(name, reason))?;
    release.limits.iter().try_for_each(|(name, value)| record.limit(name, *value))?;
    match release.runtime.pool {
        Some(pool) if !(1..=MAX_POOL).contains(&pool) => {
            record.refuse("runtime.pool", format!("is {pool}: 1 to {MAX_POOL} are possible"))
        }
        _ => Ok(()),
    }
}

struct Record<'r>(&'r Release);

impl Record<'_> {
    fn refuse<T>(&self, member: &str, rule: impl Display) -> Result<T, Problem> {
        let Self(release) = self;
        let detail = format!("the record of `{}` {}: `{member}` {rule}", release.id, release.version);
        Err(Problem::new(Code::RecordInvalid, detail).with("member", member))
    }

    /// As in a manifest: a limit that can be wished for, within its bounds.
    fn limit(&self, name: &str, value: u64) -> Result<(), Problem> {
        let Some(limit) = Limit::wished(name) else {
            let all: Vec<_> = Limit::wishes().collect();
            return self.refuse("limits", format!("`{name}` is not a limit; there are {}", all.join(", ")));
        };
        let row = limit.row();
        if (row.least..=row.most).contains(&value) {
            return Ok(());
        }
        let (value, least, most) = (limit.show(value), limit.show(row.least), limit.show(row.most));
        self.refuse("limits", format!("`{name}` is {value}, not from {least} to {most}"))
    }

    fn text<T: FromStr<Err: Display>>(&self, member: &str, text: &str) -> Result<(), Problem> {
        text.parse::<T>().map(drop).or_else(|error| self.refuse(member, error))
    }

    fn count(&self, member: &str, found: usize, limit: usize) -> Result<(), Problem> {
        if found <= limit {
            return Ok(());
        }
        self.refuse(member, format!("has {found} entries: at most {limit} are allowed"))
    }

    /// `KIND` or `KIND:SCOPE`, with the author's reason.
    fn capability(&self, name: &str, reason: &str) -> Result<(), Problem> {
        let (kind, scope) = name.split_once(':').map_or((name, None), |(kind, scope)| (kind, Some(scope)));
        let kind: CapabilityKind = kind.parse().or_else(|error| self.refuse("capabilities", error))?;
        scope
            .iter()
            .try_for_each(|scope| kind.check_scope(scope))
            .or_else(|error| self.refuse("capabilities", error))?;
        self.text::<Reason>("capabilities", reason)
    }
}
