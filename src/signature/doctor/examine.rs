use std::{borrow::Cow, fmt, time::SystemTime};

use http::{HeaderName, request::Parts};

use crate::{
    delivery::decompress_as_any,
    signature::{Encoding, KeyEncoding, Proof, Scheme, TimeUnit, scheme::without_line_breaks},
};

/// Finds the variants of `scheme` that would have accepted this delivery, with the fewest differences. Empty if none of
/// the [variants](super) would have: the secret is wrong, or the sender uses another scheme.
///
/// `at` is the time of receipt.
pub fn examine(scheme: &dyn Scheme, head: &Parts, body: &[u8], at: SystemTime) -> Vec<Finding> {
    let mut findings = all(scheme, head, body, at);
    let fewest = findings.iter().map(|finding| finding.differences().len()).min();
    findings.retain(|finding| Some(finding.differences().len()) == fewest);
    findings
}

fn all(scheme: &dyn Scheme, head: &Parts, body: &[u8], at: SystemTime) -> Vec<Finding> {
    let variants = scheme.variants();
    let others = variants.iter().map(|variant| (Some(&variant.difference), &*variant.scheme));
    let schemes: Vec<_> = std::iter::once((None, scheme)).chain(others).collect();
    let mut findings = Vec::new();
    for (change, body) in bodies(body) {
        for (difference, scheme) in &schemes {
            if let Ok(proof) = scheme.verify(head, &body, at) {
                let differences = difference.iter().copied().chain(&change).cloned().collect();
                findings.push(Finding::new(differences, proof));
            }
        }
    }
    findings
}

fn bodies(body: &[u8]) -> impl Iterator<Item = (Option<Difference>, Cow<'_, [u8]>)> {
    let changed = BodyChange::ALL.into_iter().filter_map(move |change| {
        Some((Some(Difference::Body(change)), Cow::Owned(change.apply(body)?)))
    });
    std::iter::once((None, Cow::Borrowed(body))).chain(changed)
}

/// A variant that would have accepted a delivery: the proof that it would return, and the differences. Contains names
/// only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    differences: Vec<Difference>,
    proof: Proof,
}

impl Finding {
    pub(super) fn new(differences: Vec<Difference>, proof: Proof) -> Self {
        Self { differences, proof }
    }

    /// Returns the differences; empty if the scheme accepts the delivery as it is.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Returns the proof that the variant would return. It proves nothing.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.proof.secret();
        match self.differences.split_first() {
            None => write!(f, "secret {secret} matches"),
            Some((first, others)) => {
                write!(f, "secret {secret} would match {first}")?;
                others.iter().try_for_each(|other| write!(f, ", and {other}"))
            }
        }
    }
}

/// A scheme that differs from another one in a single setting.
#[derive(Debug)]
pub struct Variant {
    pub(super) difference: Difference,
    pub(super) scheme: Box<dyn Scheme>,
}

impl Variant {
    /// Creates a variant: `scheme` differs from the examined one in `difference`.
    pub fn new(difference: Difference, scheme: impl Scheme) -> Self {
        Self { difference, scheme: Box::new(scheme) }
    }
}

