//! `stoa lock`.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;
use stoa_core::{
    id::{Name, PluginId},
    lock::{Lock, Publisher},
    resolve::{Ask, Diff, Mode, Resolution, ResolveOptions},
    wanted::Wanted,
};
use stoa_loader::{PlanningError, Refresh, Registry, TrustRoot};

use super::policy;
use crate::{
    args::{self, HostFiles},
    host,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, harmless},
};

pub(crate) async fn run(args: &args::Lock, output: Output) -> Result<(), Failure> {
    let paths = args.locking.of(&args.files);
    let locked = args.locking.locked || args.locking.frozen;
    let mode = if locked { Mode::Locked } else { Mode::Keep };
    change(&paths, mode, &args.accept, !locked, output).await
}

pub(crate) async fn update(args: &args::Update, output: Output) -> Result<(), Failure> {
    let mode = match args.plugin.is_empty() {
        true => Mode::UpdateAll,
        false => {
            let files = Files::read(&args.files)?;
            let lock = files.locked(&args.files)?;
            if let Some(unknown) = args.plugin.iter().find(|id| !lock.entries.contains_key(*id)) {
                return Err(not_locked(unknown, &args.files));
            }
            Mode::Update(args.plugin.iter().cloned().collect())
        }
    };
    change(&args.files, mode, &args.accept, !args.dry_run, output).await
}

/// A plugin is asked about that the lock does not name.
pub(crate) fn not_locked(id: &PluginId, files: &HostFiles) -> Failure {
    Failure::new(format!("`{}` has no plugin `{id}`", files.lock.display()))
        .code("not-locked")
        .hint("`stoa tree` shows what it has; a plugin that `plugins.toml` asks for comes in by `stoa lock`")
}

/// Resolves, and writes the lock where that is wanted and it is another.
async fn change(
    paths: &HostFiles,
    mode: Mode,
    accepted: &[PluginId],
    write: bool,
    output: Output,
) -> Result<(), Failure> {
    let files = Files::read(paths)?;
    let registry = files.open(paths).await?;
    let spinner = Spinner::start(output, "resolving against the signed index");
    let (mut resolution, lock) = files.resolve(&registry, mode, paths.offline, output).await?;
    drop(spinner);
    consent(&mut resolution, accepted, output)?;
    let path = &paths.lock;
    let text = lock.print();
    let old = std::fs::read_to_string(path).unwrap_or_default();
    if write && text != old {
        replace(path, &text)?;
    }
    for left in &resolution.left_out {
        output.note(format_args!("{WARN}left out{WARN:#} {NAME}{}{NAME:#}: {}", left.id, left.why));
    }
    for plugin in &resolution.plugins {
        if let Some(takedown) = &plugin.standing.takedown {
            let takedown = harmless(&takedown.to_string());
            output
                .note(format_args!("{WARN}note{WARN:#}: {NAME}{}@{}{NAME:#} is {takedown}", plugin.id, plugin.version));
        }
    }
    let diff = &resolution.diff;
    let json = json!({
        "lock": path, "plugins": resolution.plugins.len(), "written": write && text != old,
        "added": diff.added, "removed": diff.removed,
        "changed": diff.changed.iter().map(|c| json!({"id": c.id, "from": c.from, "to": c.to})).collect::<Vec<_>>(),
        "publishers": lock.entries.iter().map(|(id, entry)| (id.to_string(), entry.publisher)).collect::<BTreeMap<_, _>>(),
    });
    output.result(shown(diff, &lock, path, write), &json);
    Ok(())
}

/// Agrees to what is new where `--accept` names it, or a person does; else nothing is locked.
fn consent(resolution: &mut Resolution, accepted: &[PluginId], output: Output) -> Result<(), Failure> {
    for ask in resolution.asks.clone() {
        let id = &ask.release.id;
        if accepted.contains(id) || (output == Output::Text && agrees(&ask)?) {
            resolution.accept(id);
            output.note(format_args!("{WARN}accepted{WARN:#} {}", harmless(&ask.to_string())));
        }
    }
    match resolution.asks.is_empty() {
        true => Ok(()),
        false => Err(super::explain(PlanningError::Consent(resolution.asks.clone()))),
    }
}

/// Asks a person, where one sits at a terminal.
fn agrees(ask: &Ask) -> Result<bool, Failure> {
    use std::io::{IsTerminal as _, stderr, stdin};
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        return Ok(false);
    }
    anstream::eprint!("{}\n{WARN}take it?{WARN:#} [y/N] ", harmless(&ask.to_string()));
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Writes a file whole, beside it first.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        // A lock is committed and read by others; temporary files are their owner's alone.
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|e: std::io::Error| Failure::new(format!("`{}` can not be written: {e}", path.display())))
}

