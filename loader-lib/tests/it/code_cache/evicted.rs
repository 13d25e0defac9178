//! What goes when the cache grows too large, and what stays.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use stoa_core::digest::Digest;
use stoa_loader::{
    Event, Host, Phase,
    code::{CodeCache, Hold, Pruned, Verdict},
    testing::{Fault, Faults, File, PlanBuilder, inject},
};

use super::{Error, load, plan};
use crate::calls::{Outcome, wave};

/// A component like no other of these.
fn component(number: u8) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (memory (data \"{number:03}\"))))")).expect("a component")
}

/// Hosts that load one component each, with this cache.
async fn hosts(folder: &Path, cache: &Path, numbers: std::ops::Range<u8>, most: u64) -> Result<Vec<Host<()>>, Error> {
    let mut hosts = Vec::new();
    for number in numbers {
        let plan = PlanBuilder::new(folder).plugin("demo:one", "1.0.0", &component(number)).build()?;
        let host = Host::<()>::builder().code_cache(cache).code_cache_bytes(most).build()?;
        host.apply(plan).await?.all()?;
        hosts.push(host);
    }
    Ok(hosts)
}

async fn end(hosts: Vec<Host<()>>) {
    for host in hosts {
        host.shutdown(Duration::from_secs(5)).await;
    }
}

/// Lets the code of each component have been used that many minutes after the one before, the first an hour ago.
fn age(cache: &Path, order: &[u8]) -> Outcome {
    let began = SystemTime::now() - Duration::from_secs(60 * 60);
    for entry in CodeCache::open(cache)?.entries()? {
        let (artifact, _) = entry.record?;
        let place = order.iter().position(|number| Digest::of(&component(*number)) == artifact).ok_or("another")?;
        let used = began + Duration::from_secs(120 * u64::try_from(place)?);
        fs::File::open(cache.join(format!("{}.record", entry.key)))?.set_modified(used)?;
    }
    Ok(())
}

/// Which components' code is there.
fn there(cache: &Path, of: std::ops::Range<u8>) -> Result<Vec<u8>, Error> {
    let entries = CodeCache::open(cache)?.entries()?;
    let artifacts = entries.into_iter().map(|entry| Ok(entry.record?.0)).collect::<Result<Vec<_>, String>>()?;
    Ok(of.filter(|number| artifacts.contains(&Digest::of(&component(*number)))).collect())
}

