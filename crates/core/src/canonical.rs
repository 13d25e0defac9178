//! One value, one sequence of bytes.
//!
//! Two encodings of JSON with sorted keys, no white space and integers only:
//! [`to_bytes`] is ordinary JSON and is what Stoa stores and hashes; [`to_signed_bytes`] is the
//! canonical JSON that TUF implementations sign (OLPC's, as securesystemslib writes it).
//! They differ only in strings with control characters or such escapes, which no signed document has.

use serde::Serialize;
use serde_json::Value;

/// A value that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// Floating-point numbers print differently in different languages.
    #[error("`{0}` is not an integer: canonical JSON has no fractions")]
    Fraction(String),
    /// The type does not map to JSON, for instance a map whose keys are not strings.
    #[error("the value has no JSON form: {0}")]
    Shape(String),
}

/// The stored form of `value`: compact JSON, keys sorted by their UTF-8 bytes, integers only.
///
/// # Errors
/// [`CanonicalError`] where `value` holds a fraction or does not map to JSON.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::Shape(e.to_string()))?;
    let mut out = Vec::new();
    write(&value, &mut out, &json_string)?;
    Ok(out)
}

/// The bytes that a TUF signature covers: as [`to_bytes`], but strings escape only `\` and `"`.
///
/// Source: securesystemslib `formats.py`, `encode_canonical`. Unlike `olpc-cjson` nothing is Unicode-normalised.
///
/// # Errors
/// [`CanonicalError::Fraction`] where `value` holds one.
pub fn to_signed_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(value, &mut out, &signed_string)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>, string: &dyn Fn(&str, &mut Vec<u8>)) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => out.extend(number.to_string().into_bytes()),
        Value::Number(number) => return Err(CanonicalError::Fraction(number.to_string())),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out, string)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here as well: whether serde_json's map keeps insertion order is a feature that any
            // crate of a host's build may switch on.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_bytes());
            out.push(b'{');
            for (index, (key, item)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                write(item, out, string)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn json_string(text: &str, out: &mut Vec<u8>) {
    out.extend(Value::from(text).to_string().into_bytes());
}

fn signed_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_nothing_is_spaced() {
        let value = json!({"b": [1, -2, true, null], "a": {"é": "x\ny", "": "\"\\"}});
        let bytes = to_bytes(&value).map(String::from_utf8);
        assert_eq!(bytes, Ok(Ok(r#"{"a":{"":"\"\\","é":"x\ny"},"b":[1,-2,true,null]}"#.to_owned())));
    }

    #[test]
    fn signed_strings_keep_control_characters_as_they_are() {
        // Vector: securesystemslib 1.4.0, encode_canonical({"a": "x\ny\"\\\u00e9"}).
        let bytes = to_signed_bytes(&json!({"a": "x\ny\"\\é"})).map(String::from_utf8);
        assert_eq!(bytes, Ok(Ok("{\"a\":\"x\ny\\\"\\\\é\"}".to_owned())));
    }

    #[test]
    fn fractions_are_refused_by_value() {
        assert_eq!(to_bytes(&json!([1.5])), Err(CanonicalError::Fraction("1.5".into())));
    }
}
