//! From wishes to a plan: choose against the signed index, fetch what was chosen, verify it.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    capability::{Grants, Needs},
    document::{Document, Listing},
    id::PluginId,
    lock::{Exact, Header, Lock, Publisher},
    offer,
    policy::{Evidence, Refusal, Verdict},
    release::{self, BlobRef},
    resolve::{
        self, Ask, Bar, Barred, Documents, Down, Known, Resolution, ResolveError, ResolveOptions, Resolved, Source,
        reachable,
    },
    standing::{Measure, Takedown},
    time::DAY,
    trust::Staleness,
    wanted::Wanted,
};

use crate::{
    attested::{AllAttested, Attested},
    error::Cause,
    grant::{GrantError, Voucher},
    limits::Wishes,
    plan::{
        Binding, Charter, ConfigValue, Edge, Fetch, Instances, Origin, Plan, PlanError, PlannedPlugin, RuntimeOptions,
    },
    registry::{Obtained, Registry, RegistryError, Snapshot},
};

/// How many components are fetched at a time.
const PARALLEL: usize = 4;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanningError {
    /// The registry can not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No set of versions will do, or the lock does not hold.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// What was resolved was taken down: nobody loads what was killed, and nobody fetches what is quarantined. Nothing of
    /// it was fetched.
    #[error("{}", down(.0))]
    TakenDown(Vec<Down>),
    /// The host's policy refuses what was chosen or locked. Nothing of it was fetched.
    #[error("{}", told(.0))]
    Policy(Vec<Refusal>),
    /// An update brings what nobody has agreed to: [`Resolution::accept`] agrees. Nothing of it was fetched.
    #[error("an update needs consent: {}", asked(.0))]
    Consent(Vec<Ask>),
    /// What was chosen asks for what it is not given. Nothing of it was fetched.
    #[error("{}", lines(.0))]
    Grants(Vec<GrantError>),
    /// What was resolved can not be run as it is.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A setting in `plugins.toml` that a plugin can not be handed.
    #[error("the setting `{key}` of `{id}` is neither a text nor an integer nor true or false")]
    Setting {
        /// The plugin.
        id: PluginId,
        /// The setting.
        key: String,
    },
    /// The index expired too long ago to choose new versions from it.
    #[error(
        "the verified index expired {} days ago, and new versions are chosen only up to {} days after that",
        days(*.age), days(*.limit)
    )]
    TooStale {
        /// How long ago it expired, in seconds.
        age: i64,
        /// The longest, in seconds.
        limit: i64,
    },
    /// A plugin from a folder: only hosts in development load those.
    #[error("`{0}` comes from a folder, which this host does not load from")]
    Path(PluginId),
}

/// Something that happens while components are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetched {
    /// This component is there and verified.
    Component {
        /// The plugin.
        id: PluginId,
        /// Its size in bytes.
        size: u64,
    },
    /// This release is quarantined. Its component was kept here before, and goes on.
    Quarantined(Down),
}

