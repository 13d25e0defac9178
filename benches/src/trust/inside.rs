//! Work without a network: to verify again what is kept, and to sign.

use std::{collections::BTreeMap, fs, path::Path};

use stoa_core::{
    digest::Digest,
    index::{Base, advance, bin_of},
    path::PublicPath,
    proposal::{IndexKeys, Proposal, SignerKeys},
    time::Time,
    trust::{CachedTrust, Config, Envelope, SecretKey, Step, Updater},
};

use super::{
    Outcome,
    cases::Stage,
    clock::{Took, timed},
    reader,
    readers::{Python, Reader},
    scene::Scene,
};

/// Rounds that count. One more goes before.
const ROUNDS: usize = 31;
/// The seeds of the two keys of a bin.
const SEEDS: [[u8; 32]; 2] = [[3; 32], [6; 32]];

/// A piece of work, by whom, in each round.
pub(super) struct Work {
    pub(super) what: String,
    pub(super) by: &'static str,
    pub(super) took: Vec<Took>,
}

/// What is kept of ten plugins: by the loader, from its folder and with the documents; by the core, from memory and the
/// roles alone; by python-tuf, from its folder and the roles alone.
pub(super) fn verify(scene: &Scene, stage: &Stage<'_>, url: &str, python: Option<&Python>) -> Outcome<Vec<Work>> {
    let bits = scene.bits()?;
    let bins: Vec<String> = scene.own.iter().map(|id| bin_of(id, bits)).collect();
    let state = stage.warm(&Reader::Loader);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = state.to_str().ok_or("the folder has no path of text")?;
    let loader = rounds(|| runtime.block_on(reader::read_kept(&scene.root, path, url, &scene.own)))?;
    let kept = kept(&state, &bins)?;
    let core = rounds(|| verify_in_memory(scene, kept.clone()))?;
    let what = |how: &str| format!("verify {} kept roles{how}", bins.len() + 5);
    let mut work = vec![
        Work { what: what(" and 10 documents, from files"), by: "stoa", took: loader },
        Work { what: what(", in memory"), by: "stoa", took: core },
    ];
    if let Some(python) = python {
        let warm = stage.warm(&Reader::PythonTuf(python.clone()));
        let mut took = python.verify(&stage.root(), &warm, ROUNDS + 1, &bins)?;
        took.remove(0);
        work.push(Work { what: what(", from files"), by: "python-tuf", took });
    }
    Ok(work)
}

/// The files that a lookup of these bins reads, by role.
fn kept(state: &Path, bins: &[String]) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let entries = fs::read_dir(state.join("trust"))?.collect::<Result<Vec<_>, _>>()?;
    let folder = entries.into_iter().map(|entry| entry.path()).find(|path| path.is_dir()).ok_or("nothing is kept")?;
    let roles =
        ["timestamp", "snapshot", "targets", "index"].map(str::to_owned).into_iter().chain(bins.iter().cloned());
    roles.map(|role| Ok((role.clone(), fs::read(folder.join(format!("{role}.json")))?))).collect()
}

fn verify_in_memory(scene: &Scene, roles: BTreeMap<String, Vec<u8>>) -> Outcome<()> {
    // Offline, the time is told and decides nothing.
    let (cached, now) = (CachedTrust { roles, ..CachedTrust::default() }, Time::from_unix(0));
    let mut updater = Updater::offline(&scene.root, cached, now, Config::default())?;
    for id in &scene.own {
        match updater.lookup(&PublicPath::target_path(id)).next(&mut updater)? {
            Step::Done(Some(_)) => {}
            other => return Err(format!("`{id}` is not kept: {other:?}").into()),
        }
    }
    Ok(())
}

/// All bins of a registry that begins anew, with catalog and snapshot: the indexer's signature over each, then the
/// signer's and the finished files. python-tuf does both with the same bins.
pub(super) fn sign(scene: &Scene, folder: &Path, python: Option<&Python>) -> Outcome<Vec<Work>> {
    let key = |seed| SecretKey::from_seed(seed);
    let index = IndexKeys { snapshot: key(SEEDS[0]), catalog: key([4; 32]) };
    let signer = SignerKeys { timestamp: key([5; 32]), bins: key(SEEDS[1]) };
    let revision = advance(Base::default(), &scene.events)?;
    let propose = || Proposal::of(&revision, &index);
    let proposal = propose();
    let complete = || -> Outcome<Vec<(&str, Vec<u8>)>> {
        let files = revision.roles.iter().map(|(file, document)| {
            let bytes = proposal.complete(&file.role, document, &signer).ok_or("a signature is missing")?;
            Ok((file.role.as_str(), bytes))
        });
        files.collect()
    };
    let halves = [rounds(|| Ok(propose()))?, rounds(complete)?];
    let both = halves[0].iter().zip(&halves[1]).map(|(a, b)| Took { wall: a.wall + b.wall, cpu: a.cpu + b.cpu });
    let what = format!("sign {} bins with two keys, catalog, snapshot", scene.size.bins());
    let mut work = vec![Work { what, by: "stoa", took: both.collect() }];
    let [indexer, signing] = halves;
    work.push(Work { what: "of which the indexer's half".into(), by: "stoa", took: indexer });
    work.push(Work { what: "of which the signer's half, with the files".into(), by: "stoa", took: signing });
    if let Some(python) = python {
        let bins: Vec<_> = complete()?.into_iter().filter(|(role, _)| role.starts_with("bin-")).collect();
        fs::create_dir_all(folder)?;
        for (role, bytes) in &bins {
            fs::write(folder.join(format!("{role}.json")), bytes)?;
        }
        let (took, signatures) = python.sign(folder, ROUNDS / 4, SEEDS)?;
        if signatures != signatures_of(&bins)? {
            return Err("python-tuf makes other signatures over the same bins".into());
        }
        work.push(Work { what: format!("sign {} bins with two keys", bins.len()), by: "python-tuf", took });
    }
    Ok(work)
}

/// The SHA-256 of all signatures, bin by bin, those of one bin in their own order.
fn signatures_of(bins: &[(&str, Vec<u8>)]) -> Outcome<String> {
    let mut text = String::new();
    debug_assert!(bins.is_sorted(), "files are read in the order of their names");
    for (role, bytes) in bins {
        let envelope = Envelope::read(role, bytes)?;
        let mut signatures: Vec<_> = envelope.signatures().values().map(|signature| signature.as_str()).collect();
        signatures.sort_unstable();
        text.extend(signatures);
    }
    Ok(Digest::of(text.as_bytes()).to_string())
}

fn rounds<T>(mut work: impl FnMut() -> Outcome<T>) -> Outcome<Vec<Took>> {
    work()?;
    let one = |_| {
        let (done, took) = timed(&mut work);
        done.map(|_| took)
    };
    (0..ROUNDS).map(one).collect()
}