fn shown(diff: &Diff, lock: &Lock, path: &Path, write: bool) -> String {
    let by = |id: &PluginId| lock.entries.get(id).map(|entry| signer(entry.publisher)).unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    lines.extend(diff.added.iter().map(|exact| format!("{GOOD}+{GOOD:#} {exact}  {DIM}{}{DIM:#}", by(&exact.id))));
    lines.extend(
        diff.changed
            .iter()
            .map(|c| format!("{WARN}~{WARN:#} {} {} → {}  {DIM}{}{DIM:#}", c.id, c.from, c.to, by(&c.id))),
    );
    lines.extend(diff.removed.iter().map(|exact| format!("{BAD}-{BAD:#} {exact}")));
    let what = match (diff.is_empty(), write) {
        (true, _) => "nothing changes",
        (false, true) => "locked",
        (false, false) => "would be locked",
    };
    let count = lock.entries.len();
    lines.push(format!("{GOOD}{what}{GOOD:#}: {count} plugins in {NAME}{}{NAME:#}{DIM}{DIM:#}", path.display()));
    lines.join("\n")
}

/// Whose signature an entry of the lock stands on.
fn signer(publisher: Publisher) -> String {
    match publisher {
        Publisher::Key(key) => format!("signed by {}…", key.short(16)),
        Publisher::None => "unsigned".to_owned(),
    }
}

/// `plugins.toml`, and `plugins.lock` where there is one.
pub(crate) struct Files {
    pub(crate) wanted: Wanted,
    pub(crate) lock: Option<Lock>,
}

impl Files {
    pub(crate) fn read(args: &HostFiles) -> Result<Self, Failure> {
        let path = args.wanted.display();
        let text = std::fs::read_to_string(&args.wanted).map_err(|e| {
            Failure::new(format!("`{path}` can not be read: {e}"))
                .hint("it names a registry and the plugins that the host wants; --wanted names another file")
        })?;
        let wanted = Wanted::parse(&text).map_err(|e| Failure::new(format!("{path}: {e}")))?;
        let lock = match std::fs::read_to_string(&args.lock) {
            Ok(text) => {
                let refuse = |e| Failure::new(format!("{}: {e}", args.lock.display()));
                Some(Lock::parse(&text).map_err(refuse)?)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Failure::new(format!("`{}` can not be read: {e}", args.lock.display()))),
        };
        Ok(Self { wanted, lock })
    }

    /// The lock, which has to be there.
    pub(crate) fn locked(&self, args: &HostFiles) -> Result<&Lock, Failure> {
        self.lock
            .as_ref()
            .ok_or_else(|| Failure::new(format!("there is no `{}`", args.lock.display())).hint("run `stoa lock` first"))
    }

    /// The one registry of the file.
    fn registry(&self) -> Result<(Name, &stoa_core::wanted::Registry), Failure> {
        let mut all = self.wanted.registries().iter();
        match (all.next(), all.next()) {
            (Some((name, registry)), None) => Ok((name.clone(), registry)),
            (None, _) => Err(Failure::new("no registry is named")
                .hint("add `[registries.main]` with `url` and `root-sha256`, as a plugin's page shows them")),
            (Some(_), Some(_)) => Err(Failure::new("two registries are named, and plugins are resolved against one")),
        }
    }

    pub(crate) async fn open(&self, args: &HostFiles) -> Result<Registry, Failure> {
        let (_, registry) = self.registry()?;
        let cache = host::cache(args.cache.as_deref())?;
        let policy = policy::load(args.policy.as_deref(), &args.wanted)?;
        let root = TrustRoot::Sha256(registry.root_sha256);
        Ok(host::open_at(&registry.url, root, cache, args.offline).await?.with_policy(policy.unwrap_or_default()))
    }

    pub(crate) async fn resolve(
        &self,
        registry: &Registry,
        mode: Mode,
        offline: bool,
        output: Output,
    ) -> Result<(Resolution, Lock), Failure> {
        // Who asks for what is newest does not mean as of a minute ago.
        let refresh = match mode {
            _ if offline => Refresh::Never,
            Mode::Update(_) | Mode::UpdateAll => Refresh::Always,
            _ => Refresh::IfStale,
        };
        let snapshot = host::sync_as(registry, refresh, output).await?;
        let offer = host::host(registry)?.offer().to_core();
        let options = ResolveOptions::new(self.registry()?.0).with_mode(mode);
        let resolution = snapshot.resolve(&self.wanted, self.lock.as_ref(), &offer, &options).await;
        let resolution = resolution.map_err(super::explain)?;
        let lock = resolution.lock(snapshot.lock_header(&offer).await);
        Ok((resolution, lock))
    }
}
