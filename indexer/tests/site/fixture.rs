//! A registry to draw: three small plugins, an interface, a plugin with a past, and many more on demand.

use std::collections::BTreeMap;

use stoa_core::{
    advisory::{Advisory, Content, Issuer, Listed, Severity},
    digest::Digest,
    document::State,
    id::PluginId,
    release::{BlobRef, Dependency, Export, Import, Kind, OnFailure, Provider},
    standing::{Cause, Certified, Measure, Open, Standing, Takedown},
    time::{DAY, Time},
};
use stoa_indexer::site::{
    Capabilities, Readme, Site, SiteConfig,
    view::{Card, DependencyRow, Dependent, Featured, FrontPage, Mark, PluginPage, VersionRow},
};

/// 2026-03-02T09:30:00Z: when the first event of the fixtures happened.
const FIRST: i64 = 1_772_443_800;

pub(crate) fn site() -> Site {
    Site::new(SiteConfig {
        name: "Stoa".into(),
        base: "/".into(),
        url: Some("https://plugins.example".into()),
        api: Some("https://api.plugins.example".into()),
        root: Some(Digest::of(b"root")),
    })
}

pub(crate) fn id(text: &str) -> PluginId {
    text.parse().expect("an id")
}

pub(crate) fn day(n: i64) -> Time {
    Time::from_unix(FIRST + n * DAY)
}

fn import(name: &str, from: Provider) -> Import {
    Import { name: name.parse().expect("an interface"), types: "7d3f0a91c5e2b846".parse().expect("a hash"), from }
}

fn export(name: &str) -> Export {
    Export { name: name.parse().expect("an interface"), types: "1f9ce03b77a4d250".parse().expect("a hash") }
}

pub(crate) fn row(version: &str, day_of: i64, seq: u64, size: u64) -> VersionRow {
    VersionRow {
        version: version.parse().expect("a version"),
        published_at: day(day_of),
        seq,
        artifact: BlobRef { digest: Digest::of(format!("artifact {version} {seq}").as_bytes()), size },
        record: Digest::of(format!("record {version} {seq}").as_bytes()),
        state: State::Listed,
        standing: Standing::default(),
        certified: None,
    }
}

fn yanked(row: VersionRow, reason: &str, day_of: i64) -> VersionRow {
    VersionRow { state: State::Yanked { reason: reason.into(), at: day(day_of) }, ..row }
}

fn plugin(name: &str, version: &str, description: &str) -> PluginPage {
    PluginPage {
        id: id(name),
        description: description.into(),
        version: version.parse().expect("a version"),
        kind: Kind::Plugin,
        license: "MIT OR Apache-2.0".into(),
        repository: Some(format!("https://code.example/{}", name.replace(':', "/"))),
        keywords: vec![],
        categories: vec![],
        readme: None,
        wit: None,
        call: None,
        exports: vec![],
        imports: vec![],
        tracks: vec!["wasi:0.2".into()],
        reasons: BTreeMap::new(),
        dependencies: vec![],
        dependents: vec![],
        versions: vec![row(version, 0, 1, 48_211)],
        takedown: None,
        advisories: vec![],
    }
}

fn dependency(name: &str, requirement: &str) -> DependencyRow {
    let version = requirement.parse().expect("a requirement");
    let dependency = Dependency { version, optional: false, for_interfaces: vec![], on_failure: OnFailure::Value };
    DependencyRow { id: id(name), dependency, listed: true }
}

fn dependent(name: &str, version: &str, requirement: &str) -> Dependent {
    let (version, requirement) = (version.parse().expect("a version"), requirement.parse().expect("a requirement"));
    Dependent { id: id(name), version, requirement }
}

