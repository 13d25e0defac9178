//! Reading bodies: of the right type, bounded in length, time and depth, each member known and named once.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, header};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::{
    App,
    problem::{Code, Problem},
};

/// How deep arrays and objects may be nested. A release record, the deepest thing sent, needs six.
pub(crate) const MAX_JSON_DEPTH: usize = 16;

/// A JSON body of the shape `T`, not longer than [`crate::ApiConfig::max_inline_bytes`].
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let (limit, idle) = (app.config.max_inline_bytes, app.config.body_idle);
        let bytes = collect(request.into_body(), limit, idle).await?;
        read(&bytes).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let found: String = found.chars().take(80).collect();
    Err(Problem::new(Code::MediaTypeUnsupported, format!("the content type is `{found}`, not `application/json`")))
}

/// A whole body of at most `limit` bytes, each piece of which arrives within `idle` after the one before.
async fn collect(body: Body, limit: usize, idle: Duration) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut pieces = Pieces::new(body, limit as u64, idle);
    while let Some(piece) = pieces.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// A body piece by piece, bounded in length and in the time between two pieces.
pub(crate) struct Pieces {
    stream: axum::body::BodyDataStream,
    taken: u64,
    limit: u64,
    idle: Duration,
}

impl Pieces {
    /// At most `limit` bytes of `body`, never more than `idle` apart.
    pub(crate) fn new(body: Body, limit: u64, idle: Duration) -> Self {
        Self { stream: body.into_data_stream(), taken: 0, limit, idle }
    }

    /// The next piece, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let waited = tokio::time::timeout(self.idle, self.stream.next()).await;
        let piece = waited.map_err(|_| {
            let seconds = self.idle.as_secs();
            Problem::new(Code::BodySlow, format!("nothing came for {seconds} s after {} bytes", self.taken))
        })?;
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(|error| {
            tracing::debug!(%error, "a body broke off");
            Problem::new(Code::BodyIncomplete, format!("the body broke off after {} bytes", self.taken))
        })?;
        self.taken += piece.len() as u64;
        if self.taken > self.limit {
            return Err(Problem::new(Code::BodyTooLarge, format!("the body has more than {} bytes", self.limit)));
        }
        Ok(Some(piece))
    }
}

/// Reads `bytes` as JSON of the shape `T`.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let depth = depth(bytes);
    if depth > MAX_JSON_DEPTH {
        let detail = format!("arrays and objects are nested {depth} deep: at most {MAX_JSON_DEPTH} are read");
        return Err(Problem::new(Code::JsonTooDeep, detail));
    }
    let value: Unique =
        serde_json::from_slice(bytes).map_err(|error| Problem::new(Code::JsonMalformed, error.to_string()))?;
    shape(value.0)
}

/// Reads a JSON value as the shape `T`.
pub(crate) fn shape<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| Problem::new(Code::JsonShape, error.to_string()))
}

/// How deep arrays and objects are nested, from the brackets outside strings: before a parser, which may
/// recurse, is let near them.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest, mut string, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'[' | b'{' if !string => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A JSON value none of whose objects names a member twice. Parsers disagree on which of the two counts, so
/// a record could be signed as one thing and read as another.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let Unique(value) = access.next_value()?;
            if members.contains_key(&name) {
                let name: String = name.chars().take(80).collect();
                return Err(serde::de::Error::custom(format!("the member `{name}` stands twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (Code, String) {
        let problem = read::<Value>(text.as_bytes()).expect_err("it is refused");
        (problem.code(), problem.detail().to_owned())
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_wherever_it_is() {
        let twice = (Code::JsonMalformed, "the member `a` stands twice at line 1 column 20".to_owned());
        assert_eq!(refusal(r#"[{"b": {"a":1,"a":2}}]"#), twice);
    }

    #[test]
    fn nesting_is_counted_outside_strings_and_bounded() {
        assert_eq!(depth(br#"{"a[[[[": ["\"]]]]", {}]}"#), 3);
        let deep = "[".repeat(1_000_000);
        let detail = "arrays and objects are nested 1000000 deep: at most 16 are read".to_owned();
        assert_eq!(refusal(&deep), (Code::JsonTooDeep, detail));
    }

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"a":[1,-2,true,null,"x\ny",1.5],"b":{}}"#;
        assert_eq!(read::<Value>(text.as_bytes()).map(|v| v.to_string()), Ok(text.to_owned()));
        assert_eq!(refusal("{").0, Code::JsonMalformed);
        assert_eq!(refusal("{} {}").0, Code::JsonMalformed);
    }
}