impl Snapshot<'_> {
    /// Chooses the versions that a host runs. Reads the documents that the choice can reach, level by level;
    /// the choice itself is pure.
    ///
    /// # Errors
    /// [`PlanningError::Registry`] or [`PlanningError::Resolve`]; [`PlanningError::Policy`] where the registry's policy
    /// leaves nothing to choose, or refuses what is locked; [`PlanningError::TooStale`] where the choice is
    /// another one than the lock's and the index expired too long ago.
    pub async fn resolve(
        &self,
        wanted: &Wanted,
        lock: Option<&Lock>,
        offer: &offer::Offer,
        options: &ResolveOptions,
    ) -> Result<Resolution, PlanningError> {
        let documents = self.documents(|found| reachable(wanted, lock, found)).await?;
        let entry = |id: &PluginId| lock.and_then(|lock| lock.entries.get(id));
        let locked = |id: &PluginId| entry(id).map(|entry| (entry.version.clone(), entry.publisher));
        let mut known = AllAttested::new();
        let mut resolution = loop {
            let mut resolution = self.choose(wanted, lock, offer, &documents, options, &known)?;
            let learnt = self.verify(&mut resolution.plugins, locked, &mut known).await?;
            match self.registry().permits(&resolution) {
                // What was learnt may bar what was chosen: each round learns of a further release, so there is a last one.
                Err(_) if learnt => {}
                permitted => break permitted.map(|()| resolution)?,
            }
        };
        resolution.asks = resolve::asks(wanted, &resolution.plugins, lock, &documents);
        for notice in self.registry().verdicts(&resolution).iter().flat_map(Verdict::notices) {
            tracing::warn!("{notice}");
        }
        // What is locked was chosen when the index was fresh, and its bytes are named by digest: it runs for ever.
        if lock.is_none() || !resolution.diff.is_empty() {
            self.check_age().await?;
        }
        Ok(resolution)
    }

    /// The choice under the registry's policy. Where there is none, and there would be one without the policy, that one
    /// is given: what the policy says of it tells more than that nothing is left.
    fn choose(
        &self,
        wanted: &Wanted,
        lock: Option<&Lock>,
        offer: &offer::Offer,
        documents: &Documents,
        options: &ResolveOptions,
        attested: &AllAttested,
    ) -> Result<Resolution, ResolveError> {
        let policy = self.registry().policy();
        let signatures = policy.asks_for_signatures();
        let evidence = |release: &Exact, listing: &Listing, document: &Document| {
            let standing = document.standing(&release.version);
            match listing.attestations.signature {
                _ if !signatures => Some(Evidence::of(listing, &standing)),
                None => Some(Attested::default().evidence(listing, &standing)),
                // Verified once it is chosen: not every signature of the index is fetched.
                Some(_) => attested.get(release).map(|attested| attested.evidence(listing, &standing)),
            }
        };
        let barred = policy.bars(documents, evidence, self.registry().time());
        let options = self.without_what_is_lacking(lock, documents, options);
        let bars = !barred.is_empty();
        let chosen = resolve::resolve(wanted, lock, offer, documents, &options.clone().and_barred(barred));
        match chosen {
            Err(ResolveError::Unsatisfiable(_)) if bars => resolve::resolve(wanted, lock, offer, documents, &options),
            other => other,
        }
    }

    /// Bars what could not be fetched, where no connection may be opened. What the lock names stays: it is what this
    /// host runs, and a host that never fetched it should hear of that.
    fn without_what_is_lacking(
        &self,
        lock: Option<&Lock>,
        documents: &Documents,
        options: &ResolveOptions,
    ) -> ResolveOptions {
        let locked = |id: &PluginId| lock.and_then(|lock| lock.entries.get(id)).map(|entry| &entry.version);
        let mut lacking = Barred::new();
        for (id, known) in documents {
            let Known::Document(document) = known else { continue };
            let free = document.releases.iter().filter(|(version, _)| locked(id) != Some(version));
            let lacks = free.filter(|(_, listing)| self.registry().lacks(listing.artifact));
            let bars: BTreeMap<_, _> = lacks.map(|(version, _)| (version.clone(), Bar::NotKept)).collect();
            if !bars.is_empty() {
                lacking.insert(id.clone(), bars);
            }
        }
        options.clone().and_barred(lacking)
    }

    async fn check_age(&self) -> Result<(), PlanningError> {
        let Staleness::Stale { since } = self.staleness().await else { return Ok(()) };
        match self.registry().too_stale(since) {
            Some(age) => Err(PlanningError::TooStale { age, limit: self.registry().max_stale() }),
            None => Ok(()),
        }
    }

    /// The header of a lock that is made against this index.
    pub async fn lock_header(&self, offer: &offer::Offer) -> Header {
        let (root, snapshot) = self.versions().await;
        Header {
            url: self.registry().address().to_owned(),
            root_sha256: self.registry().fingerprint(),
            root,
            snapshot,
            offer: offer.digest(),
        }
    }
}

/// What is refused and why, a line each: every refusal names its rule.
fn told(refusals: &[Refusal]) -> String {
    const SHOWN: usize = 5;
    let mut lines: Vec<_> = refusals.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = refusals.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} reasons more"));
    }
    lines.join("\n  ")
}

/// What was taken down, a line each.
fn down(releases: &[Down]) -> String {
    let one = |down: &Down| match down.takedown.measure {
        Measure::Kill => down.to_string(),
        Measure::Quarantine => format!("{down}, and nobody fetches it"),
    };
    releases.iter().map(one).collect::<Vec<_>>().join("\n  ")
}

