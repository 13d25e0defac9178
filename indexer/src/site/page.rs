//! What templates receive: every choice made, every list sorted, every text composed.

use serde::Serialize;
use stoa_core::{
    advisory::{self, Severity},
    document::State,
    id::PluginId,
    interface::ExternName,
    release::{BlobRef, Export, Import, Kind, OnFailure, Provider},
    standing::{Measure, Open, Takedown},
    time::Time,
    version::Version,
};

use super::{
    Readme, SiteConfig,
    capability::{Capabilities, Line, Weight},
    example::example_call,
    format::{self, Html},
    install::Install,
    view::{Card, DependencyRow, Dependent, FrontPage, Mark, PluginPage, VersionRow},
    wit,
};

/// With more plugins than this, the front page begins with the newest.
const FEW: usize = 9;
/// How many are newest: one or two rows of cards.
const NEWEST: usize = 6;
/// How many versions are shown before the rest is folded away.
const RECENT: usize = 8;

#[derive(Serialize)]
pub(crate) struct Front<'v> {
    seq: u64,
    updated: Option<String>,
    versions: u64,
    example: Option<(&'v PluginId, Install)>,
    newest: Vec<CardView<'v>>,
    all: Vec<CardView<'v>>,
}

#[derive(Serialize, Clone)]
struct CardView<'v> {
    id: &'v PluginId,
    description: &'v str,
    version: &'v Version,
    interface: bool,
    hint: Option<Hint>,
    keywords: String,
    mark: Option<String>,
    updated: String,
}

#[derive(Serialize, Clone)]
struct Hint {
    words: String,
    weight: Weight,
}

impl<'v> Front<'v> {
    pub(crate) fn of(config: &SiteConfig, page: &'v FrontPage) -> Self {
        let mut cards: Vec<&Card> = page.cards.iter().collect();
        cards.sort_by(|a, b| (b.seq, &a.id).cmp(&(a.seq, &b.id)));
        let newest =
            if cards.len() > FEW { cards.iter().take(NEWEST).map(|card| CardView::of(card)).collect() } else { vec![] };
        cards.sort_by(|a, b| a.id.cmp(&b.id));
        let example = page
            .featured
            .as_ref()
            .map(|featured| (&featured.id, Install::of(config, &featured.id, &featured.version, Some(&featured.call))));
        Self {
            seq: page.seq,
            updated: page.updated.map(|time| time.to_string()),
            versions: cards.iter().map(|card| card.versions as u64).sum(),
            example,
            newest,
            all: cards.into_iter().map(CardView::of).collect(),
        }
    }
}

impl<'v> CardView<'v> {
    fn of(card: &'v Card) -> Self {
        Self {
            id: &card.id,
            description: &card.description,
            version: &card.version,
            interface: card.kind == Kind::Interface,
            hint: hint(card.kind, &card.capabilities),
            keywords: card.keywords.join(" "),
            mark: card.mark.map(|mark| match mark {
                Mark::Killed => "killed".to_owned(),
                Mark::Quarantined => "quarantined".to_owned(),
                Mark::Yanked => "yanked".to_owned(),
                Mark::Advisory(severity) => flaw(severity),
            }),
            updated: card.updated.to_string(),
        }
    }
}

/// Nothing runs of an interface, so it has no capabilities to speak of.
fn hint(kind: Kind, capabilities: &Capabilities) -> Option<Hint> {
    (kind == Kind::Plugin).then(|| Hint { words: capabilities.hint(), weight: capabilities.weight() })
}

#[derive(Serialize)]
pub(crate) struct Plugin<'v> {
    id: &'v PluginId,
    /// What search engines and previews say of the page.
    summary: &'v str,
    /// Empty where the shown version was killed, and so is all else that its author wrote.
    description: &'v str,
    version: &'v Version,
    interface: bool,
    /// Whether the shown version was killed: its page says what happened, and does not speak for it.
    killed: bool,
    license: &'v str,
    repository: Option<&'v str>,
    /// `repository` again where a browser may follow it, and its text without the scheme.
    source: Option<(&'v str, &'v str)>,
    keywords: &'v [String],
    categories: &'v [String],
    readme: Option<Html>,
    readme_is_cut: bool,
    notices: Vec<Notice>,
    /// `None` where nobody could fetch it.
    install: Option<Install>,
    exports: Vec<ExportView<'v>>,
    imports: Vec<ImportView<'v>>,
    wit: Option<Html>,
    /// Whether no part of the WIT is shown before the whole.
    wit_is_open: bool,
    tracks: &'v [String],
    hint: Option<Hint>,
    sentence: &'static str,
    capabilities: Vec<Line>,
    reasons: Vec<(&'v str, &'v str)>,
    /// Whether to speak of calls between plugins at all.
    calls: bool,
    dependencies: Vec<DependencyView<'v>>,
    dependents: Vec<&'v Dependent>,
    shown: Option<VersionView<'v>>,
    recent: Vec<VersionView<'v>>,
    older: Vec<VersionView<'v>>,
    count: usize,
    advisories: Vec<AdvisoryView<'v>>,
}

