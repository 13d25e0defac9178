//! Plugins written as text.

/// The definition of `stoa:plugin/types.call-error`.
pub(crate) const CALL_ERROR: &str = r#"(variant
    (case "unavailable") (case "circuit-open" u64) (case "timeout") (case "trapped")
    (case "denied") (case "too-large" u64) (case "reentrant"))"#;

/// A module's memory, with an allocator that never frees, and a function that puts `ok(n)` where results are
/// returned: at 1024, a byte for the case and the payload 8 bytes after it.
pub(crate) const PRELUDE: &str = r#"
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get 2))))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (block $enough
            (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
            (br_if $enough (i32.ne (i32.const -1) (memory.grow
                (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
            unreachable)
        (local.get $at))
    (func $ok (param $n i32) (result i32)
        (i32.store8 (i32.const 1024) (i32.const 0))
        (i32.store (i32.const 1032) (local.get $n))
        (i32.const 1024))"#;

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|e| panic!("a guest's text is wrong: {e}\n{text}"))
}

/// `demo:leaf/api@VERSION`, whose functions all give `result<u32, call-error>` but `echo`, which gives back
/// its string. `salt` changes the bytes and nothing else.
pub(crate) fn leaf_of(version: &str, salt: u32) -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (type $call-error' {CALL_ERROR})
        (export $call-error "call-error" (type $call-error'))
        (core module $m {PRELUDE}
            (global $sum (mut i32) (i32.const 0))
            (global $salt i32 (i32.const {salt}))
            (func (export "bump") (result i32)
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (call $ok (global.get $sum)))
            (func (export "trap") (result i32) unreachable)
            (func (export "spin") (result i32) (loop $for-ever (br $for-ever)) unreachable)
            ;; A while: some 100 ms of counting, in which the guest yields.
            (func (export "toil") (result i32) (local $left i32)
                (local.set $left (i32.const 100000000))
                (loop $again
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left)))
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (call $ok (global.get $sum)))
            (func (export "grow") (result i32)
                (loop $more
                    (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
                (call $ok (memory.size)))
            (func (export "deep") (result i32) (call $down (i32.const 0)) (call $ok (i32.const 0)))
            (func $down (param i32) (call $down (i32.add (local.get 0) (i32.const 1))))
            (func (export "weigh") (param i32 i32) (result i32) (call $ok (local.get 1)))
            (func (export "echo") (param i32 i32) (result i32)
                (i32.store8 (i32.const 1024) (i32.const 0))
                (i32.store (i32.const 1032) (local.get 0))
                (i32.store (i32.const 1036) (local.get 1))
                (i32.const 1024)))
        (core instance $i (instantiate $m))
        (type $answer (result u32 (error $call-error)))
        (func $bump (result $answer) (canon lift (core func $i "bump") (memory $i "memory")))
        (func $trap (result $answer) (canon lift (core func $i "trap") (memory $i "memory")))
        (func $spin (result $answer) (canon lift (core func $i "spin") (memory $i "memory")))
        (func $toil (result $answer) (canon lift (core func $i "toil") (memory $i "memory")))
        (func $grow (result $answer) (canon lift (core func $i "grow") (memory $i "memory")))
        (func $deep (result $answer) (canon lift (core func $i "deep") (memory $i "memory")))
        (func $echo (param "text" string) (result (result string (error $call-error)))
            (canon lift (core func $i "echo") (memory $i "memory") (realloc (func $i "realloc"))))
        (func $weigh (param "bytes" (list u8)) (result $answer)
            (canon lift (core func $i "weigh") (memory $i "memory") (realloc (func $i "realloc"))))
        (instance $api
            (export "call-error" (type $call-error))
            (export "bump" (func $bump)) (export "trap" (func $trap)) (export "spin" (func $spin))
            (export "toil" (func $toil)) (export "grow" (func $grow)) (export "deep" (func $deep))
            (export "echo" (func $echo)) (export "weigh" (func $weigh)))
        (export "demo:leaf/api@{version}" (instance $api)))"#
    ))
}

pub(crate) fn leaf() -> Vec<u8> {
    leaf_of("1.0.0", 0)
}

/// `demo:relay/api@1.0.0`: passes each call on to the imported `demo:leaf/api@1.0.0` and its answer back, and
/// counts in `own` how often that was asked for.
pub(crate) fn relay() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "demo:leaf/api@1.0.0" (instance $leaf
            (type $call-error' {CALL_ERROR})
            (export "call-error" (type $call-error (eq $call-error')))
            (type $answer (result u32 (error $call-error)))
            (export "bump" (func (result $answer)))
            (export "trap" (func (result $answer)))
            (export "spin" (func (result $answer)))
            (export "weigh" (func (param "bytes" (list u8)) (result $answer)))
            (export "echo" (func (param "text" string) (result (result string (error $call-error)))))))
        (alias export $leaf "call-error" (type $call-error))
        (core module $memory {PRELUDE} (export "ok" (func $ok)))
        (core instance $mem (instantiate $memory))
        (core func $bump' (canon lower (func $leaf "bump") (memory $mem "memory")))
        (core func $trap' (canon lower (func $leaf "trap") (memory $mem "memory")))
        (core func $spin' (canon lower (func $leaf "spin") (memory $mem "memory")))
        (core func $echo' (canon lower (func $leaf "echo") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $weigh' (canon lower (func $leaf "weigh") (memory $mem "memory")))
        (core module $m
            (import "leaf" "bump" (func $bump (param i32)))
            (import "leaf" "weigh" (func $weigh (param i32 i32 i32)))
            (import "leaf" "trap" (func $trap (param i32)))
            (import "leaf" "spin" (func $spin (param i32)))
            (import "leaf" "echo" (func $echo (param i32 i32 i32)))
            (global $own (mut i32) (i32.const 0))
            (func (export "bump") (result i32) (call $bump (i32.const 1024)) (i32.const 1024))
            (func (export "trap") (result i32) (call $trap (i32.const 1024)) (i32.const 1024))
            (func (export "spin") (result i32) (call $spin (i32.const 1024)) (i32.const 1024))
            (func (export "weigh") (param i32 i32) (result i32)
                (call $weigh (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024))
            (func (export "echo") (param i32 i32) (result i32)
                (call $echo (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024))
            (func (export "own") (result i32)
                (global.set $own (i32.add (global.get $own) (i32.const 1)))
                (global.get $own)))
        (core instance $i (instantiate $m (with "leaf" (instance
            (export "bump" (func $bump')) (export "trap" (func $trap')) (export "spin" (func $spin'))
            (export "echo" (func $echo')) (export "weigh" (func $weigh'))))))
        (type $answer (result u32 (error $call-error)))
        (func $bump (result $answer) (canon lift (core func $i "bump") (memory $mem "memory")))
        (func $trap (result $answer) (canon lift (core func $i "trap") (memory $mem "memory")))
        (func $spin (result $answer) (canon lift (core func $i "spin") (memory $mem "memory")))
        (func $echo (param "text" string) (result (result string (error $call-error)))
            (canon lift (core func $i "echo") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (func $weigh (param "bytes" (list u8)) (result $answer)
            (canon lift (core func $i "weigh") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (func $own (result u32) (canon lift (core func $i "own")))
        (instance $api
            (export "bump" (func $bump)) (export "trap" (func $trap)) (export "spin" (func $spin))
            (export "echo" (func $echo)) (export "own" (func $own))
            (export "weigh" (func $weigh)))
        (export "demo:relay/api@1.0.0" (instance $api)))"#
    ))
}

/// Two versions of `demo:leaf/api` whose `bump` gives 1 and 2.
pub(crate) fn leaf_of_two(one: &str, two: &str) -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (type $call-error' {CALL_ERROR})
        (export $call-error "call-error" (type $call-error'))
        (core module $m {PRELUDE}
            (func (export "one") (result i32) (call $ok (i32.const 1)))
            (func (export "two") (result i32) (call $ok (i32.const 2))))
        (core instance $i (instantiate $m))
        (type $answer (result u32 (error $call-error)))
        (func $one (result $answer) (canon lift (core func $i "one") (memory $i "memory")))
        (func $two (result $answer) (canon lift (core func $i "two") (memory $i "memory")))
        (instance $api-one (export "call-error" (type $call-error)) (export "bump" (func $one)))
        (instance $api-two (export "call-error" (type $call-error)) (export "bump" (func $two)))
        (export "demo:leaf/api@{one}" (instance $api-one))
        (export "demo:leaf/api@{two}" (instance $api-two)))"#
    ))
}

/// Passes `bump` on to `demo:leaf/api@VERSION`, and its answer back.
pub(crate) fn passes_on(version: &str) -> Vec<u8> {
    hop(&format!("demo:leaf/api@{version}"), "bump", "demo:caller/api@1.0.0")
}

/// Exports as `interface` the function `function` of `on`, passes calls on to it and its answers back.
pub(crate) fn hop(on: &str, function: &str, interface: &str) -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "{on}" (instance $on
            (type $call-error' {CALL_ERROR})
            (export "call-error" (type $call-error (eq $call-error')))
            (export "{function}" (func (result (result u32 (error $call-error)))))))
        (alias export $on "call-error" (type $call-error))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core func $f' (canon lower (func $on "{function}") (memory $mem "memory")))
        (core module $m
            (import "on" "f" (func $f (param i32)))
            (func (export "f") (result i32) (call $f (i32.const 1024)) (i32.const 1024)))
        (core instance $i (instantiate $m (with "on" (instance (export "f" (func $f'))))))
        (func $f (result (result u32 (error $call-error))) (canon lift (core func $i "f") (memory $mem "memory")))
        (instance $api (export "call-error" (type $call-error)) (export "{function}" (func $f)))
        (export "{interface}" (instance $api)))"#
    ))
}

/// `demo:leaf/api@1.0.0` once more, but `bump` first calls `acme:host/back@1.0.0.call`, which the host provides.
pub(crate) fn leaf_that_calls_back() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "acme:host/back@1.0.0" (instance $back (export "call" (func))))
        (type $call-error' {CALL_ERROR})
        (export $call-error "call-error" (type $call-error'))
        (core func $call' (canon lower (func $back "call")))
        (core module $m
            (import "back" "call" (func $call)) {PRELUDE}
            (global $sum (mut i32) (i32.const 0))
            (func (export "bump") (result i32)
                (call $call)
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (call $ok (global.get $sum))))
        (core instance $i (instantiate $m (with "back" (instance (export "call" (func $call'))))))
        (type $answer (result u32 (error $call-error)))
        (func $bump (result $answer) (canon lift (core func $i "bump") (memory $i "memory")))
        (instance $api (export "call-error" (type $call-error)) (export "bump" (func $bump)))
        (export "demo:leaf/api@1.0.0" (instance $api)))"#
    ))
}

/// Imports only `bump` of `demo:leaf/api@VERSION`, with a plain `u32` where `plain`, and exports `go: func() -> u32`
/// as `demo:caller/api@1.0.0`.
pub(crate) fn caller_of(version: &str, result: &str) -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "demo:leaf/api@{version}" (instance $leaf {result}))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core func $bump' (canon lower (func $leaf "bump") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $m
            (import "leaf" "bump" (func $bump (param i32)))
            (func (export "go") (result i32) (call $bump (i32.const 1024)) (i32.const 7)))
        (core instance $i (instantiate $m (with "leaf" (instance (export "bump" (func $bump'))))))
        (func $go (result u32) (canon lift (core func $i "go")))
        (instance $api (export "go" (func $go)))
        (export "demo:caller/api@1.0.0" (instance $api)))"#
    ))
}

/// The `bump` that leaves have.
pub(crate) fn bump_with_call_error() -> String {
    format!(
        r#"(type $call-error' {CALL_ERROR})
        (export "call-error" (type $call-error (eq $call-error')))
        (export "bump" (func (result (result u32 (error $call-error)))))"#
    )
}

/// `demo:probe/api@1.0.0`: how many environment variables, arguments and preopened folders it was given.
pub(crate) fn probe() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "wasi:cli/environment@0.2.0" (instance $env
            (export "get-environment" (func (result (list (tuple string string)))))
            (export "get-arguments" (func (result (list string))))))
        (import "wasi:filesystem/types@0.2.0" (instance $files (export "descriptor" (type (sub resource)))))
        (alias export $files "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
            (alias outer 1 $descriptor (type $d'))
            (export "descriptor" (type $d (eq $d')))
            (export "get-directories" (func (result (list (tuple (own $d) string)))))))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core func $env' (canon lower (func $env "get-environment") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $args' (canon lower (func $env "get-arguments") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $dirs' (canon lower (func $preopens "get-directories") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "env" (func $env (param i32)))
            (import "" "args" (func $args (param i32)))
            (import "" "dirs" (func $dirs (param i32)))
            (func (export "env") (result i32) (call $env (i32.const 1024)) (i32.load (i32.const 1028)))
            (func (export "args") (result i32) (call $args (i32.const 1024)) (i32.load (i32.const 1028)))
            (func (export "dirs") (result i32) (call $dirs (i32.const 1024)) (i32.load (i32.const 1028))))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $mem "memory"))
            (export "env" (func $env')) (export "args" (func $args')) (export "dirs" (func $dirs'))))))
        (func $env-count (result u32) (canon lift (core func $i "env")))
        (func $args-count (result u32) (canon lift (core func $i "args")))
        (func $dirs-count (result u32) (canon lift (core func $i "dirs")))
        (instance $api
            (export "env" (func $env-count)) (export "args" (func $args-count)) (export "dirs" (func $dirs-count)))
        (export "demo:probe/api@1.0.0" (instance $api)))"#
    ))
}

/// Imports an interface that nobody provides.
pub(crate) fn wanting() -> Vec<u8> {
    bytes(
        r#"(component
        (import "acme:none/such@1.0.0" (instance (export "f" (func))))
        (import "stoa:plugin/state@9.0.0" (instance (export "f" (func))))
        (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func)))))"#,
    )
}

/// Writes a line to `stoa:plugin/log`, gives its configured `word`, refuses to start where `refuse` is configured,
/// and writes a line when it is shut down.
pub(crate) fn citizen() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "stoa:plugin/log@0.1.0" (instance $log
            (type $level' (enum "trace" "debug" "info" "warn" "error"))
            (export "level" (type $level (eq $level')))
            (export "log" (func (param "level" $level) (param "message" string)
                (param "fields" (list (tuple string string)))))))
        (import "stoa:plugin/config@0.1.0" (instance $config
            (type $value' (variant (case "text" string) (case "integer" s64) (case "boolean" bool)))
            (export "value" (type $value (eq $value')))
            (export "get" (func (param "key" string) (result (option $value))))))
        (alias export $config "value" (type $value))
        (core module $memory {PRELUDE}
            (data (i32.const 100) "wordrefusenot todaygoodbye\1b[31m"))
        (core instance $mem (instantiate $memory))
        (core func $log' (canon lower (func $log "log") (memory $mem "memory")))
        (core func $get' (canon lower (func $config "get") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "log" (func $log (param i32 i32 i32 i32 i32)))
            (import "" "get" (func $get (param i32 i32 i32)))
            (func (export "word") (result i32) (call $get (i32.const 100) (i32.const 4) (i32.const 1024)) (i32.const 1024))
            (func (export "init") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                (call $get (i32.const 104) (i32.const 6) (i32.const 1024))
                (if (i32.load8_u (i32.const 1024)) (then
                    (i32.store8 (i32.const 1024) (i32.const 1))
                    (i32.store (i32.const 1028) (i32.const 110))
                    (i32.store (i32.const 1032) (i32.const 9))
                    (return (i32.const 1024))))
                ;; Its own id, as the context tells it.
                (call $log (i32.const 2) (local.get 0) (local.get 1) (i32.const 0) (i32.const 0))
                (i32.store8 (i32.const 1024) (i32.const 0))
                (i32.const 1024))
            (func (export "shutdown")
                (call $log (i32.const 3) (i32.const 119) (i32.const 12) (i32.const 0) (i32.const 0))))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $mem "memory")) (export "log" (func $log')) (export "get" (func $get'))))))
        (func $word (result (option $value))
            (canon lift (core func $i "word") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (instance $api (export "word" (func $word)))
        (export "demo:citizen/api@1.0.0" (instance $api))
        (type $reason' (enum "start" "reload" "restart" "wake"))
        (export $reason "start-reason" (type $reason'))
        (type $context' (record (field "plugin" string) (field "version" string) (field "host" string)
            (field "reason" $reason)))
        (export $context "context" (type $context'))
        (func $init (param "context" $context) (result (result (error string)))
            (canon lift (core func $i "init") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (func $shutdown (canon lift (core func $i "shutdown")))
        (instance $lifecycle
            (export "start-reason" (type $reason)) (export "context" (type $context))
            (export "init" (func $init)) (export "shutdown" (func $shutdown)))
        (export "stoa:plugin/lifecycle@0.1.0" (instance $lifecycle)))"#
    ))
}

/// `demo:leaf/api@1.0.0` with a `bump: func() -> string`.
pub(crate) fn plain() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (core module $m {PRELUDE}
            (func (export "bump") (result i32)
                (i32.store (i32.const 1024) (i32.const 0))
                (i32.store (i32.const 1028) (i32.const 0))
                (i32.const 1024)))
        (core instance $i (instantiate $m))
        (func $bump (result string) (canon lift (core func $i "bump") (memory $i "memory")))
        (instance $api (export "bump" (func $bump)))
        (export "demo:leaf/api@1.0.0" (instance $api)))"#
    ))
}

/// `demo:printer/api@1.0.0`, whose `print` writes `hello`, the end of the line and `wor` to standard output, in two
/// streams.
pub(crate) fn printer() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
        (alias export $error "error" (type $error-type))
        (import "wasi:io/streams@0.2.0" (instance $streams
            (alias outer 1 $error-type (type $e'))
            (export "error" (type $e (eq $e')))
            (export "output-stream" (type $out (sub resource)))
            (type $stream-error' (variant (case "last-operation-failed" (own $e)) (case "closed")))
            (export "stream-error" (type $stream-error (eq $stream-error')))
            (export "[method]output-stream.blocking-write-and-flush" (func
                (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
        (alias export $streams "output-stream" (type $out))
        (import "wasi:cli/stdout@0.2.0" (instance $stdout
            (alias outer 1 $out (type $o'))
            (export "output-stream" (type $o (eq $o')))
            (export "get-stdout" (func (result (own $o))))))
        (core module $memory {PRELUDE} (data (i32.const 100) "hello\0awor"))
        (core instance $mem (instantiate $memory))
        (core func $get' (canon lower (func $stdout "get-stdout")))
        (core func $write' (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem "memory")))
        (core module $m
            (import "" "get" (func $get (result i32)))
            (import "" "write" (func $write (param i32 i32 i32 i32)))
            (func (export "print")
                (call $write (call $get) (i32.const 100) (i32.const 3) (i32.const 1024))
                (call $write (call $get) (i32.const 103) (i32.const 6) (i32.const 1024))))
        (core instance $i (instantiate $m (with "" (instance (export "get" (func $get')) (export "write" (func $write'))))))
        (func $print (canon lift (core func $i "print")))
        (instance $api (export "print" (func $print)))
        (export "demo:printer/api@1.0.0" (instance $api)))"#
    ))
}

/// `demo:copier/api@1.0.0`, whose `copy` takes 64 MiB and moves one half of them over the other for ever.
pub(crate) fn copier() -> Vec<u8> {
    bytes(
        r#"(component
        (core module $m (memory 1024)
            (func (export "copy")
                (loop $again
                    (memory.copy (i32.const 0) (i32.const 0x2000000) (i32.const 0x2000000))
                    (br $again))))
        (core instance $i (instantiate $m))
        (func $copy (canon lift (core func $i "copy")))
        (instance $api (export "copy" (func $copy)))
        (export "demo:copier/api@1.0.0" (instance $api)))"#,
    )
}

/// `demo:moody/api@1.0.0`: `bump` counts, `trap` traps, and it can not be started while `acme:host/mood@1.0.0.bad` is 1.
pub(crate) fn moody() -> Vec<u8> {
    bytes(
        r#"(component
        (import "acme:host/mood@1.0.0" (instance $mood (export "bad" (func (result u32)))))
        (core func $bad' (canon lower (func $mood "bad")))
        (core module $m
            (import "mood" "bad" (func $bad (result i32)))
            (global $sum (mut i32) (i32.const 0))
            (func $start (if (call $bad) (then unreachable)))
            (start $start)
            (func (export "trap") unreachable)
            (func (export "bump") (result i32)
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (global.get $sum)))
        (core instance $i (instantiate $m (with "mood" (instance (export "bad" (func $bad'))))))
        (func $trap (canon lift (core func $i "trap")))
        (func $bump (result u32) (canon lift (core func $i "bump")))
        (instance $api (export "bump" (func $bump)) (export "trap" (func $trap)))
        (export "demo:moody/api@1.0.0" (instance $api)))"#,
    )
}

/// `demo:patient/api@1.0.0`: `bump` counts, `trap` traps, and `stoa:plugin/health` says no while
/// `acme:host/mood@1.0.0.bad` is 1.
pub(crate) fn patient() -> Vec<u8> {
    bytes(&format!(
        r#"(component
        (import "acme:host/mood@1.0.0" (instance $mood (export "bad" (func (result u32)))))
        (core func $bad' (canon lower (func $mood "bad")))
        (core module $m
            (import "mood" "bad" (func $bad (result i32)))
            {PRELUDE}
            (data (i32.const 100) "no\07pulse")
            (global $sum (mut i32) (i32.const 0))
            (func (export "trap") unreachable)
            (func (export "check") (result i32)
                (i32.store8 (i32.const 1024) (call $bad))
                (i32.store (i32.const 1028) (i32.const 100))
                (i32.store (i32.const 1032) (i32.const 8))
                (i32.const 1024))
            (func (export "bump") (result i32)
                (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
                (global.get $sum)))
        (core instance $i (instantiate $m (with "mood" (instance (export "bad" (func $bad'))))))
        (func $trap (canon lift (core func $i "trap")))
        (func $bump (result u32) (canon lift (core func $i "bump")))
        (instance $api (export "bump" (func $bump)) (export "trap" (func $trap)))
        (export "demo:patient/api@1.0.0" (instance $api))
        (func $check (result (result (error string)))
            (canon lift (core func $i "check") (memory $i "memory") (realloc (func $i "realloc"))))
        (instance $health (export "check" (func $check)))
        (export "stoa:plugin/health@0.1.0" (instance $health)))"#
    ))
}
