//! Parts of an address as values, with the API's own refusals.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
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
            .map_err(|error| Problem::new(Code::ParameterInvalid, error.body_text()))?;
        Ok(Self(segments))
    }
}

/// The query of an address.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Query(parameters) = Query::from_request_parts(parts, app)
            .await
            .map_err(|error| Problem::new(Code::ParameterInvalid, error.body_text()))?;
        Ok(Self(parameters))
    }
}

/// Reads a variable of a path.
pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::new(Code::ParameterInvalid, error.to_string()))
}
