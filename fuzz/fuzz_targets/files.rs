//! The files that people and other programs write: `plugin.toml`, `plugins.toml`, `plugins.lock`, ceremonies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::{lock::Lock, manifest::Manifest, trust::ceremony::Offer, wanted::Wanted};

fuzz_target!(|text: &str| {
    let _ = Manifest::parse(text);
    let _ = Wanted::parse(text);
    if let Ok(offer) = Offer::read(text.as_bytes()) {
        assert_eq!(Offer::read(&offer.to_bytes()).expect("what was written can be read"), offer);
    }
    if let Ok(lock) = Lock::parse(text) {
        let printed = lock.print();
        assert_eq!(Lock::parse(&printed).expect("what was printed can be read").print(), printed);
    }
});
