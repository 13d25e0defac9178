//! Content codings: which one a client takes, and the bytes in it.

use std::io::{self, Write as _};

use axum::http::{HeaderMap, header};

/// A content coding besides `identity`, the best first: that of two that a client likes as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in headers (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The bytes in this coding. Each file is coded once, so the levels are those of a build and not of a stream; the
    /// slowest, Brotli's 9, codes 1 MiB in about 0.1 s.
    pub(super) fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let mut coded = Vec::new();
                let params =
                    brotli::enc::BrotliEncoderParams { quality: 9, size_hint: bytes.len(), ..Default::default() };
                brotli::BrotliCompress(&mut &*bytes, &mut coded, &params)?;
                Ok(coded)
            }
            Self::Zstd => zstd::bulk::compress(bytes, 12),
            Self::Gzip => {
                let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                coder.write_all(bytes)?;
                coder.finish()
            }
        }
    }

    /// The coding that the client likes best (RFC 9110, section 12.5.3); `None` is `identity`. `identity` is also what a
    /// client gets that refuses everything: a file that can be read beats a refusal.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let mut weights = [None; 3];
        let (mut any, mut identity) = (None, None);
        let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter();
        for item in lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let Some(weight) = weight(parts) else { continue };
            if name == "*" {
                any = Some(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            } else if let Some(at) = Self::ALL.iter().position(|coding| name.eq_ignore_ascii_case(coding.name())) {
                weights[at] = Some(weight);
            }
        }
        let mut best = None;
        for (coding, weight) in Self::ALL.into_iter().zip(weights) {
            let weight = weight.or(any).unwrap_or(0);
            if weight > best.map_or(0, |(_, best)| best) {
                best = Some((coding, weight));
            }
        }
        // Not named, `identity` is taken, and liked less than what is named.
        best.filter(|(_, weight)| *weight >= identity.unwrap_or(0)).map(|(coding, _)| coding)
    }
}

/// The weight in thousandths among the parameters of an item; 1000 where there is none, nothing where it is none.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("q") {
            let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
            let digits = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
            return match whole {
                "0" if digits => format!("{part:0<3}").parse().ok(),
                "1" if digits && part.bytes().all(|b| b == b'0') => Some(1000),
                _ => None,
            };
        }
    }
    Some(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn wanted(text: &str) -> Option<Coding> {
        Coding::wanted(&HeaderMap::from_iter([(
            header::ACCEPT_ENCODING,
            HeaderValue::from_str(text).expect("a header"),
        )]))
    }

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen_and_the_best_of_equals() {
        for (text, coding) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("GZIP;Q=0.5", Some(Coding::Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("zstd, gzip;q=0.999", Some(Coding::Zstd)),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *;q=0.1", Some(Coding::Zstd)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0, gzip;q=0.001", Some(Coding::Gzip)),
            ("br;q=0", None),
            ("*;q=0", None),
            ("deflate, compress", None),
            ("", None),
            ("br;q=2, gzip;q=x, zstd;q=0.1234", None),
        ] {
            assert_eq!(wanted(text), coding, "{text}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_coded_reads_back() {
        use std::io::Read as _;
        let text = "a plugin registry ".repeat(1000);
        let mut read = String::new();
        let coded = Coding::Gzip.encode(text.as_bytes()).expect("coded");
        flate2::read::GzDecoder::new(&*coded).read_to_string(&mut read).expect("decoded");
        assert_eq!(read, text);
        let coded = Coding::Zstd.encode(text.as_bytes()).expect("coded");
        assert_eq!(zstd::bulk::decompress(&coded, text.len()).expect("decoded"), text.as_bytes());
        let mut read = Vec::new();
        let coded = Coding::Brotli.encode(text.as_bytes()).expect("coded");
        brotli::BrotliDecompress(&mut &*coded, &mut read).expect("decoded");
        assert_eq!(read, text.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn no_header_is_too_odd(text in "[ -~]{0,60}") {
            let chosen = wanted(&text);
            if let Some(coding) = chosen {
                assert!(text.contains('*') || text.to_ascii_lowercase().contains(coding.name()), "{text}");
            }
        }
    }
}
