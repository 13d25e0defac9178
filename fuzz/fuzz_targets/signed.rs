//! Documents of any shape that the right keys have signed: what is behind the check of signatures.
//!
//! The first byte says which role; the rest is the signed part, as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::trust::{CachedTrust, Config, Step, Updater};
use stoa_fuzz::registry::{GOOD, MARKDOWN, now, sign};

fuzz_target!(|input: &[u8]| {
    let Some((role, text)) = input.split_first() else { return };
    let role = ["root", "timestamp", "snapshot", "targets", "index", "bin"][usize::from(*role) % 6];
    let Ok(signed) = serde_json::from_slice::<serde_json::Value>(text) else { return };
    let Some(forged) = sign(&signed) else { return };

    let mut updater =
        Updater::open(&GOOD["1.root.json"], CachedTrust::default(), now(), Config::default()).expect("a root");
    let answer = |asked: String, name: &str| match name.starts_with(role) {
        true => Some(forged.clone()),
        false => GOOD.get(&asked).cloned(),
    };
    // 256 roots may follow, and then it ends.
    for _ in 0..300 {
        let Step::Fetch { file, .. } = updater.next() else { break };
        if updater.receive(answer(file.to_string(), &file.role).as_deref()).is_err() {
            break;
        }
    }
    let mut lookup = updater.lookup(MARKDOWN);
    for _ in 0..100 {
        let Ok(Step::Fetch { file, .. }) = lookup.next(&mut updater) else { break };
        if lookup.receive(&mut updater, answer(file.to_string(), &file.role).as_deref()).is_err() {
            break;
        }
    }
});
