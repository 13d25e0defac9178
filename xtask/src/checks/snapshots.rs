//! Snapshot files: none that no test reads any more, and none that waits for a decision.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Text;
use crate::failure::{Failure, Outcome};
use crate::place;
use crate::tool::Tool;

/// Where insta, told by the variable of this name, writes the path of each snapshot that a test reads.
pub(crate) const VARIABLE: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// The file for [`VARIABLE`]; a run of every test begins without it.
pub(crate) fn references() -> PathBuf {
    place::own().join("snapshot-references")
}

/// Refuses snapshots that the run of every test before this did not read.
pub(crate) fn refuse_orphans(texts: &[Text]) -> Outcome {
    let file = references();
    let read = fs::read_to_string(&file).map_err(|error| Failure::io("read", &file, &error))?;
    let broken = orphans(texts, &read, &place::root());
    super::refuse(broken, "remove the file, or bring back the test that reads it")
}

fn orphans(texts: &[Text], read: &str, root: &Path) -> Vec<String> {
    // insta names a snapshot by way of its test's source, as in `tests/it/../it/snapshots/x.snap`.
    let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
    let read: BTreeSet<_> = read.lines().map(|line| real(root.join(line))).collect();
    let stored = texts.iter().map(|file| &file.path).filter(|path| path.ends_with(".snap"));
    let orphans = stored.filter(|path| !read.contains(&real(root.join(path))));
    orphans.map(|path| format!("no test reads {path}")).collect()
}

/// Refuses snapshots that a failed test left for a person to accept. Git ignores them, so that nobody
/// commits one; here nobody overlooks one.
pub(crate) fn refuse_pending() -> Outcome {
    let listed = Tool::new("git")
        .args(["ls-files", "-z", "--others", "--exclude=target", "--", "*.snap.new", "*.pending-snap"])
        .dir(place::root())
        .read()?;
    let pending = listed.split('\0').filter(|path| !path.is_empty());
    let broken = pending.map(|path| format!("{path} waits for a decision")).collect();
    super::refuse(broken, "compare it with the snapshot beside it, then rename or remove it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_no_test_reads_is_named() {
        let root = std::env::temp_dir().join(format!("xtask-snapshots-{}", std::process::id()));
        fs::create_dir_all(root.join("a/snapshots")).expect("made");
        let text = |path: &str| {
            fs::write(root.join(path), "").expect("written");
            Text { path: path.into(), text: String::new() }
        };
        let texts = [text("a/snapshots/one.snap"), text("a/snapshots/two.snap"), text("a/b.rs")];
        let read = format!("{}/a/../a/snapshots/one.snap\n", root.display());
        assert_eq!(orphans(&texts, &read, &root), ["no test reads a/snapshots/two.snap"]);
        fs::remove_dir_all(&root).expect("removed");
    }
}