/// A pure function with a readme, four versions and two dependents.
pub(crate) fn markdown() -> PluginPage {
    PluginPage {
        keywords: ["markdown", "commonmark", "html"].map(String::from).into(),
        categories: vec!["text".into()],
        readme: Some(Readme::from_markdown(include_str!("fixture/markdown.md"))),
        wit: Some(include_str!("fixture/markdown.wit").into()),
        exports: vec![export("demo:markdown/render@1.0.0")],
        imports: vec![import("stoa:plugin/types@0.1.0", Provider::Convention)],
        dependents: vec![dependent("demo:site", "0.3.1", "^1"), dependent("acme:blog-engine", "2.0.4", ">=1.2, <2")],
        versions: vec![
            row("1.0.0", 0, 3, 44_902),
            yanked(row("1.1.0", 21, 17, 47_018), "Tables without a header row made it trap; fixed in 1.1.1.", 24),
            row("1.1.1", 23, 19, 47_033),
            VersionRow {
                certified: Some(Certified {
                    level: 2,
                    reason: "Read by two of us, and fuzzed for a day.".into(),
                    seq: 90,
                    at: day(66),
                }),
                ..row("1.2.0", 64, 88, 48_211)
            },
            row("2.0.0-rc.1", 101, 141, 51_740),
        ],
        ..plugin("demo:markdown", "1.2.0", "Renders CommonMark, with tables and footnotes, to HTML.")
    }
}

/// A pure function that says little of itself: no readme, no WIT, one version.
pub(crate) fn slugify() -> PluginPage {
    PluginPage {
        keywords: vec!["text".into(), "url".into()],
        exports: vec![export("demo:slugify/slug@1.0.0")],
        call: Some("slug(\"Étoile du Nord\")".into()),
        versions: vec![row("1.0.2", 12, 9, 21_380)],
        ..plugin("demo:slugify", "1.0.2", "Turns any title into a short, readable part of an address.")
    }
}

/// A plugin that calls others.
pub(crate) fn demo_site() -> PluginPage {
    let mut markdown = dependency("demo:markdown", "^1");
    markdown.dependency.on_failure = OnFailure::Trap;
    let mut fonts = dependency("acme:font-subset", "~0.4.2");
    fonts.dependency.optional = true;
    fonts.listed = false;
    PluginPage {
        keywords: vec!["static-site".into(), "blog".into()],
        exports: vec![export("demo:site/build@0.3.0")],
        imports: vec![
            import("demo:markdown/render@1.0.0", Provider::Dependency),
            import("demo:slugify/slug@1.0.0", Provider::Dependency),
            import("stoa:plugin/log@0.1.0", Provider::Convention),
            import("wasi:clocks/wall-clock@0.2.6", Provider::Wasi),
        ],
        dependencies: vec![dependency("demo:slugify", "^1"), markdown, fonts],
        versions: vec![row("0.3.0", 58, 80, 66_010), row("0.3.1", 66, 92, 66_127)],
        call: Some("build([{path: \"a.md\", text: \"# Hi\"}])".into()),
        ..plugin("demo:site", "0.3.1", "Builds a small site from a folder of Markdown pages.")
    }
}