fn lines(refused: &[GrantError]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// What is new, a line each.
fn asked(asks: &[Ask]) -> String {
    asks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

fn days(seconds: i64) -> i64 {
    seconds / DAY
}

impl Registry {
    /// What the policy says of everything that `resolution` takes from a registry. What comes from a folder is the host's
    /// own.
    pub fn verdicts(&self, resolution: &Resolution) -> Vec<Verdict> {
        let (policy, now) = (self.policy(), self.time());
        let from_registry = resolution.plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_)));
        let judge = |plugin: &Resolved| {
            let release = Exact { id: plugin.id.clone(), version: plugin.version.clone() };
            let (publisher_keys, provenance) = (plugin.publisher_keys.clone(), plugin.provenance.clone());
            let evidence = Evidence { publisher_keys, provenance, ..Evidence::of(&plugin.listing, &plugin.standing) };
            policy.judge(&release, &evidence, now)
        };
        from_registry.map(judge).collect()
    }

    /// What of `resolution` was taken down, by the index as it is held now: the resolution may be of an older one.
    async fn taken_down(&self, resolution: &Resolution) -> Result<Vec<Down>, RegistryError> {
        let held = match self.cached().await {
            Ok(snapshot) => Some(snapshot),
            Err(RegistryError::NothingKept { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut down = Vec::new();
        for plugin in resolution.plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_))) {
            let release = Exact { id: plugin.id.clone(), version: plugin.version.clone() };
            let now = match &held {
                Some(snapshot) => snapshot.document(&release.id).await?,
                None => None,
            };
            let standing = now.map_or_else(|| plugin.standing.clone(), |document| document.standing(&release.version));
            down.extend(standing.takedown.map(|takedown| Down { release, takedown }));
        }
        Ok(down)
    }

    /// Who stands for a release of this registry that bears this signature.
    pub fn voucher(&self, publisher: Publisher) -> Voucher {
        Voucher { registry: self.fingerprint(), publisher }
    }

    fn permits(&self, resolution: &Resolution) -> Result<(), PlanningError> {
        let refusals: Vec<_> = self.verdicts(resolution).iter().flat_map(Verdict::refusals).collect();
        if refusals.is_empty() { Ok(()) } else { Err(PlanningError::Policy(refusals)) }
    }

    /// Fetches what `resolution` names, in parallel, and makes it a plan. What the policy refuses is not fetched, nor
    /// anything while there is something to agree to, or something that was taken down. Components that are kept and still
    /// have their digest are not fetched again; a quarantined one has to be.
    ///
    /// # Errors
    /// [`PlanningError`].
    pub async fn plan(
        &self,
        resolution: &Resolution,
        wanted: &Wanted,
        progress: impl Fn(Fetched),
    ) -> Result<Plan, PlanningError> {
        let quarantined = &self.may_fetch(resolution, &progress).await?;
        let charters = &self.charters(resolution).await?;
        let progress = &progress;
        let plugins = stream::iter(resolution.plugins.iter().enumerate()).map(|(place, resolved)| async move {
            let component = self.obtain(resolved.listing.artifact).await?;
            progress(Fetched::Component { id: resolved.id.clone(), size: resolved.listing.artifact.size });
            let quarantined = quarantined.get(&resolved.id).cloned();
            let charter = charters.get(&resolved.id).cloned().unwrap_or_default();
            let plugin = planned(resolved, wanted, component.into(), place)?;
            Ok::<_, PlanningError>(PlannedPlugin { quarantined, charter, ..plugin })
        });
        let plugins: Vec<PlannedPlugin> = plugins.buffered(PARALLEL).try_collect().await?;
        Ok(Plan::new(plugins)?)
    }

    /// The same, but nothing is fetched yet: each component is, when the plan is applied, beside the others. One that
    /// does not come keeps none but its own dependents from running.
    ///
    /// # Errors
    /// [`PlanningError`].
    pub async fn plan_unfetched(
        self: &Arc<Self>,
        resolution: &Resolution,
        wanted: &Wanted,
        progress: impl Fn(Fetched),
    ) -> Result<Plan, PlanningError> {
        let mut quarantined = self.may_fetch(resolution, &progress).await?;
        let mut charters = self.charters(resolution).await?;
        let plugins = resolution.plugins.iter().enumerate().map(|(place, resolved)| {
            let remote = Remote { registry: self.clone(), artifact: resolved.listing.artifact };
            let quarantined = quarantined.remove(&resolved.id);
            let plugin = planned(resolved, wanted, Origin::Remote(Arc::new(remote)), place)?;
            let charter = charters.remove(&resolved.id).unwrap_or_default();
            Ok(PlannedPlugin { quarantined, charter, ..plugin })
        });
        Ok(Plan::new(plugins.collect::<Result<_, PlanningError>>()?)?)
    }

    /// What each plugin is given, by what the signed index says that it needs; whoever may agree to the rest is asked.
    /// [`Registry::plan`] does the same: this is for programs that would rather ask before they begin to show progress.
    ///
    /// # Errors
    /// [`PlanningError::Grants`].
    pub async fn grants(&self, resolution: &Resolution) -> Result<BTreeMap<PluginId, Grants>, PlanningError> {
        let charters = self.charters(resolution).await?;
        Ok(charters.into_iter().filter_map(|(id, charter)| Some((id, charter.grants()?.clone()))).collect())
    }

    async fn charters(&self, resolution: &Resolution) -> Result<BTreeMap<PluginId, Charter>, PlanningError> {
        let (mut charters, mut refused) = (BTreeMap::new(), Vec::new());
        for plugin in resolution.plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_))) {
            let release = Exact { id: plugin.id.clone(), version: plugin.version.clone() };
            let (needs, by) = (Needs::of(&plugin.listing), self.voucher(plugin.publisher));
            match self.authority().decide(&release, &needs, Some(&by)).await {
                Ok(grants) => drop(charters.insert(plugin.id.clone(), Charter::listed(needs, grants, by))),
                Err(error) => refused.push(error),
            }
        }
        if refused.is_empty() { Ok(charters) } else { Err(PlanningError::Grants(refused)) }
    }

    /// Refuses what the policy refuses, what was taken down, and anything while there is something to agree to. Gives what
    /// is quarantined and was kept before.
    async fn may_fetch(
        &self,
        resolution: &Resolution,
        progress: &impl Fn(Fetched),
    ) -> Result<BTreeMap<PluginId, Takedown>, PlanningError> {
        self.permits(resolution)?;
        if !resolution.asks.is_empty() {
            return Err(PlanningError::Consent(resolution.asks.clone()));
        }
        let down = self.taken_down(resolution).await?;
        let refused = |down: &&Down| {
            let plugin = resolution.plugins.iter().find(|plugin| plugin.id == down.release.id);
            down.takedown.measure == Measure::Kill || plugin.is_none_or(|plugin| !self.keeps(plugin.listing.artifact))
        };
        let refused: Vec<Down> = down.iter().filter(refused).cloned().collect();
        if !refused.is_empty() {
            return Err(PlanningError::TakenDown(refused));
        }
        for quarantined in &down {
            tracing::warn!("{quarantined}, and goes on here");
            progress(Fetched::Quarantined(quarantined.clone()));
        }
        Ok(down.into_iter().map(|down| (down.release.id, down.takedown)).collect())
    }
}

