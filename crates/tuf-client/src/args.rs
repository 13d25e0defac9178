//! The command line, as the suite's CLIENT-CLI.md describes it.

use std::path::PathBuf;

use crate::Failure;

const USAGE: &str = "usage: stoa-tuf-client --metadata-dir DIR init ROOT
       stoa-tuf-client --metadata-dir DIR --metadata-url URL refresh
       stoa-tuf-client --metadata-dir DIR --metadata-url URL --target-name PATH... \
--target-base-url URL --target-dir DIR download";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Pins a root, without a request.
    Init { metadata_dir: PathBuf, root: PathBuf },
    /// Brings the top-level roles up to date.
    Refresh { metadata_dir: PathBuf, metadata_url: String },
    /// Refreshes, then gets targets in order, up to the first that fails.
    Download { metadata_dir: PathBuf, metadata_url: String, targets: Targets },
}

/// Which targets, from where, to where.
#[derive(Debug, PartialEq)]
pub(crate) struct Targets {
    pub(crate) names: Vec<String>,
    pub(crate) base_url: String,
    pub(crate) dir: PathBuf,
}

/// Reads the arguments behind the program's name. Flags may stand on either side of the command.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, Failure> {
    let (mut given, mut words) = (Given::default(), Vec::new());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg.starts_with("--") {
            let value = args.next().ok_or_else(|| wrong(&format!("`{arg}` needs a value")))?;
            given.take(&arg, value)?;
        } else {
            words.push(arg);
        }
    }
    given.command(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[derive(Default)]
struct Given {
    metadata_dir: Option<String>,
    metadata_url: Option<String>,
    target_names: Vec<String>,
    target_base_url: Option<String>,
    target_dir: Option<String>,
}

impl Given {
    fn take(&mut self, flag: &str, value: String) -> Result<(), Failure> {
        let place = match flag {
            "--metadata-dir" => &mut self.metadata_dir,
            "--metadata-url" => &mut self.metadata_url,
            "--target-base-url" => &mut self.target_base_url,
            "--target-dir" => &mut self.target_dir,
            "--target-name" => {
                self.target_names.push(value);
                return Ok(());
            }
            _ => return Err(wrong(&format!("there is no flag `{flag}`"))),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(wrong(&format!("`{flag}` is given twice"))),
        }
    }

    fn command(self, words: &[&str]) -> Result<Command, Failure> {
        let need = |value: Option<String>, flag: &str| value.ok_or_else(|| wrong(&format!("`{flag}` is missing")));
        let metadata_dir = PathBuf::from(need(self.metadata_dir, "--metadata-dir")?);
        let metadata_url = |given| need(given, "--metadata-url");
        match words {
            ["init", root] => Ok(Command::Init { metadata_dir, root: PathBuf::from(root) }),
            ["refresh"] => Ok(Command::Refresh { metadata_dir, metadata_url: metadata_url(self.metadata_url)? }),
            ["download"] => {
                let targets = Targets {
                    names: self.target_names,
                    base_url: need(self.target_base_url, "--target-base-url")?,
                    dir: need(self.target_dir, "--target-dir")?.into(),
                };
                if targets.names.is_empty() {
                    return Err(wrong("`--target-name` is missing"));
                }
                Ok(Command::Download { metadata_dir, metadata_url: metadata_url(self.metadata_url)?, targets })
            }
            other => Err(wrong(&format!("there is no command `{}`", other.join(" ")))),
        }
    }
}

fn wrong(what: &str) -> Failure {
    format!("{what}\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let command = parse(line.split_whitespace().map(str::to_owned));
        command.map_err(|failure| failure.lines().next().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_lines_of_the_contract_are_understood() {
        let dir = || PathBuf::from("d");
        assert_eq!(parsed("--metadata-dir d init r"), Ok(Command::Init { metadata_dir: dir(), root: "r".into() }));
        let refresh = Command::Refresh { metadata_dir: dir(), metadata_url: "u".into() };
        assert_eq!(parsed("--metadata-url u --metadata-dir d refresh"), Ok(refresh));
        let names = vec!["a".into(), "b".into()];
        let targets = Targets { names, base_url: "b".into(), dir: "t".into() };
        assert_eq!(
            parsed(
                "--metadata-url u --metadata-dir d --target-name a --target-name b --target-dir t --target-base-url b download"
            ),
            Ok(Command::Download { metadata_dir: dir(), metadata_url: "u".into(), targets })
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (line, said) in [
            ("refresh", "`--metadata-dir` is missing"),
            ("--metadata-dir d refresh", "`--metadata-url` is missing"),
            ("--metadata-dir d --metadata-dir e refresh", "`--metadata-dir` is given twice"),
            ("--metadata-dir d init", "there is no command `init`"),
            ("--metadata-dir", "`--metadata-dir` needs a value"),
            ("--root x", "there is no flag `--root`"),
            (
                "--metadata-dir d --metadata-url u --target-base-url b --target-dir t download",
                "`--target-name` is missing",
            ),
        ] {
            assert_eq!(parsed(line), Err(said.to_owned()), "{line}");
        }
    }
}
