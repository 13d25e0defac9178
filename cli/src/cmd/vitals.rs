//! How plugins did, as JSON. As text they say it themselves.

use serde_json::{Value, json};
use stoa_loader::{CircuitVitals, Vitals};

pub(crate) fn json(vitals: &Vitals) -> Value {
    let callers = vitals.callers.iter().map(|(caller, of)| {
        let mut told = circuit(of);
        told["caller"] = json!(caller.to_string());
        told
    });
    json!({
        "plugin": vitals.plugin,
        "version": vitals.version,
        "calls": vitals.calls,
        "losses": vitals.losses,
        "breaker": circuit(&vitals.breaker),
        "callers": callers.collect::<Vec<_>>(),
    })
}

fn circuit(of: &CircuitVitals) -> Value {
    json!({
        "state": of.state.to_string(),
        "reason": of.reason.as_ref().map(ToString::to_string),
        "retry_ms": of.retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        "failures": of.failures,
        "refused": of.refused,
        "opened": of.opened,
    })
}