/// What to know before using the shown version.
#[derive(Serialize)]
struct Notice {
    title: String,
    reason: String,
    advice: String,
}

#[derive(Serialize)]
struct AdvisoryView<'v> {
    id: String,
    severity: &'static str,
    summary: &'v str,
    issuer: String,
    affected: String,
    fixed: String,
    /// Its link where a browser may follow it, and the text without the scheme.
    link: Option<(&'v str, &'v str)>,
    aliases: String,
    published_at: String,
    modified_at: Option<String>,
    /// Whether the shown version has it.
    is_open: bool,
}

#[derive(Serialize)]
struct ExportView<'v> {
    #[serde(flatten)]
    export: &'v Export,
    wit: Option<Html>,
}

#[derive(Serialize)]
struct ImportView<'v> {
    #[serde(flatten)]
    import: &'v Import,
    provider: &'static str,
}

#[derive(Serialize)]
struct DependencyView<'v> {
    id: &'v PluginId,
    requirement: String,
    listed: bool,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct VersionView<'v> {
    version: &'v Version,
    prerelease: bool,
    published_at: String,
    seq: u64,
    artifact: &'v BlobRef,
    record: String,
    /// Whether new resolutions pass it over.
    gone: bool,
    /// Whether its bytes may be fetched.
    fetched: bool,
    /// What it is, each a word or two.
    marks: Vec<String>,
    /// Why.
    whys: Vec<String>,
    is_shown: bool,
    certified: Option<(u8, &'v str)>,
}

impl<'v> Plugin<'v> {
    pub(crate) fn of(config: &SiteConfig, page: &'v PluginPage) -> Self {
        let shown = page.versions.iter().find(|row| row.version == page.version);
        let takedown = shown.and_then(|row| row.standing.takedown.as_ref());
        let view = Self::at_large(config, page, shown);
        match takedown.map(|takedown| takedown.measure) {
            None => view,
            Some(Measure::Quarantine) => Self { install: None, ..view },
            Some(Measure::Kill) => Self {
                summary: "It was taken down.",
                description: "",
                killed: true,
                license: "",
                repository: None,
                source: None,
                keywords: &[],
                categories: &[],
                readme: None,
                readme_is_cut: false,
                install: None,
                exports: Vec::new(),
                imports: Vec::new(),
                wit: None,
                tracks: &[],
                hint: None,
                capabilities: Vec::new(),
                reasons: Vec::new(),
                dependencies: Vec::new(),
                calls: !page.dependents.is_empty(),
                ..view
            },
        }
    }

    /// The page of a plugin that nobody took down.
    fn at_large(config: &SiteConfig, page: &'v PluginPage, shown: Option<&'v VersionRow>) -> Self {
        let exports: Vec<ExportView<'_>> = page.exports.iter().map(|export| ExportView::of(export, page)).collect();
        let (recent, older) = versions(page);
        let capabilities = Capabilities::of(&page.imports);
        Self {
            id: &page.id,
            summary: &page.description,
            description: &page.description,
            version: &page.version,
            interface: page.kind == Kind::Interface,
            killed: false,
            license: &page.license,
            repository: page.repository.as_deref(),
            source: page.repository.as_deref().and_then(link),
            keywords: &page.keywords,
            categories: &page.categories,
            readme: page.readme.as_ref().map(|readme| Html(readme.html().to_owned())),
            readme_is_cut: page.readme.as_ref().is_some_and(Readme::is_cut),
            notices: shown.map(|row| notices(page, row)).unwrap_or_default(),
            install: Some(Install::of(config, &page.id, &page.version, call(page).as_deref())),
            imports: page.imports.iter().map(ImportView::of).collect(),
            wit: page.wit.as_deref().map(wit::highlight),
            wit_is_open: exports.iter().all(|export| export.wit.is_none()),
            exports,
            tracks: &page.tracks,
            hint: hint(page.kind, &capabilities),
            sentence: capabilities.sentence(),
            capabilities: capabilities.lines(),
            reasons: page.reasons.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect(),
            calls: page.kind == Kind::Plugin || !(page.dependencies.is_empty() && page.dependents.is_empty()),
            dependencies: sorted(&page.dependencies, |row| &row.id).into_iter().map(DependencyView::of).collect(),
            dependents: sorted(&page.dependents, |row| &row.id),
            shown: shown.map(|row| VersionView::of(row, page)),
            count: page.versions.len(),
            recent,
            older,
            advisories: advisories(page),
        }
    }
}

