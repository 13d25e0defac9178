//! Compiled code on disk: what is trusted, and what happens to the rest.

use std::{fs, path::Path};

use stoa_loader::{
    Event, Host, Plan, PlannedPlugin,
    plan::Origin,
    testing::{Fault, File, PlanBuilder, inject},
};

use crate::{
    calls::{Outcome, wave},
    guests,
};

mod evicted;
mod processes;

type Error = Box<dyn std::error::Error + Send + Sync>;

fn file_of(plugin: &PlannedPlugin) -> &Path {
    match &plugin.origin {
        Origin::File(path) => path,
        other => panic!("{other:?}"),
    }
}

fn plan(folder: &Path) -> Result<Plan, Error> {
    PlanBuilder::new(folder).plugin("demo:leaf", "1.0.0", &guests::leaf()).build()
}

/// Loads a plugin in a host of its own, and tells what happened to its code. The plugin always answers.
async fn load(plan: Plan, cache: &Path) -> Result<Vec<String>, Error> {
    let host = Host::<()>::builder().code_cache(cache).build()?;
    let mut events = host.events();
    host.apply(plan).await?.all()?;
    assert_eq!(wave(&host.plugin("demo:leaf")?.call_wave("bump()").await?), "ok(1)");
    let mut told = Vec::new();
    while let Some(event) = events.try_next() {
        told.extend(match event {
            Event::Compiled { .. } => Some("compiled".to_owned()),
            Event::CodeRejected { reason, .. } => Some(format!("rejected: {reason}")),
            Event::CodeNotKept { reason, .. } => Some(format!("not kept: {reason}")),
            _ => None,
        });
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_is_compiled_once_and_then_loaded_without_the_component() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("deep/cache");
    assert_eq!(load(plan(folder.path())?, &cache).await?, ["compiled"]);
    let plan = plan(folder.path())?;
    for plugin in plan.plugins() {
        fs::remove_file(file_of(plugin))?;
    }
    assert_eq!(load(plan, &cache).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_not_as_it_was_written_is_put_aside_and_compiled_again() -> Outcome {
    let mut faults = vec![
        ("a bit of the code", Fault::Flip(File::Code, 5000)),
        ("half of the code", Fault::Truncate(File::Code)),
        ("a bit of the record", Fault::Flip(File::Record, 20)),
        ("a bit of the record's MAC", Fault::Flip(File::Record, 550)),
        ("half of the record", Fault::Truncate(File::Record)),
    ];
    #[cfg(unix)]
    faults.extend([
        ("a link to the code", Fault::Link(File::Code)),
        ("a link to the record", Fault::Link(File::Record)),
        ("code that all can write", Fault::WritableByAll(File::Code)),
        ("a record that all can write", Fault::WritableByAll(File::Record)),
    ]);
    let mut told = Vec::new();
    for (name, fault) in faults {
        let folder = tempfile::tempdir()?;
        let cache = folder.path().join("cache");
        assert_eq!(load(plan(folder.path())?, &cache).await?, ["compiled"]);
        assert_eq!(inject(&cache, fault)?, 1, "{name}");

        told.push(format!("{name}: {}", load(plan(folder.path())?, &cache).await?.join(", ")));
        assert_eq!(fs::read_dir(cache.join("quarantine"))?.count(), 2, "{name}: both files are put aside");
        assert_eq!(load(plan(folder.path())?, &cache).await?, Vec::<String>::new(), "{name}: it was healed");
    }
    // The size of compiled code is the machine's own.
    insta::with_settings!({ filters => [(r"\d{4,}", "[N]")] }, {
        insta::assert_snapshot!(told.join("\n"), @r#"
    a bit of the code: rejected: the code has a wrong MAC, compiled
    half of the code: rejected: the code has [N] bytes and should have [N], compiled
    a bit of the record: rejected: the record has a wrong MAC, compiled
    a bit of the record's MAC: rejected: the record has a wrong MAC, compiled
    half of the record: rejected: the record is not two lines, compiled
    a link to the code: rejected: the code is a symbolic link, compiled
    a link to the record: rejected: the record is a symbolic link, compiled
    code that all can write: rejected: the code has the mode 666, compiled
    a record that all can write: rejected: the record has the mode 666, compiled
    "#);
    });
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_another_user_sealed_is_not_loaded() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    assert_eq!(load(plan(folder.path())?, &ours).await?, ["compiled"]);
    assert_eq!(load(plan(folder.path())?, &theirs).await?, ["compiled"]);
    for entry in fs::read_dir(&theirs)? {
        let entry = entry?;
        if entry.file_name() != "mac.key" && entry.file_type()?.is_file() {
            fs::copy(entry.path(), ours.join(entry.file_name()))?;
        }
    }
    assert_eq!(load(plan(folder.path())?, &ours).await?, ["rejected: the record has a wrong MAC", "compiled"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_record_does_not_vouch_for_other_code() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let host = Host::<()>::builder().code_cache(&cache).build()?;
    let other = PlanBuilder::new(folder.path()).plugin("demo:probe", "1.0.0", &guests::probe());
    host.apply(other.build()?).await?.all()?;
    let files = |extension: &str| -> Result<Vec<std::path::PathBuf>, Error> {
        let paths = fs::read_dir(&cache)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Error>>()?;
        Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
    };
    let (record, code) = (files("record")?.remove(0), files("code")?.remove(0));
    assert_eq!(load(plan(folder.path())?, &cache).await?, ["compiled"]);
    // The probe's pair, both genuine, under the leaf's name.
    for (kind, from) in [("record", record), ("code", code)] {
        let to = files(kind)?.into_iter().find(|path| *path != from).ok_or("two of each")?;
        fs::copy(&from, to)?;
    }
    assert_eq!(load(plan(folder.path())?, &cache).await?, ["rejected: the record is about other code", "compiled"]);
    Ok(())
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_or_key_that_others_can_reach_is_refused() -> Outcome {
    use std::{error::Error as _, os::unix::fs::PermissionsExt as _};
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    load(plan(folder.path())?, &cache).await?;
    let refusal = || {
        let error = Host::<()>::builder().code_cache(&cache).build().map(drop).expect_err("it is not ours alone");
        assert_eq!(error.code(), "aot-folder");
        error.source().map(ToString::to_string)
    };
    fs::set_permissions(cache.join("mac.key"), fs::Permissions::from_mode(0o640))?;
    assert_eq!(refusal().as_deref(), Some("mac.key has the mode 640"));
    fs::set_permissions(cache.join("mac.key"), fs::Permissions::from_mode(0o600))?;
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777))?;
    assert_eq!(refusal().as_deref(), Some("the folder has the mode 777"));
    Ok(())
}

/// The files of a cache with one entry, as they come to be: each with its bytes, the last one last.
fn written(cache: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut files = Vec::new();
    for kind in ["code", "record"] {
        for entry in fs::read_dir(cache)? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == kind) {
                let name = path.file_name().ok_or("a file")?.to_string_lossy().into_owned();
                files.push((name, fs::read(&path)?));
            }
        }
    }
    Ok(files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_of_power_between_any_two_writes_leaves_the_whole_or_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let whole = folder.path().join("whole");
    assert_eq!(load(plan(folder.path())?, &whole).await?, ["compiled"]);
    let files = written(&whole)?;
    let [(code, code_bytes), (record, record_bytes)] = files.as_slice() else { panic!("{files:?}") };
    let secret = fs::read(whole.join("mac.key"))?;
    let lease = record.replace(".record", ".lease");
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let none: [(&str, Vec<u8>); 0] = [];
    type Left<'l> = (&'l str, Vec<(&'l str, Vec<u8>)>);
    let left: [Left<'_>; 7] = [
        ("nothing", none.to_vec()),
        ("a lease", vec![(&lease, Vec::new())]),
        ("half of the code under a name of its own", vec![(&lease, Vec::new()), (".tmp-abc", half(code_bytes))]),
        ("the code", vec![(&lease, b"1".to_vec()), (code, code_bytes.clone())]),
        ("the code and half a record", vec![(code, code_bytes.clone()), (".tmp-abc", half(record_bytes))]),
        (
            "the code and the record",
            vec![(&lease, Vec::new()), (code, code_bytes.clone()), (record, record_bytes.clone())],
        ),
        ("the record alone", vec![(record, record_bytes.clone())]),
    ];
    let mut told = Vec::new();
    for (what, files) in left {
        let cache = tempfile::tempdir_in(folder.path())?;
        for (name, bytes) in [("mac.key", secret.clone())].into_iter().chain(files) {
            fs::write(cache.path().join(name), bytes)?;
            #[cfg(unix)]
            fs::set_permissions(cache.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        let first = load(plan(folder.path())?, cache.path()).await?;
        let whole = first.is_empty();
        told.push(format!("{what}: {}", first.join(", ")));
        assert_eq!(load(plan(folder.path())?, cache.path()).await?, Vec::<String>::new(), "{what}: it is whole again");
        // Where nothing had to be compiled nobody asked for the lease, and a file that nobody locks is none.
        assert!(whole || !cache.path().join(&lease).exists(), "{what}: no lease stays");
    }
    insta::assert_snapshot!(told.join("\n"), @"
    nothing: compiled
    a lease: compiled
    half of the code under a name of its own: compiled
    the code: compiled
    the code and half a record: compiled
    the code and the record: 
    the record alone: rejected: the code does not exist, compiled
    ");
    Ok(())
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_of_another_user_is_not_loaded() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    for kind in ["record", "code"] {
        load(plan(folder.path())?, &cache).await?;
        let (name, _) = written(&cache)?.into_iter().find(|(name, _)| name.ends_with(kind)).ok_or("a file")?;
        match std::os::unix::fs::chown(cache.join(name), Some(65534), None) {
            // Only root gives files away.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
            given => given?,
        }
        let told = load(plan(folder.path())?, &cache).await?;
        assert_eq!(told, [format!("rejected: the {kind} belongs to user 65534, not 0"), "compiled".to_owned()]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_in_place_of_a_component_is_neither_loaded_nor_compiled() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    load(plan(folder.path())?, &cache).await?;
    let (_, code) = written(&cache)?.swap_remove(0);
    let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &code).build()?;
    let host = Host::<()>::builder().code_cache(&cache).build()?;
    let error = host.apply(plan).await?.all().expect_err("machine code");
    insta::assert_snapshot!(error.chain(), @"demo:leaf is not loaded: demo:leaf: its component is not compiled: the file is machine code that an engine compiled in advance: only portable components are accepted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_changed_after_it_was_verified_is_not_compiled() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = plan(folder.path())?;
    fs::write(file_of(&plan.plugins()[0]), guests::probe())?;
    let host = Host::<()>::builder().build()?;
    let error = host.apply(plan).await?.all().expect_err("other bytes");
    let causes = error.chain();
    assert!(causes.contains("its component should have the SHA-256"), "{causes}");
    Ok(())
}
