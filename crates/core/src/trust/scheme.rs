//! Signature schemes that a client brings along.

/// What an outside scheme makes of one key and one signature: the key's material where the signature over the
/// message is the key's, else `None`.
///
/// Arguments: the text of `keyval.public`, the message, the signature's bytes. The material is the same for
/// every spelling of one key, because two ids of one key must not count as two keys.
pub type Verify = fn(public: &str, message: &[u8], signature: &[u8]) -> Option<Vec<u8>>;

/// A signature scheme beyond ed25519, for a client that has to read repositories other than Stoa's.
///
/// Core has no code of any other scheme, and no feature that could add one: a crate that brings one hands it
/// over in [`Config::schemes`](super::Config::schemes), at run time, for its own client. So nothing that
/// is built beside it can make another client accept such a signature.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    keytype: &'static str,
    scheme: &'static str,
    verify: Verify,
}

impl Scheme {
    /// The scheme of keys with this `keytype` and `scheme` (section 4.2). ed25519 can not be replaced.
    pub const fn new(keytype: &'static str, scheme: &'static str, verify: Verify) -> Self {
        Self { keytype, scheme, verify }
    }

    pub(super) fn is_for(&self, keytype: Option<&str>, scheme: Option<&str>) -> bool {
        keytype == Some(self.keytype) && scheme == Some(self.scheme)
    }

    pub(super) fn material(&self, public: &str, message: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
        (self.verify)(public, message, signature)
    }

    /// The scheme's name, so that keys of two schemes are never taken for one.
    pub(super) fn name(&self) -> &'static str {
        self.scheme
    }
}
