//! Where the bytes of a registry come from. Nothing that arrives here is believed.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use stoa_core::path::PublicPath;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the next piece of a body may take: a server that stalls is a server that is away.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a registry answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The file, and its entity tag where it has one.
    Found {
        /// The bytes, decoded.
        bytes: Bytes,
        /// What to show the next time, to be told only of changes.
        tag: Option<String>,
    },
    /// The copy with the tag that was shown is still the newest.
    NotModified,
    /// There is no such file.
    Absent,
}

/// Why bytes did not come. All of it is about the way there; none of it says anything of the registry.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No answer: no network, no server, no time left.
    #[error("{address} can not be reached")]
    Unreachable {
        /// What was asked for.
        address: String,
        /// What the network said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// An answer other than the file or its absence.
    #[error("{address} answered with status {status}")]
    Status {
        /// What was asked for.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// More bytes than the signed index, or the limit for such a file, allows: an endless answer.
    #[error("{address} is longer than the {limit} bytes it may have")]
    TooLong {
        /// What was asked for.
        address: String,
        /// The bound, in bytes.
        limit: u64,
    },
    /// An address that is none.
    #[error("`{address}` is not the address of a registry: {rule}")]
    Address {
        /// The text.
        address: String,
        /// What does not hold.
        rule: &'static str,
    },
    /// The connection was switched off by the caller.
    #[error("{address} is needed, and no connection may be opened")]
    Offline {
        /// What was asked for.
        address: String,
    },
}

/// A way to the files of one registry.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// The file at `path`, of at most `max_bytes`, unless it still has the tag `known`.
    ///
    /// # Errors
    /// [`TransportError`]. A file that is not there is an answer, not an error.
    async fn get(&self, path: &PublicPath, max_bytes: u64, known: Option<&str>) -> Result<Answer, TransportError>;

    /// How many requests were made so far.
    fn requests(&self) -> u64;

    /// Whether there is a way at all. Where there is none, what is kept must do, also for what is chosen.
    fn leads_anywhere(&self) -> bool {
        true
    }
}

/// A registry behind HTTP.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    requests: AtomicU64,
}

impl Http {
    /// The way to the registry at `base`, such as `https://plugins.example/`.
    ///
    /// Redirects are not followed: a registry has one address, and pinned roots belong to it.
    ///
    /// # Errors
    /// [`TransportError::Address`] where `base` is no such address.
    pub fn new(base: &str) -> Result<Self, TransportError> {
        let refuse = |rule| TransportError::Address { address: base.to_owned(), rule };
        if !base.starts_with("https://") && !base.starts_with("http://") {
            return Err(refuse("it begins with https:// or http://"));
        }
        if base.contains(['?', '#', ' ', '\\']) || base.contains('@') {
            return Err(refuse("it has no query, fragment, credentials or spaces"));
        }
        // The process may hold another TLS provider for its own use; this client names its own.
        let _installed_already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stoa-loader/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| refuse("no client can be made for it"))?;
        Ok(Self { client, base: format!("{}/", base.trim_end_matches('/')), requests: AtomicU64::new(0) })
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, path: &PublicPath, max_bytes: u64, known: Option<&str>) -> Result<Answer, TransportError> {
        let address = format!("{}{path}", self.base);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = self.client.get(&address);
        if let Some(tag) = known {
            request = request.header("if-none-match", tag);
        }
        let unreachable =
            |source: reqwest::Error| TransportError::Unreachable { address: address.clone(), source: Arc::new(source) };
        let response = request.send().await.map_err(unreachable)?;
        match response.status().as_u16() {
            200 => {}
            304 if known.is_some() => return Ok(Answer::NotModified),
            404 | 410 => return Ok(Answer::Absent),
            // A private bucket behind a CDN says 403 for what is not there.
            403 => return Ok(Answer::Absent),
            status => return Err(TransportError::Status { address, status }),
        }
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut bytes = BytesMut::new();
        let mut pieces = response.bytes_stream();
        // Counted after decoding: a small body can unfold to an endless one.
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(unreachable)?);
            if bytes.len() as u64 > max_bytes {
                return Err(TransportError::TooLong { address, limit: max_bytes });
            }
        }
        Ok(Answer::Found { bytes: bytes.freeze(), tag })
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A copy of a registry's public tree in a folder: a mirror on a disk, or on a stick.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    requests: AtomicU64,
}

