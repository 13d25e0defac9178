//! Values that cross between plugins: which types may, how large they are, and how a failure is told.

use wasmtime::component::{Type, Val, types::ComponentFunc};

use crate::{error::LoaderError, guest::CallError};

/// How a function's type can say that the call itself failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// `result<T, call-error>`.
    Direct,
    /// `result<T, E>` where E is a variant with a case `call(call-error)`.
    Wrapped,
}

impl Failure {
    /// Whether and how results of this function can hold a `call-error`.
    pub(crate) fn of(function: &ComponentFunc) -> Option<Self> {
        let mut results = function.results();
        let (Some(Type::Result(result)), None) = (results.next(), results.next()) else { return None };
        match result.err()? {
            error if is_call_error(&error) => Some(Self::Direct),
            Type::Variant(variant) => variant
                .cases()
                .any(|case| case.name == "call" && case.ty.as_ref().is_some_and(is_call_error))
                .then_some(Self::Wrapped),
            _ => None,
        }
    }

    /// The function's result that tells `error`.
    pub(crate) fn value(self, error: &CallError) -> Val {
        let error = call_error(error);
        let error = match self {
            Self::Direct => error,
            Self::Wrapped => Val::Variant("call".into(), Some(Box::new(error))),
        };
        Val::Result(Err(Some(Box::new(error))))
    }
}

/// The cases of `stoa:plugin/types.call-error`, and whether each holds a `u64`.
const CALL_ERROR: [(&str, bool); 7] = [
    ("unavailable", false),
    ("circuit-open", true),
    ("timeout", false),
    ("trapped", false),
    ("denied", false),
    ("too-large", true),
    ("reentrant", false),
];

/// Types have no names at run time, so the structure decides.
fn is_call_error(ty: &Type) -> bool {
    let Type::Variant(variant) = ty else { return false };
    variant.cases().len() == CALL_ERROR.len()
        && variant
            .cases()
            .zip(CALL_ERROR)
            .all(|(case, (name, number))| case.name == name && case.ty == number.then_some(Type::U64))
}

fn call_error(error: &CallError) -> Val {
    let (name, number) = match error {
        CallError::Unavailable => ("unavailable", None),
        CallError::CircuitOpen(millis) => ("circuit-open", Some(*millis)),
        CallError::Timeout => ("timeout", None),
        CallError::Trapped => ("trapped", None),
        CallError::Denied => ("denied", None),
        CallError::TooLarge(limit) => ("too-large", Some(*limit)),
        CallError::Reentrant => ("reentrant", None),
    };
    Val::Variant(name.into(), number.map(|number| Box::new(Val::U64(number))))
}

/// What a calling plugin may know of a failure: the kind, never the other author's messages.
pub(crate) fn told(error: &LoaderError) -> CallError {
    match error {
        LoaderError::Deadline { .. } | LoaderError::GuestTime { .. } => CallError::Timeout,
        // Where a limit ended it, it was entered and has lost its memory: to the caller, a trap.
        LoaderError::Trapped { .. }
        | LoaderError::DependencyFailed { .. }
        | LoaderError::Limit { source: Some(_), .. } => CallError::Trapped,
        LoaderError::TooDeep { .. } | LoaderError::Denied { .. } => CallError::Denied,
        LoaderError::Breaker { retry_in, .. } => {
            CallError::CircuitOpen(u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX))
        }
        LoaderError::TooLarge { allowed, .. } => CallError::TooLarge(*allowed),
        LoaderError::Reentrant { .. } => CallError::Reentrant,
        _ => CallError::Unavailable,
    }
}

