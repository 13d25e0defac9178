//! What it costs to trust a registry: a host's requests, bytes and time, and the registry's signatures.
//!
//! A signed tree is made in memory and served over HTTP on the loopback device by a server that counts. The loader and
//! python-tuf read the same tree, each in a process of its own, and have to see the same. What they ask for is counted by
//! the server; time and processor time are each client's own, of its work alone. Rounds alternate between the two.

mod cases;
pub(crate) mod clock;
mod inside;
mod plan;
pub(crate) mod reader;
mod readers;
mod report;
mod scene;
mod server;

use std::{error::Error, path::Path};

use cases::Stage;
use readers::{Python, Reader};
use report::{Measured, Report};
use scene::{Scene, Size};
use server::Server;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is made here. The first is the one with targets.
const MADE: [Size; 2] = [Size { plugins: 10_000, bits: 8 }, Size { plugins: 100_000, bits: 10 }];
/// What is only computed.
const PLANNED: Size = Size { plugins: 1_000_000, bits: 12 };

/// `STOA peer PYTHON PACKAGES SCRIPT [--json]`, or `STOA no-peer WHY [--json]`.
pub(crate) fn run(args: &[&str]) -> Outcome<()> {
    let (args, json) = match args {
        [args @ .., "--json"] => (args, true),
        args => (args, false),
    };
    let (stoa, python) = match args {
        [stoa, "peer", interpreter, packages, script] => {
            let [interpreter, packages, script] = [interpreter, packages, script].map(|text| (*text).to_owned());
            (stoa, Ok(Python { interpreter, packages, script }))
        }
        [stoa, "no-peer", why] => (stoa, Err((*why).to_owned())),
        _ => return Err("usage: stoa-benches trust STOA (peer PYTHON PACKAGES SCRIPT | no-peer WHY) [--json]".into()),
    };
    let (dir, server) = (tempfile::tempdir()?, Server::start()?);
    let mut sizes = Vec::new();
    for size in MADE {
        eprintln!("{} plugins, {} bins: making the tree", size.plugins, size.bins());
        let scene = Scene::of(size)?;
        eprintln!("{} plugins, {} bins: measuring", size.plugins, size.bins());
        sizes.push(measure(stoa, &scene, &server, python.as_ref().ok(), &dir.path().join(size.plugins.to_string()))?);
    }
    let report = Report { sizes, planned: (PLANNED, plan::computed(stoa, PLANNED)?), no_peer: python.err() };
    if json {
        println!("{}", report::json(&report));
    } else {
        println!("{}", report::table(&report));
    }
    Ok(())
}

fn measure(stoa: &str, scene: &Scene, server: &Server, python: Option<&Python>, dir: &Path) -> Outcome<Measured> {
    let stage = Stage::new(dir, scene, server)?;
    let peer = python.cloned().map(Reader::PythonTuf);
    let readers: Vec<Reader> = [Reader::Loader].into_iter().chain(peer).collect();
    let rows = stage.run(&readers)?;
    let mut work = inside::verify(scene, &stage, &server.url, python)?;
    work.extend(inside::sign(scene, &dir.join("bins"), python)?);
    let compared = plan::compare(scene.size, &plan::computed(stoa, scene.size)?, &rows);
    Ok(Measured { size: scene.size, rows, work, compared })
}
