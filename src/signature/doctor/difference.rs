use std::{borrow::Cow, fmt};

use http::HeaderName;

use super::BodyChange;
use crate::signature::{Encoding, KeyEncoding, TimeUnit};

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
