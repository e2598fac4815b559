use http::HeaderName;

/// Why a request's signature was not accepted. Holds nothing of the request but the name of a header.
///
/// The sender is told only that it was refused; this is for logs and outer layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature where the scheme reads it.
    #[error("there is no signature in {place}")]
    Missing {
        /// The header or query parameter.
        place: String,
    },
    /// There is more than one signature where the scheme reads one.
    #[error("there is more than one signature in {place}, and it is unclear which one counts")]
    Ambiguous {
        /// The header or query parameter.
        place: String,
    },
    /// The signature is not in the form that the scheme writes.
    #[error("the signature in {place} is not {expected}")]
    Malformed {
        /// The header or query parameter.
        place: String,
        /// The form that the scheme writes.
        expected: &'static str,
    },
    /// No live secret gives this signature for these bytes.
    #[error(
        "no live secret matches the signature in {place}: compare the secret with the one that the provider shows"
    )]
    Mismatch {
        /// The header or query parameter.
        place: String,
    },
}

/// Why a scheme cannot work as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// There is no secret to check with.
    #[error("there is no secret: give the one that the provider shows for the endpoint")]
    NoSecret,
    /// A secret is empty, so that anybody could sign with it.
    #[error("the secret {name} is empty: give the one that the provider shows for the endpoint")]
    EmptySecret {
        /// The name of the secret.
        name: String,
    },
}

pub(super) fn header_place(header: &HeaderName) -> String {
    format!("header {header}")
}
