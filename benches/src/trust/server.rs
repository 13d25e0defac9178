//! A static server on the loopback device that counts what it gives.
//!
//! It does what an edge of a CDN does: gives each file in gzip to those who take it, says "not modified" to those who show
//! its tag, and keeps connections open.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use stoa_core::digest::Digest;

/// The gzip level of an edge that compresses on the way, and of `stoa trust plan`.
const LEVEL: u32 = 6;
/// What `stoa serve` says below `trust/` where there is no file.
const NOT_FOUND: &[u8] = b"not found\n";
/// The most bytes of a request.
const MAX_REQUEST: u64 = 16 * 1024;

/// Files by path, as they travel.
pub(super) type Site = BTreeMap<String, File>;

/// A file, as it is and compressed.
#[derive(Debug, Clone)]
pub(super) struct File {
    plain: Vec<u8>,
    gzip: Vec<u8>,
    tag: String,
}

impl File {
    pub(super) fn new(plain: &[u8]) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        encoder.write_all(plain)?;
        let tag = format!("\"{}\"", Digest::of(plain).short(16));
        Ok(Self { plain: plain.to_vec(), gzip: encoder.finish()?, tag })
    }
}

/// An answer that was given.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) path: String,
    /// The bytes of its body, as they travelled.
    pub(super) body: u64,
}

/// The server; it ends with the program.
pub(super) struct Server {
    pub(super) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    site: Mutex<Arc<Site>>,
    served: Mutex<Vec<Served>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let server = Self { url, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                // A client that goes in the middle has its own story to tell.
                thread::spawn(move || shared.answer_all(&stream).is_ok());
            }
        });
        Ok(server)
    }

    /// Gives these files from now on.
    pub(super) fn show(&self, site: &Arc<Site>) {
        *locked(&self.shared.site) = Arc::clone(site);
    }

    /// All answers since the last call.
    pub(super) fn take_served(&self) -> Vec<Served> {
        std::mem::take(&mut *locked(&self.shared.served))
    }
}

/// What counts of a request.
struct Request {
    path: String,
    gzip: bool,
    tag: Option<String>,
}

impl Shared {
    fn answer_all(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut from = BufReader::new(stream);
        let mut to = stream;
        while let Some(request) = read(&mut from)? {
            to.write_all(&self.answer(request))?;
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> Vec<u8> {
        let site = Arc::clone(&locked(&self.site));
        let (status, headers, body) = match site.get(&request.path) {
            None => ("404 Not Found", String::new(), NOT_FOUND),
            Some(file) if request.tag.as_ref() == Some(&file.tag) => {
                ("304 Not Modified", format!("etag: {}\r\n", file.tag), &[][..])
            }
            Some(file) => {
                let gzip = request.gzip && file.gzip.len() < file.plain.len();
                let (coding, body) = if gzip { ("content-encoding: gzip\r\n", &file.gzip) } else { ("", &file.plain) };
                ("200 OK", format!("etag: {}\r\n{coding}", file.tag), &body[..])
            }
        };
        // Counted before it is sent: whoever has the answer finds it counted.
        locked(&self.served).push(Served { path: request.path, body: body.len() as u64 });
        let length =
            if status.starts_with("304") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        [format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n").as_bytes(), body].concat()
    }
}

/// The next request of a connection; `None` at its end.
fn read(from: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut from = from.take(MAX_REQUEST);
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut request = Request { path, gzip: false, tag: None };
    loop {
        line.clear();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok(Some(request)) };
        match name.to_ascii_lowercase().as_str() {
            "accept-encoding" => request.gzip = value.contains("gzip"),
            "if-none-match" => request.tag = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &Server, head: &str) -> (String, usize) {
        let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).expect("a connection");
        stream.write_all(head.as_bytes()).expect("a request");
        stream.shutdown(std::net::Shutdown::Write).expect("its end");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.len() - end)
    }

    #[test]
    fn bodies_are_counted_as_they_travel() {
        let server = Server::start().expect("a server");
        let file = File::new(&[b'a'; 1000]).expect("a file");
        let (tag, small) = (file.tag.clone(), file.gzip.len() as u64);
        server.show(&Arc::new(Site::from([("trust/a".to_owned(), file)])));
        let asked = [
            ask(&server, "GET /trust/a HTTP/1.1\r\n\r\n"),
            ask(&server, "GET /trust/a HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n\r\n"),
            ask(&server, &format!("GET /trust/a HTTP/1.1\r\nif-none-match: {tag}\r\n\r\n")),
            ask(&server, "GET /trust/b HTTP/1.1\r\n\r\n"),
        ];
        let statuses = asked.each_ref().map(|(head, _)| head[9..12].to_owned());
        assert_eq!(statuses, ["200", "200", "304", "404"]);
        let came = asked.map(|(_, body)| body as u64);
        assert_eq!(came, [1000, small, 0, NOT_FOUND.len() as u64]);
        assert_eq!(server.take_served().iter().map(|served| served.body).collect::<Vec<_>>(), came);
        assert!(server.take_served().is_empty() && small < 100);
    }
}