/// Bytes of an entry. All of these have about as many.
fn bytes(cache: &Path) -> Result<u64, Error> {
    Ok(CodeCache::open(cache)?.entries()?.iter().map(|entry| entry.bytes).max().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_used_longest_ago_goes_first_and_what_is_used_is_young_again() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    end(hosts(folder.path(), &cache, 0..4, u64::MAX).await?).await;
    age(&cache, &[2, 0, 3, 1])?;
    // Used now.
    end(hosts(folder.path(), &cache, 2..3, u64::MAX).await?).await;
    let pruned = CodeCache::open(&cache)?.prune(2 * bytes(&cache)?)?;
    assert_eq!((pruned.entries, pruned.others, pruned.in_use), (2, 0, 0));
    assert_eq!(there(&cache, 0..4)?, [1, 2]);
    assert_eq!(CodeCache::open(&cache)?.prune(2 * bytes(&cache)?)?, Pruned { left: pruned.left, ..Pruned::default() });
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_never_evicted_and_goes_when_it_has_ended() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let running = hosts(folder.path(), &cache, 0..1, u64::MAX).await?;
    end(hosts(folder.path(), &cache, 1..3, u64::MAX).await?).await;
    age(&cache, &[0, 1, 2])?;
    let code = CodeCache::open(&cache)?;
    let pruned = code.prune(0)?;
    assert_eq!((pruned.entries, pruned.in_use), (2, 1));
    let holds: Vec<_> = code.entries()?.iter().map(|entry| entry.hold).collect();
    assert_eq!(holds, [Hold::InUse]);
    end(running).await;
    let pruned = code.prune(0)?;
    assert_eq!((pruned.entries, pruned.in_use, pruned.left), (1, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_keeps_its_cache_within_its_bound_and_tells_what_went() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    end(hosts(folder.path(), &cache, 0..3, u64::MAX).await?).await;
    age(&cache, &[0, 1, 2])?;
    let most = 3 * bytes(&cache)?;
    let host = Host::<()>::builder().code_cache(&cache).code_cache_bytes(most).build()?;
    let mut events = host.events();
    let plan = PlanBuilder::new(folder.path()).plugin("demo:one", "1.0.0", &component(3)).build()?;
    host.apply(plan).await?.all()?;
    let mut evicted = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::CodeEvicted { entries, .. } = event {
            evicted.push(entries);
        }
    }
    assert_eq!((evicted, there(&cache, 0..4)?), (vec![1], vec![1, 2, 3]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_written_is_not_evicted() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    // What is wrong is being compiled again.
    end(hosts(folder.path(), &cache, 0..1, u64::MAX).await?).await;
    let key = CodeCache::open(&cache)?.entries()?[0].key;
    fs::remove_file(cache.join(format!("{key}.record")))?;
    let faults = Faults::new();
    let gate = faults.hold("demo:one", Phase::Compile)?;
    let host = Host::<()>::builder().code_cache(&cache).faults(faults).build()?;
    let plan = PlanBuilder::new(folder.path()).plugin("demo:one", "1.0.0", &component(0)).build()?;
    let applying = tokio::spawn(async move { host.apply(plan).await });
    gate.arrived(1).await;
    let pruned = CodeCache::open(&cache)?.prune(0)?;
    assert_eq!((pruned.entries, pruned.others), (0, 0), "half of an entry too, while it is leased");
    gate.open();
    applying.await??.all()?;
    assert_eq!(there(&cache, 0..1)?, [0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_aside_and_what_crashes_left_goes_before_any_code() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    load(plan(folder.path())?, &cache).await?;
    assert_eq!(inject(&cache, Fault::Flip(File::Code, 5000))?, 1);
    load(plan(folder.path())?, &cache).await?;
    let orphan = Digest::of(b"a process was killed between code and record");
    fs::write(cache.join(format!("{orphan}.code")), b"code")?;
    fs::write(cache.join(format!("{orphan}.lease")), b"1")?;
    let code = CodeCache::open(&cache)?;
    let aside: Vec<_> = code.put_aside()?.into_iter().map(|file| file.name).collect();
    assert_eq!(aside.iter().filter(|name| name.ends_with(".code") || name.ends_with(".record")).count(), 2);
    let pruned = code.prune(u64::MAX)?;
    assert_eq!((pruned.entries, pruned.others), (0, 3));
    assert_eq!((code.put_aside()?.len(), code.entries()?.len()), (0, 1));
    assert!(!cache.join(format!("{orphan}.code")).exists() && !cache.join(format!("{orphan}.lease")).exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_puts_aside_what_is_wrong_and_nothing_else() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    load(plan(folder.path())?, &cache).await?;
    let code = CodeCache::open(&cache)?;
    let [entry] = code.entries()?.try_into().map_err(|_| "one entry")?;
    assert_eq!(code.verify()?, [(entry.key, Verdict::Whole)]);
    assert_eq!(inject(&cache, Fault::Flip(File::Code, 5000))?, 1);
    assert_eq!(code.verify()?, [(entry.key, Verdict::PutAside("the code has a wrong MAC".into()))]);
    assert_eq!((code.verify()?, code.put_aside()?.len()), (Vec::new(), 2));
    assert_eq!(load(plan(folder.path())?, &cache).await?, ["compiled"]);
    Ok(())
}

/// Eviction at random between loads, of hosts that each keep nothing but what they run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_and_evictions_at_once_never_reject_anything_and_always_run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let loads = (0..4_u8).map(|load| {
        // A folder each: writing a component is not atomic, and is not what is tried here.
        let (folder, cache) = (folder.path().join(load.to_string()), cache.clone());
        tokio::spawn(async move {
            fs::create_dir(&folder)?;
            for _ in 0..10 {
                let host = Host::<()>::builder().code_cache(&cache).code_cache_bytes(0).build()?;
                let mut events = host.events();
                host.apply(plan(&folder)?).await?.all()?;
                assert_eq!(wave(&host.plugin("demo:leaf")?.call_wave("bump()").await?), "ok(1)");
                while let Some(event) = events.try_next() {
                    assert!(!matches!(event, Event::CodeRejected { .. } | Event::CodeNotKept { .. }), "{event:?}");
                }
                host.shutdown(Duration::from_secs(5)).await;
                CodeCache::open(&cache)?.prune(0)?;
            }
            Ok::<_, Error>(())
        })
    });
    for load in loads.collect::<Vec<_>>() {
        load.await??;
    }
    Ok(())
}
