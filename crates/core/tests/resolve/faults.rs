//! The check of answers: every rule, broken on purpose.

use std::collections::BTreeMap;

use stoa_core::{
    id::PluginId,
    lock::Lock,
    release::{BlobRef, OnFailure},
    resolve::{Bar, Fault, LeftOut, Mode, Resolution, ResolveOptions, Resolved, Source, verify},
};

use crate::{
    case::yank,
    world::{World, options, parse, wishes},
};

const WORLD: &str = "
offers acme:web/kv@1.4.0
offers-track wasi:0.2
demo:site 1.0.0
    needs demo:markdown ^1
    needs demo:slugify ^0.2 trap
    needs demo:extra ^1 optional
    imports demo:markdown/render@1.0.0 a
    imports demo:slugify/slug@0.2.0 b
    imports demo:extra/x@1.0.0 c
    host acme:web/kv@1.3.0 d
    track wasi:0.2
demo:markdown 1.0.0
    exports demo:markdown/render@1.0.0 a
demo:markdown 1.1.0
    exports demo:markdown/render@1.1.0 a
    exports demo:markdown/other@1.0.0 a
demo:markdown 2.0.0
    exports demo:markdown/render@2.0.0 a
demo:slugify 0.2.1
    exports demo:slugify/slug@0.2.0 b
demo:alone 1.0.0
absent demo:gone
";
const WANTED: &str = "demo:site ^1\ndemo:alone ^1\ndemo:gone { version = \"*\", optional = true }";

/// An answer and what it answers, to be broken.
struct Answer {
    world: World,
    wanted: String,
    lock: Option<Lock>,
    options: ResolveOptions,
    resolution: Resolution,
}

/// Breaks one rule.
type Breaks = fn(&mut Answer);

impl Answer {
    fn new() -> Self {
        let world = World::of(WORLD);
        let resolution = world.resolve(WANTED, None, Mode::Keep).expect("a resolution");
        Self { world, wanted: WANTED.to_owned(), lock: None, options: options(), resolution }
    }

    fn plugin(&mut self, id: &str) -> &mut Resolved {
        let id: PluginId = parse(id);
        self.resolution.plugins.iter_mut().find(|plugin| plugin.id == id).expect("a plugin")
    }

    fn faults(&self) -> Vec<Fault> {
        let (wanted, World { documents, offer }) = (wishes(&self.wanted), &self.world);
        verify(&self.resolution, &wanted, self.lock.as_ref(), offer, documents, &self.options).err().unwrap_or_default()
    }
}

#[test]
fn an_answer_of_the_resolver_breaks_no_rule() {
    assert_eq!(Answer::new().faults(), []);
}

#[test]
fn every_rule_that_an_answer_breaks_is_named() {
    let cases: Vec<(&str, Breaks)> = vec![
        ("a plugin twice", |a| {
            let twice = a.plugin("demo:alone").clone();
            a.resolution.plugins.push(twice);
        }),
        ("a version that is not there", |a| a.plugin("demo:alone").version = parse("9.9.9")),
        ("a plugin that is not there", |a| a.plugin("demo:alone").id = parse("demo:gone")),
        ("another artifact", |a| a.plugin("demo:alone").listing.artifact = BlobRef::of(b"other bytes")),
        ("another registry", |a| a.plugin("demo:alone").source = Source::Registry(parse("other"))),
        ("a folder that nobody asked for", |a| a.plugin("demo:alone").source = Source::Path("../alone".into())),
        ("an interface package", |a| a.world.set_interface("demo:alone")),
        ("a yanked release", |a| {
            yank(&mut a.world, "demo:alone", "1.0.0");
            a.plugin("demo:alone").listing = a.world.listing("demo:alone", "1.0.0").clone();
        }),
        ("a yanked release that is locked, and updated", |a| {
            yank(&mut a.world, "demo:alone", "1.0.0");
            a.plugin("demo:alone").listing = a.world.listing("demo:alone", "1.0.0").clone();
            a.lock = Some(a.resolution.lock(a.world.header()));
            a.resolution.diff = Default::default();
            a.options.mode = Mode::UpdateAll;
        }),
        ("a barred release", |a| {
            let bars = BTreeMap::from([(parse("1.0.0"), Bar::NotKept)]);
            a.options.barred.insert(parse("demo:alone"), bars);
        }),
        ("other bytes than are locked", |a| {
            let mut lock = a.resolution.lock(a.world.header());
            lock.entries.get_mut(&parse("demo:alone")).expect("an entry").artifact = BlobRef::of(b"other bytes");
            a.lock = Some(lock);
            a.resolution.diff = Default::default();
        }),
        ("a wish that is not granted", |a| a.wanted = WANTED.replace("demo:alone ^1", "demo:alone ^2")),
        ("a wish that nothing answers", |a| a.wanted = format!("{WANTED}\ndemo:other *")),
        ("an optional wish without a word", |a| a.resolution.left_out.clear()),
        ("left out and there", |a| {
            a.resolution.left_out.push(LeftOut { id: parse("demo:site"), why: String::new() });
        }),
        ("a dependency that is not there", |a| a.resolution.plugins.retain(|p| p.id != parse("demo:slugify"))),
        ("a dependency of another major", |a| {
            let listing = a.world.listing("demo:markdown", "2.0.0").clone();
            let plugin = a.plugin("demo:markdown");
            (plugin.version, plugin.listing) = (parse("2.0.0"), listing);
        }),
        ("an edge less", |a| drop(a.plugin("demo:site").edges.pop())),
        ("an edge more", |a| {
            let edge = a.plugin("demo:site").edges[0].clone();
            a.plugin("demo:alone").edges.push(edge);
        }),
        ("another failure mode", |a| a.plugin("demo:site").edges[1].on_failure = OnFailure::Value),
        ("an import that is not bound", |a| a.plugin("demo:site").edges[0].bindings.clear()),
        ("bound to an export that does not answer", |a| {
            a.plugin("demo:site").edges[0].bindings[0].export = parse("demo:markdown/other@1.0.0");
        }),
        ("bound to an export that is not there", |a| {
            a.plugin("demo:site").edges[0].bindings[0].export = parse("demo:markdown/render@1.2.0");
        }),
        ("bound to an export of another track", |a| {
            a.plugin("demo:site").edges[0].bindings[0].export = parse("demo:markdown/render@2.0.0");
        }),
        ("bound twice", |a| {
            let twice = a.plugin("demo:site").edges[0].bindings[0].clone();
            a.plugin("demo:site").edges[0].bindings.push(twice);
        }),
        ("an interface that the host lacks", |a| {
            a.world.offer = World::of("offers acme:web/kv@1.2.0\noffers-track wasi:0.2").offer
        }),
        ("a track that the host lacks", |a| a.world.offer = World::of("offers acme:web/kv@1.4.0").offer),
        ("a caller before its dependency", |a| a.resolution.plugins.reverse()),
        ("a plugin for nothing", |a| a.wanted = WANTED.replace("demo:alone ^1\n", "")),
        ("another difference", |a| a.resolution.diff.added.clear()),
    ];
    let mut said = String::new();
    for (what, breaks) in cases {
        let mut answer = Answer::new();
        breaks(&mut answer);
        let faults: Vec<_> = answer.faults().iter().map(Fault::to_string).collect();
        assert!(!faults.is_empty(), "{what}");
        said += &format!("{what}: {}\n", faults.join("; "));
    }
    insta::assert_snapshot!(said);
}
