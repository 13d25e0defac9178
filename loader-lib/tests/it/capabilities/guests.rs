//! Plugins that try what capabilities are for.

use crate::guests::{CALL_ERROR, PRELUDE, bytes};

/// The cases of `wasi:filesystem/types.error-code`, in their order.
pub(super) const FILE_ERRORS: [&str; 37] = [
    "access",
    "would-block",
    "already",
    "bad-descriptor",
    "busy",
    "deadlock",
    "quota",
    "exist",
    "file-too-large",
    "illegal-byte-sequence",
    "in-progress",
    "interrupted",
    "invalid",
    "io",
    "is-directory",
    "loop",
    "too-many-links",
    "message-size",
    "name-too-long",
    "no-device",
    "no-entry",
    "no-lock",
    "insufficient-memory",
    "insufficient-space",
    "not-directory",
    "not-empty",
    "not-recoverable",
    "unsupported",
    "no-tty",
    "no-such-device",
    "overflow",
    "not-permitted",
    "pipe",
    "read-only",
    "invalid-seek",
    "text-file-busy",
    "cross-device",
];

/// `demo:looker/api@1.0.0`: what it sees of the environment, the command line, the clocks and random numbers, by
/// interfaces of `wasi` in the version `version`.
pub(super) fn looker(version: &str) -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "wasi:cli/environment@{version}" (instance $env
            (export "get-environment" (func (result (list (tuple string string)))))
            (export "get-arguments" (func (result (list string))))))
        (import "wasi:clocks/wall-clock@{version}" (instance $wall
            (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type $datetime (eq $datetime')))
            (export "now" (func (result $datetime)))))
        (import "wasi:clocks/monotonic-clock@{version}" (instance $mono
            (export "now" (func (result u64))) (export "resolution" (func (result u64)))))
        (import "wasi:random/random@{version}" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core func $env' (canon lower (func $env "get-environment") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $args' (canon lower (func $env "get-arguments") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $wall' (canon lower (func $wall "now") (memory $mem "memory")))
        (core func $mono' (canon lower (func $mono "now")))
        (core func $step' (canon lower (func $mono "resolution")))
        (core func $random' (canon lower (func $random "get-random-bytes") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $m
            (import "" "env" (func $env (param i32)))
            (import "" "args" (func $args (param i32)))
            (import "" "wall" (func $wall (param i32)))
            (import "" "mono" (func $mono (result i64)))
            (import "" "step" (func $step (result i64)))
            (import "" "random" (func $random (param i64 i32)))
            (func (export "env") (result i32) (call $env (i32.const 1024)) (i32.const 1024))
            (func (export "args") (result i32) (call $args (i32.const 1024)) (i32.const 1024))
            (func (export "wall") (result i32) (call $wall (i32.const 1024)) (i32.const 1024))
            (func (export "mono") (result i64) (call $mono))
            (func (export "step") (result i64) (call $step))
            (func (export "random") (result i32) (call $random (i64.const 4) (i32.const 1024)) (i32.const 1024)))
        (core instance $i (instantiate $m (with "" (instance
            (export "env" (func $env')) (export "args" (func $args')) (export "wall" (func $wall'))
            (export "mono" (func $mono')) (export "step" (func $step')) (export "random" (func $random'))))))
        (func $env-out (result (list (tuple string string))) (canon lift (core func $i "env") (memory $mem "memory")))
        (func $args-out (result (list string)) (canon lift (core func $i "args") (memory $mem "memory")))
        (func $wall-out (result (tuple u64 u32)) (canon lift (core func $i "wall") (memory $mem "memory")))
        (func $mono-out (result u64) (canon lift (core func $i "mono")))
        (func $step-out (result u64) (canon lift (core func $i "step")))
        (func $random-out (result (list u8)) (canon lift (core func $i "random") (memory $mem "memory")))
        (instance $api
            (export "env" (func $env-out)) (export "args" (func $args-out)) (export "wall" (func $wall-out))
            (export "mono" (func $mono-out)) (export "step" (func $step-out)) (export "random" (func $random-out)))
        (export "demo:looker/api@1.0.0" (instance $api)))"#
    ))
}

/// `demo:clerk/api@1.0.0`, which works on files in the first folder that it is given: `read` and `write` give what
/// failed, by its place in [`FILE_ERRORS`], or 99 where there is no folder. `folder` is what that one is called.
pub(super) fn clerk() -> Vec<u8> {
    let errors: String = FILE_ERRORS.iter().map(|name| format!("\"{name}\" ")).collect();
    bytes(&format!(
        r#"(component
        (import "wasi:filesystem/types@0.2.0" (instance $files
            (export "descriptor" (type $d (sub resource)))
            (type $code' (enum {errors})) (export "error-code" (type $code (eq $code')))
            (type $path' (flags "symlink-follow")) (export "path-flags" (type $path (eq $path')))
            (type $open' (flags "create" "directory" "exclusive" "truncate"))
            (export "open-flags" (type $open (eq $open')))
            (type $how' (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
                "mutate-directory"))
            (export "descriptor-flags" (type $how (eq $how')))
            (export "[method]descriptor.open-at" (func (param "self" (borrow $d)) (param "path-flags" $path)
                (param "path" string) (param "open-flags" $open) (param "flags" $how)
                (result (result (own $d) (error $code)))))
            (export "[method]descriptor.read" (func (param "self" (borrow $d)) (param "length" u64)
                (param "offset" u64) (result (result (tuple (list u8) bool) (error $code)))))
            (export "[method]descriptor.write" (func (param "self" (borrow $d)) (param "buffer" (list u8))
                (param "offset" u64) (result (result u64 (error $code)))))))
        (alias export $files "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
            (alias outer 1 $descriptor (type $d'))
            (export "descriptor" (type $d (eq $d')))
            (export "get-directories" (func (result (list (tuple (own $d) string)))))))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core func $dirs' (canon lower (func $preopens "get-directories") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $open' (canon lower (func $files "[method]descriptor.open-at") (memory $mem "memory")))
        (core func $read' (canon lower (func $files "[method]descriptor.read") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $write' (canon lower (func $files "[method]descriptor.write") (memory $mem "memory")))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "dirs" (func $dirs (param i32)))
            (import "" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
            (import "" "read" (func $read (param i32 i64 i64 i32)))
            (import "" "write" (func $write (param i32 i32 i32 i64 i32)))
            (global $dir (mut i32) (i32.const 0))
            (func $fail (param $code i32) (result i32)
                (i32.store (i32.const 1024) (i32.const 1))
                (i32.store (i32.const 1028) (local.get $code))
                (i32.const 1024))
            ;; The first folder, once: each time would be a new descriptor.
            (func $first (result i32)
                (if (global.get $dir) (then (return (i32.const 1))))
                (call $dirs (i32.const 1100))
                (if (i32.eqz (i32.load (i32.const 1104))) (then (return (i32.const 0))))
                (global.set $dir (i32.load (i32.load (i32.const 1100))))
                (i32.const 1))
            (func (export "folder") (result i32)
                (call $dirs (i32.const 1100))
                (i32.store (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1028) (i32.const 0))
                (if (i32.load (i32.const 1104)) (then
                    (i32.store (i32.const 1024) (i32.load offset=4 (i32.load (i32.const 1100))))
                    (i32.store (i32.const 1028) (i32.load offset=8 (i32.load (i32.const 1100))))))
                (i32.const 1024))
            (func (export "read") (param $at i32) (param $len i32) (result i32)
                (if (i32.eqz (call $first)) (then (return (call $fail (i32.const 99)))))
                (call $open (global.get $dir) (i32.const 1) (local.get $at) (local.get $len) (i32.const 0)
                    (i32.const 1) (i32.const 1200))
                (if (i32.load8_u (i32.const 1200)) (then (return (call $fail (i32.load8_u (i32.const 1204))))))
                (call $read (i32.load (i32.const 1204)) (i64.const 100) (i64.const 0) (i32.const 1200))
                (if (i32.load8_u (i32.const 1200)) (then (return (call $fail (i32.load8_u (i32.const 1204))))))
                (i32.store (i32.const 1024) (i32.const 0))
                (i64.store align=4 (i32.const 1028) (i64.load align=4 (i32.const 1204)))
                (i32.const 1024))
            (func (export "write") (param $at i32) (param $len i32) (result i32)
                (if (i32.eqz (call $first)) (then (return (call $fail (i32.const 99)))))
                (call $open (global.get $dir) (i32.const 1) (local.get $at) (local.get $len) (i32.const 1)
                    (i32.const 2) (i32.const 1200))
                (if (i32.load8_u (i32.const 1200)) (then (return (call $fail (i32.load8_u (i32.const 1204))))))
                ;; Its own name is as good a text as any.
                (call $write (i32.load (i32.const 1204)) (local.get $at) (local.get $len) (i64.const 0) (i32.const 1200))
                (if (i32.load8_u (i32.const 1200)) (then (return (call $fail (i32.load8_u (i32.const 1208))))))
                (i32.store (i32.const 1024) (i32.const 0))
                (i64.store align=4 (i32.const 1028) (i64.const 0))
                (i32.const 1024)))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $mem "memory")) (export "dirs" (func $dirs')) (export "open" (func $open'))
            (export "read" (func $read')) (export "write" (func $write'))))))
        (func $folder (result string) (canon lift (core func $i "folder") (memory $mem "memory")))
        (func $read (param "path" string) (result (result (list u8) (error u32)))
            (canon lift (core func $i "read") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (func $write (param "path" string) (result (result (list u8) (error u32)))
            (canon lift (core func $i "write") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (instance $api (export "folder" (func $folder)) (export "read" (func $read)) (export "write" (func $write)))
        (export "demo:clerk/api@1.0.0" (instance $api)))"#
    ))
}

/// `demo:user/api@1.0.0`, whose `go` gives what `acme:web/kv@1.0.0.get` does.
pub(super) fn user_of_the_host() -> Vec<u8> {
    bytes(
        r#"(component
        (import "acme:web/kv@1.0.0" (instance $kv (export "get" (func (result u32)))))
        (core func $get' (canon lower (func $kv "get")))
        (core module $m
            (import "" "get" (func $get (result i32)))
            (func (export "go") (result i32) (call $get)))
        (core instance $i (instantiate $m (with "" (instance (export "get" (func $get'))))))
        (func $go (result u32) (canon lift (core func $i "go")))
        (instance $api (export "go" (func $go)))
        (export "demo:user/api@1.0.0" (instance $api)))"#,
    )
}

/// Imports types of the conventions and nothing that answers.
pub(super) fn typed() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "stoa:plugin/types@0.1.0" (instance
            (type $call-error' {CALL_ERROR}) (export "call-error" (type (eq $call-error'))))))"#
    ))
}
