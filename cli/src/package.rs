//! A folder with a `plugin.toml`, made ready to be released.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stoa_core::{
    attestation::{Attestations, ReleaseClaim, check_provenance},
    classify::{ClassifyError, classify},
    component::{InspectLimits, Inspection},
    digest::Digest,
    manifest::Manifest,
    release::{BlobRef, MAX_ARTIFACT_BYTES, MAX_README_BYTES, Release, ReleaseBlobs},
    trust::SecretKey,
};

use crate::report::{Failure, chain};

/// A release with all the bytes that it names.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) release: Release,
    pub(crate) blobs: Vec<(BlobRef, Bytes)>,
    /// What is attested of it; the bytes are among the blobs.
    pub(crate) attestations: Attestations,
    /// Things to look at that are no reason to refuse.
    pub(crate) warnings: Vec<String>,
}

impl Package {
    /// Reads, checks and assembles the plugin in `dir`: everything that the registry will check and that can
    /// be checked here.
    pub(crate) fn read(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("plugin.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::new(format!("`{}` can not be read: {e}", path.display()))
                .hint("publish a folder that has a plugin.toml")
        })?;
        let manifest = Manifest::parse(&text).map_err(|error| manifest_failure(&path, &error))?;
        let component = read_component(dir, &manifest)?;
        let inspected = Inspection::of(&component, &InspectLimits::default())
            .map_err(|e| Failure::new(format!("the component of `{}`: {}", manifest.plugin().id, chain(&e))))?;
        let imports = classify(&inspected, &manifest).map_err(|errors| classify_failure(&manifest, &errors))?;
        let readme = read_readme(dir, &manifest)?;
        let blobs = ReleaseBlobs { artifact: BlobRef::of(&component), readme: readme.as_deref().map(BlobRef::of) };
        let release = Release::assemble(&manifest, &inspected, &imports, &blobs)?;
        let all = [Some(component), Some(inspected.wit().as_bytes().to_vec()), readme];
        let all = all.into_iter().flatten().map(|bytes| (BlobRef::of(&bytes), Bytes::from(bytes)));
        let warnings = imports.unused.iter().map(ToString::to_string).collect();
        Ok(Self { release, blobs: all.collect(), attestations: Attestations::default(), warnings })
    }
}

impl Package {
    /// Adds a provenance, after the checks that the registry will make.
    pub(crate) fn supply(&mut self, provenance: &Path) -> Result<(), Failure> {
        let shown = provenance.display();
        let bytes = std::fs::read(provenance)
            .map_err(|e| Failure::new(format!("the provenance `{shown}` can not be read: {e}")))?;
        check_provenance(&bytes, &self.release.artifact.digest)
            .map_err(|e| Failure::new(format!("the provenance `{shown}`: {e}")).code("attestation-invalid"))?;
        self.attestations.provenance = Some(self.attach(bytes));
        Ok(())
    }

    /// Signs the release for the registry with this first root.
    pub(crate) fn sign(&mut self, registry: Digest, key: &SecretKey) -> Result<(), Failure> {
        let claim = ReleaseClaim {
            registry,
            id: self.release.id.clone(),
            version: self.release.version.clone(),
            artifact: self.release.artifact.digest,
            record: self.release.blob()?.digest,
            provenance: self.attestations.provenance.map(|blob| blob.digest),
        };
        let bytes = claim.sign(&[key])?.to_bytes()?;
        self.attestations.signature = Some(self.attach(bytes));
        Ok(())
    }

    fn attach(&mut self, bytes: Vec<u8>) -> BlobRef {
        let blob = BlobRef::of(&bytes);
        self.blobs.push((blob, Bytes::from(bytes)));
        blob
    }
}

/// All problems of a manifest at once, each with its line.
fn manifest_failure(path: &Path, error: &stoa_core::manifest::ManifestError) -> Failure {
    let problems = error.problems();
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{}:{}: {}: {}", path.display(), p.line, p.at, p.message)).collect();
    let hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    let failure = Failure::new(lines.join("\n       ")).code("manifest");
    if hints.is_empty() { failure } else { failure.hint(hints.join("\n      ")) }
}

fn classify_failure(manifest: &Manifest, errors: &[ClassifyError]) -> Failure {
    let id = &manifest.plugin().id;
    let lines: Vec<String> = errors.iter().map(|error| format!("`{id}`: {error}")).collect();
    let hints: Vec<String> = errors.iter().filter_map(ClassifyError::hint).collect();
    let failure = Failure::new(lines.join("\n       ")).code("imports");
    if hints.is_empty() { failure } else { failure.hint(hints.join("\n      ")) }
}

fn read_component(dir: &Path, manifest: &Manifest) -> Result<Vec<u8>, Failure> {
    let id = &manifest.plugin().id;
    let Some(built) = &manifest.build().component else {
        return Err(Failure::new(format!("`{id}` names no component")).hint("add `component = \"…\"` under [build]"));
    };
    let path: PathBuf = dir.join(built.as_str());
    let unreadable = |e: std::io::Error| {
        Failure::new(format!("the component `{}` can not be read: {e}", path.display())).hint("build the plugin first")
    };
    // Before it is read: it may be any file.
    let size = std::fs::metadata(&path).map_err(unreadable)?.len();
    if size > MAX_ARTIFACT_BYTES {
        return Err(Failure::new(format!(
            "the component of `{id}` has {size} bytes, and {MAX_ARTIFACT_BYTES} are possible"
        ))
        .hint("strip debugging information: `wasm-tools strip --all`"));
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    if is_core_module(&bytes) { componentize(&path, &bytes) } else { Ok(bytes) }
}

/// The preamble of a core module; a component has layer 1 in its last two bytes.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Compilers that know no components leave a core module that carries its world.
fn componentize(path: &Path, module: &[u8]) -> Result<Vec<u8>, Failure> {
    let refuse = |why: String| {
        Failure::new(format!("the core module `{}` is no plugin: {why}", path.display()))
            .hint("a module carries its world if it was built with wit-bindgen or a tool like it")
    };
    let (stripped, _) = wit_component::metadata::decode(module).map_err(|e| refuse(format!("{e:#}")))?;
    // An encoder would make a component of it all the same: one that imports and exports nothing.
    if stripped.is_none() {
        return Err(refuse("it carries no world".to_owned()));
    }
    let encoded = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|e| refuse(format!("{e:#}")))
}

fn read_readme(dir: &Path, manifest: &Manifest) -> Result<Option<Vec<u8>>, Failure> {
    let Some(readme) = &manifest.plugin().readme else { return Ok(None) };
    let path = dir.join(readme.as_str());
    let bytes = std::fs::read(&path)
        .map_err(|e| Failure::new(format!("the readme `{}` can not be read: {e}", path.display())))?;
    if bytes.len() as u64 > MAX_README_BYTES {
        let size = bytes.len();
        return Err(Failure::new(format!(
            "`{}` has {size} bytes, and {MAX_README_BYTES} are possible",
            path.display()
        )));
    }
    Ok(Some(bytes))
}
