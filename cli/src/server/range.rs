//! A part of a file (RFC 9110, section 14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    Impossible,
}

/// One range of bytes. Several ranges, or other units, get the whole file: a server may.
pub(super) fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE).and_then(|value| value.strip_prefix("bytes=")) else { return Wanted::Whole };
    if text(header::IF_RANGE).is_some_and(|condition| condition != tag) {
        return Wanted::Whole;
    }
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        _ => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Impossible } else { Wanted::Part(range) }
}

/// Digits alone: `u64` would take a sign as well.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn part(range: &str) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(range).expect("a header"))]);
        wanted(&headers, "\"tag\"", 100)
    }

    #[test]
    fn one_range_is_served_and_others_get_the_whole_file() {
        assert_eq!(part("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(part("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(part("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(part("bytes=-1000"), Wanted::Part(0..100));
        assert_eq!(part("bytes=50-1000"), Wanted::Part(50..100));
        assert_eq!(part("bytes=100-"), Wanted::Impossible);
        assert_eq!(part("bytes=-0"), Wanted::Impossible);
        for whole in ["bytes=0-1,5-6", "lines=0-1", "bytes=9-0", "bytes=x-y", "bytes=", "bytes=-", "bytes=+1-5"] {
            assert_eq!(part(whole), Wanted::Whole, "{whole}");
        }
    }

    #[test]
    fn a_part_of_another_revision_is_not_mixed_in() {
        let headers = HeaderMap::from_iter([
            (header::RANGE, HeaderValue::from_static("bytes=0-9")),
            (header::IF_RANGE, HeaderValue::from_static("\"older\"")),
        ]);
        assert_eq!(wanted(&headers, "\"tag\"", 100), Wanted::Whole);
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in 0_u64..u64::MAX) {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(&range).expect("a header"))]);
            if let Wanted::Part(part) = wanted(&headers, "\"tag\"", size) {
                assert!(part.start < part.end && part.end <= size, "{range} of {size}: {part:?}");
            }
        }
    }
}
