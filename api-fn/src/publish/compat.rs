//! Whether a release keeps what the one before promised.

use stoa_core::{interface::ExternName, release::Release};

use crate::{
    problem::{Code, Problem},
    state::{Functions, ReleaseItem},
};

/// Checks that every function that `before` exports is still exported with the same type, by an interface of the
/// same name and semver track. Additions are free; so is a new track beside the old one.
///
/// # Errors
/// [`Code::ApiBroken`] with the first function at fault.
pub fn check(release: &Release, functions: &Functions, before: &ReleaseItem) -> Result<(), Problem> {
    for (export, promised) in &before.functions {
        let Some(kept) = functions.iter().find(|(name, _)| stands_in(name, export)).map(|(_, kept)| kept) else {
            return Err(broken(release, before, export, "does not export", "", ""));
        };
        for (function, types) in promised {
            match kept.get(function) {
                Some(found) if found == types => {}
                Some(_) => return Err(broken(release, before, export, "changes", function, " of ")),
                None => return Err(broken(release, before, export, "removes", function, " of ")),
            }
        }
    }
    Ok(())
}

/// Whether the export `name` answers those who import `promised`: the same name, on the same track.
fn stands_in(name: &ExternName, promised: &ExternName) -> bool {
    match (name.as_interface(), promised.as_interface()) {
        (Some(name), Some(promised)) => {
            name.unversioned() == promised.unversioned() && name.track() == promised.track()
        }
        _ => name == promised,
    }
}

fn broken(
    release: &Release,
    before: &ReleaseItem,
    export: &ExternName,
    verb: &str,
    function: &str,
    of: &str,
) -> Problem {
    let (id, version, old) = (&release.id, &release.version, &before.version);
    let function = if function.is_empty() { String::new() } else { format!("`{function}`{of}") };
    let detail = format!("`{id}` {version} {verb} {function}`{export}`, which {old} exports");
    Problem::new(Code::ApiBroken, detail).with("before", old.to_string()).with("export", export.to_string())
}
