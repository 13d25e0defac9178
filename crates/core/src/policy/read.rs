//! From the text of a policy to its rules.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::{
    capability::CapabilityPattern,
    digest::Digest,
    manifest::ConfigKey,
    policy::{
        CapabilityRules, Certification, Effect, MAX_NAMES, MAX_RULES, Match, Origin, Pattern, Policy, Requirement,
        Rule, Ungranted, Unlisted,
    },
    reader::{Reader, Section, bounded_list, choice, kind, table},
};

pub(super) fn policy(reader: &mut Reader<'_>, mut top: Section<'_, '_>, file: &str) -> Policy {
    match top.number(reader, "version", 0..u32::MAX) {
        Some(1) | None if top.value(reader, "version").is_some() => {}
        None => reader.problem(1, "version", "is missing: a policy begins with `version = 1`"),
        Some(other) => reader.problem(1, "version", format!("is {other}: this program knows format 1")),
    }
    let choices = [("allow", Unlisted::Allow), ("deny", Unlisted::Deny)];
    let unlisted = choice(reader, &mut top, "unlisted", &choices).unwrap_or_default();
    let choices = [("ask", Ungranted::Ask), ("deny", Ungranted::Deny)];
    let ungranted = choice(reader, &mut top, "ungranted", &choices).unwrap_or_default();
    let rules = rules(reader, &mut top);
    top.finish(reader);
    Policy { file: file.to_owned(), unlisted, ungranted, rules }
}

fn rules(reader: &mut Reader<'_>, top: &mut Section<'_, '_>) -> Vec<Rule> {
    let Some((line, value)) = top.value(reader, "rule") else { return Vec::new() };
    let DeValue::Array(items) = value.get_ref() else {
        reader.hinted(line, "rule", format!("is {}, not a list of tables", kind(value)), Some("write [[rule]]".into()));
        return Vec::new();
    };
    if items.len() > MAX_RULES {
        reader.problem(line, "rule", format!("has {} items: at most {MAX_RULES} are allowed", items.len()));
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::new();
    for item in items.iter() {
        let line = reader.line(&item.span());
        let Some(section) = table(reader, line, "rule".to_owned(), item) else { continue };
        let Some(rule) = rule(reader, section) else { continue };
        if let Some(first) = rules.iter().find(|other| other.id == rule.id) {
            let message = format!("`{}` is also the rule at line {}", rule.id, first.line);
            reader.problem(rule.line, "rule.id", message);
        }
        rules.push(rule);
    }
    rules
}

fn rule(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Option<Rule> {
    let line = section.line();
    let id: Option<ConfigKey> = section.required(reader, "id");
    let reason = section.parsed(reader, "reason");
    let matches = matches(reader, &mut section);
    let allow = set(reader, &mut section, "allow");
    // A list denies capabilities, and `true` the plugin as a whole.
    let listed = section.value(reader, "deny").is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::Array(_)));
    let deny = !listed && set(reader, &mut section, "deny");
    let capabilities = capabilities(reader, &mut section, listed);
    let requirements = section.section(reader, "require").map(|table| requirements(reader, table));
    section.finish(reader);
    let effect = match (deny, allow, requirements) {
        (true, false, None) if capabilities.is_empty() => Effect::Deny,
        (true, ..) => {
            reader.problem(line, "rule", "denies, and so can neither allow nor require, nor speak of capabilities");
            return None;
        }
        (false, false, None) if capabilities.is_empty() => {
            let hint = "write one of `deny = true`, `allow = true`, `require = { … }`, or a list of capabilities under \
                        `deny`, `ask` or `grant`";
            reader.hinted(line, "rule", "does nothing", Some(hint.to_owned()));
            return None;
        }
        (false, allow, requirements) => Effect::Require { allow, requirements: requirements.unwrap_or_default() },
    };
    Some(Rule { id: id?, line, matches: matches?, reason, effect, capabilities })
}

