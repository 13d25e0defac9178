//! One module a command.

pub(crate) mod admin;
pub(crate) mod advisory;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod cache;
pub(crate) mod caps;
pub(crate) mod certify;
pub(crate) mod demo;
pub(crate) mod fetch;
pub(crate) mod info;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod mirror;
pub(crate) mod policy;
pub(crate) mod publish;
pub(crate) mod publisher;
pub(crate) mod run;
pub(crate) mod takedown;
pub(crate) mod tree;
pub(crate) mod trust;
pub(crate) mod vitals;
pub(crate) mod why;
pub(crate) mod yank;

use stoa_core::time::Time;

/// The time, read once at the edge.
pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A failure to choose or fetch, with everything that a resolver has to say.
pub(crate) fn explain(error: stoa_loader::PlanningError) -> crate::report::Failure {
    use crate::report::{Failure, chain, is_offline};
    let resolve = match error {
        stoa_loader::PlanningError::Registry(refused) => return refused.into(),
        stoa_loader::PlanningError::Policy(ref refusals) => return policy::refused(&error, refusals),
        stoa_loader::PlanningError::Consent(ref asks) => {
            let accept: Vec<_> = asks.iter().map(|ask| format!("--accept {}", ask.release.id)).collect();
            let hint = "nothing was changed; see what it is for, or ask its publisher, then give the same command";
            return Failure::new(chain(&error)).code("P010").hint(format!("{hint} `{}`", accept.join(" ")));
        }
        stoa_loader::PlanningError::Grants(ref refused) => {
            let hints: Vec<_> = refused.iter().map(stoa_loader::GrantError::hint).collect();
            let failure = Failure::new(chain(&error)).hint(hints.join("\n"));
            return refused.first().map(stoa_loader::GrantError::code).into_iter().fold(failure, Failure::code);
        }
        stoa_loader::PlanningError::TakenDown(_) => {
            return Failure::new(chain(&error)).code("taken-down").hint(
                "`stoa lock` chooses another version; what runs of a killed release is to be stopped, and looked at",
            );
        }
        stoa_loader::PlanningError::TooStale { .. } => {
            return Failure::new(chain(&error))
                .code("index-too-stale")
                .hint("connect to the registry once, or run what `plugins.lock` names: `--locked`");
        }
        stoa_loader::PlanningError::Resolve(resolve) => resolve,
        other if is_offline(&other) => return Failure::new(chain(&other)).offline(),
        other => return Failure::new(chain(&other)),
    };
    let resolve = &resolve;
    let hints: Vec<String> = resolve.hints().into_iter().chain(resolve.notes()).collect();
    let failure = Failure::new(chain(resolve)).code(resolve.code());
    if hints.is_empty() { failure } else { failure.hint(hints.join("\n      ")) }
}
