//! Components and manifests: what is refused, what is found, what is classified.

mod build;
mod classify;
mod manifest;
mod properties;
mod refusals;
mod shapes;
mod wit;
