//! Addresses that let a client send one upload, and nothing else.

use std::{fmt, str::FromStr};

use stoa_core::{
    digest::{Digest, Hasher},
    time::Time,
};

use crate::blobs::UploadId;

/// Where an embedded registry takes uploads: `PUT UPLOAD_ROUTE ID ? QUERY`.
pub const UPLOAD_ROUTE: &str = "/v1/uploads/";

/// What may be uploaded: these bytes, under this id, until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadGrant {
    /// Where it goes: `upload/ID`.
    pub id: UploadId,
    /// The SHA-256 of the bytes that are accepted.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The last moment at which the upload may begin.
    pub expires: Time,
}

/// How a client carries an upload out: one request with these headers and the bytes as its body.
///
/// The same for every engine: an embedded registry names its own route and puts a token in the query; S3 names
/// a host of its own, signs in the query, and has `x-amz-checksum-sha256` and `if-none-match` among the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedUpload {
    /// The HTTP method.
    pub method: &'static str,
    /// An absolute URL, or a path that begins with `/` and is relative to the API's own address.
    pub url: String,
    /// Headers, names in lower case, that the request must carry as they are.
    pub headers: Vec<(String, String)>,
}

/// The key under which an embedded registry signs its upload addresses: 32 random bytes.
#[derive(Clone)]
pub struct UploadSecret([u8; 32]);

impl fmt::Debug for UploadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadSecret")
    }
}

/// Why an upload is not accepted at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The token is not the one that this registry gave for these values.
    #[error("the address of upload {0} was not given by this registry")]
    Forged(UploadId),
    /// Its time is over.
    #[error("the address of upload {id} expired at {expires}; it is {now}")]
    Expired {
        /// Which upload.
        id: UploadId,
        /// Its end.
        expires: Time,
        /// When it was tried.
        now: Time,
    },
    /// The query of the address is not one that a registry gives.
    #[error("the address of upload {id} is incomplete: {rule}")]
    Query {
        /// Which upload.
        id: UploadId,
        /// What is missing or malformed.
        rule: &'static str,
    },
}

impl UploadSecret {
    /// A new secret.
    ///
    /// # Errors
    /// The operating system's, where it has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The secret with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The address at which an embedded registry accepts `grant`.
    pub fn presign(&self, grant: &UploadGrant) -> PresignedUpload {
        let UploadGrant { id, digest, size, expires } = grant;
        let (expires, token) = (expires.unix(), self.token(grant));
        PresignedUpload {
            method: "PUT",
            url: format!("{UPLOAD_ROUTE}{id}?digest={digest}&size={size}&expires={expires}&token={token}"),
            headers: vec![("content-length".into(), size.to_string())],
        }
    }

    /// Reads the query of an address of [`UploadSecret::presign`] and checks its token and time.
    ///
    /// # Errors
    /// [`UploadError`]; a forged address is told apart from an expired one only after its token held.
    pub fn verify(&self, id: UploadId, query: &str, now: Time) -> Result<UploadGrant, UploadError> {
        let (grant, token) = read(id, query)?;
        if !same(&self.token(&grant), &token) {
            return Err(UploadError::Forged(id));
        }
        if now > grant.expires {
            return Err(UploadError::Expired { id, expires: grant.expires, now });
        }
        Ok(grant)
    }

    /// HMAC-SHA256 (RFC 2104) over fields of fixed length, so that no two grants have one message.
    fn token(&self, grant: &UploadGrant) -> Digest {
        let padded = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let mut inner = Hasher::new();
        inner.update(&padded(0x36));
        inner.update(b"stoa/upload/1");
        inner.update(grant.id.to_string().as_bytes());
        inner.update(grant.digest.as_bytes());
        inner.update(&grant.size.to_be_bytes());
        inner.update(&grant.expires.unix().to_be_bytes());
        let mut outer = Hasher::new();
        outer.update(&padded(0x5c));
        outer.update(inner.finish().as_bytes());
        outer.finish()
    }
}