/// A plugin that reaches outside, with every version yanked, a long past, and the longest names the grammar has.
pub(crate) fn heavy() -> PluginPage {
    let long = format!(
        "{}:{}",
        "quite-long-namespace-".repeat(3) + "x",
        "an-even-longer-plugin-name-".repeat(2) + "extra-word"
    );
    let mut versions: Vec<VersionRow> = (0..14)
        .map(|minor| row(&format!("0.{minor}.0"), minor * 5, 20 + minor as u64 * 3, 8_400_000 + minor as u64 * 91_000))
        .collect();
    versions = versions
        .into_iter()
        .map(|row| {
            yanked(row, "Leaked the cache key of one tenant to another. Update to nothing: the project has ended.", 90)
        })
        .collect();
    PluginPage {
        license: "GPL-3.0-or-later WITH Classpath-exception-2.0".into(),
        repository: Some(
            "https://code.example/a-rather-long-organisation-name/an-even-longer-repository-name-without-end".into(),
        ),
        keywords: ["cache", "http", "proxy", "multi-tenant", "object-storage", "a-keyword-of-great-length"]
            .map(String::from)
            .into(),
        categories: vec!["network".into(), "storage".into()],
        readme: Some(Readme::from_markdown(include_str!("fixture/heavy.md"))),
        exports: vec![export("quite-long-namespace:an-even-longer-package-name/an-interface-with-a-long-name@0.13.0")],
        imports: vec![
            import("acme:web/kv@1.2.0", Provider::Host),
            import("stoa:plugin/config@0.1.0", Provider::Convention),
            import("stoa:plugin/state@0.1.0", Provider::Convention),
            import("wasi:cli/environment@0.2.6", Provider::Wasi),
            import("wasi:filesystem/types@0.2.6", Provider::Wasi),
            import("wasi:http/outgoing-handler@0.2.6", Provider::Wasi),
            import("wasi:random/random@0.2.6", Provider::Wasi),
            import("wasi:sockets/tcp@0.2.6", Provider::Wasi),
        ],
        reasons: BTreeMap::from([
            ("fs.read".into(), "Reads the folder it is asked to cache.".into()),
            ("http.outgoing".into(), "Fetches what is not in the cache yet.".into()),
        ]),
        versions,
        ..plugin(
            &long,
            "0.13.0",
            "A caching proxy for object storage that keeps hot objects in memory, warm ones on disk, and asks upstream for the rest; with per-tenant budgets, negative caching and request coalescing.",
        )
    }
}

/// WIT that hosts offer; nothing runs of it.
pub(crate) fn interface() -> PluginPage {
    PluginPage {
        kind: Kind::Interface,
        license: "Apache-2.0".into(),
        repository: Some("javascript:alert(1)".into()),
        wit: Some(include_str!("fixture/kv.wit").into()),
        exports: vec![export("acme:web/kv@1.2.0")],
        tracks: vec![],
        versions: vec![row("1.2.0", 40, 51, 2_114)],
        ..plugin("acme:web", "1.2.0", "Key-value storage that web hosts offer to their plugins.")
    }
}

/// A page whose every free text tries to break out.
pub(crate) fn hostile() -> PluginPage {
    let text = "\"><script>alert('x')</script><img src=x onerror=alert(1)> ]]> {{ site }} \u{202e}";
    let mut optional = dependency("demo:slugify", "^1");
    optional.dependency.for_interfaces = vec![text.into()];
    PluginPage {
        license: text.into(),
        repository: Some("https://x.example/\" onmouseover=\"alert(1)".into()),
        keywords: vec![text.into()],
        categories: vec![text.into()],
        readme: Some(Readme::from_markdown(text)),
        wit: Some(format!("interface x {{ {text} }}")),
        call: Some(text.into()),
        exports: vec![export("evil:plugin/x")],
        imports: vec![import("evil:host/x", Provider::Host)],
        tracks: vec![text.into()],
        reasons: BTreeMap::from([(text.into(), text.into())]),
        dependencies: vec![optional],
        dependents: vec![],
        versions: vec![yanked(row("1.0.0", 0, 1, 1), text, 1)],
        ..plugin("evil:plugin", "1.0.0", text)
    }
}

pub(crate) fn takedown(measure: Measure, cause: Cause, reason: &str) -> Takedown {
    Takedown { measure, cause, reason: reason.into(), seq: 150, at: day(110), appealed: None }
}

fn advisory(name: &str, severity: Severity, affected: &str, fixed: &str, summary: &str) -> Advisory {
    let content = Content {
        issuer: Issuer::Publisher,
        severity,
        summary: summary.parse().expect("a line"),
        affected: vec![affected.parse().expect("a requirement")],
        fixed: [fixed].into_iter().filter(|fixed| !fixed.is_empty()).map(|fixed| fixed.parse().expect("one")).collect(),
        link: "https://advisories.example/2026/41".parse().expect("an address"),
        aliases: vec![],
    };
    Advisory { id: name.parse().expect("an id"), content }
}