fn capabilities(reader: &mut Reader<'_>, section: &mut Section<'_, '_>, denies: bool) -> CapabilityRules {
    let mut list = |reader: &mut Reader<'_>, key: &'static str| {
        let patterns: Vec<CapabilityPattern> = bounded_list(reader, section, key, MAX_NAMES);
        if let Some((line, value)) = section.value(reader, key)
            && matches!(value.get_ref(), DeValue::Array(items) if items.is_empty())
        {
            reader.problem(line, section.at(key), "is empty");
        }
        patterns
    };
    let rules = CapabilityRules {
        deny: if denies { list(reader, "deny") } else { Vec::new() },
        ask: list(reader, "ask"),
        grant: list(reader, "grant"),
        addresses: bounded_list(reader, section, "addresses", MAX_NAMES),
    };
    if rules.grant.contains(&CapabilityPattern::Any) {
        // Whatever the next version of this program can grant would be granted too.
        reader.problem(section.line(), section.at("grant"), "grants `*`: name what is granted, kind by kind");
    }
    rules
}

fn matches(reader: &mut Reader<'_>, section: &mut Section<'_, '_>) -> Option<Match> {
    if section.value(reader, "match").is_none() {
        let hint = "write `match = { plugin = \"*\" }` for all plugins";
        reader.hinted(section.line(), section.at("match"), "is missing", Some(hint.to_owned()));
    }
    let mut table = section.section(reader, "match")?;
    let plugin: Option<Pattern> = table.required(reader, "plugin");
    let except: Vec<Pattern> = bounded_list(reader, &mut table, "except", MAX_NAMES);
    if except.contains(&Pattern::Any) {
        reader.problem(table.line(), table.at("except"), "names `*`: the rule would match nothing");
    }
    table.finish(reader);
    Some(Match { plugin: plugin?, except })
}

/// A switch that only says yes: `deny = false` would look as if it allowed something.
fn set(reader: &mut Reader<'_>, section: &mut Section<'_, '_>, key: &'static str) -> bool {
    let Some((line, value)) = section.value(reader, key) else { return false };
    match value.get_ref() {
        DeValue::Boolean(true) => true,
        DeValue::Boolean(false) => {
            reader.problem(line, section.at(key), "is false, which says nothing: leave it out");
            false
        }
        _ => {
            reader.problem(line, section.at(key), format!("is {}, not true", kind(value)));
            false
        }
    }
}

fn requirements(reader: &mut Reader<'_>, mut table: Section<'_, '_>) -> Vec<Requirement> {
    let mut found = Vec::new();
    if set(reader, &mut table, "signature") {
        found.push(Requirement::Signature);
    }
    found.extend(keys(reader, &mut table).map(Requirement::Keys));
    found.extend(
        table.section(reader, "provenance").and_then(|inner| origin(reader, inner)).map(Requirement::Provenance),
    );
    found.extend(table.parsed(reader, "age").map(Requirement::Age));
    found.extend(choice(reader, &mut table, "advisories", &[("none", ())]).map(|()| Requirement::NoAdvisory));
    found.extend(choice(reader, &mut table, "quarantine", &[("none", ())]).map(|()| Requirement::NotQuarantined));
    let level = table.number(reader, "certification", 1..10).map(Certification);
    found.extend(level.map(Requirement::Certification));
    let (line, at) = (table.line(), table.path.clone());
    let empty = table.entries(reader).is_empty();
    table.finish(reader);
    if empty {
        reader.problem(line, at, "requires nothing");
    }
    found
}

/// An empty list would be met by no release: it is a mistake, and said to be one.
fn keys(reader: &mut Reader<'_>, table: &mut Section<'_, '_>) -> Option<BTreeSet<Digest>> {
    let (line, value) = table.value(reader, "keys")?;
    let listed = matches!(value.get_ref(), DeValue::Array(items) if items.is_empty());
    let keys: Vec<Digest> = bounded_list(reader, table, "keys", MAX_NAMES);
    if listed {
        reader.problem(line, table.at("keys"), "is empty");
    }
    Some(keys.into_iter().collect())
}

fn origin(reader: &mut Reader<'_>, mut table: Section<'_, '_>) -> Option<Origin> {
    let origin = Origin {
        repository: table.parsed(reader, "repository"),
        workflow: table.parsed(reader, "workflow"),
        builder: table.parsed(reader, "builder"),
    };
    let (line, at, empty) = (table.line(), table.path.clone(), table.entries(reader).is_empty());
    table.finish(reader);
    if empty {
        reader.problem(line, at, "names no repository, workflow or builder");
    }
    (!empty).then_some(origin)
}
