//! The client's state machine as a whole, against a server that answers anything.
//!
//! The input is a script: each answer is a file of the good registry, that file with bytes changed, or bytes of the
//! input. Whatever comes, the machine does not panic, ends, and keeps nothing that the registry's keys did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::trust::{CacheWrite, CachedTrust, Config, Envelope, Step, TrustFile, Updater};
use stoa_fuzz::registry::{GOOD, MARKDOWN, now};

/// No refresh and no lookup takes so many answers: 256 roots, 32 roles, and what leads to them.
const MOST_ANSWERS: usize = 400;

fuzz_target!(|script: &[u8]| {
    let mut script = Script(script);
    let mut updater =
        Updater::open(&GOOD["1.root.json"], CachedTrust::default(), now(), Config::default()).expect("a root");
    for _refresh in 0..2 {
        updater.begin(now());
        for _ in 0..MOST_ANSWERS {
            let Step::Fetch { file, .. } = updater.next() else { break };
            if updater.receive(script.answer(&file).as_deref()).is_err() {
                break;
            }
        }
        let mut lookup = updater.lookup(MARKDOWN);
        for _ in 0..MOST_ANSWERS {
            let Ok(Step::Fetch { file, .. }) = lookup.next(&mut updater) else { break };
            let answer = script.answer(&file);
            if lookup.receive(&mut updater, answer.as_deref()).is_err() {
                break;
            }
        }
    }
    for write in updater.take_writes() {
        let (CacheWrite::Root { bytes, .. } | CacheWrite::Role { bytes, .. }) = write else { continue };
        let kept = Envelope::read("kept", &bytes).expect("what is kept was read");
        let signed = |good: &Vec<u8>| Envelope::read("good", good).is_ok_and(|good| good.payload() == kept.payload());
        assert!(GOOD.values().any(signed), "kept, and signed by nobody: {}", String::from_utf8_lossy(&bytes));
    }
});

/// What the server does, read from the input.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// At the end of the input the server is an honest one.
    fn answer(&mut self, asked: &TrustFile) -> Option<Vec<u8>> {
        let good = |name: &str| GOOD.get(name).cloned();
        match self.byte() {
            0..96 => good(&asked.to_string()),
            96..128 => None,
            128..160 => good(GOOD.keys().nth(usize::from(self.byte()) % GOOD.len()).expect("a file")),
            160..224 => {
                let mut bytes = good(&asked.to_string())?;
                let at = (usize::from(self.byte()) << 8 | usize::from(self.byte())) % bytes.len();
                match self.byte() {
                    0..64 => bytes.truncate(at),
                    64..128 => bytes.insert(at, self.byte()),
                    128..192 => drop(bytes.remove(at)),
                    _ => bytes[at] = self.byte(),
                }
                Some(bytes)
            }
            _ => {
                let length = (usize::from(self.byte()) << 4).min(self.0.len());
                let (bytes, rest) = self.0.split_at(length);
                self.0 = rest;
                Some(bytes.to_vec())
            }
        }
    }
}
