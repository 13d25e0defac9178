//! Components and manifests: what is refused, what is found, what is classified.

mod build;
mod properties;
mod refusals;
mod shapes;
mod wit;
