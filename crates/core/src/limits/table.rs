//! The table, and what is made of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::row::{Amount, OutOfBounds, Row, Scope, Unit};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

macro_rules! amount {
    (Time) => {
        Duration
    };
    ($unit:ident) => {
        u64
    };
}

macro_rules! wish {
    (wish) => {
        true
    };
    (host) => {
        false
    };
}

/// From each row: a variant of [`Limit`], a field of [`Limits`] and [`Wishes`] or of [`Totals`], with its default.
macro_rules! table {
    (
        plugin { $(
            #[doc = $doc:literal]
            $limit:ident $field:ident: $unit:ident $name:literal = $default:expr, $least:expr, $most:expr;
            $wish:ident, $held_by:literal => $code:literal;
        )+ }
        host { $(
            #[doc = $host_doc:literal]
            $host_limit:ident $host_field:ident: $host_unit:ident $host_name:literal = $host_default:expr, $host_most:expr;
            $host_held_by:literal => $host_code:literal;
        )+ }
    ) => {
        /// A limit: a row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Limit {
            $( #[doc = $doc] $limit, )+
            $( #[doc = $host_doc] $host_limit, )+
        }

        impl Limit {
            /// All of them, those of a plugin first.
            pub const ALL: &'static [Self] = &[$( Self::$limit, )+ $( Self::$host_limit, )+];

            /// What is fixed about it.
            pub const fn row(self) -> Row {
                match self {
                    $( Self::$limit => Row {
                        name: $name, meaning: $doc, unit: Unit::$unit, scope: Scope::Plugin, default: $default,
                        least: $least, most: $most, wish: wish!($wish), held_by: $held_by, code: $code,
                    }, )+
                    $( Self::$host_limit => Row {
                        name: $host_name, meaning: $host_doc, unit: Unit::$host_unit, scope: Scope::Host,
                        default: $host_default, least: 0, most: $host_most, wish: false, held_by: $host_held_by,
                        code: $host_code,
                    }, )+
                }
            }
        }

        /// Ceilings for each plugin of a host. A plugin's own wishes may only lower them.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $( #[doc = $doc] pub $field: amount!($unit), )+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $field: Amount::of(Limit::$limit.row().default), )+ }
            }
        }

        impl Limits {
            /// These ceilings, lowered where `wishes` asks for less.
            #[must_use]
            pub fn narrowed(&self, wishes: &Wishes) -> Self {
                Self { $( $field: wishes.$field.map_or(self.$field, |wish| wish.min(self.$field)), )+ }
            }

            /// What `limit` is set to, in its unit; `None` for a limit that all plugins share.
            pub fn of(&self, limit: Limit) -> Option<u64> {
                match limit {
                    $( Limit::$limit => Some(self.$field.number()), )+
                    _ => None,
                }
            }

            /// Checks each against its hard maximum.
            ///
            /// # Errors
            /// [`OutOfBounds`] for the first that is beyond.
            pub fn check(&self) -> Result<(), OutOfBounds> {
                $( Limit::$limit.checked(self.$field.number())?; )+
                Ok(())
            }
        }

        /// What a plugin's manifest asks for, each less than a host may give; `None` = whatever the host gives.
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct Wishes {
            $( #[doc = $doc] pub $field: Option<amount!($unit)>, )+
        }

        impl Wishes {
            /// Asks for `value`, in the limit's unit. What is no limit of a plugin is not asked for.
            #[must_use]
            pub fn with(mut self, limit: Limit, value: u64) -> Self {
                match limit {
                    $( Limit::$limit => self.$field = Some(Amount::of(value)), )+
                    _ => {}
                }
                self
            }

            /// What is asked for, each in its limit's unit.
            pub fn asked(&self) -> Vec<(Limit, u64)> {
                let all = [$( (Limit::$limit, self.$field.map(Amount::number)), )+];
                all.into_iter().filter_map(|(limit, value)| Some((limit, value?))).collect()
            }
        }

        /// What all plugins of a host may use together, and what loading one may cost.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Totals {
            $( #[doc = $host_doc] pub $host_field: amount!($host_unit), )+
        }

        impl Default for Totals {
            fn default() -> Self {
                Self { $( $host_field: Amount::of(Limit::$host_limit.row().default), )+ }
            }
        }

        impl Totals {
            /// Checks each against its hard maximum.
            ///
            /// # Errors
            /// [`OutOfBounds`] for the first that is beyond.
            pub fn check(&self) -> Result<(), OutOfBounds> {
                $( Limit::$host_limit.checked(self.$host_field.number())?; )+
                Ok(())
            }
        }
    };
}

