//! How a running registry is doing beyond its answers: what follows the log, and whether anything can be stored.
//!
//! Whoever runs the indexer beside the API tells its [`Pulse`], and `/api/v1/health` shows it. Where they run apart, it
//! knows of the API's own storage and nothing else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use stoa_core::time::Time;
use stoa_store::{blobs::BlobError, ledger::LedgerError};

use crate::problem::{Code, storage_full};

/// What follows the log looks at it every minute: one that has not ended a look for three hangs.
const LATE: i64 = 3 * 60;

/// A part of a registry that can be in trouble while others are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The signed index, which follows the log.
    Index,
    /// The pages, which follow the index.
    Pages,
    /// What requests write to.
    Storage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Condition {
    /// It is tried again and again.
    Failing,
    /// It has not ended what it began.
    Late,
    /// It is not tried any more: a person has to look.
    Stopped,
}

/// What is wrong with a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    part: Part,
    state: Condition,
    code: Code,
    /// In words that name no file, table or host: anyone may read them. The log has the rest.
    detail: String,
    since: Time,
}

/// What a pulse shows at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The last event that the signed index covers, where that is known here.
    pub(crate) signed: Option<u64>,
    pub(crate) troubles: Vec<Trouble>,
}

#[derive(Debug, Default)]
struct State {
    signed: Option<u64>,
    /// When a look at the log ended last.
    looked: Option<Time>,
    troubles: BTreeMap<Part, Trouble>,
}

/// The pulse of a running registry. Clones are of the same one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<State>>);

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index covers the log up to event `seq`.
    pub fn signed(&self, seq: u64, now: Time) {
        let mut state = self.lock();
        (state.signed, state.looked) = (Some(seq), Some(now));
        state.troubles.remove(&Part::Index);
    }

    /// A part works.
    pub fn works(&self, part: Part) {
        self.lock().troubles.remove(&part);
    }

    /// A part has failed and is tried again. It is in trouble since it failed first.
    pub fn fails(&self, part: Part, error: &(dyn std::error::Error + 'static), now: Time) {
        self.trouble(part, Condition::Failing, cause(error), error.to_string(), now);
    }

    /// A part waits for another process.
    pub fn waits(&self, part: Part, detail: impl Into<String>, now: Time) {
        self.trouble(part, Condition::Late, Code::Unavailable, detail.into(), now);
    }

    /// A part has stopped and does not go on by itself.
    pub fn stopped(&self, part: Part, detail: impl Into<String>, now: Time) {
        self.trouble(part, Condition::Stopped, Code::Internal, detail.into(), now);
    }

    /// A request could not be answered for this reason.
    pub(crate) fn refused(&self, code: Code, now: Time) {
        self.trouble(Part::Storage, Condition::Failing, code, code.title().to_owned(), now);
    }

    /// Whether a part is in trouble.
    pub fn troubles(&self, part: Part) -> bool {
        self.lock().troubles.contains_key(&part)
    }

    fn trouble(&self, part: Part, condition: Condition, code: Code, detail: String, now: Time) {
        let mut state = self.lock();
        if part == Part::Index {
            state.looked = Some(now);
        }
        let since = state.troubles.get(&part).map_or(now, |trouble| trouble.since);
        state.troubles.insert(part, Trouble { part, state: condition, code, detail, since });
    }

    pub(crate) fn shown(&self, now: Time) -> Shown {
        let state = self.lock();
        let mut troubles: Vec<Trouble> = state.troubles.values().cloned().collect();
        let late = state.looked.filter(|looked| now.unix() - looked.unix() > LATE);
        if let Some(since) = late.filter(|_| !state.troubles.contains_key(&Part::Index)) {
            let detail = "a look at the log has not ended since".to_owned();
            troubles
                .insert(0, Trouble { part: Part::Index, state: Condition::Late, code: Code::Timeout, detail, since });
        }
        Shown { signed: state.signed, troubles }
    }
}

/// The code that a request would get for this.
fn cause(error: &(dyn std::error::Error + 'static)) -> Code {
    if storage_full(error) {
        return Code::StorageFull;
    }
    let mut next = Some(error);
    while let Some(error) = next {
        let engine = matches!(error.downcast_ref(), Some(BlobError::Engine { .. }))
            || matches!(error.downcast_ref(), Some(LedgerError::Engine { .. }));
        if engine {
            return Code::Unavailable;
        }
        next = error.source();
    }
    Code::Internal
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_795_000_000 + seconds)
    }

    fn shown(pulse: &Pulse, seconds: i64) -> String {
        let shown = pulse.shown(at(seconds));
        format!("{:?} {}", shown.signed, serde_json::to_string(&shown.troubles).expect("JSON"))
    }

    #[test]
    fn trouble_lasts_from_its_first_sign_until_the_part_works() {
        let pulse = Pulse::default();
        assert_eq!(shown(&pulse, 1_000_000), "None []", "where nothing follows, nothing is late");
        pulse.signed(7, at(0));
        let full = BlobError::engine("writing `/srv/secret`", Error::from(ErrorKind::StorageFull));
        pulse.fails(Part::Index, &full, at(10));
        pulse.fails(Part::Index, &BlobError::engine("x", Error::from(ErrorKind::PermissionDenied)), at(20));
        assert_eq!(
            shown(&pulse, 30),
            r#"Some(7) [{"part":"index","state":"failing","code":"unavailable","detail":"x failed","since":"2026-11-18T11:06:50Z"}]"#
        );
        pulse.signed(8, at(30));
        assert_eq!(shown(&pulse, 31), "Some(8) []");
        assert_eq!(cause(&full), Code::StorageFull);
    }

    #[test]
    fn a_look_that_does_not_end_is_told() {
        let pulse = Pulse::default();
        pulse.signed(7, at(0));
        assert_eq!(shown(&pulse, 180), "Some(7) []");
        assert_eq!(
            shown(&pulse, 181),
            r#"Some(7) [{"part":"index","state":"late","code":"timeout","detail":"a look at the log has not ended since","since":"2026-11-18T11:06:40Z"}]"#
        );
        pulse.stopped(Part::Index, "the log has forked", at(200));
        assert!(shown(&pulse, 1_000).contains(r#""state":"stopped","code":"internal""#), "it says why");
    }
}
