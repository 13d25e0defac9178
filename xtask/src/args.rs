//! The command line.

/// What `cargo xtask help` shows.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup            make sure that plugins can be compiled on this machine
  guests [--with LANG,...]
                   build the example plugins (examples/plugins): those in Rust, and with `js` or `py` those too
  demo [ARG...]    setup, guests, the stoa program; then `stoa demo` with the arguments; --all is with js,py
  test [FILTER...] every test, or those whose name contains a filter
  ci [PHASE...]    what a change must pass beside the tests, or the phases whose name contains a word
  fresh            write the files that are copies of others again
  fuzz [SECONDS] [TARGET...]   every fuzz target, or those whose name contains a word, for so long each (60)
  soak loader [--minutes N] [--seed S]
                   a hundred plugins loaded, called, failing and reloaded from 8 threads (10 minutes), then the sums
  conformance [--suite DIR]    the public TUF suite, checked out at DIR, against our client
  bench build      what a clean build costs, by phase and by crate
  bench core [--json]          publish to visible, index run, load; then `downloads` and `trust`
  bench downloads [--json]     downloads a second from `stoa serve`, beside nginx
  bench trust [--json]         what trusting a registry costs, beside python-tuf

environment:
  STOA_CACHE_DIR       where toolchains and what they made are kept (default: stoa/ in the user's cache folder)
  STOA_WASM_TOOLCHAIN  auto (default): rustup's target if there is one; private: the one made by setup";

use crate::embedded::Language;

/// A command with its arguments.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Setup,
    Guests {
        /// Languages beside Rust.
        with: Vec<Language>,
    },
    Demo {
        /// Arguments that `stoa demo` gets as they are.
        passed_on: Vec<String>,
    },
    Test {
        /// Parts of test names. None: all tests.
        filters: Vec<String>,
    },
    Ci {
        /// Parts of phases' names. None: all phases.
        only: Vec<String>,
    },
    Fresh,
    Fuzz {
        /// How long each target runs.
        seconds: u64,
        /// Parts of targets' names. None: all targets.
        only: Vec<String>,
    },
    BenchBuild,
    BenchCore {
        /// Arguments that the drivers get as they are.
        passed_on: Vec<String>,
    },
    BenchDownloads {
        /// Arguments that the driver gets as they are.
        passed_on: Vec<String>,
    },
    BenchTrust {
        /// Arguments that the driver gets as they are.
        passed_on: Vec<String>,
    },
    Soak {
        minutes: u64,
        /// For the same dice again.
        seed: Option<u64>,
    },
    Conformance {
        /// A checkout of the suite.
        suite: Option<String>,
    },
}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// One line that names the argument that was not understood.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = args.collect();
    match name.as_str() {
        "demo" => return Ok(Command::Demo { passed_on: rest }),
        "test" => return test(rest),
        "ci" => return Ok(Command::Ci { only: rest }),
        "fuzz" => return Ok(fuzz(rest)),
        "bench" => return bench(&rest),
        "guests" => return guests(&rest),
        "conformance" => return conformance(rest),
        "soak" => return soak(&rest),
        _ => {}
    }
    if let Some(extra) = rest.first() {
        return Err(format!("`{name}` takes no arguments, but got `{extra}`"));
    }
    match name.as_str() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "setup" => Ok(Command::Setup),
        "fresh" => Ok(Command::Fresh),
        _ => Err(format!("there is no command `{name}`")),
    }
}

fn guests(rest: &[String]) -> Result<Command, String> {
    let list = match rest {
        [] => return Ok(Command::Guests { with: Vec::new() }),
        [flag] if flag == "--with" => return Err("`--with` needs languages, as in `--with js,py`".to_owned()),
        [flag, list] if flag == "--with" => list,
        [one] if one.starts_with("--with=") => &one["--with=".len()..],
        [extra, ..] => return Err(format!("`guests` takes `--with LANG,...`, but got `{extra}`")),
    };
    Ok(Command::Guests { with: Language::parse_list(list)? })
}

/// A flag would be meant for the test runner, which one of two is used here: refused, not guessed at.
fn test(filters: Vec<String>) -> Result<Command, String> {
    match filters.iter().find(|filter| filter.starts_with('-')) {
        Some(flag) => Err(format!("`test` takes parts of test names, but got the flag `{flag}`")),
        None => Ok(Command::Test { filters }),
    }
}

/// A number is how long; everything else is a part of a name.
fn fuzz(mut rest: Vec<String>) -> Command {
    let seconds = rest.first().and_then(|first| first.parse().ok());
    if seconds.is_some() {
        rest.remove(0);
    }
    Command::Fuzz { seconds: seconds.unwrap_or(60), only: rest }
}

fn conformance(rest: Vec<String>) -> Result<Command, String> {
    match &rest[..] {
        [] => Ok(Command::Conformance { suite: None }),
        [flag, dir] if flag == "--suite" => Ok(Command::Conformance { suite: Some(dir.clone()) }),
        _ => Err(format!("`conformance` takes `--suite DIR`, but got `{}`", rest.join(" "))),
    }
}

/// Ten minutes with new dice, unless it is said otherwise.
fn soak(rest: &[String]) -> Result<Command, String> {
    const TAKES: &str = "`soak` takes `loader [--minutes N] [--seed S]`";
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let ["loader", flags @ ..] = words.as_slice() else {
        return Err(format!("{TAKES}, but got `{}`", words.join(" ")));
    };
    let (mut minutes, mut seed) = (10, None);
    for flag in flags.chunks(2) {
        let number = |text: &str| text.parse().map_err(|_| format!("{TAKES}: `{text}` is no whole number"));
        match flag {
            ["--minutes", text] => minutes = number(text)?,
            ["--seed", text] => seed = Some(number(text)?),
            _ => return Err(format!("{TAKES}, but got `{}`", flag.join(" "))),
        }
    }
    Ok(Command::Soak { minutes, seed })
}

