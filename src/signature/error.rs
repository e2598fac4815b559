use std::borrow::Cow;

use super::Place;

/// Why a request's signature was not accepted. Holds nothing of the request but the name of a header or parameter.
///
/// The sender is told only that it was refused; this is for logs and outer layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is nothing where the scheme reads.
    #[error("there is no signature in {place}")]
    Missing {
        /// Where the scheme reads.
        place: Place,
    },
    /// There is more than one value where the scheme reads one.
    #[error("there is more than one signature in {place}, and it is unclear which one counts")]
    Ambiguous {
        /// Where the scheme reads.
        place: Place,
    },
    /// The head lists more distinct signatures than the scheme checks. None of them is checked.
    #[error(
        "there are more than {most} distinct signatures in {place}; senders that rotate secrets list two or three"
    )]
    #[non_exhaustive]
    TooMany {
        /// Where the scheme reads.
        place: Place,
        /// The maximum number of distinct signatures.
        most: usize,
    },
    /// What is there is not in the form that the scheme writes.
    #[error("the signature in {place} is not {expected}")]
    Malformed {
        /// Where the scheme reads.
        place: Place,
        /// The form that the scheme writes.
        expected: Cow<'static, str>,
    },
    /// The request was signed longer ago than the scheme tolerates.
    #[error(
        "the time in {place} is too long ago: compare the clock of this machine, or widen the tolerance"
    )]
    TooOld {
        /// Where the scheme reads the time.
        place: Place,
    },
    /// The request was signed further in the future than the scheme tolerates.
    #[error(
        "the time in {place} is too far in the future: compare the clock of this machine, or widen the tolerance"
    )]
    TooNew {
        /// Where the scheme reads the time.
        place: Place,
    },
    /// There is no secret that is valid for this request at the time of its receipt.
    #[error(
        "no secret is valid for what is in {place}: give the one that the provider shows, and look at the times between which it is valid"
    )]
    NoSecret {
        /// Where the scheme reads.
        place: Place,
    },
    /// No live secret gives this signature for these bytes.
    #[error(
        "no live secret matches the signature in {place}: compare the secret with the one that the provider shows"
    )]
    Mismatch {
        /// Where the scheme reads.
        place: Place,
    },
}

/// Why a scheme cannot work as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// There is no secret to check with.
    #[error("there is no secret: give the one that the provider shows for the endpoint")]
    NoSecret,
    /// A set of public keys is too large: each key costs a pass over the body for each signature that a head lists.
    #[error(
        "the key set holds more than {most} keys; remove those that the provider no longer uses"
    )]
    #[non_exhaustive]
    TooManyKeys {
        /// The maximum number of keys.
        most: usize,
    },
    /// A secret is empty, so that anybody could sign with it.
    #[error("the secret {name} is empty: give the one that the provider shows for the endpoint")]
    EmptySecret {
        /// The name of the secret.
        name: String,
    },
    /// A secret has white space or a line break around it, as when it was copied with the end of its line.
    #[error("the secret {name} has white space or a line break around it; remove it")]
    #[non_exhaustive]
    SecretWhiteSpace {
        /// The name of the secret.
        name: String,
    },
    /// A secret has quotation marks around it, as in a file with settings.
    #[error("the secret {name} has quotation marks around it; remove them")]
    #[non_exhaustive]
    SecretQuoted {
        /// The name of the secret.
        name: String,
    },
    /// A secret begins with a text that is not a part of it.
    #[error(
        "the secret {name} begins with `{prefix}`, which is not a part of it; remove the prefix, or choose the scheme of the provider that shows it"
    )]
    #[non_exhaustive]
    SecretPrefixed {
        /// The name of the secret.
        name: String,
        /// The text at its beginning.
        prefix: String,
    },
    /// The text of a secret does not encode a key in the way of this scheme.
    #[error(
        "the secret {name} is not {expected}: give the one that the provider shows for the endpoint, whole"
    )]
    MalformedSecret {
        /// The name of the secret.
        name: String,
        /// What a secret of this scheme is.
        expected: &'static str,
    },
    /// A template has a placeholder that means nothing.
    #[error(
        "the template's {{{placeholder}}} is neither timestamp, body, body-sha256 nor the name of a header"
    )]
    UnknownPlaceholder {
        /// What stands between the braces.
        placeholder: String,
    },
    /// A template leaves out what has to be signed.
    #[error(
        "the template leaves out {{{placeholder}}}, so that anybody could change it: add it as the provider signs it"
    )]
    LeftOut {
        /// What would have to stand between the braces.
        placeholder: &'static str,
    },
    /// The name given for a header is not a header name.
    #[error(
        "invalid name for the header that holds the {holds}: header names are ASCII letters, digits and hyphens"
    )]
    InvalidHeaderName {
        /// What the header holds, such as `signature`.
        holds: &'static str,
    },
    /// The header with the message id is not part of the template, so that anybody could change it.
    #[error(
        "the template does not sign {place}, which holds the message id; add it as the provider signs it, or do not name it"
    )]
    MessageIdNotSigned {
        /// The header with the message id.
        place: Place,
    },
    /// The template does not show where the message id begins or ends, so that anybody could move characters between the
    /// id and what stands beside it.
    #[error(
        "the template puts no text between the message id in {place} and what stands beside it"
    )]
    MessageIdNotDelimited {
        /// The header with the message id.
        place: Place,
    },
}

/// Why a scheme cannot sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The scheme only checks.
    #[error("this scheme only checks: it cannot sign")]
    CheckOnly,
    /// There is no secret or private key that is valid at this time.
    #[error(
        "there is nothing to sign with: give a secret, or a private key, that is valid at this time"
    )]
    NoSecret,
    /// A part of the signature cannot stand where it belongs.
    #[error("what belongs into {place} cannot stand there: leave control characters out")]
    Unsendable {
        /// Where it belongs.
        place: Place,
    },
    /// The time cannot be written.
    #[error("a time before 1970 cannot be written into a signature")]
    Time,
}
