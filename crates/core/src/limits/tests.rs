use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;

#[test]
fn the_table_contradicts_nothing() {
    let mut names = BTreeSet::new();
    for limit in Limit::ALL {
        let row = limit.row();
        assert!(row.least <= row.default && row.default <= row.most, "{limit}: the default lies between the bounds");
        assert!(names.insert(row.name), "{limit} is there twice");
        assert!(row.scope == Scope::Plugin || !row.wish, "{limit}: no plugin wishes for what all share");
    }
    assert_eq!(Limits::default().check(), Ok(()));
    assert_eq!(Totals::default().check(), Ok(()));
}

#[test]
fn a_limit_above_its_hard_maximum_is_refused_by_name() {
    let limits = Limits { memory: 5 << 30, ..Limits::default() };
    let refused = limits.check().map_err(|error| error.to_string());
    assert_eq!(refused, Err("the limit `memory` is 5GiB: at most 4GiB can be set".to_owned()));
    let totals = Totals { compile_time: Duration::from_secs(7200), ..Totals::default() };
    let refused = totals.check().map_err(|error| error.to_string());
    assert_eq!(refused, Err("the limit `compile-time` is 120min: at most 60min can be set".to_owned()));
}

#[test]
fn a_wish_lowers_a_ceiling_and_never_raises_it() {
    let host = Limits::default();
    let wishes = Wishes { memory: Some(1 << 20), deadline: Some(Duration::from_secs(3600)), ..Wishes::default() };
    assert_eq!(host.narrowed(&wishes), Limits { memory: 1 << 20, ..host });
}

#[test]
fn a_record_may_wish_for_what_this_version_does_not_know() {
    let record = [("memory", 1 << 20), ("gpu", 1), ("waiters", 1), ("total-memory", 1)];
    let record = record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(Wishes::of_record(&record), Wishes { memory: Some(1 << 20), ..Wishes::default() });
}

/// Some of the wishes that a manifest can hold.
fn wishes() -> impl Strategy<Value = Wishes> {
    let all: Vec<_> = Limit::ALL.iter().copied().filter(|limit| limit.row().wish).collect();
    proptest::collection::vec(proptest::option::of(any::<u64>()), all.len()).prop_map(move |values| {
        let asked = all.iter().zip(values).filter_map(|(limit, value)| Some((*limit, value?)));
        asked.fold(Wishes::default(), |wishes, (limit, value)| {
            let row = limit.row();
            wishes.with(limit, value.clamp(row.least, row.most))
        })
    })
}

proptest! {
    #[test]
    fn wishes_survive_their_record(wishes in wishes()) {
        prop_assert_eq!(Wishes::of_record(&wishes.to_record()), wishes);
    }

    #[test]
    fn nobody_gets_more_than_the_host_gives_or_than_was_asked_for(wishes in wishes()) {
        let host = Limits::default();
        let limits = host.narrowed(&wishes);
        for limit in Limit::ALL.iter().filter(|limit| limit.row().scope == Scope::Plugin) {
            let asked = wishes.asked().into_iter().find(|(asked, _)| asked == limit).map(|(_, value)| value);
            let given = host.of(*limit).map(|ceiling| asked.map_or(ceiling, |asked| asked.min(ceiling)));
            prop_assert_eq!(limits.of(*limit), given, "{}", limit);
        }
        prop_assert_eq!(limits.narrowed(&wishes), limits);
    }
}

/// The rows of `scope` as a table of Markdown.
fn markdown(scope: Scope) -> String {
    let rows = Limit::ALL.iter().map(|limit| (limit, limit.row())).filter(|(_, row)| row.scope == scope);
    let rows = rows.map(|(limit, row)| {
        let (default, most) = (limit.show(row.default), limit.show(row.most));
        let wish = if row.wish { "yes" } else { "" };
        let Row { name, meaning, held_by, code, .. } = row;
        match scope {
            Scope::Plugin => format!("| `{name}` | {default} | {most} | {wish} | {meaning} | {held_by} | `{code}` |"),
            Scope::Host => format!("| `{name}` | {default} | {most} | {meaning} | {held_by} | `{code}` |"),
        }
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// What a manifest may wish for, as a table of Markdown.
fn wishes_markdown() -> String {
    let rows = Limit::ALL.iter().map(|limit| (limit, limit.row())).filter(|(_, row)| row.wish);
    let rows = rows.map(|(limit, row)| {
        format!("| `{}` | {} to {} | {} |", row.name, limit.show(row.least), limit.show(row.most), row.meaning)
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documentation_has_the_table_as_it_is() {
    let page = include_str!("../../../../docs/operating/limits.md");
    let manifest = include_str!("../../../../docs/format/plugin-toml.md");
    for (page, table) in [(page, markdown(Scope::Plugin)), (page, markdown(Scope::Host)), (manifest, wishes_markdown())]
    {
        assert!(page.contains(&table), "the page should have these lines:\n{table}");
    }
}