/// A difference from the scheme. `Display` completes the sentence "it would match …".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The secret was not valid at the time of receipt.
    SecretNotValid,
    /// The secret has surrounding white space.
    SecretTrimmed,
    /// The secret has this key encoding.
    Key(KeyEncoding),
    /// The signature has this encoding.
    Encoding(Encoding),
    /// The signature is in this header.
    #[non_exhaustive]
    Header {
        /// The header.
        header: HeaderName,
        /// The prefix of the signature.
        prefix: &'static str,
    },
    /// The signature has this prefix, which can be empty.
    Prefix(Cow<'static, str>),
    /// The header is a comma-separated list.
    List,
    /// The token is in this query parameter.
    Parameter(&'static str),
    /// The timestamp is outside the tolerance.
    Time,
    /// Timestamps have this unit.
    Unit(TimeUnit),
    /// The body was signed in this form.
    Body(BodyChange),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretNotValid => f.write_str("if it were valid at the time of receipt"),
            Self::SecretTrimmed => f.write_str("without the white space around it"),
            Self::Key(encoding) => write!(f, "with the key encoding {encoding}"),
            Self::Encoding(encoding) => write!(f, "if signatures were in {encoding}"),
            Self::Header { header, prefix: "" } => write!(f, "if read from header {header}"),
            Self::Header { header, prefix } => {
                write!(f, "if read from header {header} after {prefix}")
            }
            Self::Prefix(prefix) if prefix.is_empty() => {
                f.write_str("if the signature had no prefix")
            }
            Self::Prefix(prefix) => write!(f, "if the signature had the prefix {prefix}"),
            Self::List => f.write_str("if the header were a comma-separated list"),
            Self::Parameter(name) => write!(f, "if read from parameter {name} of the query"),
            Self::Time => f.write_str("if the tolerance included the timestamp"),
            Self::Unit(TimeUnit::Seconds) => f.write_str("if timestamps were in seconds"),
            Self::Unit(TimeUnit::Millis) => f.write_str("if timestamps were in milliseconds"),
            Self::Body(change) => change.fmt(f),
        }
    }
}

/// Returns prefixes that are often confused with `prefix`.
pub(in crate::signature) fn other_prefixes(prefix: &str) -> Vec<Cow<'static, str>> {
    let mut others: Vec<Cow<'static, str>> = vec![
        "".into(),
        "sha256=".into(),
        "SHA256=".into(),
        prefix.to_ascii_lowercase().into(),
        prefix.to_ascii_uppercase().into(),
    ];
    others.retain(|other| other != prefix);
    others.sort();
    others.dedup();
    others
}

/// The maximum size of a decompressed body, in bytes, because a few bytes of gzip can expand to any size.
const LONGEST: usize = 32 << 20;

/// A change to a body that happens between a sender's signature and a receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyChange {
    /// Without any carriage return and line feed.
    WithoutLineBreaks,
    /// Without the line break at the end.
    WithoutLastLineBreak,
    /// With a line feed at the end.
    WithLastLineFeed,
    /// Decompressed from gzip or deflate, up to 32 MiB: the sender signed the body before it compressed it.
    Unzipped,
}

impl BodyChange {
    pub(super) const ALL: [Self; 4] = [
        Self::WithoutLastLineBreak,
        Self::WithLastLineFeed,
        Self::WithoutLineBreaks,
        Self::Unzipped,
    ];

    /// Returns the changed body; `None` if the change has no effect, or the same effect as another change.
    pub(super) fn apply(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::WithoutLineBreaks => without_line_breaks(body)
                .filter(|joined| Some(joined) != Self::WithoutLastLineBreak.apply(body).as_ref()),
            Self::WithoutLastLineBreak => {
                let cut = body.strip_suffix(b"\n")?;
                Some(cut.strip_suffix(b"\r").unwrap_or(cut).to_vec())
            }
            Self::WithLastLineFeed => Some([body, b"\n"].concat()),
            Self::Unzipped => decompress_as_any(body, LONGEST),
        }
    }
}

impl fmt::Display for BodyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutLineBreaks => "without the line breaks of the body",
            Self::WithoutLastLineBreak => "without the line break at the end of the body",
            Self::WithLastLineFeed => "with a line feed at the end of the body",
            Self::Unzipped => "with the body decompressed",
        })
    }
}

