//! JSON from strangers: read once, without the two liberties that parsers take differently.
//!
//! Where a key appears twice, parsers disagree on which value counts; where arrays nest without end, they
//! disagree on when to give up. What two programs read differently must not be signed, so both are refused.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The deepest nesting read. Signed documents need 8: targets, delegations, roles, a role, its list of paths.
pub(crate) const MAX_DEPTH: usize = 32;

/// Why bytes are not strict JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Syntax(String),
    Duplicate(String),
    Depth,
}

/// Reads the one JSON value that `bytes` hold.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Flaw> {
    let flaw = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Node { depth: 0, flaw: &flaw }.deserialize(&mut deserializer);
    match read.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => Err(flaw.take().unwrap_or_else(|| Flaw::Syntax(error.to_string()))),
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    depth: usize,
    /// serde carries errors as text only; the typed one waits here.
    flaw: &'a RefCell<Option<Flaw>>,
}

impl Node<'_> {
    fn refuse<E: serde::de::Error>(self, flaw: Flaw) -> E {
        self.flaw.replace(Some(flaw));
        E::custom("refused")
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth + 1 {
            depth if depth > MAX_DEPTH => Err(self.refuse(Flaw::Depth)),
            depth => Ok(Self { depth, ..self }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(format!("`{value}` is not an integer of 64 bits")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut read = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if read.contains_key(&key) {
                return Err(self.refuse(Flaw::Duplicate(key)));
            }
            let value = fields.next_value_seed(inner)?;
            read.insert(key, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ordinary_json_reads_as_itself() {
        let value = json!({"a": [1, -2, true, null, "x\n\u{e9}"], "b": {}, "c": u64::MAX});
        assert_eq!(read(value.to_string().as_bytes()), Ok(value));
        assert_eq!(read(b" [] \n"), Ok(json!([])));
    }

    #[test]
    fn a_key_given_twice_is_refused_however_it_is_spelled() {
        assert_eq!(read(br#"{"x":{"a":1,"\u0061":2}}"#), Err(Flaw::Duplicate("a".into())));
    }

    #[test]
    fn nesting_ends_at_the_bound() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(read(nested(MAX_DEPTH).as_bytes()).map(drop), Ok(()));
        assert_eq!(read(nested(MAX_DEPTH + 1).as_bytes()), Err(Flaw::Depth));
        assert_eq!(read("[".repeat(1_000_000).as_bytes()), Err(Flaw::Depth));
    }

    #[test]
    fn fractions_rubbish_and_a_second_value_are_refused() {
        for (text, message) in [
            ("1.5", "`1.5` is not an integer of 64 bits at line 1 column 3"),
            ("18446744073709551616", "`18446744073709552000` is not an integer of 64 bits at line 1 column 20"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("[1,", "EOF while parsing a value at line 1 column 3"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(read(text.as_bytes()), Err(Flaw::Syntax(message.into())));
        }
    }
}