/// The first type within `ty` that can not cross between stores, by name.
pub(crate) fn stays_home(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Own(_) | Type::Borrow(_) => Some("resource"),
        Type::Stream(_) => Some("stream"),
        Type::Future(_) => Some("future"),
        Type::ErrorContext => Some("error-context"),
        Type::List(list) => stays_home(&list.ty()),
        Type::FixedLengthList(list) => stays_home(&list.ty()),
        Type::Map(map) => stays_home(&map.key()).or_else(|| stays_home(&map.value())),
        Type::Record(record) => record.fields().find_map(|field| stays_home(&field.ty)),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| stays_home(&ty)),
        Type::Variant(variant) => variant.cases().find_map(|case| case.ty.as_ref().and_then(stays_home)),
        Type::Option(option) => stays_home(&option.ty()),
        Type::Result(result) => {
            result.ok().as_ref().and_then(stays_home).or_else(|| result.err().as_ref().and_then(stays_home))
        }
        _ => None,
    }
}

/// Counts the bytes of `values`, and stops as soon as more than `limit` were counted.
///
/// Scalars count at their size, text at its length, and what holds others at one byte and its parts: near
/// enough to the size in a guest's memory, without looking at types.
pub(crate) fn size(values: &[Val], limit: usize) -> usize {
    let mut counted = 0usize;
    let mut rest: Vec<&Val> = values.iter().collect();
    while let Some(value) = rest.pop() {
        counted = counted.saturating_add(own_size(value));
        if counted > limit {
            break;
        }
        parts(value, &mut rest);
    }
    counted
}

fn own_size(value: &Val) -> usize {
    match value {
        Val::U16(_) | Val::S16(_) => 2,
        Val::U32(_) | Val::S32(_) | Val::Float32(_) | Val::Char(_) => 4,
        Val::U64(_) | Val::S64(_) | Val::Float64(_) => 8,
        Val::String(text) => 8 + text.len(),
        Val::List(_) | Val::FixedLengthList(_) | Val::Map(_) => 8,
        Val::Flags(flags) => 1 + flags.len().div_ceil(8),
        _ => 1,
    }
}

fn parts<'v>(value: &'v Val, rest: &mut Vec<&'v Val>) {
    match value {
        Val::List(values) | Val::FixedLengthList(values) | Val::Tuple(values) => rest.extend(values),
        Val::Map(pairs) => rest.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
        Val::Record(fields) => rest.extend(fields.iter().map(|(_, value)| value)),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => rest.push(value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => rest.push(value),
        _ => {}
    }
}

/// Whether `value` is of type `ty`; the first place where it is not.
///
/// The engine would find out too, but in the middle of a call, and that costs the plugin its memory.
pub(crate) fn mismatch(value: &Val, ty: &Type) -> Option<String> {
    match (value, ty) {
        (Val::List(values), Type::List(list)) => values.iter().find_map(|value| mismatch(value, &list.ty())),
        (Val::FixedLengthList(values), Type::FixedLengthList(list)) if values.len() == list.len() as usize => {
            values.iter().find_map(|value| mismatch(value, &list.ty()))
        }
        (Val::Tuple(values), Type::Tuple(tuple)) if values.len() == tuple.types().len() => {
            values.iter().zip(tuple.types()).find_map(|(value, ty)| mismatch(value, &ty))
        }
        (Val::Record(fields), Type::Record(record)) if fields.len() == record.fields().len() => {
            fields.iter().zip(record.fields()).find_map(|((name, value), field)| match name == field.name {
                true => mismatch(value, &field.ty),
                false => Some(format!("a record has the field `{name}` where `{}` belongs", field.name)),
            })
        }
        (Val::Variant(name, value), Type::Variant(variant)) => {
            let Some(case) = variant.cases().find(|case| case.name == name) else {
                return Some(format!("a variant has no case `{name}`"));
            };
            payload(value.as_deref(), case.ty.as_ref())
        }
        (Val::Enum(name), Type::Enum(cases)) if cases.names().any(|case| case == name) => None,
        (Val::Flags(set), Type::Flags(flags)) => {
            let unknown = set.iter().find(|name| !flags.names().any(|flag| flag == name.as_str()))?;
            Some(format!("there is no flag `{unknown}`"))
        }
        (Val::Option(value), Type::Option(option)) => mismatch(value.as_deref()?, &option.ty()),
        (Val::Result(Ok(value)), Type::Result(result)) => payload(value.as_deref(), result.ok().as_ref()),
        (Val::Result(Err(value)), Type::Result(result)) => payload(value.as_deref(), result.err().as_ref()),
        (value, ty) => (!scalar(value, ty)).then(|| format!("`{}` is given where {} belongs", shown(value), kind(ty))),
    }
}