fn sorted<'v, T, K: Ord + 'v>(rows: &'v [T], key: impl Fn(&'v T) -> &'v K) -> Vec<&'v T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The versions from the highest down, in two parts.
fn versions(page: &PluginPage) -> (Vec<VersionView<'_>>, Vec<VersionView<'_>>) {
    let mut rows = sorted(&page.versions, |row| &row.version);
    rows.reverse();
    let mut views: Vec<_> = rows.into_iter().map(|row| VersionView::of(row, page)).collect();
    // Folding away one or two saves no room.
    let cut = if views.len() > RECENT + 2 { RECENT } else { views.len() };
    let older = views.split_off(cut);
    (views, older)
}

/// `url` and its text where a browser may follow it: a manifest comes from strangers, and `javascript:` is
/// an address too.
fn link(url: &str) -> Option<(&str, &str)> {
    let text = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    plain.then(|| (url, text.trim_end_matches('/')))
}

/// The example given, else one made up.
fn call(page: &PluginPage) -> Option<String> {
    if page.kind == Kind::Interface {
        return None;
    }
    page.call.clone().or_else(|| example_call(page.wit.as_deref()?, &page.exports))
}

fn day(time: Time) -> String {
    format::date(&time.to_string())
}

/// `high advisory`, or what one is that tells of no flaw.
fn flaw(severity: Severity) -> String {
    match severity {
        Severity::None => "notice".to_owned(),
        severity => format!("{} advisory", severity.as_str()),
    }
}

/// The gravest first.
fn notices(page: &PluginPage, row: &VersionRow) -> Vec<Notice> {
    let own = row.standing.takedown.iter().filter(|own| page.takedown.as_ref() != Some(own));
    let mut takedowns: Vec<&Takedown> = page.takedown.iter().chain(own).collect();
    takedowns.sort_by_key(|takedown| std::cmp::Reverse(takedown.measure));
    let mut notices: Vec<Notice> = takedowns.into_iter().map(|takedown| taken_down(page, takedown)).collect();
    if let State::Yanked { reason, at } = &row.state {
        let listed = page.versions.iter().any(|row| row.state == State::Listed && row.standing.takedown.is_none());
        let advice = match listed {
            true => "New resolutions choose another version. Lock files that name this one still work.",
            false => "No version is left for new resolutions. Lock files that name one still work.",
        };
        notices.push(Notice {
            title: format!("Version {} was yanked on {}", page.version, day(*at)),
            reason: reason.clone(),
            advice: advice.to_owned(),
        });
    }
    let mut open: Vec<&Open> = row.standing.advisories.iter().collect();
    open.sort_by_key(|open| std::cmp::Reverse(open.advisory.content.severity));
    notices.extend(open.into_iter().map(|open| {
        let content = &open.advisory.content;
        let advice = match (&open.fixed_in, content.severity) {
            (Some(version), _) => format!("Version {version} does not have it."),
            (None, Severity::None) => String::new(),
            (None, _) => "No version is free of it yet.".to_owned(),
        };
        Notice {
            title: match content.severity {
                Severity::None => format!("{}: a notice on version {}", open.advisory.id, page.version),
                severity => {
                    format!("{} in version {}: {} severity", open.advisory.id, page.version, severity.as_str())
                }
            },
            reason: content.summary.to_string(),
            advice,
        }
    }));
    notices
}

fn taken_down(page: &PluginPage, takedown: &Takedown) -> Notice {
    let whole = page.takedown.as_ref() == Some(takedown);
    let what = if whole { page.id.to_string() } else { format!("Version {}", page.version) };
    let advice = match takedown.measure {
        Measure::Quarantine => {
            "Nobody can choose or fetch it until somebody has looked. Hosts that have it go on, and are told."
        }
        Measure::Kill => {
            "No host loads it, nor offline once it has heard of this. Lock files that name it are refused."
        }
    };
    let appealed = takedown.appealed.map(|at| format!(" Its publisher has contradicted this since {}.", day(at)));
    Notice {
        title: format!("{what} was {} on {}: {}", takedown.measure.state(), day(takedown.at), takedown.cause),
        reason: takedown.reason.clone(),
        advice: format!("{advice}{}", appealed.unwrap_or_default()),
    }
}

