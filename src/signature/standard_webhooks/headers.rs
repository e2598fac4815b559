use std::{fmt, time::SystemTime};

use http::{HeaderMap, HeaderName, request::Parts};

use crate::signature::{
    Encoding, Place, SchemeError, SignError, SignatureError,
    hmac::{self, HmacKeys},
    place::MOST_HMACS,
};

/// The names of the message headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) id: HeaderName,
    pub(super) timestamp: HeaderName,
    pub(super) signature: HeaderName,
}

impl Names {
    pub(super) const STANDARD: Self = Self {
        id: HeaderName::from_static("webhook-id"),
        timestamp: HeaderName::from_static("webhook-timestamp"),
        signature: HeaderName::from_static("webhook-signature"),
    };

    pub(super) const SVIX: Self = Self {
        id: HeaderName::from_static("svix-id"),
        timestamp: HeaderName::from_static("svix-timestamp"),
        signature: HeaderName::from_static("svix-signature"),
    };

    /// Returns the name of the scheme in a proof, for a signature version.
    pub(super) fn scheme_of(&self, version: &dyn Version) -> &'static str {
        if *self == Self::SVIX { version.svix_scheme() } else { version.scheme() }
    }

    pub(super) fn other(&self) -> Self {
        if *self == Self::STANDARD { Self::SVIX } else { Self::STANDARD }
    }
}

/// The values of the message headers.
pub(super) struct Presented<'h> {
    pub(super) id: &'h str,
    pub(super) timestamp: &'h [u8],
    signatures: &'h [u8],
}

impl<'h> Presented<'h> {
    pub(super) fn of(headers: &'h HeaderMap, names: &Names) -> Result<Self, SignatureError> {
        let read = |name: &HeaderName| {
            Place::from(name).single(headers.get_all(name)).map(http::HeaderValue::as_bytes)
        };
        let expected = || Place::from(&names.id).malformed("a text without a time at its end");
        let id = std::str::from_utf8(read(&names.id)?).map_err(|_| expected())?;
        if is_ambiguous(id.as_bytes()) {
            return Err(expected());
        }
        Ok(Self { id, timestamp: read(&names.timestamp)?, signatures: read(&names.signature)? })
    }

    /// Returns the encoded signatures of a version.
    pub(super) fn of_version(&self, version: &str) -> impl Iterator<Item = &'h [u8]> {
        self.signatures
            .split(|byte| *byte == b' ')
            .filter_map(move |entry| entry.strip_prefix(version.as_bytes())?.strip_prefix(b","))
    }
}

/// With an id such as `a.1`, the timestamp of a signed message could be taken for a part of its id, and the first
/// digits of its body for its timestamp. The specification forbids full stops in ids; only those that can be abused are
/// rejected.
fn is_ambiguous(id: &[u8]) -> bool {
    let last = id.iter().rposition(|byte| *byte == b'.').and_then(|dot| id.get(dot + 1..));
    id.is_empty() || last.is_some_and(|last| last.iter().all(u8::is_ascii_digit))
}

/// A signature version of Standard Webhooks.
pub(in crate::signature) trait Version: fmt::Debug + Send + Sync {
    /// Returns the name before the comma.
    fn name(&self) -> &'static str;

    /// Returns the name of the scheme in a proof.
    fn scheme(&self) -> &'static str;

    /// Returns the name of the scheme in a proof, with the header names of Svix.
    fn svix_scheme(&self) -> &'static str;

    fn check(&self) -> Result<(), SchemeError>;

    /// Returns the maximum number of distinct signatures in a head.
    fn most_signatures(&self) -> usize;

    /// Returns whether this text is a well-formed signature.
    fn is_well_formed(&self, text: &[u8]) -> bool;

    /// Returns the name of the valid key with which one of `texts` was made, if there is one.
    fn signer_of(
        &self,
        head: &Parts,
        message: &[&[u8]],
        texts: &[&[u8]],
        at: SystemTime,
    ) -> Option<String>;

    /// Signs a message, with each valid key.
    fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<String>, SignError>;
}

/// `v1`: HMAC-SHA256.
impl Version for HmacKeys {
    fn name(&self) -> &'static str {
        "v1"
    }

    fn scheme(&self) -> &'static str {
        "standard-webhooks-v1"
    }

    fn svix_scheme(&self) -> &'static str {
        "svix-v1"
    }

    fn check(&self) -> Result<(), SchemeError> {
        Self::check(self)
    }

    fn most_signatures(&self) -> usize {
        MOST_HMACS
    }

    fn is_well_formed(&self, text: &[u8]) -> bool {
        Encoding::Base64.decode::<32>(text).is_some()
    }

    fn signer_of(
        &self,
        head: &Parts,
        message: &[&[u8]],
        texts: &[&[u8]],
        at: SystemTime,
    ) -> Option<String> {
        let sent: Vec<_> = texts.iter().filter_map(|text| Encoding::Base64.decode(text)).collect();
        let keys = self.live(head, at);
        hmac::signer_of(&keys, message, &sent).map(|key| key.name().to_owned())
    }

    fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<String>, SignError> {
        let tags = Self::sign(self, message, at)?;
        Ok(tags.iter().map(|tag| Encoding::Base64.encode(tag)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_id_that_could_end_in_a_timestamp_is_ambiguous() {
        for id in ["", "msg.1614265330", "a.b.1", "msg."] {
            assert!(is_ambiguous(id.as_bytes()), "{id:?}");
        }
        for id in ["msg_1", "1614265330", "a.b", "a.1.b", "a.1x"] {
            assert!(!is_ambiguous(id.as_bytes()), "{id:?}");
        }
    }

    #[test]
    fn signature_versions_are_matched_as_a_whole() {
        let signatures = b"v1,a v1a,b v2,c v1 ,d v1,,e  v1,f";
        let presented = Presented { id: "", timestamp: b"", signatures };
        let entries = |version| presented.of_version(version).collect::<Vec<_>>();
        assert_eq!(entries("v1"), [&b"a"[..], b",e", b"f"]);
        assert_eq!(entries("v1a"), [b"b"]);
        assert!(entries("v3").is_empty());
    }
}
