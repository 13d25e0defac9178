//! From a manifest and a component to the record: what an author's tool computes before anything is uploaded.

use std::collections::BTreeMap;

use super::{BlobRef, Export, Import, Provider, Release, ReleaseError, Runtime};
use crate::{
    classify::{Classified, ClassifiedImport, ImportClass},
    component::{Extern, ExternShape, Inspection},
    manifest::{Manifest, RuntimeWishes},
};

/// The blobs that a release names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseBlobs {
    /// The component.
    pub artifact: BlobRef,
    /// The readme, if there is one.
    pub readme: Option<BlobRef>,
}

impl Release {
    /// The record of what `manifest` says and `component` is. The WIT that it names is [`Inspection::wit`].
    ///
    /// # Errors
    /// [`ReleaseError`] where the record breaks a bound of the format.
    pub fn assemble(
        manifest: &Manifest,
        component: &Inspection,
        imports: &Classified,
        blobs: &ReleaseBlobs,
    ) -> Result<Self, ReleaseError> {
        let about = manifest.plugin();
        let record = Self {
            format: 1,
            id: about.id.clone(),
            version: about.version.clone(),
            kind: about.kind,
            artifact: blobs.artifact,
            wit: BlobRef::of(component.wit().as_bytes()),
            readme: blobs.readme,
            dependencies: manifest.dependencies().iter().map(|(id, dep)| (id.clone(), dep.into())).collect(),
            imports: imports.imports.iter().map(Import::from).collect(),
            exports: exports_of(component),
            tracks: component.tracks().to_vec(),
            capabilities: capabilities(manifest),
            limits: manifest.limits().to_record(),
            runtime: manifest.runtime().into(),
            description: about.description.to_string(),
            license: about.license.to_string(),
            repository: about.repository.as_ref().map(ToString::to_string),
            keywords: about.keywords.iter().map(ToString::to_string).collect(),
            categories: about.categories.iter().map(ToString::to_string).collect(),
        };
        record.check()?;
        Ok(record)
    }
}

impl From<&ClassifiedImport> for Import {
    fn from(import: &ClassifiedImport) -> Self {
        let from = match import.class {
            ImportClass::Wasi => Provider::Wasi,
            ImportClass::Convention => Provider::Convention,
            ImportClass::Dependency(_) => Provider::Dependency,
            ImportClass::Host(_) => Provider::Host,
            ImportClass::Types => Provider::Types,
        };
        Self { name: import.name.clone(), types: import.type_hash, from }
    }
}

fn exports_of(component: &Inspection) -> Vec<Export> {
    component.exports().iter().filter_map(Export::of).collect()
}

impl Export {
    /// What a record says of an export. `None` for a single type, which nobody can call.
    pub fn of(export: &Extern) -> Option<Self> {
        match export.shape() {
            ExternShape::Interface(_) | ExternShape::Function(_) => {
                Some(Self { name: export.name().clone(), types: export.type_hash() })
            }
            ExternShape::Type(_) | ExternShape::Resource => None,
        }
    }
}

/// One entry a scope: `http.out:https://api.example.com`, or the kind alone where it has none.
fn capabilities(manifest: &Manifest) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (kind, capability) in manifest.capabilities() {
        let reason = capability.reason().to_string();
        if capability.allow().is_empty() {
            all.insert(kind.to_string(), reason);
            continue;
        }
        all.extend(capability.allow().iter().map(|scope| (format!("{kind}:{scope}"), reason.clone())));
    }
    all
}

impl From<&RuntimeWishes> for Runtime {
    fn from(wishes: &RuntimeWishes) -> Self {
        Self {
            stateless: wishes.stateless,
            pool: wishes.pool,
            reload: wishes.reload,
            state_schema: wishes.state_schema,
        }
    }
}