// name = default, least to wish for, hard maximum; who may lower it, who holds it => the code of the error.
table! {
    plugin {
        #[doc = "Bytes of linear memory, all memories of a plugin together."]
        Memory memory: Bytes "memory" = 64 * MIB, 64 * KIB, 4 * GIB;
        wish, "the account of a store, at each growth" => "limit-memory";
        #[doc = "Elements of tables, all tables of a plugin together; each takes 8 bytes of the host's memory."]
        Tables table_elements: Count "tables" = 100_000, 0, 10_000_000;
        wish, "the account of a store, at each growth" => "limit-tables";
        #[doc = "Core instances in a plugin's store, and as many memories and tables; a component of many modules needs several."]
        Instances instances: Count "instances" = 64, 1, 10_000;
        host, "the engine, at the start" => "limit-instances";
        #[doc = "Time that a plugin's own code may run in one call, counted in ticks of 5 ms; waiting is free."]
        GuestTime guest_time: Time "call" = 2 * SECOND, 1, 10 * MINUTE;
        wish, "the clock of guest time" => "guest-time";
        #[doc = "The same for instantiating and `lifecycle.init`, together."]
        InitGuestTime init_guest_time: Time "init" = 5 * SECOND, 1, 10 * MINUTE;
        wish, "the clock of guest time" => "guest-time";
        #[doc = "Wall clock from the start of a call to its end, waiting included."]
        Deadline deadline: Time "deadline" = 10 * SECOND, 1, 60 * MINUTE;
        wish, "the runtime's timer" => "deadline";
        #[doc = "Wall clock for instantiating and `lifecycle.init`, together."]
        InitDeadline init_deadline: Time "init-deadline" = 30 * SECOND, 1, 60 * MINUTE;
        wish, "the runtime's timer" => "deadline";
        #[doc = "Bytes of the arguments of one call, from the host or from another plugin."]
        CallBytes call_bytes: Bytes "message" = 2 * MIB, KIB, GIB;
        wish, "the call, before the plugin is entered" => "too-large";
        #[doc = "Bytes of the results of one call."]
        ResultBytes result_bytes: Bytes "result" = 2 * MIB, KIB, GIB;
        wish, "the call, after the plugin is left" => "too-large";
        #[doc = "Bytes that a plugin may hand to a function of the host in one call."]
        HostCallBytes host_call_bytes: Bytes "host-call" = 2 * MIB, 64 * KIB, GIB;
        host, "the engine, before it copies them" => "limit-host-call";
        #[doc = "Handles on resources that a plugin may hold at a time: its own, and the host's files, streams and the like."]
        Handles handles: Count "handles" = 10_000, 1, 1_000_000;
        host, "the engine's tables of handles" => "limit-handles";
        #[doc = "Instances that a stateless plugin may have, each with all of its memory. Other plugins have one."]
        Pool pool: Count "pool" = 4, 1, 64;
        host, "the pool of a plugin; calls wait when all are busy" => "unavailable";
        #[doc = "Calls that may wait for a busy plugin."]
        Waiters waiters: Count "waiters" = 64, 1, 100_000;
        host, "the queue before a store" => "unavailable";
        #[doc = "Bytes that a plugin may log or print per second, for good; what is more is dropped and counted."]
        LogRate log_rate: Rate "log" = 64 * KIB, KIB, GIB;
        host, "what carries its output" => "limit-log";
        #[doc = "Bytes that a plugin may log or print at once after a pause."]
        LogBurst log_burst: Bytes "log-burst" = 256 * KIB, KIB, GIB;
        host, "what carries its output" => "limit-log";
        #[doc = "Random bytes that a plugin may ask for in one call."]
        RandomBytes random_bytes: Bytes "random" = 64 * KIB, 8, 64 * MIB;
        host, "`wasi:random`" => "limit-random";
        #[doc = "Bytes of the body of one HTTP request, and of one response."]
        HttpBody http_body: Bytes "http-body" = 4 * MIB, KIB, GIB;
        wish, "the bodies of `wasi:http`" => "limit-http-body";
        #[doc = "HTTP requests that a plugin may have under way at a time."]
        HttpRequests http_requests: Count "http-requests" = 8, 1, 10_000;
        host, "`wasi:http`" => "limit-http-requests";
        #[doc = "Bytes of keys and values that a plugin may store."]
        State state: Bytes "state" = 16 * MIB, KIB, 1024 * GIB;
        wish, "`stoa:plugin/state`" => "limit-state";
    }
    host {
        #[doc = "Bytes of memories and tables of all plugins together. What a manifest declares as its `memory` is set aside when the plugin is loaded; the rest is shared by those that declare nothing."]
        TotalMemory memory: Bytes "total-memory" = GIB, 1024 * GIB;
        "the budget of a host, at loading and at each growth" => "limit-total-memory";
        #[doc = "Bytes of the arguments of calls between plugins that are under way at a time."]
        TotalCallBytes call_bytes: Bytes "total-messages" = 64 * MIB, 64 * GIB;
        "the budget of a host, at each call between plugins" => "limit-total-messages";
        #[doc = "Bytes that all plugins together may log or print per second; four times as many after a pause."]
        TotalLogRate log_rate: Rate "total-log" = MIB, GIB;
        "what carries their output" => "limit-log";
        #[doc = "Plugins in one chain of calls."]
        ChainDepth chain_depth: Count "chain-depth" = 16, 16;
        "the context of a call" => "too-deep";
        #[doc = "Bytes of a component that is compiled: the largest that can be published."]
        ComponentBytes component_bytes: Bytes "component" = 128 * MIB, GIB;
        "the compiler, before it reads" => "artifact-too-large";
        #[doc = "Functions of a component that is compiled."]
        Functions functions: Count "functions" = 250_000, 10_000_000;
        "the compiler, before it begins" => "inspect";
        #[doc = "Components that are compiled at a time. A compilation that is given up goes on and its turn goes to the next; while twice as many do, none is begun."]
        Compilations compilations: Count "compilations" = 2, 1_000;
        "the queue before the compiler; the rest wait" => "compiler-busy";
        #[doc = "Time for compiling a component, without what its size allows."]
        CompileTime compile_time: Time "compile-time" = 30 * SECOND, 60 * MINUTE;
        "the wait for the compiler, which goes on by itself" => "compile-timeout";
        #[doc = "Time for compiling, for each MiB of the component, on top."]
        CompileTimePerMib compile_time_per_mib: Time "compile-time-per-mib" = 5 * SECOND, 10 * MINUTE;
        "the same" => "compile-timeout";
    }
}

impl Wishes {
    /// The wishes of a release record. Names that this version does not know are wishes for nothing: a host's
    /// ceilings hold anyway.
    pub fn of_record(record: &BTreeMap<String, u64>) -> Self {
        let known = record.iter().filter_map(|(name, value)| Some((Limit::wished(name)?, *value)));
        known.fold(Self::default(), |wishes, (limit, value)| wishes.with(limit, value))
    }

    /// These wishes as a release record has them: bytes, milliseconds or things by name.
    pub fn to_record(&self) -> BTreeMap<String, u64> {
        self.asked().into_iter().map(|(limit, value)| (limit.row().name.to_owned(), value)).collect()
    }
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked().into_iter().map(|(limit, value)| (limit.row().name, limit.show(value)));
        f.debug_map().entries(asked).finish()
    }
}
