//! Requests as no good client sends them.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Bytes written at a time.
const PIECE: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes after the head.
#[derive(Clone, Copy)]
pub(crate) enum Body<'b> {
    /// These bytes, announced as they are.
    Whole(&'b [u8]),
    /// So many zeros, announced.
    Announced(u64),
    /// So many zeros, in pieces of an unknown sum.
    Chunked(u64),
    /// The first half of these bytes of which all are announced; then no more is sent.
    Half(&'b [u8]),
}

/// A status and a body of JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Sends one request to a path below `url` and reads the answer, which may come before the body's end.
pub(crate) fn send(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: Body<'_>) -> Answer {
    let mut stream = open(url, method, path, headers, body);
    // A server that has answered and closed takes no more: what it said is read all the same.
    let _cut_off = write(&mut stream, body);
    let answer = read(&mut stream);
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = &answer[end + 4..];
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).expect("JSON") };
    Answer { status, body }
}

/// Opens a connection and sends the head of a request.
pub(crate) fn open(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: Body<'_>) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    stream.set_write_timeout(Some(PATIENCE)).expect("a bound");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    head += &match body {
        Body::Whole(bytes) | Body::Half(bytes) => format!("content-length: {}\r\n", bytes.len()),
        Body::Announced(length) => format!("content-length: {length}\r\n"),
        Body::Chunked(_) => "transfer-encoding: chunked\r\n".to_owned(),
    };
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes()).expect("a head");
    stream
}

fn write(stream: &mut TcpStream, body: Body<'_>) -> std::io::Result<()> {
    match body {
        Body::Whole(bytes) => stream.write_all(bytes),
        Body::Announced(length) => zeros(length, |piece| stream.write_all(piece)),
        Body::Chunked(length) => {
            zeros(length, |piece| {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")
            })?;
            stream.write_all(b"0\r\n\r\n")
        }
        Body::Half(bytes) => {
            stream.write_all(&bytes[..bytes.len() / 2])?;
            stream.shutdown(Shutdown::Write)
        }
    }
}

fn zeros(mut length: u64, mut write: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let zeros = vec![0; PIECE];
    while length > 0 {
        let piece = &zeros[..usize::try_from(length).unwrap_or(PIECE).min(PIECE)];
        write(piece)?;
        length -= piece.len() as u64;
    }
    Ok(())
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return answer,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            // After what was answered there may follow that nobody reads the rest of the body.
            Err(_) if !answer.is_empty() => return answer,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}
