//! Whatever the bytes, an inspection ends with a value.

use proptest::prelude::*;
use stoa_core::component::{InspectLimits, Inspection};

use crate::build::{component, package};

fn samples() -> Vec<Vec<u8>> {
    vec![
        component(
            "package demo:a@1.0.0;
             interface render {
                 use stoa:plugin/types@0.1.0.{call-error};
                 record options { a: u8, b: list<tuple<string, u32>> }
                 render: func(text: string, options: option<options>) -> result<string, call-error>;
             }
             interface blobs { resource blob { constructor(); read: func() -> list<u8>; } take: func(b: borrow<blob>); }
             world w { import blobs; import stoa:plugin/log@0.1.0; export render; export plain: func() -> u32; }",
        ),
        package(stoa_core::interface::STOA_PLUGIN_WIT),
        wat::parse_str(
            r#"(component
                (import "a:b/c" (instance (export "r" (type $r (sub resource)))
                    (export "[method]r.f" (func (param "self" (borrow $r)) (result (list string))))))
                (component (core module (memory 1) (data (i32.const 0) "abc"))))"#,
        )
        .expect("well-formed"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Inspection::of(&bytes, &InspectLimits::default());
        let with_header = [b"\0asm\x0d\0\x01\0", &bytes[..]].concat();
        let _ = Inspection::of(&with_header, &InspectLimits::default());
    }

    #[test]
    fn a_changed_component_never_panics_and_what_is_accepted_is_within_the_limits(
        which in 0_usize..3,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let limits = InspectLimits::default();
        if let Ok(inspection) = Inspection::of(&bytes, &limits) {
            prop_assert!(inspection.counts().depth <= limits.depth);
            prop_assert!(inspection.wit().len() as u64 <= limits.wit_bytes);
            prop_assert!(inspection.imports().is_sorted_by(|a, b| a.name() < b.name()));
            prop_assert_eq!(Inspection::of(&bytes, &limits), Ok(inspection));
        }
    }
}
