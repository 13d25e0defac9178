//! The files that people and other programs write: `plugin.toml`, `plugins.toml`, `plugins.lock`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::{lock::Lock, manifest::Manifest, wanted::Wanted};

fuzz_target!(|text: &str| {
    let _ = Manifest::parse(text);
    let _ = Wanted::parse(text);
    if let Ok(lock) = Lock::parse(text) {
        let printed = lock.print();
        assert_eq!(Lock::parse(&printed).expect("what was printed can be read").print(), printed);
    }
});
