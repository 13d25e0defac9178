//! The `stoa` command: for authors, hosts and operators.

mod api;
mod args;
mod cmd;
mod consent;
mod host;
mod keyfile;
mod mirror;
mod package;
mod progress;
mod report;
mod server;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser as _;
use report::{Failure, Output};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.verbose);
    let output = if cli.json { Output::Json } else { Output::Text };
    match run(cli.command, output).await {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, output: Output) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Init(args) => cmd::init::run(&args, output).await,
        Command::Serve(args) => server::serve(&args, output).await,
        Command::Signer(args) => server::signer(&args, output).await,
        Command::Backup(args) => cmd::backup::backup(&args, output).await,
        Command::Restore(args) => cmd::backup::restore(&args, output).await,
        Command::Recover(args) => cmd::backup::recover(&args, output).await,
        Command::Gc(args) => server::gc(&args, output).await,
        Command::Mirror(args) => cmd::mirror::mirror(&args, output).await,
        Command::Verify(args) => cmd::mirror::verify(&args, output).await,
        Command::Replay(args) => cmd::mirror::replay(&args, output).await,
        Command::Namespace(args) => cmd::admin::namespace(&args.command, output).await,
        Command::Key(args) => cmd::admin::key(&args.command, output).await,
        Command::Keys(args) => cmd::keys::run(&args.command, output).await,
        Command::Publish(args) => cmd::publish::run(&args, output).await,
        Command::Publisher(args) => cmd::publisher::run(&args.command, output).await,
        Command::Yank(args) => cmd::yank::run(&args, cmd::yank::Verb::Yank, output).await,
        Command::Unyank(args) => cmd::yank::run(&args, cmd::yank::Verb::Unyank, output).await,
        Command::Certify(args) => cmd::certify::run(&args, output).await,
        Command::Takedown(args) => cmd::takedown::run(&args.command, output).await,
        Command::Advisory(args) => cmd::advisory::run(&args.command, output).await,
        Command::Audit(args) => return cmd::audit::run(&args.command, output).await,
        Command::Info(args) => cmd::info::run(&args, output).await,
        Command::Lock(args) => cmd::lock::run(&args, output).await,
        Command::Update(args) => cmd::lock::update(&args, output).await,
        Command::Why(args) => cmd::why::run(&args, output).await,
        Command::Tree(args) => cmd::tree::run(&args, output),
        Command::Fetch(args) => cmd::fetch::run(&args, output).await,
        Command::Run(args) => cmd::run::run(&args, output).await,
        Command::Caps(args) => cmd::caps::run(&args, output).await,
        Command::Policy(args) => cmd::policy::run(&args.command, output).await,
        Command::Cache(args) => return cmd::cache::run(&args.command, output),
        Command::Trust(args) => match args.command {
            args::TrustCommand::Plan(plan) => cmd::trust::plan(&plan, output),
            args::TrustCommand::Status { dir, at } => {
                return cmd::trust::status(&dir, at.unwrap_or_else(cmd::now), output).await;
            }
        },
        Command::Demo(args) => return cmd::demo::run(&args, output).await,
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "stoa", &mut std::io::stdout());
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Diagnostics go to standard error; `RUST_LOG` (as in `info,stoa_indexer=debug`) decides where it is set.
fn log(verbose: u8) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let level = match verbose {
        0 => "warn",
        1 => "info,stoa=debug,stoa_indexer=debug,stoa_api=debug,stoa_loader=debug",
        _ => "debug",
    };
    let asked = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = asked.or_else(|| level.parse().ok()).unwrap_or_default();
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colors);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
