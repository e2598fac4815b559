use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName};

use super::{
    SchemeError, SignError, Signature, SignatureError,
    doctor::{Difference, TIMED_HEADERS, TIMED_LISTS, other_prefixes},
};

/// The maximum number of distinct HMACs in a head. They cost no pass over the body: the HMAC is computed once for each
/// key, and compared with all of them.
pub(super) const MOST_HMACS: usize = 16;

/// The maximum number of distinct Ed25519 signatures in a head. Each costs a pass over the body for each key.
#[cfg(feature = "ed25519")]
pub(super) const MOST_ED25519_SIGNATURES: usize = 8;

/// The location of a signature or token: the name of a header or query parameter, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A header.
    Header(HeaderName),
    /// A query parameter.
    Query(String),
}

impl Place {
    pub(super) fn malformed(&self, expected: impl Into<Cow<'static, str>>) -> SignatureError {
        SignatureError::Malformed { place: self.clone(), expected: expected.into() }
    }

    pub(super) fn mismatch(&self) -> SignatureError {
        SignatureError::Mismatch { place: self.clone() }
    }

    /// Returns the value, or an error if there is none or more than one.
    pub(super) fn single<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<T, SignatureError> {
        let mut values = values.into_iter();
        let missing = || SignatureError::Missing { place: self.clone() };
        let value = values.next().ok_or_else(missing)?;
        match values.next() {
            None => Ok(value),
            Some(_) => Err(SignatureError::Ambiguous { place: self.clone() }),
        }
    }

    /// Returns the distinct signatures of a list. Stops at the first one that exceeds `most`, to limit the work.
    pub(super) fn distinct<T: PartialEq>(
        &self,
        listed: impl IntoIterator<Item = T>,
        most: usize,
    ) -> Result<Vec<T>, SignatureError> {
        let mut distinct = Vec::new();
        for signature in listed {
            if distinct.contains(&signature) {
                continue;
            }
            if distinct.len() == most {
                return Err(SignatureError::TooMany { place: self.clone(), most });
            }
            distinct.push(signature);
        }
        Ok(distinct)
    }
}

/// Describes a signature with `prefix`, for errors.
pub(super) fn with_prefix(prefix: &str, expected: &'static str) -> Cow<'static, str> {
    if prefix.is_empty() {
        expected.into()
    } else {
        format!("`{prefix}` followed by {expected}").into()
    }
}

impl From<&HeaderName> for Place {
    fn from(header: &HeaderName) -> Self {
        Self::Header(header.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(header) => write!(f, "header {header}"),
            Self::Query(parameter) => write!(f, "query parameter {parameter}"),
        }
    }
}

/// A header name from the user. `check` reports an invalid one, so that constructors are infallible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenHeader {
    name: HeaderName,
    is_valid: bool,
}

/// Replaces an invalid name until `check` reports it.
const INVALID: HeaderName = HeaderName::from_static("invalid-header-name");

impl GivenHeader {
    pub(super) fn new(given: impl TryInto<HeaderName>) -> Self {
        match given.try_into() {
            Ok(name) => Self { name, is_valid: true },
            Err(_) => Self { name: INVALID, is_valid: false },
        }
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn place(&self) -> Place {
        Place::from(&self.name)
    }

    /// Returns an error if the name is invalid. `holds` is the purpose of the header.
    pub(super) fn check(&self, holds: &'static str) -> Result<(), SchemeError> {
        if self.is_valid { Ok(()) } else { Err(SchemeError::InvalidHeaderName { holds }) }
    }
}

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

    #[test]
    fn repeated_signatures_are_listed_once_and_too_many_distinct_ones_are_rejected() {
        let place = Place::Header(HeaderName::from_static("x-signature"));
        let repeated = (0..4000).map(|number| number % 3);
        assert_eq!(place.distinct(repeated, 3), Ok(vec![0, 1, 2]));
        let mut looked_at = 0;
        let endless = (0..).inspect(|_| looked_at += 1);
        let too_many = SignatureError::TooMany { place: place.clone(), most: 3 };
        assert_eq!(place.distinct(endless, 3), Err(too_many));
        assert_eq!(looked_at, 4, "the rest of the list is not read");
    }

    #[test]
    fn invalid_header_name_is_reported_by_check() {
        let check = |given: &str| GivenHeader::new(given).check("token");
        assert_eq!(check("X-Hook-Token"), Ok(()));
        let invalid = Err(SchemeError::InvalidHeaderName { holds: "token" });
        for given in ["", "x hook", "x-hook:", "é"] {
            assert_eq!(check(given), invalid, "{given:?}");
        }
        assert_eq!(GivenHeader::new("X-Hook-Token").name(), "x-hook-token");
        assert_eq!(
            GivenHeader::new(INVALID).check("token"),
            Ok(()),
            "names that were parsed before"
        );
    }
}
