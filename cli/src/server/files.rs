//! The public tree over HTTP: what a CDN in front of a bucket does, for the embedded registry.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use stoa_core::path::{PublicPath, not_found_cache};
use stoa_store::blobs::BlobError;

use super::{
    coding::Coding,
    range::{self, Wanted},
    shelf::{Held, Shelf},
};

/// A longer path names no file (1 KiB). Answered before it is looked at.
const MAX_PATH: usize = 1024;

/// Answers a GET or HEAD for a file of the public tree.
pub(super) async fn answer(shelf: &Shelf, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "this address is read with GET or HEAD\n").into_response();
    }
    if path.len() > MAX_PATH {
        return (StatusCode::URI_TOO_LONG, "no file has a path this long\n").into_response();
    }
    let answered = match named(path) {
        Some(file) => found(shelf, &file, method, headers).await,
        None => Ok(None),
    };
    match answered {
        Ok(Some(response)) => response,
        Ok(None) => not_found(shelf, path, method, headers).await,
        Err(error) => {
            tracing::error!(path, error = %crate::report::chain(&error), "reading a public file failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the registry could not read this file\n").into_response()
        }
    }
}

/// The file that a request path names: as it is, or the `index.html` of a folder. A path has one spelling: nothing in it
/// is decoded, so nothing can hide in it.
fn named(request: &str) -> Option<PublicPath> {
    let text = request.strip_prefix('/')?;
    if text.is_empty() || text.ends_with('/') { format!("{text}index.html").parse().ok() } else { text.parse().ok() }
}

async fn found(
    shelf: &Shelf,
    path: &PublicPath,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Response<Body>>, BlobError> {
    let Some(held) = shelf.find(path).await? else { return Ok(None) };
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), path);
    set(response.headers_mut(), header::ACCEPT_RANGES, "bytes");
    // Bytes of a file are counted as it lies. A coding is for the whole.
    let tag = held.tag(None);
    let part = range::wanted(headers, &tag, held.size());
    let coded = if part == Wanted::Whole { coded(shelf, path, &held, headers).await } else { None };
    set(response.headers_mut(), header::ETAG, &held.tag(coded.as_ref().map(|(coding, _)| *coding)));
    if matches(headers, &held) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(Some(response));
    }
    if let Some((coding, bytes)) = coded {
        set(response.headers_mut(), header::CONTENT_ENCODING, coding.name());
        fill(&mut response, method, bytes.len() as u64, || Body::from(bytes));
        return Ok(Some(response));
    }
    let range = match part {
        Wanted::Whole => 0..held.size(),
        Wanted::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, held.size());
            set(response.headers_mut(), header::CONTENT_RANGE, &text);
            range
        }
        Wanted::Impossible => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", held.size()));
            return Ok(Some(response));
        }
    };
    fill(&mut response, method, range.end - range.start, || shelf.body(path, &held, range));
    Ok(Some(response))
}

/// The file in the coding that the client likes best, where there is one that is worth it.
async fn coded(shelf: &Shelf, path: &PublicPath, held: &Held, headers: &HeaderMap) -> Option<(Coding, Bytes)> {
    let coding = Coding::wanted(headers)?;
    shelf.coded(path, held, coding).await.map(|bytes| (coding, bytes))
}

/// Gives an answer its length, and its body where it is one to a GET.
fn fill(response: &mut Response<Body>, method: &Method, length: u64, body: impl FnOnce() -> Body) {
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if method == Method::GET {
        *response.body_mut() = body();
    }
}

/// The headers that a path decides, and `Vary` where a client's wishes decide on the bytes.
fn describe(headers: &mut HeaderMap, path: &PublicPath) {
    let content_type = path.content_type();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(path.cache().header()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if content_type != "application/octet-stream" {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    for (name, value) in path.security_headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether the client has the file, in whichever coding. Weak comparison (RFC 9110, section 13.1.2).
fn matches(headers: &HeaderMap, held: &Held) -> bool {
    // Most requests have no condition: they need not pay for four tags.
    if !headers.contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    let tags: Vec<String> = [None].into_iter().chain(Coding::ALL.map(Some)).map(|coding| held.tag(coding)).collect();
    let lists = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|list| list.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || tags.iter().any(|tag| one.strip_prefix("W/").unwrap_or(one) == tag))
}

async fn not_found(shelf: &Shelf, request: &str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let path = PublicPath::NotFound;
    let by_program = ["/trust/", "/index/", "/artifacts/"].iter().any(|area| request.starts_with(area));
    let page = if by_program { None } else { shelf.find(&path).await.ok().flatten() };
    let mut response = Response::new(Body::empty());
    match page {
        Some(page) => {
            describe(response.headers_mut(), &path);
            match coded(shelf, &path, &page, headers).await {
                Some((coding, bytes)) => {
                    set(response.headers_mut(), header::CONTENT_ENCODING, coding.name());
                    fill(&mut response, method, bytes.len() as u64, || Body::from(bytes));
                }
                None => fill(&mut response, method, page.size(), || shelf.body(&path, &page, 0..page.size())),
            }
        }
        None => {
            set(response.headers_mut(), header::CONTENT_TYPE, "text/plain; charset=utf-8");
            set(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            fill(&mut response, method, "not found\n".len() as u64, || Body::from("not found\n"));
        }
    }
    *response.status_mut() = StatusCode::NOT_FOUND;
    set(response.headers_mut(), header::CACHE_CONTROL, not_found_cache(request.trim_start_matches('/')));
    response
}
