//! Components from strangers, as they are inspected at publish and at load.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::component::{InspectLimits, Inspection};

fuzz_target!(|bytes: &[u8]| {
    let _ = Inspection::of(bytes, &InspectLimits::default());
});