/// The headers in which providers send the HMAC of a body, in lower case, and its prefix. From the providers' pages on
/// webhooks; senders copy `x-hub-signature-256` from GitHub.
pub(in crate::signature) const WELL_KNOWN: [(&str, &str); 14] = [
    ("lc-signature", "sha256="),
    ("x-baseten-signature", "v1="),
    ("x-bfl-signature", "sha256="),
    ("x-deapi-signature", "sha256="),
    ("x-firecrawl-signature", "sha256="),
    ("x-hub-signature-256", "sha256="),
    ("x-microsoftspeechservices-signature", ""),
    ("x-mindee-hmac-signature", ""),
    ("x-rossum-signature-sha256", "sha256="),
    ("x-signature", ""),
    ("x-vapi-signature", ""),
    ("x-vlmrun-signature", "sha256="),
    ("x-webhook-signature", ""),
    ("x-webhook-signature", "sha256="),
];

/// The headers in which providers send a token, in lower case, and its prefix. The last ones are often chosen by
/// receivers.
pub(in crate::signature) const TOKEN_HEADERS: [(&str, &str); 8] = [
    ("authorization", "Bearer "),
    ("authorization", ""),
    ("dg-token", ""),
    ("x-webhook-secret", ""),
    ("x-webhook-token", ""),
    ("x-api-key", ""),
    ("x-auth-token", ""),
    ("x-token", ""),
];

/// Common query parameters of tokens.
pub(in crate::signature) const TOKEN_PARAMETERS: [&str; 5] =
    ["token", "ticket", "secret", "key", "auth"];

/// The headers of signature and timestamp, and the prefix of the signature. From the providers' pages; the last two are
/// common choices.
pub(in crate::signature) const TIMED_HEADERS: [(&str, &str, &str); 5] = [
    ("x-extend-request-signature", "x-extend-request-timestamp", ""),
    ("x-fal-webhook-signature", "x-fal-webhook-timestamp", ""),
    ("x-slack-signature", "x-slack-request-timestamp", "v0="),
    ("x-signature", "x-timestamp", ""),
    ("x-webhook-signature", "x-webhook-timestamp", ""),
];

/// The headers with a list of timestamp and signature, and the keys of both.
pub(in crate::signature) const TIMED_LISTS: [(&str, &str, &str); 3] = [
    ("elevenlabs-signature", "t", "v0"),
    ("stripe-signature", "t", "v1"),
    ("x-retell-signature", "v", "d"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_change_without_effect_is_none() {
        let changed = |body: &[u8]| BodyChange::ALL.map(|change| change.apply(body));
        let some = |body: &[u8]| Some(body.to_vec());
        assert_eq!(changed(b"{}"), [None, some(b"{}\n"), None, None]);
        assert_eq!(changed(b"{\n}\r\n"), [some(b"{\n}"), some(b"{\n}\r\n\n"), some(b"{}"), None]);
        assert_eq!(changed(b"{}\n"), [some(b"{}"), some(b"{}\n\n"), None, None]);
        assert_eq!(changed(b""), [None, some(b"\n"), None, None]);
    }

    #[test]
    fn compressed_body_is_decompressed_up_to_the_limit() {
        use std::io::Write;
        let zip = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        assert_eq!(BodyChange::Unzipped.apply(&zip(b"{}")), Some(b"{}".to_vec()));
        assert_eq!(BodyChange::Unzipped.apply(&zip(b"{}")[..10]), None, "it is cut off");
        assert_eq!(BodyChange::Unzipped.apply(&zip(&vec![0; (32 << 20) + 1])), None);
    }

    #[test]
    fn well_known_names_are_valid_header_names() {
        let timed = TIMED_HEADERS.iter().flat_map(|(signature, time, _)| [*signature, *time]);
        let listed = TIMED_LISTS.iter().map(|(header, ..)| *header);
        let tokens = WELL_KNOWN.iter().chain(&TOKEN_HEADERS).map(|(header, _)| *header);
        for header in timed.chain(listed).chain(tokens) {
            assert_eq!(HeaderName::from_bytes(header.as_bytes()).unwrap().as_str(), header);
            assert_eq!(HeaderName::from_static(header), header);
        }
    }
}
