//! The command line as a host: pins a root, reads the signed index, runs plugins.

use stoa_loader::{Cache, Host, Refresh, Registry, RegistryError, Snapshot, TrustRoot, consent::Kept};

use crate::{
    args,
    consent::AskOnTerminal,
    report::{DIM, Failure, NAME, Output, WARN},
};

/// Opens the registry that the command line names.
pub(crate) async fn open(args: &args::Registry, output: Output) -> Result<Registry, Failure> {
    let cache = cache(args.cache.as_deref())?;
    let root = match (&args.root, args.root_sha256) {
        (Some(path), _) => TrustRoot::pinned(
            std::fs::read(path)
                .map_err(|e| Failure::new(format!("the root `{}` can not be read: {e}", path.display())))?,
        ),
        (None, Some(digest)) => TrustRoot::Sha256(digest),
        (None, None) if args.trust_on_first_use => TrustRoot::OnFirstUse,
        (None, None) => {
            return Err(Failure::new("no root of trust: nothing that the registry says could be verified").hint(
                "give --root FILE or --root-sha256 HEX as the registry's operator published them; \
                 --trust-on-first-use takes what the registry shows now",
            ));
        }
    };
    let registry = open_at(&args.registry, root, cache, args.offline).await?;
    if args.trust_on_first_use {
        let fingerprint = registry.fingerprint();
        output.note(format_args!("{WARN}trusted on first use{WARN:#}: root {NAME}{fingerprint}{NAME:#}"));
        output.note(format_args!("{DIM}compare it with what the operator published; pin it with --root-sha256{DIM:#}"));
    }
    Ok(registry)
}

pub(crate) async fn open_at(url: &str, root: TrustRoot, cache: Cache, offline: bool) -> Result<Registry, Failure> {
    let registry = match offline {
        true => Registry::open_offline(url, root, cache).await?,
        false => Registry::open(url, root, cache).await?,
    };
    Ok(match crate::consent::file() {
        Ok(file) => registry.with_consent(Kept::new(file, AskOnTerminal)),
        // Without a folder of one's own, what is agreed to holds this time.
        Err(_) => registry.with_consent(AskOnTerminal),
    })
}

pub(crate) fn cache(path: Option<&std::path::Path>) -> Result<Cache, Failure> {
    Ok(match path {
        Some(path) => Cache::at(path)?,
        None => Cache::user()?,
    })
}

/// The signed index; what is kept must do where `offline`, or where the registry is away.
pub(crate) async fn sync<'r>(registry: &'r Registry, offline: bool, output: Output) -> Result<Snapshot<'r>, Failure> {
    sync_as(registry, if offline { Refresh::Never } else { Refresh::IfStale }, output).await
}

/// The same, where the caller says how new it has to be.
pub(crate) async fn sync_as(registry: &Registry, refresh: Refresh, output: Output) -> Result<Snapshot<'_>, Failure> {
    let snapshot = match registry.sync(refresh).await {
        Err(RegistryError::Transport(away)) if refresh != Refresh::Never => match registry.cached().await {
            Ok(kept) => {
                output.note(format_args!("{WARN}offline{WARN:#}: {away}; going on with the verified copy"));
                kept
            }
            // Without a copy, why the registry is away is what matters.
            Err(_) => return Err(away.into()),
        },
        other => other?,
    };
    let freshness = snapshot.freshness().await;
    if freshness.lasts(crate::cmd::now()) {
        output.note(format_args!("{WARN}{}{WARN:#}: {freshness}", freshness.code()));
    }
    Ok(snapshot)
}

/// What publishers name the registry by when they sign: its first root.
pub(crate) fn first_root(registry: &Registry) -> Result<stoa_core::digest::Digest, Failure> {
    registry.first_root().ok_or_else(|| {
        Failure::new("the pinned root is not the registry's first, and signatures name the first")
            .hint("give --root FILE with the root of version 1, as `stoa init` wrote it")
    })
}

/// The same with compiled code in a folder of its own.
pub(crate) fn host_with_code(folder: &std::path::Path) -> Result<Host<()>, Failure> {
    let name = concat!("stoa/", env!("CARGO_PKG_VERSION"));
    Ok(Host::builder().name(name).code_cache(folder).build()?)
}

/// A host that offers what every host does, and no more.
pub(crate) fn host(registry: &Registry) -> Result<Host<()>, Failure> {
    host_with_code(&registry.cache().aot())
}
