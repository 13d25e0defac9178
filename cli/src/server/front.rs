//! The front: takes connections, bounds what each may cost, and ends them in good order.
//!
//! HTTP/1.1 and HTTP/2 without TLS ("h2c", by prior knowledge) come on one port: the first bytes tell which it is. A
//! proxy that terminates TLS stands in front where strangers come in.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, http::Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt as _;

use super::{patient::Patient, shelf::Shelf};

/// The head of a request, in bytes (32 KiB): line and headers. What is longer is answered 431 or 414.
const MAX_HEAD: usize = 32 * 1024;
/// Headers of one request.
const MAX_HEADERS: usize = 100;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// What HTTP/2 holds for one connection whose reader is slow (256 KiB).
const MAX_SEND: usize = 256 * 1024;
/// Where the system has no room for another connection, this long passes before the next try.
const NO_ROOM: Duration = Duration::from_millis(50);
/// Said to a connection that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: text/plain\r\n\
                      content-length: 30\r\nconnection: close\r\n\r\ntoo many connections are open\n";

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many may be open. The next one is told 503 and closed.
    pub(super) connections: usize,
    /// How long a connection may neither take nor give a byte, and how long the head of a request may take.
    pub(super) patience: Duration,
}

/// Everything that answers.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) api: Router,
    pub(super) shelf: Arc<Shelf>,
    pub(super) bounds: Bounds,
}

impl Front {
    /// Serves until `end`, then until each open connection has had the answers to what it had asked.
    pub(super) async fn serve(self, listener: TcpListener, end: impl Future<Output = ()>) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(self.bounds.connections));
        let (ending, ended) = watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                // Of the connection, not of the listener (accept(2)).
                Err(error) if of_connection(&error) => continue,
                // No file descriptor is left: others end meanwhile.
                Err(error) => {
                    tracing::error!(%error, "a connection could not be taken");
                    tokio::time::sleep(NO_ROOM).await;
                    continue;
                }
            };
            match places.clone().try_acquire_owned() {
                Ok(place) => {
                    let connection = self.clone().attend(stream, ended.clone());
                    connections.spawn(async move {
                        let _place = place;
                        connection.await;
                    });
                }
                Err(_) => turn_away(stream).await,
            }
        }
        drop(listener);
        // Each connection sees that its sender is gone.
        drop(ending);
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn attend(self, stream: TcpStream, mut ended: watch::Receiver<()>) {
        // An answer is written at once: waiting to fill a packet costs a small file 40 ms.
        let _without_it_slower = stream.set_nodelay(true);
        let bounds = self.bounds;
        let stream = TokioIo::new(Patient::new(stream, bounds.patience));
        let service = hyper::service::service_fn(move |request| self.clone().answer(request));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.patience)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(MAX_SEND)
            .max_header_list_size(MAX_HEAD as u32);
        let connection = builder.serve_connection(stream, service);
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            _ = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> Result<Response<Body>, Infallible> {
        // By prefix and not by a route: a route's captures would reach the API's own, which count theirs.
        let path = request.uri().path();
        if path == "/api" || path.starts_with("/api/") {
            let request: Request = request.map(Body::new);
            return self.api.oneshot(request).await;
        }
        Ok(super::files::answer(&self.shelf, request.method(), path, request.headers()).await)
    }
}

/// Whether accepting failed for something that the other side did.
fn of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says that there is no place, without waiting for anybody: what does not fit into the system's buffer is not said.
async fn turn_away(mut stream: TcpStream) {
    let said = tokio::time::timeout(Duration::from_millis(1), stream.write_all(FULL)).await;
    tracing::debug!(said = said.is_ok(), "a connection is one too many");
}

/// Lets the process have as many files open as `bounds` may need, where the system allows it. Gives the connections
/// that fit.
pub(super) fn make_room(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Files that are open besides connections: the ledger, the tree, what is being written.
    const OTHERS: u64 = 256;
    let limit = getrlimit(Resource::Nofile);
    let need = wanted as u64 + OTHERS;
    let raised = limit.maximum.map_or(need, |maximum| need.min(maximum));
    if limit.current.is_some_and(|current| current < raised) {
        let _as_it_was = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
    let has = getrlimit(Resource::Nofile).current.unwrap_or(need);
    wanted.min(usize::try_from(has.saturating_sub(OTHERS)).unwrap_or(wanted)).max(1)
}
