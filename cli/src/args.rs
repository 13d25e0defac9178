//! The command line as it is typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use stoa_core::{
    id::PluginId,
    version::{Version, VersionReq},
};

/// A registry of WebAssembly plugins whose index nobody can forge.
#[derive(Debug, Parser)]
#[command(name = "stoa", version, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Print results as JSON, and nothing else, on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new registry in a folder: keys, ledger, first signed index.
    Init(Init),
    /// Run a whole registry in this process: API, indexer, signer, website.
    Serve(Serve),
    /// Run the signer of a registry that is served with `--no-signer`, as a process of its own.
    Signer(Signer),
    /// Copy a registry, which may be running, to a backup, or bring an earlier backup up to date.
    Backup(Backup),
    /// Make a registry of a backup, and of the events that came after it.
    Restore(Restore),
    /// Make a registry whole whose ledger lacks events that were signed, or give them up.
    Recover(Recover),
    /// Remove what no host needs any more from a registry's folder.
    Gc(Gc),
    /// Copy everything that a registry's pointer reaches to a folder that any web server can serve.
    Mirror(Mirror),
    /// Check everything that the pointer of a registry or of a mirror reaches, from the pinned root on.
    Verify(Verify),
    /// Fold an archive of events again and compare the result with a copy of the public tree.
    Replay(Replay),
    /// Make namespaces: who publishes under which name.
    Namespace(Namespace),
    /// Make and revoke API keys.
    Key(Key),
    /// Make, change and renew the keys that sign the index, in ceremonies.
    Keys(Keys),
    /// Make, register and revoke the keys that releases are signed with.
    Publisher(Publisher),
    /// Publish plugins from folders with a `plugin.toml`.
    Publish(Publish),
    /// Take a release out of new resolutions. Locks that name it still hold.
    Yank(Yank),
    /// Put a yanked release back.
    Unyank(Yank),
    /// Show a plugin as the signed index has it.
    Info(Info),
    /// Resolve `plugins.toml` and write `plugins.lock`.
    Lock(Lock),
    /// Fetch and verify everything that `plugins.lock` names, so that it runs offline.
    Fetch(Fetch),
    /// Run one function of a plugin.
    Run(Run),
    /// Look at what this host's policy says.
    Policy(Policy),
    /// Look at what the signed index costs, and when it expires.
    Trust(Trust),
    /// Run the main job on this machine, from an empty folder to a verified call, and show each step.
    Demo(Demo),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Which registry to read, and how far to trust it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Registry {
    /// The registry's address, such as `https://plugins.example`.
    #[arg(long, env = "STOA_REGISTRY", value_name = "URL")]
    pub(crate) registry: String,
    /// A file with the registry's first root, as `stoa init` wrote it.
    #[arg(long, env = "STOA_ROOT", value_name = "FILE", conflicts_with = "root_sha256")]
    pub(crate) root: Option<PathBuf>,
    /// The SHA-256 of the registry's first root.
    #[arg(long, env = "STOA_ROOT_SHA256", value_name = "HEX")]
    pub(crate) root_sha256: Option<stoa_core::digest::Digest>,
    /// Trust the root that the registry shows now, and print its fingerprint. Only for a first look.
    #[arg(long, conflicts_with_all = ["root", "root_sha256"])]
    pub(crate) trust_on_first_use: bool,
    /// Where verified copies are kept.
    #[arg(long, env = "STOA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Use the verified copies only; open no connection.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// The root that is trusted.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Pin {
    /// A file with the registry's first root, as `stoa init` wrote it.
    #[arg(long, env = "STOA_ROOT", value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// The SHA-256 of the registry's first root.
    #[arg(long, env = "STOA_ROOT_SHA256", value_name = "HEX")]
    pub(crate) root_sha256: Option<stoa_core::digest::Digest>,
}

