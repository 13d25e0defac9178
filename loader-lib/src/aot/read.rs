//! A component's bytes on their way to the compiler.

use std::path::Path;

use bytes::Bytes;
use stoa_core::{
    component::{Counts, InspectLimits},
    digest::Digest,
};

use super::scan::Scan;
use crate::{
    error::LoaderError,
    limits::Totals,
    plan::{Origin, PlannedPlugin},
};

/// The size of the component, as far as it can be told without reading it.
pub(super) async fn size(plugin: &PlannedPlugin) -> u64 {
    match &plugin.origin {
        Origin::File(path) => tokio::fs::metadata(path).await.map_or(0, |metadata| metadata.len()),
        Origin::Held(bytes) => bytes.len() as u64,
        Origin::Remote(_) => 0,
    }
}

/// The component's bytes, if they are still those that were verified and within bounds, and what a scan of them says.
pub(super) async fn read(plugin: &PlannedPlugin, totals: &Totals) -> Result<(Bytes, Scan), LoaderError> {
    let unreadable = |path: &Path| {
        let (plugin, path) = (plugin.id.clone(), path.display().to_string());
        move |source| LoaderError::Artifact { plugin, path, source }
    };
    let (path, size) = match &plugin.origin {
        Origin::File(path) => {
            (path.display().to_string(), tokio::fs::metadata(path).await.map_err(unreadable(path))?.len())
        }
        Origin::Held(bytes) => ("memory".to_owned(), bytes.len() as u64),
        Origin::Remote(_) => {
            let rule = "a component is fetched before it is compiled".to_owned();
            return Err(LoaderError::Internal { plugin: plugin.id.clone(), rule });
        }
    };
    let limit = totals.component_bytes;
    if size > limit {
        return Err(LoaderError::ArtifactTooLarge { plugin: plugin.id.clone(), size, limit });
    }
    let bytes = match &plugin.origin {
        Origin::File(path) => tokio::fs::read(path).await.map_err(unreadable(path))?.into(),
        Origin::Held(bytes) => bytes.clone(),
        Origin::Remote(_) => Bytes::new(),
    };
    let found = Digest::of(&bytes);
    if found != plugin.artifact {
        let (plugin, expected) = (plugin.id.clone(), plugin.artifact);
        return Err(LoaderError::ArtifactChanged { plugin, path, expected, found: Box::new(found) });
    }
    // Before the compiler sees it: what it needs grows with these, and publish holds them too.
    let limits = InspectLimits { bytes: limit, functions: totals.functions, ..InspectLimits::default() };
    match Counts::of(&bytes, &limits) {
        Ok(counts) => Ok((bytes, Scan::of(&counts))),
        Err(source) => Err(LoaderError::Inspect { plugin: plugin.id.clone(), source: Box::new(source) }),
    }
}
