//! What a scan of the verified bytes said, kept beside the code that was made of them.

use serde::{Deserialize, Serialize};
use serde_json::json;
use stoa_core::component::Counts;

/// The scan that this loader does. Code that was kept with another one is found under another key, and so not at all.
pub(super) const VERSION: u32 = 1;

/// The result of a scan. Opaque to the cache, which keeps it whole and under the record's MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    version: u32,
    text: String,
}

impl Scan {
    /// Which scan it was. 1: how much of everything the component has.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it said: JSON, whose members depend on the version.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The scan of version 1.
    pub(super) fn of(counts: &Counts) -> Self {
        let text = json!({
            "modules": counts.modules, "components": counts.components, "instances": counts.instances,
            "depth": counts.depth, "functions": counts.functions, "types": counts.types,
            "declarations": counts.declarations, "crossings": counts.crossings, "code_bytes": counts.code_bytes,
            "data_bytes": counts.data_bytes, "initial_memory": counts.initial_memory,
            "table_elements": counts.table_elements, "wit_bytes": counts.wit_bytes, "externs": counts.externs,
        });
        Self { version: VERSION, text: text.to_string() }
    }
}