/// A component in a registry.
#[derive(Debug)]
struct Remote {
    registry: Arc<Registry>,
    artifact: BlobRef,
}

#[async_trait::async_trait]
impl Fetch for Remote {
    async fn fetch(&self) -> Result<Origin, Cause> {
        Ok(self.registry.obtain(self.artifact).await?.into())
    }
}

impl From<Obtained> for Origin {
    fn from(obtained: Obtained) -> Self {
        match obtained.held {
            Some(bytes) => Self::Held(bytes),
            None => Self::File(obtained.path),
        }
    }
}

/// How a release may be run. What it says of a pool counts only where it is stateless.
fn runtime(runtime: &release::Runtime) -> RuntimeOptions {
    let instances = if runtime.stateless { Instances::Stateless(runtime.pool) } else { Instances::One };
    RuntimeOptions { reload: runtime.reload, instances }
}

fn planned(resolved: &Resolved, wanted: &Wanted, origin: Origin, place: usize) -> Result<PlannedPlugin, PlanningError> {
    let Source::Registry(registry) = &resolved.source else {
        return Err(PlanningError::Path(resolved.id.clone()));
    };
    let rank = wanted.plugins().iter().position(|want| want.id == resolved.id);
    // Plugins that nobody asked for by name come after those that somebody did, in load order.
    let rank = rank.unwrap_or(wanted.plugins().len() + place);
    Ok(PlannedPlugin {
        registry: registry.as_str().into(),
        id: resolved.id.clone(),
        version: resolved.version.clone(),
        artifact: resolved.listing.artifact.digest,
        origin,
        dependencies: resolved.edges.iter().map(edge).collect(),
        limits: Wishes::of_record(&resolved.listing.limits),
        runtime: runtime(&resolved.listing.runtime),
        config: settings(&resolved.id, wanted)?,
        charter: Charter::default(),
        rank: u32::try_from(rank).unwrap_or(u32::MAX),
        quarantined: None,
    })
}

fn edge(edge: &resolve::Edge) -> Edge {
    Edge {
        on: edge.dependency.clone(),
        bindings: edge.bindings.iter().map(binding).collect(),
        on_failure: edge.on_failure,
    }
}

fn binding(binding: &resolve::Binding) -> Binding {
    Binding { import: binding.import.to_string(), export: binding.export.to_string() }
}

fn settings(id: &PluginId, wanted: &Wanted) -> Result<BTreeMap<String, ConfigValue>, PlanningError> {
    let Some(want) = wanted.get(id) else { return Ok(BTreeMap::new()) };
    let one = |(key, value): (&String, &serde_json::Value)| {
        let value = match value {
            serde_json::Value::String(text) => ConfigValue::Text(text.clone()),
            serde_json::Value::Bool(flag) => ConfigValue::Boolean(*flag),
            other => match other.as_i64() {
                Some(number) => ConfigValue::Integer(number),
                None => return Err(PlanningError::Setting { id: id.clone(), key: key.clone() }),
            },
        };
        Ok((key.clone(), value))
    };
    want.config.iter().map(one).collect()
}
