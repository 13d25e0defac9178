//! Passphrases: from the terminal without echo, or from a file that is named in the environment. Never from the command
//! line, which every process of the machine can read.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::report::Failure;

/// Names a file (or `/dev/fd/N`) whose first line is the passphrase: for tests and automation.
const FILE: &str = "STOA_KEY_PASSPHRASE_FILE";
/// At scrypt's half a second a guess, twelve characters that nobody can guess outlast the key.
const LEAST: usize = 12;
/// A line of a file is read up to here.
const MAX_BYTES: u64 = 1024;

/// The passphrase of a key file that is there.
pub(super) fn ask(path: &Path) -> Result<Zeroizing<String>, Failure> {
    match std::env::var_os(FILE) {
        Some(file) => from_file(&PathBuf::from(file)),
        None => from_terminal(&format!("passphrase of {}: ", path.display())),
    }
}

/// The passphrase of a new key file.
pub(super) fn new(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let given = match std::env::var_os(FILE) {
        Some(file) => from_file(&PathBuf::from(file))?,
        None => {
            let first = from_terminal(&format!("new passphrase for {}: ", path.display()))?;
            let again = from_terminal("the same once more: ")?;
            if first != again {
                return Err(Failure::new("the two passphrases differ: nothing was written"));
            }
            first
        }
    };
    let length = given.chars().count();
    if length < LEAST {
        return Err(Failure::new(format!("a passphrase of {length} characters: at least {LEAST} are needed"))
            .hint("four or five words drawn by lot are easy to keep and hard to guess"));
    }
    Ok(given)
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    use std::io::Read as _;
    let refuse = |e: &dyn std::fmt::Display| {
        Failure::new(format!("the passphrase can not be read from `{}` ({FILE}): {e}", path.display()))
    };
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(|e| refuse(&e))?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|e| refuse(&e))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(refuse(&"its first line is empty"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn from_terminal(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let terminal = console::Term::stderr();
    if !terminal.is_term() {
        return Err(Failure::new("a passphrase is needed, and there is no terminal to ask at")
            .hint(format!("name a file with it in {FILE}; it is never taken from the command line")));
    }
    terminal.write_str(prompt)?;
    let line = Zeroizing::new(terminal.read_secure_line()?);
    if line.is_empty() {
        return Err(Failure::new("no passphrase was given"));
    }
    Ok(line)
}