/// Compares without ending early: the time it takes tells nothing about where a guess went wrong.
fn same(a: &Digest, b: &Digest) -> bool {
    let difference = a.as_bytes().iter().zip(b.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

fn read(id: UploadId, query: &str) -> Result<(UploadGrant, Digest), UploadError> {
    fn field<T: FromStr>(id: UploadId, query: &str, name: &str, rule: &'static str) -> Result<T, UploadError> {
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = values.filter(|(found, _)| *found == name).map(|(_, value)| value);
        match (values.next().and_then(|value| value.parse().ok()), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(UploadError::Query { id, rule }),
        }
    }
    let expires = field(id, query, "expires", "`expires` is one number of seconds")?;
    let grant = UploadGrant {
        id,
        digest: field(id, query, "digest", "`digest` is one SHA-256")?,
        size: field(id, query, "size", "`size` is one number of bytes")?,
        expires: Time::from_unix(expires),
    };
    Ok((grant, field(id, query, "token", "`token` is 64 hexadecimal digits")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> UploadGrant {
        UploadGrant {
            id: UploadId::from_bytes([7; 16]),
            digest: Digest::of(b"abc"),
            size: 3,
            expires: Time::from_unix(1_000),
        }
    }

    fn query(secret: &UploadSecret) -> String {
        let url = secret.presign(&grant()).url;
        url.split_once('?').map(|(_, query)| query.to_owned()).expect("a query")
    }

    #[test]
    fn the_token_is_hmac_sha256() {
        // Vector: Python's hmac.new(bytes([1]) * 32, b"stoa/upload/1" + b"07" * 16 + sha256(b"abc").digest()
        // + (3).to_bytes(8, "big") + (1000).to_bytes(8, "big"), "sha256").hexdigest().
        let token = UploadSecret::from_bytes([1; 32]).token(&grant());
        assert_eq!(token.to_string(), "9eb2f464317ea8e3d1ec33306ddb63dae1317c3b4ecfb18f5058d2487507b98d");
    }

    #[test]
    fn an_address_is_accepted_until_it_expires() {
        let secret = UploadSecret::from_bytes([1; 32]);
        let verify = |now| secret.verify(grant().id, &query(&secret), Time::from_unix(now));
        assert_eq!(verify(1_000), Ok(grant()));
        let (expires, now) = (Time::from_unix(1_000), Time::from_unix(1_001));
        assert_eq!(verify(1_001), Err(UploadError::Expired { id: grant().id, expires, now }));
    }

    #[test]
    fn changing_anything_in_an_address_makes_it_a_forgery() {
        let secret = UploadSecret::from_bytes([1; 32]);
        let (id, now, query) = (grant().id, Time::from_unix(1), query(&secret));
        for (from, to) in [("size=3", "size=4"), ("expires=1000", "expires=2000"), ("digest=ba", "digest=bb")] {
            let changed = query.replace(from, to);
            assert_ne!(changed, query);
            assert_eq!(secret.verify(id, &changed, now), Err(UploadError::Forged(id)));
        }
        let other = UploadId::from_bytes([8; 16]);
        assert_eq!(secret.verify(other, &query, now), Err(UploadError::Forged(other)));
        assert_eq!(UploadSecret::from_bytes([2; 32]).verify(id, &query, now), Err(UploadError::Forged(id)));
    }

    #[test]
    fn an_incomplete_address_says_what_is_missing() {
        let secret = UploadSecret::from_bytes([1; 32]);
        let (id, now, query) = (grant().id, Time::from_unix(1), query(&secret));
        let twice = format!("{query}&size=3");
        for (query, rule) in [
            ("", "`expires` is one number of seconds"),
            (twice.as_str(), "`size` is one number of bytes"),
            ("expires=1&size=3&digest=00", "`digest` is one SHA-256"),
        ] {
            assert_eq!(secret.verify(id, query, now), Err(UploadError::Query { id, rule }));
        }
    }
}