fn payload(value: Option<&Val>, ty: Option<&Type>) -> Option<String> {
    match (value, ty) {
        (Some(value), Some(ty)) => mismatch(value, ty),
        (None, None) => None,
        (Some(_), None) => Some("a case holds a value and should not".into()),
        (None, Some(_)) => Some("a case should hold a value and does not".into()),
    }
}

fn scalar(value: &Val, ty: &Type) -> bool {
    matches!(
        (value, ty),
        (Val::Bool(_), Type::Bool)
            | (Val::S8(_), Type::S8)
            | (Val::U8(_), Type::U8)
            | (Val::S16(_), Type::S16)
            | (Val::U16(_), Type::U16)
            | (Val::S32(_), Type::S32)
            | (Val::U32(_), Type::U32)
            | (Val::S64(_), Type::S64)
            | (Val::U64(_), Type::U64)
            | (Val::Float32(_), Type::Float32)
            | (Val::Float64(_), Type::Float64)
            | (Val::Char(_), Type::Char)
            | (Val::String(_), Type::String)
    )
}

fn kind(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "a bool",
        Type::S8 => "an s8",
        Type::U8 => "a u8",
        Type::S16 => "an s16",
        Type::U16 => "a u16",
        Type::S32 => "an s32",
        Type::U32 => "a u32",
        Type::S64 => "an s64",
        Type::U64 => "a u64",
        Type::Float32 => "an f32",
        Type::Float64 => "an f64",
        Type::Char => "a char",
        Type::String => "a string",
        Type::List(_) | Type::FixedLengthList(_) => "a list",
        Type::Map(_) => "a map",
        Type::Record(_) => "a record with other fields",
        Type::Tuple(_) => "a tuple of another length",
        Type::Variant(_) => "a variant",
        Type::Enum(_) => "one of an enum's cases",
        Type::Option(_) => "an option",
        Type::Result(_) => "a result",
        Type::Flags(_) => "flags",
        _ => "a handle",
    }
}

fn shown(value: &Val) -> String {
    let text = value.to_wave().unwrap_or_else(|_| "a handle".into());
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limit;

    #[test]
    fn values_are_counted_at_their_size() {
        let text = Val::String("1234".into());
        assert_eq!(size(&[Val::U32(7), text.clone()], 100), 4 + 8 + 4);
        assert_eq!(size(&[Val::List(vec![Val::U8(0); 10])], 100), 8 + 10);
        assert_eq!(size(&[Val::Record(vec![("a".into(), text)])], 100), 1 + 8 + 4);
        assert_eq!(size(&[Val::Option(Some(Box::new(Val::U64(1))))], 100), 1 + 8);
    }

    #[test]
    fn counting_stops_at_the_limit() {
        let counted = size(&[Val::List(vec![Val::U8(0); 1000])], 10);
        assert!((11..=20).contains(&counted), "counted {counted} of 1008");
    }

    #[test]
    fn failures_are_told_without_the_details() {
        let plugin: stoa_core::id::PluginId = "demo:a".parse().expect("an id");
        let trapped = LoaderError::Trapped { plugin: plugin.clone(), function: "f".into(), source: "a secret".into() };
        let value = Failure::Wrapped.value(&told(&trapped));
        assert_eq!(value.to_wave().expect("text"), "err(call(trapped))");
        let large =
            LoaderError::TooLarge { plugin, function: "f".into(), limit: Limit::CallBytes, size: 9, allowed: 8 };
        assert_eq!(Failure::Direct.value(&told(&large)).to_wave().expect("text"), "err(too-large(8))");
    }
}
