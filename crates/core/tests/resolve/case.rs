//! A refusal, and the proof that its hints are worth reading: each is done, and then there is an answer.

use stoa_core::{
    document::State,
    id::PluginId,
    lock::Lock,
    resolve::{Bar, Barred, Documents, Known, Mode, Resolution, ResolveError, ResolveOptions, reachable, resolve},
    version::Version,
};

use crate::world::{World, options, parse, wishes};

/// What a person does who reads a refusal, and what they do it with.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    /// Lines of the table `plugins`.
    pub(crate) wanted: String,
    pub(crate) lock: Option<Lock>,
    pub(crate) options: ResolveOptions,
    /// What a connection would bring.
    pub(crate) online: Documents,
    /// The name that was meant.
    pub(crate) meant: Option<&'static str>,
}

impl Case {
    pub(crate) fn of(world: &str, wanted: &str) -> Self {
        let (world, wanted) = (World::of(world), wanted.to_owned());
        Self { world, wanted, lock: None, options: options(), online: Documents::new(), meant: None }
    }

    pub(crate) fn bar(mut self, id: &str, version: &str, bar: Bar) -> Self {
        let mut barred: Barred = self.options.barred.clone();
        barred.entry(parse(id)).or_default().insert(parse(version), bar);
        self.options = self.options.with_barred(barred);
        self
    }

    pub(crate) fn resolve(&self) -> Result<Resolution, ResolveError> {
        let (wanted, World { documents, offer }) = (wishes(&self.wanted), &self.world);
        resolve(&wanted, self.lock.as_ref(), offer, documents, &self.options)
    }

    /// The message of the refusal: of at most three sentences, with at least one hint, every one of which works.
    pub(crate) fn report(&self) -> String {
        let error = match self.resolve() {
            Ok(resolution) => panic!("resolved: {:?}", crate::world::names(&resolution)),
            Err(error) => error,
        };
        let report = error.report();
        assert_short(&report);
        assert!(!error.hints().is_empty(), "no hint: {report}");
        for hint in error.hints() {
            let mut case = self.clone();
            case.take(&hint);
            if let Err(next) = case.resolve() {
                panic!("{report}\n\nthe hint `{hint}` leads to\n{}", next.report());
            }
        }
        report
    }

    /// Does what `hint` says.
    fn take(&mut self, hint: &str) {
        let quoted = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        if let Some((_, set)) = hint.split_once("set \"") {
            let (id, rest) = set.split_once("\" = \"").expect("a wish");
            let version = rest.split_once("\" in plugins.toml").expect("a version").0;
            self.wish(id, version);
        } else if let Some(names) = hint.strip_prefix("run it on a host that offers ") {
            for name in names.replace(" and ", ", ").split(", ") {
                let offer = self.world.offer.clone();
                self.world.offer = match name.strip_prefix("the track ") {
                    Some(track) => offer.with_track(track),
                    None => offer.with_interface(parse(name), None),
                };
            }
        } else if hint.starts_with("check the name ") {
            let right = self.meant.expect("a name that was meant");
            let wrong = hint.split('`').nth(1).expect("a name");
            self.wanted = self.wanted.replace(wrong, right);
        } else if hint.starts_with("update this program") {
            self.update_program();
        } else if hint.starts_with("connect once") {
            self.world.documents.extend(self.online.clone());
            self.without_bars(|bar| *bar == Bar::NotKept);
        } else if hint.ends_with("without `--precise`") {
            self.without_bars(|bar| matches!(bar, Bar::Precise(_)));
        } else if hint.starts_with("add `optional = true` to ") {
            for id in quoted(hint) {
                self.flag(&id, "optional = true");
            }
        } else if hint.starts_with("set `enabled = false` on ") {
            self.flag(&quoted(hint).concat(), "enabled = false");
        } else if let Some(decisions) = hint.strip_prefix("allow more decisions: `--decisions ") {
            self.options.budget = decisions.trim_end_matches('`').parse().expect("a number");
        } else if hint == "fetch the documents that `reachable` names, and resolve again" {
            self.fetch();
        } else if hint.contains("run `stoa lock` without `--locked`") {
            self.options.mode = Mode::Keep;
            let lock = self.resolve().unwrap_or_else(|error| panic!("{}", error.report())).lock(self.world.header());
            (self.lock, self.options.mode) = (Some(lock), Mode::Locked);
        } else if self.options.barred.values().flat_map(|bars| bars.values()).any(|bar| is_policy(bar, hint)) {
            self.without_bars(|bar| matches!(bar, Bar::Policy { .. }));
        } else {
            panic!("what does `{hint}` tell to do?");
        }
    }

    fn wish(&mut self, id: &str, version: &str) {
        let others: Vec<_> = self.wanted.lines().filter(|line| !line.starts_with(&format!("{id} "))).collect();
        self.wanted = format!("{}\n{id} {version}", others.join("\n"));
    }

    fn flag(&mut self, id: &str, flag: &str) {
        let lines = self.wanted.lines().map(|line| match line.strip_prefix(&format!("{id} ")) {
            Some(version) => format!("{id} {{ version = \"{version}\", {flag} }}"),
            None => line.to_owned(),
        });
        self.wanted = lines.collect::<Vec<_>>().join("\n");
    }

    fn without_bars(&mut self, lifted: impl Fn(&Bar) -> bool) {
        let mut barred = self.options.barred.clone();
        barred.values_mut().for_each(|bars| bars.retain(|_, bar| !lifted(bar)));
        self.options = self.options.clone().with_barred(barred);
    }

    /// A program that knows what this one does not reads those releases as any other.
    fn update_program(&mut self) {
        let documents = self.world.documents.values().filter_map(|known| match known {
            Known::Document(document) => Some((document.id.clone(), document.newer.clone())),
            _ => None,
        });
        let newer: Vec<(PluginId, Version)> =
            documents.flat_map(|(id, newer)| newer.into_keys().map(move |version| (id.clone(), version))).collect();
        for (id, version) in newer {
            self.world.understand(&id, &version);
        }
    }

    fn fetch(&mut self) {
        loop {
            let missing = reachable(&wishes(&self.wanted), self.lock.as_ref(), &self.world.documents);
            if missing.is_empty() {
                return;
            }
            let found = missing.into_iter().map(|id| {
                let known = self.online.get(&id).cloned().unwrap_or(Known::Absent);
                (id, known)
            });
            let found: Vec<_> = found.collect();
            self.world.documents.extend(found);
        }
    }
}

fn is_policy(bar: &Bar, said: &str) -> bool {
    matches!(bar, Bar::Policy { hint, .. } if said.starts_with(hint.as_str()))
}

/// At most three sentences below the headline, each a line that ends with a full stop and has no other sentence in it.
pub(crate) fn assert_short(report: &str) {
    let mut lines = report.lines();
    let headline = lines.next().expect("a headline");
    assert!(headline.split(". ").count() <= 3, "{headline}");
    let sentences: Vec<_> =
        lines.filter(|line| !line.starts_with("  help: ") && !line.starts_with("  note: ")).collect();
    assert!(sentences.len() <= 3, "{report}");
    for sentence in sentences {
        assert!(sentence.starts_with("  ") && sentence.ends_with('.'), "{sentence}");
        assert!(!sentence.trim_end_matches('.').contains(". "), "{sentence}");
    }
}

/// A registry that yanked this release.
pub(crate) fn yank(world: &mut World, id: &str, version: &str) {
    let at = stoa_core::time::Time::from_unix(1_777_766_400);
    world.listing(id, version).state = State::Yanked { reason: "broken".into(), at };
}
