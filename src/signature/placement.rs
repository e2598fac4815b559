use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::signature::{
    Place, SchemeError, SignError, Signature, SignatureError,
    doctor::{Difference, TIMED_HEADERS, TIMED_LISTS, other_prefixes},
    place::{GivenHeader, with_prefix},
};

/// The location of timestamp and signature.
///
/// ```
/// use tower_inbox::signature::Placement;
///
/// // ElevenLabs-Signature: t=1739537297,v0=5d6a…
/// let elevenlabs = Placement::list("elevenlabs-signature", "t", "v0");
/// let extend = Placement::headers("x-extend-request-signature", "x-extend-request-timestamp");
/// # let _ = (elevenlabs, extend);
/// ```
#[derive(Clone, Debug)]
pub struct Placement {
    signature: GivenHeader,
    timestamp: Timestamp,
    prefix: Cow<'static, str>,
}

#[derive(Clone, Debug)]
enum Timestamp {
    Header(GivenHeader),
    Listed { key: Cow<'static, str>, signature_key: Cow<'static, str> },
}

/// The timestamp and the encoded signatures of a request.
pub(super) struct Presented<'h> {
    pub(super) timestamp: &'h [u8],
    pub(super) signatures: Vec<&'h [u8]>,
}

impl Placement {
    /// Separate headers, which must both occur exactly once. An invalid header name is reported when the inbox is
    /// built.
    pub fn headers(
        signature: impl TryInto<HeaderName>,
        timestamp: impl TryInto<HeaderName>,
    ) -> Self {
        let (signature, timestamp) = (GivenHeader::new(signature), GivenHeader::new(timestamp));
        Self { signature, timestamp: Timestamp::Header(timestamp), prefix: Cow::Borrowed("") }
    }

    /// One header, which must occur exactly once, with a comma-separated list of `key=value`. The timestamp must occur
    /// exactly once; one of the signatures must match. Other keys are ignored.
    pub fn list(
        header: impl TryInto<HeaderName>,
        timestamp: impl Into<Cow<'static, str>>,
        signature: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (key, signature_key) = (timestamp.into(), signature.into());
        let timestamp = Timestamp::Listed { key, signature_key };
        Self { signature: GivenHeader::new(header), timestamp, prefix: Cow::Borrowed("") }
    }

    /// Sets the prefix of a signature, such as `sha256=`. Case-sensitive. Default: none.
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Returns an error if a header name is invalid.
    pub(super) fn check(&self) -> Result<(), SchemeError> {
        self.signature.check("signature")?;
        match &self.timestamp {
            Timestamp::Header(header) => header.check("timestamp"),
            Timestamp::Listed { .. } => Ok(()),
        }
    }

    /// Returns the placements of well-known senders.
    pub(super) fn well_known() -> impl Iterator<Item = (Difference, Self)> {
        let headers = TIMED_HEADERS.into_iter().map(|(signature, timestamp, prefix)| {
            let (signature, timestamp) =
                (HeaderName::from_static(signature), HeaderName::from_static(timestamp));
            let header = Difference::Header { header: signature.clone(), prefix };
            (header, Self::headers(signature, timestamp).prefix(prefix))
        });
        let lists = TIMED_LISTS.into_iter().map(|(header, timestamp, signature)| {
            let header = HeaderName::from_static(header);
            let difference = Difference::Header { header: header.clone(), prefix: "" };
            (difference, Self::list(header, timestamp, signature))
        });
        headers.chain(lists)
    }

    /// Returns the same placement with other prefixes.
    pub(super) fn other_prefixes(&self) -> impl Iterator<Item = (Difference, Self)> {
        let prefixes = other_prefixes(&self.prefix).into_iter();
        prefixes.map(|prefix| (Difference::Prefix(prefix.clone()), Self { prefix, ..self.clone() }))
    }

    /// Returns the error of a malformed signature.
    pub(super) fn malformed(&self, expected: &'static str) -> SignatureError {
        self.place().malformed(with_prefix(&self.prefix, expected))
    }

    pub(super) fn place(&self) -> Place {
        self.signature.place()
    }

    pub(super) fn place_of_timestamp(&self) -> Place {
        match &self.timestamp {
            Timestamp::Header(header) => header.place(),
            Timestamp::Listed { .. } => self.place(),
        }
    }

    pub(super) fn read<'h>(&self, headers: &'h HeaderMap) -> Result<Presented<'h>, SignatureError> {
        let value = self.place().single(headers.get_all(self.signature.name()))?.as_bytes();
        let (timestamp, signatures) = match &self.timestamp {
            Timestamp::Header(header) => {
                let timestamp = header.place().single(headers.get_all(header.name()))?;
                (timestamp.as_bytes(), vec![value])
            }
            Timestamp::Listed { key, signature_key } => {
                (self.place().single(listed(value, key))?, listed(value, signature_key).collect())
            }
        };
        let bare = |signature: &'h [u8]| signature.strip_prefix(self.prefix.as_bytes());
        Ok(Presented { timestamp, signatures: signatures.into_iter().filter_map(bare).collect() })
    }

    /// Writes the headers. Separate headers have room for one signature only.
    pub(super) fn write(
        &self,
        timestamp: &str,
        signatures: &[String],
    ) -> Result<Signature, SignError> {
        match &self.timestamp {
            Timestamp::Header(header) => {
                let first = signatures.first().ok_or(SignError::NoSecret)?;
                Signature::new()
                    .header(header.name(), timestamp)?
                    .header(self.signature.name(), format!("{}{first}", self.prefix))
            }
            Timestamp::Listed { key, signature_key } => {
                let signatures = signatures.iter();
                let items =
                    signatures.map(|text| format!(",{signature_key}={}{text}", self.prefix));
                let list = format!("{key}={timestamp}{}", items.collect::<String>());
                Signature::new().header(self.signature.name(), list)
            }
        }
    }
}

fn listed<'h>(list: &'h [u8], key: &str) -> impl Iterator<Item = &'h [u8]> {
    list.split(|byte| *byte == b',')
        .filter_map(move |item| item.trim_ascii().strip_prefix(key.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_keys_are_matched_as_a_whole() {
        let values = |key| listed(b"t=1, v0=a,v0=b=c,v1=d,tv=e,t", key).collect::<Vec<_>>();
        assert_eq!(values("t"), [b"1"]);
        assert_eq!(values("v0"), [&b"a"[..], b"b=c"]);
        assert!(values("v").is_empty());
    }
}
