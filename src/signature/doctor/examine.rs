use std::{borrow::Cow, fmt, time::SystemTime};

use http::{HeaderName, request::Parts};

use crate::{
    delivery::decompress_as_any,
    signature::{Encoding, KeyEncoding, Proof, Scheme, TimeUnit, body::without_line_breaks},
};

/// Tells what would have made `scheme` accept this delivery, those with the fewest differences only. Empty if nothing
/// on the [list](super) would have: then it is the secret, or the sender signs in a way of its own.
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

/// What would have matched: the proof that there would be, and what would have to be different. Holds names only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    differences: Vec<Difference>,
    proof: Proof,
}

impl Finding {
    pub(super) fn new(differences: Vec<Difference>, proof: Proof) -> Self {
        Self { differences, proof }
    }

    /// What would have to be different; empty if the scheme accepts the delivery as it is.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// The proof that there would be. It proves nothing.
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

/// A scheme that differs from another one in a single thing.
#[derive(Debug)]
pub struct Variant {
    pub(super) difference: Difference,
    pub(super) scheme: Box<dyn Scheme>,
}

impl Variant {
    /// `scheme` is the one that is asked, but for `difference`.
    pub fn new(difference: Difference, scheme: impl Scheme) -> Self {
        Self { difference, scheme: Box::new(scheme) }
    }
}

/// One thing that is other than the scheme expects. Shows as the end of "it would match …".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The secret was not valid at the time of receipt.
    SecretNotValid,
    /// The secret has white space around it.
    SecretTrimmed,
    /// The text of the secret becomes a key in this way.
    Key(KeyEncoding),
    /// The signature is written in this way.
    Encoding(Encoding),
    /// The signature is in this header.
    #[non_exhaustive]
    Header {
        /// The header.
        header: HeaderName,
        /// What stands before the signature.
        prefix: &'static str,
    },
    /// This stands before the signature; nothing if it is empty.
    Prefix(Cow<'static, str>),
    /// The header is a list with commas.
    List,
    /// The token is in this parameter of the query.
    Parameter(&'static str),
    /// The signed time lies outside of the tolerance.
    Time,
    /// Timestamps count in this unit.
    Unit(TimeUnit),
    /// The body was signed in this form.
    Body(BodyChange),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretNotValid => f.write_str("if it were valid at the time of receipt"),
            Self::SecretTrimmed => f.write_str("without the white space around it"),
            Self::Key(encoding) => write!(f, "if its key were its text as {encoding}"),
            Self::Encoding(encoding) => write!(f, "if signatures were {encoding}"),
            Self::Header { header, prefix: "" } => write!(f, "if read from header {header}"),
            Self::Header { header, prefix } => {
                write!(f, "if read from header {header} behind {prefix}")
            }
            Self::Prefix(prefix) if prefix.is_empty() => {
                f.write_str("if nothing stood before the signature")
            }
            Self::Prefix(prefix) => write!(f, "if {prefix} stood before the signature"),
            Self::List => f.write_str("if the header were a list with commas"),
            Self::Parameter(name) => write!(f, "if read from parameter {name} of the query"),
            Self::Time => f.write_str("if the tolerance were wide enough for the signed time"),
            Self::Unit(TimeUnit::Seconds) => f.write_str("if timestamps were in seconds"),
            Self::Unit(TimeUnit::Millis) => f.write_str("if timestamps were in milliseconds"),
            Self::Body(change) => change.fmt(f),
        }
    }
}

/// The prefixes that are often mistaken for `prefix`.
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

/// The longest body that is unzipped, in bytes: a few bytes of gzip may become any number of bytes.
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
    /// Unzipped, where it came as gzip or deflate: the sender has signed what it zipped then. Up to 32 MiB of it. The other way, a
    /// proxy that unzips what was signed zipped, leaves nothing that could be tried.
    Unzipped,
}

impl BodyChange {
    pub(super) const ALL: [Self; 4] = [
        Self::WithoutLastLineBreak,
        Self::WithLastLineFeed,
        Self::WithoutLineBreaks,
        Self::Unzipped,
    ];

    /// The changed body; `None` if it would stay as it is, or become what another change makes of it.
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
            Self::Unzipped => "with the body unzipped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_changes_nothing_new_is_none() {
        let changed = |body: &[u8]| BodyChange::ALL.map(|change| change.apply(body));
        let some = |body: &[u8]| Some(body.to_vec());
        assert_eq!(changed(b"{}"), [None, some(b"{}\n"), None, None]);
        assert_eq!(changed(b"{\n}\r\n"), [some(b"{\n}"), some(b"{\n}\r\n\n"), some(b"{}"), None]);
        assert_eq!(changed(b"{}\n"), [some(b"{}"), some(b"{}\n\n"), None, None]);
        assert_eq!(changed(b""), [None, some(b"\n"), None, None]);
    }

    #[test]
    fn what_is_zipped_is_unzipped_unless_it_becomes_too_much() {
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
}