/// A plugin with known flaws, of which one is in the version shown, and a version that somebody looks at.
pub(crate) fn flawed() -> PluginPage {
    let open = advisory(
        "CVE-2026-41",
        Severity::High,
        "<0.9.2",
        "",
        "Lengths over 4 GiB wrap around and are read as small ones.",
    );
    let notice = advisory("STOPPED-1", Severity::None, "*", "", "Nobody maintains it any more.");
    let mut old = advisory(
        "GHSA-x7qr-9f2m-hh3p",
        Severity::Critical,
        "<0.8",
        "^0.7.4",
        "An archive writes outside of its folder.",
    );
    old.content.issuer = Issuer::Registry;
    old.content.aliases = vec!["CVE-2025-9".parse().expect("an id")];
    let standing = Standing {
        takedown: None,
        advisories: vec![
            Open { advisory: notice.clone(), fixed_in: None },
            Open { advisory: open.clone(), fixed_in: Some("0.9.2-rc.1".parse().expect("a version")) },
        ],
    };
    let quarantined = Takedown {
        appealed: Some(day(111)),
        ..takedown(Measure::Quarantine, Cause::Compromise, "Its publisher did not release it.")
    };
    PluginPage {
        exports: vec![export("demo:archive/unpack@0.9.0")],
        versions: vec![
            VersionRow { standing, ..row("0.9.1", 50, 70, 90_000) },
            VersionRow {
                standing: Standing { takedown: Some(quarantined), advisories: vec![] },
                ..row("0.9.2", 90, 130, 90_500)
            },
        ],
        advisories: vec![
            Listed { advisory: notice, published_at: day(60), modified_at: None },
            Listed { advisory: old, published_at: day(2), modified_at: Some(day(3)) },
            Listed { advisory: open, published_at: day(80), modified_at: None },
        ],
        call: Some("unpack(\"a.tar\")".into()),
        ..plugin("demo:archive", "0.9.1", "Unpacks archives of five kinds.")
    }
}

/// A plugin of which the only version is quarantined.
pub(crate) fn quarantined() -> PluginPage {
    let down = takedown(Measure::Quarantine, Cause::Suspicion, "It asks for an address that it does not name.");
    let standing = Standing { takedown: Some(down), advisories: vec![] };
    PluginPage {
        exports: vec![export("demo:resize/image@0.1.0")],
        versions: vec![VersionRow { standing, ..row("0.1.0", 100, 140, 70_000) }],
        call: Some("resize(10)".into()),
        ..plugin("demo:resize", "0.1.0", "Resizes images.")
    }
}

/// A plugin that was killed as a whole, and that still tries to speak.
pub(crate) fn killed() -> PluginPage {
    let down = takedown(Measure::Kill, Cause::Malware, "It sends what it reads to its author.");
    let standing = Standing { takedown: Some(down.clone()), advisories: vec![] };
    let versions = ["1.0.0", "1.0.1"].map(|version| row(version, 100, 141, 70_000));
    PluginPage {
        keywords: vec!["BUY-NOW".into()],
        categories: vec!["BUY-NOW".into()],
        readme: Some(Readme::from_markdown("# BUY-NOW\n\n[BUY-NOW](https://malware.example/)")),
        wit: Some("interface buy-now { buy: func() }".into()),
        exports: vec![export("demo:free/buy-now@1.0.0")],
        imports: vec![import("demo:markdown/render@1.0.0", Provider::Dependency)],
        reasons: BTreeMap::from([("http.outgoing".into(), "BUY-NOW".into())]),
        repository: Some("https://malware.example/BUY-NOW".into()),
        license: "BUY-NOW".into(),
        dependencies: vec![dependency("demo:markdown", "^1")],
        dependents: vec![dependent("demo:site", "0.3.1", "^1")],
        versions: versions.map(|row| VersionRow { standing: standing.clone(), ..row }).into(),
        takedown: Some(down),
        call: Some("buy-now()".into()),
        ..plugin("demo:free", "1.0.1", "BUY-NOW")
    }
}