/// The benches that there are.
const BENCHES: &str = "there are `build`, `core`, `downloads` and `trust`";

fn bench(rest: &[String]) -> Result<Command, String> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words[..] {
        ["build"] => Ok(Command::BenchBuild),
        ["core"] | ["core", "--json"] => Ok(Command::BenchCore { passed_on: rest[1..].to_vec() }),
        ["downloads"] | ["downloads", "--json"] => Ok(Command::BenchDownloads { passed_on: rest[1..].to_vec() }),
        ["trust"] | ["trust", "--json"] => Ok(Command::BenchTrust { passed_on: rest[1..].to_vec() }),
        ["build" | "core" | "downloads" | "trust", extra, ..] => {
            Err(format!("`bench {}` got `{extra}` behind it", words[0]))
        }
        [name, ..] => Err(format!("there is no bench `{name}`; {BENCHES}")),
        [] => Err(format!("`bench` needs the name of a bench; {BENCHES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_behind_demo_are_passed_on_as_they_are() {
        assert_eq!(
            parsed("demo --once --json x"),
            Ok(Command::Demo { passed_on: ["--once", "--json", "x"].map(str::to_owned).to_vec() })
        );
    }

    #[test]
    fn test_takes_names_and_refuses_flags() {
        assert_eq!(parsed("test"), Ok(Command::Test { filters: vec![] }));
        assert_eq!(parsed("test a b"), Ok(Command::Test { filters: vec!["a".into(), "b".into()] }));
        assert_eq!(
            parsed("test a --nocapture"),
            Err("`test` takes parts of test names, but got the flag `--nocapture`".into())
        );
    }

    #[test]
    fn fuzz_takes_a_time_and_names_or_one_of_them() {
        let fuzz = |seconds, only: &[&str]| {
            Ok(Command::Fuzz { seconds, only: only.iter().map(|part| (*part).to_owned()).collect() })
        };
        assert_eq!(parsed("fuzz"), fuzz(60, &[]));
        assert_eq!(parsed("fuzz 5"), fuzz(5, &[]));
        assert_eq!(parsed("fuzz 5 client"), fuzz(5, &["client"]));
        assert_eq!(parsed("fuzz client index"), fuzz(60, &["client", "index"]));
    }

    #[test]
    fn guests_takes_languages() {
        assert_eq!(parsed("guests"), Ok(Command::Guests { with: vec![] }));
        assert_eq!(parsed("guests --with js,py"), Ok(Command::Guests { with: Language::ALL.to_vec() }));
        assert_eq!(parsed("guests --with=py"), Ok(Command::Guests { with: vec![Language::Python] }));
        assert_eq!(parsed("guests --with"), Err("`--with` needs languages, as in `--with js,py`".into()));
        assert_eq!(parsed("guests js"), Err("`guests` takes `--with LANG,...`, but got `js`".into()));
    }

    #[test]
    fn conformance_takes_a_suite_or_nothing() {
        assert_eq!(parsed("conformance"), Ok(Command::Conformance { suite: None }));
        assert_eq!(parsed("conformance --suite d"), Ok(Command::Conformance { suite: Some("d".into()) }));
        assert_eq!(parsed("conformance d"), Err("`conformance` takes `--suite DIR`, but got `d`".into()));
    }

    #[test]
    fn no_argument_at_all_asks_for_help() {
        assert_eq!(parsed(""), Ok(Command::Help));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(parsed("tset"), Err("there is no command `tset`".into()));
        assert_eq!(parsed("fresh now"), Err("`fresh` takes no arguments, but got `now`".into()));
        assert_eq!(
            parsed("bench call"),
            Err("there is no bench `call`; there are `build`, `core`, `downloads` and `trust`".into())
        );
        let nameless = "`bench` needs the name of a bench; there are `build`, `core`, `downloads` and `trust`";
        assert_eq!(parsed("bench"), Err(nameless.into()));
        assert_eq!(parsed("bench build x"), Err("`bench build` got `x` behind it".into()));
        assert_eq!(parsed("bench downloads x"), Err("`bench downloads` got `x` behind it".into()));
    }

    #[test]
    fn a_soak_takes_ten_minutes_and_new_dice_unless_it_is_told_otherwise() {
        assert_eq!(parsed("soak loader"), Ok(Command::Soak { minutes: 10, seed: None }));
        let told = parsed("soak loader --seed 7 --minutes 1");
        assert_eq!(told, Ok(Command::Soak { minutes: 1, seed: Some(7) }));
        let takes = "`soak` takes `loader [--minutes N] [--seed S]`";
        assert_eq!(parsed("soak"), Err(format!("{takes}, but got ``")));
        assert_eq!(parsed("soak loader --minutes"), Err(format!("{takes}, but got `--minutes`")));
        assert_eq!(parsed("soak loader --minutes x"), Err(format!("{takes}: `x` is no whole number")));
    }

    #[test]
    fn the_usage_names_every_command() {
        for name in [
            "setup",
            "guests",
            "demo",
            "test",
            "ci",
            "fresh",
            "bench build",
            "bench downloads",
            "bench trust",
            "soak loader",
        ] {
            assert!(USAGE.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