impl Folder {
    /// The tree at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), requests: AtomicU64::new(0) }
    }

    fn file(&self, path: &PublicPath) -> PathBuf {
        // A public path has no `..`, no empty part and no backslash: its parser refuses them.
        self.path.join(path.to_string())
    }
}

#[async_trait]
impl Transport for Folder {
    async fn get(&self, path: &PublicPath, max_bytes: u64, _known: Option<&str>) -> Result<Answer, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let file = self.file(path);
        let address = file.display().to_string();
        match tokio::task::spawn_blocking(move || read_bounded(&file, max_bytes)).await {
            Ok(Ok(Some(bytes))) if bytes.len() as u64 > max_bytes => {
                Err(TransportError::TooLong { address, limit: max_bytes })
            }
            Ok(Ok(Some(bytes))) => Ok(Answer::Found { bytes: bytes.into(), tag: None }),
            Ok(Ok(None)) => Ok(Answer::Absent),
            Ok(Err(source)) => Err(TransportError::Unreachable { address, source: Arc::new(source) }),
            Err(source) => Err(TransportError::Unreachable { address, source: Arc::new(source) }),
        }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// At most one byte more than `limit`, so that the caller sees that there is more.
fn read_bounded(file: &Path, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let open = match std::fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    open.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// No way at all: what a host uses that must not open a connection.
#[derive(Debug, Default)]
pub struct NoConnection;

#[async_trait]
impl Transport for NoConnection {
    async fn get(&self, path: &PublicPath, _max_bytes: u64, _known: Option<&str>) -> Result<Answer, TransportError> {
        Err(TransportError::Offline { address: path.to_string() })
    }

    fn requests(&self) -> u64 {
        0
    }

    fn leads_anywhere(&self) -> bool {
        false
    }
}

/// The way to a registry by its address: `http(s)://…`, or `file:///…` for a tree in a folder.
///
/// # Errors
/// [`TransportError::Address`].
pub fn by_address(address: &str) -> Result<Arc<dyn Transport>, TransportError> {
    match address.strip_prefix("file://") {
        Some(path) if path.starts_with('/') => Ok(Arc::new(Folder::new(path))),
        Some(_) => Err(TransportError::Address { address: address.to_owned(), rule: "a file address has a full path" }),
        None => Ok(Arc::new(Http::new(address)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(address: &str) -> Option<&'static str> {
        match by_address(address) {
            Err(TransportError::Address { rule, .. }) => Some(rule),
            _ => None,
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_by_rule() {
        assert_eq!(rule("ftp://x"), Some("it begins with https:// or http://"));
        assert_eq!(rule("https://user@x/"), Some("it has no query, fragment, credentials or spaces"));
        assert_eq!(rule("https://x/?y"), Some("it has no query, fragment, credentials or spaces"));
        assert_eq!(rule("file://relative"), Some("a file address has a full path"));
        assert_eq!(rule("https://x/"), None);
    }

    #[tokio::test]
    async fn a_folder_gives_files_and_absences_and_refuses_what_is_too_long() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("trust")).expect("a folder");
        std::fs::write(dir.path().join("trust/timestamp.json"), b"0123456789").expect("a file");
        let folder = Folder::new(dir.path());
        let get = |max| folder.get(&PublicPath::Timestamp, max, None);
        let found = Answer::Found { bytes: Bytes::from_static(b"0123456789"), tag: None };
        assert_eq!(get(10).await.expect("an answer"), found);
        assert!(matches!(get(9).await, Err(TransportError::TooLong { limit: 9, .. })));
        let absent = folder.get(&PublicPath::Front, 10, None).await.expect("an answer");
        assert_eq!((absent, folder.requests()), (Answer::Absent, 3));
    }

    #[tokio::test]
    async fn without_a_connection_nothing_is_asked() {
        let error = NoConnection.get(&PublicPath::Timestamp, 10, None).await.expect_err("no connection");
        assert_eq!(error.to_string(), "trust/timestamp.json is needed, and no connection may be opened");
    }
}
