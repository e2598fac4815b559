use std::borrow::Cow;

use super::Place;

/// The reason why a signature was rejected. Contains nothing of the request but the name of a header or parameter.
///
/// For logs and outer layers: the response contains no details.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header or parameter is missing.
    #[error("missing signature in {place}")]
    Missing {
        /// The header or parameter.
        place: Place,
    },
    /// The header or parameter is repeated.
    #[error("more than one signature in {place}; send it once")]
    Ambiguous {
        /// The header or parameter.
        place: Place,
    },
    /// The header lists more distinct signatures than the scheme checks. None of them is checked.
    #[error(
        "more than {most} distinct signatures in {place}; senders that rotate secrets list two or three"
    )]
    #[non_exhaustive]
    TooMany {
        /// The header or parameter.
        place: Place,
        /// The maximum number of distinct signatures.
        most: usize,
    },
    /// The value does not have the expected format.
    #[error("malformed signature in {place}; expected {expected}")]
    Malformed {
        /// The header or parameter.
        place: Place,
        /// The expected format.
        expected: Cow<'static, str>,
    },
    /// The timestamp is older than the tolerance.
    #[error(
        "the timestamp in {place} is too old; check the clock of this machine, or increase the tolerance"
    )]
    TooOld {
        /// The header or parameter with the timestamp.
        place: Place,
    },
    /// The timestamp is further in the future than the tolerance.
    #[error(
        "the timestamp in {place} is too far in the future; check the clock of this machine, or increase the tolerance"
    )]
    TooNew {
        /// The header or parameter with the timestamp.
        place: Place,
    },
    /// No secret is valid for this request at the time of receipt.
    #[error(
        "no secret is valid for the signature in {place}; check the validity of the secrets, and add the one that the provider shows"
    )]
    NoSecret {
        /// The header or parameter.
        place: Place,
    },
    /// The signature does not match under any valid secret.
    #[error(
        "the signature in {place} does not match any valid secret; compare the secret with the one that the provider shows"
    )]
    Mismatch {
        /// The header or parameter.
        place: Place,
    },
}

/// The reason why a scheme cannot work as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// There is no secret.
    #[error("no secret; set the one that the provider shows for the endpoint")]
    NoSecret,
    /// The set of public keys is too large: each key costs a pass over the body for each listed signature.
    #[error(
        "the key set holds more than {most} keys; remove those that the provider no longer uses"
    )]
    #[non_exhaustive]
    TooManyKeys {
        /// The maximum number of keys.
        most: usize,
    },
    /// A secret is empty.
    #[error("the secret {name} is empty; set the one that the provider shows for the endpoint")]
    EmptySecret {
        /// The name of the secret.
        name: String,
    },
    /// A secret has white space or a line break around it, such as one that was copied with its line break.
    #[error("the secret {name} has white space or a line break around it; remove it")]
    #[non_exhaustive]
    SecretWhiteSpace {
        /// The name of the secret.
        name: String,
    },
    /// A secret has quotation marks around it.
    #[error("the secret {name} has quotation marks around it; remove them")]
    #[non_exhaustive]
    SecretQuoted {
        /// The name of the secret.
        name: String,
    },
    /// A secret starts with a prefix that is not part of it.
    #[error(
        "the secret {name} starts with `{prefix}`, which is not part of it; remove the prefix, or use the scheme of the provider that shows it"
    )]
    #[non_exhaustive]
    SecretPrefixed {
        /// The name of the secret.
        name: String,
        /// The prefix.
        prefix: String,
    },
    /// A secret does not have the key encoding of the scheme.
    #[error(
        "the secret {name} is not valid {expected}; set the complete secret that the provider shows for the endpoint"
    )]
    MalformedSecret {
        /// The name of the secret.
        name: String,
        /// The expected format.
        expected: &'static str,
    },
    /// A template has an unknown placeholder.
    #[error(
        "unknown placeholder {{{placeholder}}} in the template; use timestamp, body, body-sha256 or a header name"
    )]
    UnknownPlaceholder {
        /// The placeholder, without braces.
        placeholder: String,
    },
    /// A template does not contain a required placeholder.
    #[error(
        "the template does not contain {{{placeholder}}}, so that it is not signed; add it as the provider signs it"
    )]
    LeftOut {
        /// The placeholder, without braces.
        placeholder: &'static str,
    },
    /// A header name is invalid.
    #[error("invalid name for the {holds} header; use ASCII letters, digits and hyphens")]
    InvalidHeaderName {
        /// The purpose of the header, such as `signature`.
        holds: &'static str,
    },
    /// The header with the message id is not part of the template, so that it is not signed.
    #[error(
        "the template does not contain {place}, which is set as the message id; add it as the provider signs it, or do not set a message id"
    )]
    MessageIdNotSigned {
        /// The header with the message id.
        place: Place,
    },
    /// The template does not delimit the message id, so that characters could be moved between the id and its
    /// neighbours.
    #[error(
        "the template does not delimit the message id in {place}; separate it from its neighbours with literal text"
    )]
    MessageIdNotDelimited {
        /// The header with the message id.
        place: Place,
    },
}

/// The reason why a scheme cannot sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The scheme can only verify.
    #[error("this scheme cannot sign, only verify")]
    CheckOnly,
    /// No secret or private key is valid at this time.
    #[error("no secret or private key is valid at this time; add one")]
    NoSecret,
    /// A part of the signature is not a valid header value or query parameter.
    #[error("invalid value for {place}; control characters are not allowed")]
    Unsendable {
        /// The header or parameter.
        place: Place,
    },
    /// The time is before 1970.
    #[error("cannot sign with a time before 1970")]
    Time,
}