/// The page's card, as the indexer would make it.
pub(crate) fn card(page: &PluginPage) -> Card {
    let shown = page.versions.iter().find(|row| row.version == page.version).expect("a shown version");
    Card {
        id: page.id.clone(),
        description: page.description.clone(),
        version: page.version.clone(),
        kind: page.kind,
        capabilities: Capabilities::of(&page.imports),
        keywords: page.keywords.clone(),
        versions: page.versions.len(),
        mark: mark(shown),
        seq: page.versions.iter().map(|row| row.seq).max().unwrap_or(0),
        updated: shown.published_at,
    }
}

fn mark(row: &VersionRow) -> Option<Mark> {
    let worst = row.standing.advisories.iter().map(|open| open.advisory.content.severity).max();
    match row.standing.takedown.as_ref().map(|takedown| takedown.measure) {
        Some(Measure::Kill) => Some(Mark::Killed),
        Some(Measure::Quarantine) => Some(Mark::Quarantined),
        None if row.state == State::Listed => worst.map(Mark::Advisory),
        None => Some(Mark::Yanked),
    }
}

/// As the indexer does, without what was killed.
pub(crate) fn front(mut cards: Vec<Card>) -> FrontPage {
    cards.retain(|card| card.mark != Some(Mark::Killed));
    let featured = cards.iter().find(|card| card.id == id("demo:markdown")).map(|card| Featured {
        id: card.id.clone(),
        version: card.version.clone(),
        call: "render(\"# Hi\")".into(),
    });
    let seq = cards.iter().map(|card| card.seq).max().unwrap_or(0);
    FrontPage { seq, updated: cards.iter().map(|card| card.updated).max(), featured, cards }
}

/// Every page of the small registry.
pub(crate) fn pages() -> Vec<PluginPage> {
    vec![markdown(), slugify(), demo_site(), interface(), heavy(), flawed(), quarantined(), killed()]
}

/// `n` cards: the small registry's first, then made up.
pub(crate) fn many(n: usize) -> Vec<Card> {
    const WHAT: [(&str, &str, &str); 8] = [
        ("resize", "Resizes and crops images without a copy.", "wasi:filesystem/types@0.2.6"),
        ("csv-to-json", "Reads CSV of any dialect and writes JSON, row by row.", ""),
        ("webhooks", "Delivers signed webhooks with retries.", "wasi:http/outgoing-handler@0.2.6"),
        ("redact", "Finds names, addresses and card numbers, and blacks them out.", ""),
        ("feed", "Parses Atom, RSS and JSON Feed into one shape.", "wasi:clocks/wall-clock@0.2.6"),
        ("template", "A small logic-less template language.", ""),
        ("geo-index", "Answers which polygon a point lies in.", "acme:web/kv@1.2.0"),
        ("spellcheck", "Checks spelling in forty languages.", "stoa:plugin/config@0.1.0"),
    ];
    const WHO: [&str; 5] = ["acme", "north-wind", "lab", "openhouse", "kiln"];
    let mut cards: Vec<Card> = pages().iter().map(card).filter(|card| card.mark != Some(Mark::Killed)).collect();
    for at in 0.. {
        if cards.len() >= n {
            break;
        }
        let ((what, words, import_name), who) = (WHAT[at % WHAT.len()], WHO[at % WHO.len()]);
        let name = if at < 40 { format!("{who}:{what}") } else { format!("{who}:{what}-n{at}") };
        let mut page = plugin(&name, &format!("{}.{}.{}", at % 4, at % 7, at % 3), words);
        page.imports = if import_name.is_empty() { vec![] } else { vec![import(import_name, Provider::Host)] };
        page.versions = vec![row(&page.version.to_string(), at as i64 % 200, 200 + at as u64, 30_000)];
        cards.push(card(&page));
    }
    cards.truncate(n);
    cards
}
