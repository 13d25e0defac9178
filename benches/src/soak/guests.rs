//! The plugins of the soak, as text: half of them count, the other half passes calls on to one that counts.

/// The definition of `stoa:plugin/types.call-error`.
const CALL_ERROR: &str = r#"(variant
    (case "unavailable") (case "circuit-open" u64) (case "timeout") (case "trapped")
    (case "denied") (case "too-large" u64) (case "reentrant"))"#;

/// What every plugin exports.
pub(super) const FUNCTIONS: [&str; 4] = ["bump", "trap", "spin", "hog"];

/// The interface of the plugin `name`, of `soak:name`.
pub(super) fn interface(name: &str) -> String {
    format!("soak:{name}/api@1.0.0")
}

fn each(row: impl Fn(&str) -> String) -> String {
    FUNCTIONS.map(row).concat()
}

fn parsed(text: &str) -> Result<Vec<u8>, String> {
    wat::parse_str(text).map_err(|error| format!("a plugin's text is wrong: {error}"))
}

/// A plugin with a memory of its own: `bump` counts, `trap` traps, `spin` never ends by itself, `hog` takes memory until
/// it gets none and traps then. `salt` changes the bytes and nothing else.
pub(super) fn counter(name: &str, salt: u8) -> Result<Vec<u8>, String> {
    let lifted =
        each(|f| format!(r#"(func ${f} (result $answer) (canon lift (core func $i "{f}") (memory $i "memory")))"#));
    let exported = each(|f| format!(r#"(export "{f}" (func ${f}))"#));
    parsed(&format!(
        r#"(component
        (type $call-error' {CALL_ERROR})
        (export $call-error "call-error" (type $call-error'))
        (core module $m
            (memory (export "memory") 1)
            (global $sum (mut i32) (i32.const 0))
            (global $salt i32 (i32.const {salt}))
            (func (export "bump") (result i32)
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (i32.store8 (i32.const 1024) (i32.const 0))
                (i32.store (i32.const 1032) (global.get $sum))
                (i32.const 1024))
            (func (export "trap") (result i32) unreachable)
            (func (export "spin") (result i32) (loop $for-ever (br $for-ever)) unreachable)
            (func (export "hog") (result i32)
                (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
                unreachable))
        (core instance $i (instantiate $m))
        (type $answer (result u32 (error $call-error)))
        {lifted}
        (instance $api (export "call-error" (type $call-error)) {exported})
        (export "{interface}" (instance $api)))"#,
        interface = interface(name),
    ))
}

/// A plugin that passes each call on to the counter `on` and gives its answer back.
pub(super) fn relay(name: &str, on: &str, salt: u8) -> Result<Vec<u8>, String> {
    let wanted = each(|f| format!(r#"(export "{f}" (func (result $answer)))"#));
    let lowered = each(|f| format!(r#"(core func ${f}' (canon lower (func $on "{f}") (memory $mem "memory")))"#));
    let imported = each(|f| format!(r#"(import "on" "{f}" (func ${f} (param i32)))"#));
    let bodies =
        each(|f| format!(r#"(func (export "{f}") (result i32) (call ${f} (i32.const 1024)) (i32.const 1024))"#));
    let given = each(|f| format!(r#"(export "{f}" (func ${f}'))"#));
    let lifted =
        each(|f| format!(r#"(func ${f} (result $answer) (canon lift (core func $i "{f}") (memory $mem "memory")))"#));
    let exported = each(|f| format!(r#"(export "{f}" (func ${f}))"#));
    parsed(&format!(
        r#"(component
        (import "{from}" (instance $on
            (type $call-error' {CALL_ERROR})
            (export "call-error" (type $call-error (eq $call-error')))
            (type $answer (result u32 (error $call-error)))
            {wanted}))
        (alias export $on "call-error" (type $call-error))
        (core module $memory (memory (export "memory") 1) (global $salt i32 (i32.const {salt})))
        (core instance $mem (instantiate $memory))
        {lowered}
        (core module $m {imported} {bodies})
        (core instance $i (instantiate $m (with "on" (instance {given}))))
        (type $answer (result u32 (error $call-error)))
        {lifted}
        (instance $api (export "call-error" (type $call-error)) {exported})
        (export "{interface}" (instance $api)))"#,
        from = interface(on),
        interface = interface(name),
    ))
}

/// A plugin that asks for what no host gives: it can not be linked.
pub(super) fn broken(salt: u8) -> Result<Vec<u8>, String> {
    parsed(&format!(r#"(component (import "soak:none/such{salt}@1.0.0" (instance (export "f" (func)))))"#))
}