#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The address of a registry, or of another mirror; a folder is one too.
    #[arg(value_name = "URL")]
    pub(crate) from: String,
    /// The folder of the mirror: empty, not there yet, or an earlier mirror of the same registry.
    #[arg(value_name = "DIR")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The address of a registry or a mirror, or the folder of a mirror.
    #[arg(value_name = "URL|DIR")]
    pub(crate) place: String,
    #[command(flatten)]
    pub(crate) pin: Pin,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The folder with the archived events: `blobs/events` of a registry or of its backup.
    #[arg(value_name = "EVENTS")]
    pub(crate) events: PathBuf,
    /// The folder of a mirror, or `blobs/public` of a registry.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder of the registry. It must be empty or not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What the registry is called on its pages.
    #[arg(long, default_value = "Stoa")]
    pub(crate) name: String,
    /// A copy of the first ceremony, made by `stoa keys begin` and signed. Without one, all keys are made here as plain
    /// files: for a first look, not for a registry that others trust. May be given several times.
    #[arg(long = "ceremony", value_name = "FILE")]
    pub(crate) ceremonies: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// Where a ceremony is written, and how long its documents are good.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfferFile {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The file that people sign: it is written anew.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// For how many days the new documents are good.
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
    /// Write no file, and show what would be signed. A new online key is made all the same, and waits.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key in a file that a passphrase opens.
    Generate {
        /// What it is for: `root`, `targets` …
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Keep the key without a passphrase. Whoever reads the file has the key: for demonstrations alone.
        #[arg(long, conflicts_with = "work_factor")]
        plain_for_demos: bool,
        /// How much a guess of the passphrase costs: 2^N KiB of memory, and about half a second at 17.
        #[arg(long, value_name = "N", default_value_t = crate::keyfile::WORK, value_parser = clap::value_parser!(u8).range(10..=20))]
        work_factor: u8,
    },
    /// Print the public half of a key: what its holder gives to the registry.
    Public {
        /// The key file.
        key: PathBuf,
    },
    /// Begin a registry whose offline keys are elsewhere: make its online keys, and the first ceremony.
    Begin {
        /// The public half of a root key. Give all of them.
        #[arg(long = "root-key", required = true, value_name = "FILE")]
        root_keys: Vec<PathBuf>,
        /// The public half of a targets key. Give all of them.
        #[arg(long = "targets-key", required = true, value_name = "FILE")]
        targets_keys: Vec<PathBuf>,
        /// How many keys of each role have to sign.
        #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        threshold: u64,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Let more keys sign a role, or change how many have to.
    Add {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The public half of a new key.
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
        /// How many keys have to sign from now on.
        #[arg(long, value_name = "N")]
        threshold: Option<u64>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Let a key sign a role no more.
    Remove {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The key's id, or at least its first 8 digits.
        #[arg(long, value_name = "ID")]
        key_id: String,
        /// How many keys have to sign from now on.
        #[arg(long, value_name = "N")]
        threshold: Option<u64>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Put a new key in the place of another one, wherever that signs. An online key is made here.
    Rotate {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The id of an offline key that goes, or at least its first 8 digits.
        #[arg(long, value_name = "ID", requires = "key")]
        old: Option<String>,
        /// The public half of the offline key that comes.
        #[arg(long, value_name = "FILE", requires = "old")]
        key: Option<PathBuf>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Sign the same documents for another year.
    Renew {
        /// Only this one of `root`, `targets`, `index`. May be given several times.
        #[arg(long = "document", value_name = "NAME", value_parser = ["root", "targets", "index"])]
        documents: Vec<String>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Show what a ceremony changes, and who has signed it.
    Review {
        /// The file of the ceremony.
        ceremony: PathBuf,
    },
    /// Sign a ceremony, after showing what it changes. No registry is needed.
    Sign {
        /// The file of the ceremony: the signature is added to it.
        ceremony: PathBuf,
        /// The key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The SHA-256 of the registry's first root: a ceremony of another registry is refused.
        #[arg(long, value_name = "HEX")]
        root_sha256: Option<stoa_core::digest::Digest>,
        /// Sign without being asked to confirm: for automation.
        #[arg(long)]
        yes: bool,
        /// Sign nothing, and show what would be signed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Put a signed ceremony in place.
    Import {
        /// The signed copies.
        #[arg(required = true, value_name = "FILE")]
        ceremonies: Vec<PathBuf>,
        /// The folder of the registry.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Change nothing, and show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder of the registry, made by `stoa init`.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The address that others see, where a proxy stands in front.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// How many connections may be open at a time; one more is answered 503. Lower where the system allows fewer open files.
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) max_connections: usize,
    /// How many seconds a connection may neither take nor give a byte, and the head of a request may take to arrive.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) patience: u64,
    /// Leave signing to `stoa signer`: this process then needs none of the signer's keys.
    #[arg(long)]
    pub(crate) no_signer: bool,
    /// Write the address to this file once the registry is ready.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the signer's keys are: `keys/signer` in the folder of the registry, where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Write this file once it has looked for the first time.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The folder of the backup: empty, not there yet, or an earlier backup of the same registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Leave the online keys out. Without them a restored registry can not sign.
    #[arg(long)]
    pub(crate) without_keys: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A backup, or what is left of the folder of a registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// The folder of the new registry. It must be empty or not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// What is left of the folder of a newer state: its archive has the events that came after.
    #[arg(long, value_name = "DIR")]
    pub(crate) newer: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The folder of the registry. It must not be running.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What is left of the folder of a newer state: its archive has the events that the ledger lacks.
    #[arg(long, value_name = "DIR")]
    pub(crate) newer: Option<PathBuf>,
    /// Why the events that no archive has are given up, in one line: everyone can read it in the log.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The last event that anybody may have seen signed, where no file here shows it.
    #[arg(long, value_name = "SEQ", requires = "reason")]
    pub(crate) lost_after: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// The folder of the registry, made by `stoa init`. It may be served meanwhile.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Remove nothing, and show what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// For how long hosts that synced once go on reading what they synced: such as `7d`, `12h` or `90m`.
    #[arg(long, default_value = "7d", value_name = "TIME")]
    pub(crate) grace: Grace,
    /// Allow a grace of less than an hour: hosts that are reading are cut off until they sync again.
    #[arg(long)]
    pub(crate) cut_off_hosts: bool,
}

/// A grace period, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) i64);

impl Grace {
    /// The longest: 60 days.
    const MOST: i64 = 60 * 24 * 60 * 60;
}

impl std::str::FromStr for Grace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a time of at most 60 days, such as `7d`, `12h` or `90m`");
        let unit = text.chars().next_back().ok_or_else(refuse)?;
        let seconds = match unit {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            _ => return Err(refuse()),
        };
        let digits = &text[..text.len() - 1];
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let count = digits.parse::<i64>().ok().filter(|_| plain).ok_or_else(refuse)?;
        count.checked_mul(seconds).filter(|total| *total <= Self::MOST).map(Self).ok_or_else(refuse)
    }
}

/// Whom an administrative command speaks to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Admin {
    /// The registry's address, such as `https://plugins.example`.
    #[arg(long, env = "STOA_REGISTRY", value_name = "URL")]
    pub(crate) registry: String,
    /// An API key with the scope `admin`, such as the one that `stoa init` printed.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Namespace {
    #[command(subcommand)]
    pub(crate) command: NamespaceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceCommand {
    /// Make a namespace.
    Create {
        /// Its name.
        name: stoa_core::id::Namespace,
        #[command(flatten)]
        admin: Admin,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        /// What it is for, in one line: shown when keys are listed.
        #[arg(long)]
        label: String,
        /// What it may do: `publish:NAMESPACE`, `yank:NAMESPACE` or `admin`. May be given several times.
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it expires, such as `2027-01-31T00:00:00Z`; never, where it is left out.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<stoa_core::time::Time>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Revoke a key for good.
    Revoke {
        /// Its id: the part between the first two `_`.
        id: String,
        #[command(flatten)]
        admin: Admin,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Folders with a `plugin.toml`. Several become visible together or not at all.
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// The API key.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// Sign the releases with the key in this file, which `stoa publisher new` made.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,
    /// A provenance that the build made of the component, in DSSE or as a bundle; for one folder only.
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
    /// Wait until the signed index covers the release.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Check everything that can be checked here, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Whom a change of a namespace's keys is sent to.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublisherAccess {
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// An API key with the scope `publish:NAMESPACE`; `admin` to revoke without a signature.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Publisher {
    #[command(subcommand)]
    pub(crate) command: PublisherCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PublisherCommand {
    /// Make a key in a new file that only its owner can read.
    New {
        /// The file.
        file: PathBuf,
        /// Do not encrypt it: whoever reads the file has the key.
        #[arg(long)]
        plain_for_demos: bool,
    },
    /// Show the keys of a namespace as the signed index has them.
    List {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        #[command(flatten)]
        registry: Registry,
    },
    /// Register a key: at once where a key that counts signs too, or where it is the first; else in 3 days.
    Add {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The file of the new key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file of a key that counts.
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Put a new key in the place of another. What the old one signed stays good.
    Rotate {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The file of the new key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file of the key that goes.
        #[arg(long, value_name = "FILE")]
        sign: PathBuf,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Revoke a key: later releases are refused, earlier ones are flagged.
    Revoke {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The id of the key.
        key: stoa_core::trust::KeyId,
        /// Why, in one line: everyone can read it.
        #[arg(long)]
        reason: String,
        /// The file of a key that counts, or of the key itself; without one the registry's operator revokes.
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Demand that every later release is signed, or no longer.
    Demand {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// No longer.
        #[arg(long)]
        off: bool,
        /// The file of a key that counts.
        #[arg(long, value_name = "FILE")]
        sign: PathBuf,
        #[command(flatten)]
        access: PublisherAccess,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Yank {
    /// The plugin and its version, such as `demo:markdown@1.0.0`.
    pub(crate) release: ReleaseName,
    /// Why, in one line: it is shown to everyone who meets the release.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// The API key.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The plugin, such as `demo:markdown`.
    pub(crate) plugin: PluginId,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// The files of a host.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFiles {
    /// What the host wants.
    #[arg(long, default_value = "plugins.toml", value_name = "FILE")]
    pub(crate) wanted: PathBuf,
    /// What was chosen.
    #[arg(long, default_value = "plugins.lock", value_name = "FILE")]
    pub(crate) lock: PathBuf,
    /// Where verified copies are kept.
    #[arg(long, env = "STOA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Use the verified copies only; open no connection.
    #[arg(long)]
    pub(crate) offline: bool,
    /// What this host demands of plugins; `policy.toml` beside the list of plugins, where there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) files: HostFiles,
    /// Take the newest versions of everything, whatever the lock says.
    #[arg(long)]
    pub(crate) update: bool,
    /// Change nothing: fail where the lock does not hold.
    #[arg(long, conflicts_with = "update")]
    pub(crate) locked: bool,
    /// Agree to what is new in an update of this plugin: more capabilities, another publisher's key, no signature. May be
    /// given several times.
    #[arg(long, value_name = "PLUGIN", conflicts_with = "locked")]
    pub(crate) accept: Vec<PluginId>,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    pub(crate) files: HostFiles,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plugin, such as `demo:markdown@^1`.
    pub(crate) plugin: Wanted,
    /// The call, such as `render("# Hi")`, or `iface.render("# Hi")` where several interfaces have the function.
    #[arg(long, value_name = "CALL")]
    pub(crate) invoke: String,
    /// What this host demands of plugins; `policy.toml` in this folder, where there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy, and what `plugins.lock` names against it.
    Check {
        #[command(flatten)]
        files: HostFiles,
    },
    /// Show what each rule says of a plugin.
    Explain {
        /// The plugin, such as `demo:markdown`, or a release of it, such as `demo:markdown@1.0.0`. Without a version it is
        /// the locked release, or else the newest.
        plugin: PluginAt,
        #[command(flatten)]
        files: HostFiles,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Print what clients fetch of a registry of some size, for each number of bins.
    Plan(TrustPlan),
    /// List every role with version, expiry, keys and threshold. Ends with 0 where all is good, 3 where something expires
    /// within 60 days (the timestamp: 5), 4 where something has expired.
    Status {
        /// The folder of the registry.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// As it will stand at this time, such as `2027-01-31T00:00:00Z`; now, where it is left out.
        #[arg(long, value_name = "TIME")]
        at: Option<stoa_core::time::Time>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrustPlan {
    /// How many plugins the registry has.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) plugins: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A folder whose subfolders are plugins to publish.
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: PathBuf,
    /// Where to work; a new temporary folder where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Publish and call every plugin of the folder, also those in other languages than Rust.
    #[arg(long)]
    pub(crate) all: bool,
    /// Where compiled code is kept; with the demo's other files where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) code_cache: Option<PathBuf>,
    /// Exit after the steps, non-zero if any failed, instead of serving on.
    #[arg(long)]
    pub(crate) once: bool,
}

/// `ns:name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseName {
    pub(crate) id: PluginId,
    pub(crate) version: Version,
}

impl std::str::FromStr for ReleaseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, version) = text.split_once('@').ok_or("name a version, as in `demo:markdown@1.0.0`")?;
        let id = id.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?;
        Ok(Self { id, version: version.parse().map_err(|e: stoa_core::version::VersionError| e.to_string())? })
    }
}

/// `ns:name` or `ns:name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginAt {
    pub(crate) id: PluginId,
    pub(crate) version: Option<Version>,
}

impl std::str::FromStr for PluginAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            let ReleaseName { id, version } = text.parse()?;
            return Ok(Self { id, version: Some(version) });
        }
        Ok(Self { id: text.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?, version: None })
    }
}

/// `ns:name` or `ns:name@requirement`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: PluginId,
    pub(crate) version: VersionReq,
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, version) = text.split_once('@').unwrap_or((text, "*"));
        let id = id.parse().map_err(|e: stoa_core::id::IdError| e.to_string())?;
        Ok(Self { id, version: version.parse().map_err(|e: stoa_core::version::VersionError| e.to_string())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_a_number_and_a_unit_of_at_most_60_days() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("90m", 5_400), ("0m", 0), ("60d", 5_184_000)] {
            assert_eq!(text.parse(), Ok(Grace(seconds)));
        }
        for text in ["", "d", "7", "7s", "-1d", "+1d", "1.5h", "61d", "99999999999999999999d", "7 d", "7é"] {
            let rule = format!("`{text}` is not a time of at most 60 days, such as `7d`, `12h` or `90m`");
            assert_eq!(text.parse::<Grace>(), Err(rule));
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_plugin_is_wanted_with_or_without_a_requirement() {
        let wanted: Wanted = "demo:markdown@^1.2".parse().expect("a wish");
        assert_eq!((wanted.id.to_string().as_str(), wanted.version.to_string().as_str()), ("demo:markdown", "^1.2"));
        assert_eq!("demo:markdown".parse::<Wanted>().map(|w| w.version), Ok(VersionReq::ANY));
        let error = "markdown".parse::<Wanted>();
        assert_eq!(error, Err("`markdown` is not a plugin id: write it `namespace:name`".to_owned()));
    }
}