/// The gravest first, and the latest of those that are as grave.
fn advisories(page: &PluginPage) -> Vec<AdvisoryView<'_>> {
    let mut listed: Vec<&advisory::Listed> = page.advisories.iter().collect();
    listed.sort_by(|a, b| {
        let key = |listed: &advisory::Listed| (listed.advisory.content.severity, listed.published_at);
        key(b).cmp(&key(a)).then_with(|| a.advisory.id.cmp(&b.advisory.id))
    });
    listed.into_iter().map(|listed| AdvisoryView::of(listed, page)).collect()
}

impl<'v> AdvisoryView<'v> {
    fn of(listed: &'v advisory::Listed, page: &PluginPage) -> Self {
        let content = &listed.advisory.content;
        let joined = |requirements: &[stoa_core::version::VersionReq]| {
            requirements.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
        };
        Self {
            id: listed.advisory.id.to_string(),
            severity: content.severity.as_str(),
            summary: content.summary.as_str(),
            issuer: content.issuer.to_string(),
            affected: joined(&content.affected),
            fixed: joined(&content.fixed),
            link: link(content.link.as_str()),
            aliases: content.aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            published_at: listed.published_at.to_string(),
            modified_at: listed.modified_at.map(|time| time.to_string()),
            is_open: listed.advisory.concerns(&page.version),
        }
    }
}

impl<'v> ExportView<'v> {
    fn of(export: &'v Export, page: &PluginPage) -> Self {
        let name = export.name.to_string();
        let block = page.wit.as_deref().and_then(|wit| match &export.name {
            ExternName::Interface(_) => wit::interface(wit, &name),
            ExternName::Plain(_) => wit::exported_function(wit, &name),
        });
        Self { export, wit: block.as_deref().map(wit::highlight) }
    }
}

impl<'v> ImportView<'v> {
    fn of(import: &'v Import) -> Self {
        let provider = match import.from {
            Provider::Dependency => "a dependency",
            Provider::Host => "the host program",
            Provider::Convention => "every Stoa host",
            Provider::Wasi => "WASI, granted by policy",
            Provider::Types => "nobody: types alone",
        };
        Self { import, provider }
    }
}

impl<'v> DependencyView<'v> {
    fn of(row: &'v DependencyRow) -> Self {
        let mut notes = Vec::new();
        if row.dependency.optional {
            notes.push("optional".to_owned());
        }
        if row.dependency.on_failure == OnFailure::Trap {
            notes.push("stops its caller when it fails".to_owned());
        }
        notes.extend(row.dependency.for_interfaces.iter().map(|name| format!("answers {name}")));
        Self { id: &row.id, requirement: row.dependency.version.to_string(), listed: row.listed, notes }
    }
}

impl<'v> VersionView<'v> {
    fn of(row: &'v VersionRow, page: &PluginPage) -> Self {
        Self {
            version: &row.version,
            prerelease: row.version.is_prerelease(),
            published_at: row.published_at.to_string(),
            seq: row.seq,
            artifact: &row.artifact,
            record: row.record.to_string(),
            gone: row.state != State::Listed || row.standing.takedown.is_some(),
            fetched: row.standing.takedown.is_none(),
            marks: marks(row),
            whys: whys(row),
            is_shown: row.version == page.version,
            certified: row.certified.as_ref().map(|certified| (certified.level, certified.reason.as_str())),
        }
    }
}

fn marks(row: &VersionRow) -> Vec<String> {
    let takedown = row.standing.takedown.as_ref().map(|takedown| takedown.measure.state().to_owned());
    let yanked = (row.state != State::Listed).then(|| "yanked".to_owned());
    let worst = row.standing.advisories.iter().map(|open| open.advisory.content.severity).max();
    takedown.or(yanked).into_iter().chain(worst.map(flaw)).collect()
}

fn whys(row: &VersionRow) -> Vec<String> {
    let takedown = row.standing.takedown.as_ref().map(|takedown| format!("{}: {}", takedown.cause, takedown.reason));
    let yanked = match &row.state {
        State::Yanked { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let flaws = row.standing.advisories.iter().map(|open| &open.advisory);
    let flaws = flaws.map(|advisory| format!("{}: {}", advisory.id, advisory.content.summary));
    takedown.into_iter().chain(yanked).chain(flaws).collect()
}
