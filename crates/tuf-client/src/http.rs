//! HTTP/1.0 to this machine, as much as the suite's server needs.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use crate::Failure;

/// How long a server on the same machine may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of a status line with all headers.
const MAX_HEAD: u64 = 16_384;

/// Gets `url`: its bytes, or `None` where the server says that there is no such file (403 and 404). One byte more
/// than `max` is read at most, so that the caller sees that there was more.
///
/// # Errors
/// No server, another status, a body that is cut off: no answer at all.
pub(crate) fn get(url: &str, max: u64) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |what: &str| format!("{url}: {what}");
    let (authority, path) = split(url).ok_or_else(|| failed("not an address of the form http://HOST:PORT/PATH"))?;
    let mut addresses = authority.to_socket_addrs().map_err(|error| failed(&error.to_string()))?;
    let address = addresses.find(|address| address.ip().is_loopback());
    let address = address.ok_or_else(|| failed("not on this machine, and without TLS nothing else is asked"))?;
    let exchange = || -> std::io::Result<_> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes())?;
        read(BufReader::new(stream), max)
    };
    let (head, body) = exchange().map_err(|error| failed(&error.to_string()))?;
    match head.status {
        200 if head.length.is_none_or(|length| length == body.len() as u64 || body.len() as u64 > max) => {
            Ok(Some(body))
        }
        200 => Err(failed("the body is cut off")),
        403 | 404 => Ok(None),
        status => Err(failed(&format!("the server answers {status}"))),
    }
}

#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// Bytes announced, if any.
    length: Option<u64>,
}

fn read(mut stream: impl BufRead, max: u64) -> std::io::Result<(Head, Vec<u8>)> {
    let other = |what: &str| std::io::Error::other(what.to_owned());
    let (mut lines, mut budget) = (Vec::new(), MAX_HEAD);
    loop {
        let mut line = String::new();
        stream.by_ref().take(budget).read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(other("the answer ends within its head, or the head has no end"));
        }
        budget -= line.len() as u64;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| other("the answer has no status"))?;
    let mut headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let length = headers.rfind(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.trim().parse().map_err(|_| other("Content-Length is no number")));
    let mut body = Vec::new();
    stream.take(max.saturating_add(1)).read_to_end(&mut body)?;
    Ok((Head { status, length: length.transpose()? }, body))
}

/// Authority and path of an address.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let at = rest.find('/')?;
    let (authority, path) = rest.split_at(at);
    // A line end would begin a header of somebody else's choice.
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !authority.is_empty()).then_some((authority, path))
}

/// A path of a target in an address: every byte that is no plain one is percent-encoded, `/` is kept.
pub(crate) fn quote_path(path: &str) -> String {
    path.split('/').map(stoa_core::trust::quote).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str, max: u64) -> Result<(Head, Vec<u8>), String> {
        read(text.as_bytes(), max).map_err(|error| error.to_string())
    }

    #[test]
    fn a_body_is_read_to_one_byte_beyond_the_bound() {
        let text = "HTTP/1.0 200 OK\r\nServer: x\r\ncontent-length: 6\r\n\r\nabcdef";
        let head = || Head { status: 200, length: Some(6) };
        assert_eq!(answered(text, 6), Ok((head(), b"abcdef".to_vec())));
        assert_eq!(answered(text, 3), Ok((head(), b"abcd".to_vec())));
    }

    #[test]
    fn a_head_without_end_or_sense_is_no_answer() {
        let endless = "HTTP/1.0 200 OK\r\nx: ".to_owned() + &"y".repeat(20_000);
        let cut = "the answer ends within its head, or the head has no end";
        for (text, said) in [
            (endless.as_str(), cut),
            ("HTTP/1.0 200", cut),
            ("", cut),
            ("hello\r\n\r\n", "the answer has no status"),
            ("HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n", "Content-Length is no number"),
        ] {
            assert_eq!(answered(text, 9), Err(said.to_owned()));
        }
    }

    #[test]
    fn only_this_machine_is_asked() {
        let said = |url: &str| get(url, 9).expect_err("refused");
        let form = "not an address of the form http://HOST:PORT/PATH";
        assert_eq!(
            said("http://192.0.2.1:80/x"),
            "http://192.0.2.1:80/x: not on this machine, and without TLS nothing else is asked"
        );
        for url in ["https://localhost:1/x", "http://localhost:1", "http://localhost:1/a b", "http:///x"] {
            assert_eq!(said(url), format!("{url}: {form}"));
        }
    }

    #[test]
    fn a_target_path_keeps_its_folders_and_nothing_else_of_an_address() {
        assert_eq!(quote_path("a/b c?d#é/../x"), "a/b%20c%3Fd%23%C3%A9/../x");
    }
}
