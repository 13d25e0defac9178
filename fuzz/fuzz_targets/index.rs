//! Everything that a client reads below the trust files, and a registry in its log: documents, records, events, paths.
//! What is read prints as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::{
    document::{Document, DocumentError},
    event::Sealed,
    path::PublicPath,
    release::Release,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Sealed::read(bytes) {
        assert_eq!(event.bytes(), bytes, "an event has one spelling");
    }
    if let Ok(release) = Release::read(bytes) {
        let printed = release.to_bytes().expect("what was read can be printed");
        assert_eq!(Release::read(&printed).expect("what was printed can be read"), release);
    }
    let id = "demo:markdown".parse().expect("an id");
    if let Ok(document) = Document::read(&id, bytes) {
        let printed = match document.to_bytes() {
            Err(DocumentError::Newer { version, .. }) => return assert!(document.newer.contains_key(&version)),
            printed => printed.expect("what was read can be printed"),
        };
        assert_eq!(Document::read(&id, &printed).expect("what was printed can be read"), document);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(path) = text.parse::<PublicPath>()
    {
        assert_eq!(path.to_string(), text, "a path has one spelling");
    }
});
