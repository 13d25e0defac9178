//! Plugins that want too much.

use crate::guests::{PRELUDE, bytes};

const CLOCK: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $p'))
        (export "pollable" (type $p (eq $p')))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (core func $block' (canon lower (func $poll "[method]pollable.block")))
    (core func $after' (canon lower (func $clock "subscribe-duration")))"#;

/// `demo:glutton/api@1.0.0`: each function wants one thing without end, or as much of it as its parameter says.
pub(crate) fn glutton() -> Vec<u8> {
    bytes(&format!(
        r#"(component {CLOCK}
        (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
        (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type $out (sub resource)))))
        (alias export $streams "output-stream" (type $out))
        (import "wasi:cli/stdout@0.2.0" (instance $stdout
            (alias outer 1 $out (type $o'))
            (export "output-stream" (type $o (eq $o')))
            (export "get-stdout" (func (result (own $o))))))
        (import "wasi:random/random@0.2.0" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (import "stoa:plugin/log@0.1.0" (instance $log
            (type $level' (enum "trace" "debug" "info" "warn" "error"))
            (export "level" (type $level (eq $level')))
            (export "log" (func (param "level" $level) (param "message" string)
                (param "fields" (list (tuple string string)))))))
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (type $own (resource (rep i32)))
        (core func $new' (canon resource.new $own))
        (core func $stdout' (canon lower (func $stdout "get-stdout")))
        (core func $random' (canon lower (func $random "get-random-bytes") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $log' (canon lower (func $log "log") (memory $mem "memory")))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "block" (func $block (param i32)))
            (import "" "after" (func $after (param i64) (result i32)))
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "stdout" (func $stdout (result i32)))
            (import "" "random" (func $random (param i64 i32)))
            (import "" "log" (func $log (param i32 i32 i32 i32 i32)))
            (table $t 0 funcref)
            ;; Memory for n bytes from 0 on.
            (func $room (param $n i32) (result i32)
                (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $n) (i32.const 65536)))))
                (local.get $n))
            (func (export "hold") (result i32)
                (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
                (memory.size))
            (func (export "hog")
                (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
                unreachable)
            (func (export "rows") (result i32)
                (loop $more (br_if $more (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 100)))))
                (table.size $t))
            (func (export "hoard")
                (loop $more (br_if $more (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 100)))))
                unreachable)
            (func (export "spin") (loop $for-ever (br $for-ever)))
            (func (export "sleep") (call $block (call $after (i64.const 1000000000000))))
            (func (export "handles") (loop $for-ever (drop (call $new (i32.const 7))) (br $for-ever)))
            (func (export "streams") (loop $for-ever (drop (call $stdout)) (br $for-ever)))
            (func (export "dice") (param i64) (result i32)
                (call $random (local.get 0) (i32.const 1024)) (i32.load (i32.const 1028)))
            (func (export "shout") (param i32) (result i32)
                (call $log (i32.const 2) (i32.const 0) (call $room (local.get 0)) (i32.const 0) (i32.const 0))
                (local.get 0))
            (func (export "chatter") (param $left i32) (result i32)
                (loop $again
                    (call $log (i32.const 2) (i32.const 0) (i32.const 1000) (i32.const 0) (i32.const 0))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left)))
                (i32.const 7))
            (func (export "give") (param i32) (result i32)
                (i32.store (i32.const 1024) (i32.const 4096))
                (i32.store (i32.const 1028) (call $room (local.get 0)))
                (i32.const 1024)))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $mem "memory"))
            (export "block" (func $block')) (export "after" (func $after')) (export "new" (func $new'))
            (export "stdout" (func $stdout')) (export "random" (func $random')) (export "log" (func $log'))))))
        (func $hold (result u32) (canon lift (core func $i "hold")))
        (func $hog (canon lift (core func $i "hog")))
        (func $rows (result u32) (canon lift (core func $i "rows")))
        (func $hoard (canon lift (core func $i "hoard")))
        (func $spin (canon lift (core func $i "spin")))
        (func $sleep (canon lift (core func $i "sleep")))
        (func $handles (canon lift (core func $i "handles")))
        (func $streams (canon lift (core func $i "streams")))
        (func $dice (param "length" u64) (result u32) (canon lift (core func $i "dice")))
        (func $shout (param "length" u32) (result u32) (canon lift (core func $i "shout")))
        (func $chatter (param "times" u32) (result u32) (canon lift (core func $i "chatter")))
        (func $give (param "length" u32) (result (list u8)) (canon lift (core func $i "give") (memory $mem "memory")))
        (instance $api
            (export "hold" (func $hold)) (export "hog" (func $hog)) (export "rows" (func $rows))
            (export "hoard" (func $hoard)) (export "spin" (func $spin)) (export "sleep" (func $sleep))
            (export "handles" (func $handles)) (export "streams" (func $streams)) (export "dice" (func $dice))
            (export "shout" (func $shout)) (export "chatter" (func $chatter)) (export "give" (func $give)))
        (export "demo:glutton/api@1.0.0" (instance $api)))"#
    ))
}

/// A plugin whose `lifecycle.init` does `body`, with the functions `$block` and `$after` at hand.
pub(crate) fn starting(body: &str) -> Vec<u8> {
    bytes(&format!(
        r#"(component {CLOCK}
        (core module $memory {PRELUDE})
        (core instance $mem (instantiate $memory))
        (core module $m
            (import "" "block" (func $block (param i32)))
            (import "" "after" (func $after (param i64) (result i32)))
            (func (export "init") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {body} unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "block" (func $block')) (export "after" (func $after'))))))
        (type $reason' (enum "start" "reload" "restart" "wake"))
        (export $reason "start-reason" (type $reason'))
        (type $context' (record (field "plugin" string) (field "version" string) (field "host" string)
            (field "reason" $reason)))
        (export $context "context" (type $context'))
        (func $init (param "context" $context) (result (result (error string)))
            (canon lift (core func $i "init") (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $s (func (export "shutdown")))
        (core instance $si (instantiate $s))
        (func $shutdown (canon lift (core func $si "shutdown")))
        (instance $lifecycle
            (export "start-reason" (type $reason)) (export "context" (type $context))
            (export "init" (func $init)) (export "shutdown" (func $shutdown)))
        (export "stoa:plugin/lifecycle@0.1.0" (instance $lifecycle)))"#
    ))
}

/// A component of one module, with `items` in it, which is instantiated so many times.
pub(crate) fn module(items: &str, times: usize) -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(times);
    bytes(&format!("(component (core module $m {items}) {instances})"))
}
