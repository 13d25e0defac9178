//! The public tree over HTTP: what a CDN in front of a bucket does, for the embedded registry.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use stoa_core::path::{NOT_FOUND_CACHE, PublicPath};
use stoa_store::blobs::{BlobError, BlobKey, BlobMeta, Blobs};

/// A file is read from the store in pieces of this size (256 KiB): memory per download stays small.
const PIECE: u64 = 256 * 1024;

/// Answers a GET or HEAD for a file of the public tree.
pub(super) async fn serve(
    State(blobs): State<Arc<dyn Blobs>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "this address is read with GET or HEAD\n").into_response();
    }
    match find(&*blobs, uri.path()).await {
        Ok(Some((path, meta))) => found(blobs, &path, &meta, &method, &headers),
        Ok(None) => not_found(&*blobs, uri.path(), &method).await,
        Err(error) => {
            tracing::error!(path = uri.path(), error = %crate::report::chain(&error), "reading a public file failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "the registry could not read this file\n").into_response()
        }
    }
}

/// The file that a request path names: as it is, or the `index.html` of a folder.
async fn find(blobs: &dyn Blobs, request: &str) -> Result<Option<(PublicPath, BlobMeta)>, BlobError> {
    let text = request.trim_start_matches('/');
    let text = if text.is_empty() || text.ends_with('/') { format!("{text}index.html") } else { text.to_owned() };
    let Ok(path) = text.parse::<PublicPath>() else { return Ok(None) };
    let meta = blobs.head(&BlobKey::Public(path.clone())).await?;
    Ok(meta.map(|meta| (path, meta)))
}

fn found(
    blobs: Arc<dyn Blobs>,
    path: &PublicPath,
    meta: &BlobMeta,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    let tag = format!("\"{}\"", meta.tag);
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), path, &tag);
    if matches_tag(headers.get(header::IF_NONE_MATCH), &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let range = match wanted_range(headers, &tag, meta.size) {
        Wanted::Whole => 0..meta.size,
        Wanted::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size);
            set(response.headers_mut(), header::CONTENT_RANGE, &text);
            range
        }
        Wanted::Impossible => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", meta.size));
            return response;
        }
    };
    set(response.headers_mut(), header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    if method == Method::GET {
        *response.body_mut() = pieces(blobs, BlobKey::Public(path.clone()), range);
    }
    response
}

fn describe(headers: &mut HeaderMap, path: &PublicPath, tag: &str) {
    set(headers, header::CONTENT_TYPE, path.content_type());
    set(headers, header::CACHE_CONTROL, path.cache().header());
    set(headers, header::ETAG, tag);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    for (name, value) in path.security_headers() {
        set(headers, HeaderName::from_static(name), value);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn matches_tag(header: Option<&HeaderValue>, tag: &str) -> bool {
    let Some(text) = header.and_then(|value| value.to_str().ok()) else { return false };
    // Weak comparison (RFC 9110, section 13.1.2): compression on the way turns a strong tag into a weak one.
    text.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    Impossible,
}

/// One range of bytes (RFC 9110, section 14). Several ranges, or other units, get the whole file: a server may.
fn wanted_range(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE).and_then(|value| value.strip_prefix("bytes=")) else { return Wanted::Whole };
    if text(header::IF_RANGE).is_some_and(|condition| condition != tag) {
        return Wanted::Whole;
    }
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        _ => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Impossible } else { Wanted::Part(range) }
}

fn pieces(blobs: Arc<dyn Blobs>, key: BlobKey, range: Range<u64>) -> Body {
    let stream = futures::stream::try_unfold(range, move |rest| {
        let (blobs, key) = (blobs.clone(), key.clone());
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start + PIECE);
            let piece = blobs.get_range(&key, rest.start..end).await.map_err(std::io::Error::other)?;
            // Removed while it is read: cutting the connection tells the client that the body is not whole.
            let piece = piece.ok_or_else(|| std::io::Error::other(format!("`{key}` is gone")))?;
            Ok::<_, std::io::Error>(Some((piece, end..rest.end)))
        }
    });
    Body::from_stream(stream)
}

async fn not_found(blobs: &dyn Blobs, request: &str, method: &Method) -> Response<Body> {
    let trust = request.starts_with("/trust/");
    let cache = if trust { NOT_FOUND_CACHE } else { "public, max-age=60" };
    let page = match trust || request.starts_with("/index/") || request.starts_with("/artifacts/") {
        true => None,
        false => blobs.get(&BlobKey::Public(PublicPath::NotFound), 1 << 20).await.ok().flatten(),
    };
    let mut response = match page {
        Some(page) => Response::new(Body::from(page.bytes)),
        None => Response::new(Body::from("not found\n")),
    };
    *response.status_mut() = StatusCode::NOT_FOUND;
    let tag = String::new();
    describe(response.headers_mut(), &PublicPath::NotFound, &tag);
    response.headers_mut().remove(header::ETAG);
    response.headers_mut().remove(header::ACCEPT_RANGES);
    set(response.headers_mut(), header::CACHE_CONTROL, cache);
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: &str) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(range).expect("a header"))]);
        wanted_range(&headers, "\"tag\"", 100)
    }

    #[test]
    fn one_range_is_served_and_others_get_the_whole_file() {
        assert_eq!(wanted("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(wanted("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(wanted("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(wanted("bytes=-1000"), Wanted::Part(0..100));
        assert_eq!(wanted("bytes=50-1000"), Wanted::Part(50..100));
        assert_eq!(wanted("bytes=100-"), Wanted::Impossible);
        assert_eq!(wanted("bytes=-0"), Wanted::Impossible);
        for whole in ["bytes=0-1,5-6", "lines=0-1", "bytes=9-0", "bytes=x-y", "bytes="] {
            assert_eq!(wanted(whole), Wanted::Whole, "{whole}");
        }
    }

    #[test]
    fn a_part_of_another_revision_is_not_mixed_in() {
        let headers = HeaderMap::from_iter([
            (header::RANGE, HeaderValue::from_static("bytes=0-9")),
            (header::IF_RANGE, HeaderValue::from_static("\"older\"")),
        ]);
        assert_eq!(wanted_range(&headers, "\"tag\"", 100), Wanted::Whole);
    }

    #[test]
    fn a_tag_matches_weakly_and_in_lists() {
        for text in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches_tag(Some(&HeaderValue::from_str(text).expect("a header")), "\"a\""), "{text}");
        }
        assert!(!matches_tag(Some(&HeaderValue::from_static("\"b\"")), "\"a\""));
        assert!(!matches_tag(None, "\"a\""));
    }
}
