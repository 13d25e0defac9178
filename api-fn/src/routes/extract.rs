//! Parts of an address as values, with the API's own refusals.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query, path::ErrorKind, rejection::PathRejection};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{
    App,
    problem::{Code, Problem},
};

/// The variables of a path, as text.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(segments) = Path::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Problem::new(Code::ParameterInvalid, path_detail(&rejection)))?;
        Ok(Self(segments))
    }
}

/// In the API's own words: those of the framework change with its versions, and name types that nobody asked for.
fn path_detail(rejection: &PathRejection) -> String {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.kind()
    {
        return format!("`{key}` in the path is not UTF-8 once it is decoded");
    }
    "the path does not have the parts that the route takes".to_owned()
}

/// What a route takes as the query of its address.
pub(super) trait Taken: DeserializeOwned {
    /// All names, each with what it can be, to go after "the route takes".
    const NAMES: &'static str;
}

/// The query of an address.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: Taken> FromRequestParts<App> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, app).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(_) => {
                let query: String = parts.uri.query().unwrap_or_default().chars().take(80).collect();
                let detail = format!("the query is `{query}`: the route takes {}, each at most once", T::NAMES);
                Err(Problem::new(Code::ParameterInvalid, detail))
            }
        }
    }
}

/// Reads a variable of a path.
pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::new(Code::ParameterInvalid, error.to_string()))
}
