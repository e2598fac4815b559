use std::borrow::Cow;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{DEFAULT_BODY_LIMIT, DecodeError, InferenceKey, Profile, json::tolerant};
use crate::{
    delivery::Delivery,
    signature::{Scheme, SecretSet},
};

/// A provider: its name, and its reaction to status codes.
pub trait Provider: Send + Sync + 'static {
    /// The name in logs and metrics, in lower case.
    const NAME: &'static str;

    /// The reaction to status codes.
    const PROFILE: Profile;
}

/// A provider with a signature scheme, so that [`signed_with`](super::ModelBuilder::signed_with) requires only secrets.
#[diagnostic::on_unimplemented(
    message = "the provider `{Self}` does not sign its requests",
    label = "no signature scheme of its own",
    note = "use `token_in_query`, `token_in_header` or `verified_by` instead of `signed_with`"
)]
pub trait SignedProvider: Provider {
    /// The scheme.
    type Scheme: Scheme;

    /// Creates the scheme with these secrets.
    fn scheme(secrets: SecretSet) -> Self::Scheme;
}

/// A payload type: decodes the body of a delivery, and returns the key of its inference.
///
/// ```
/// use bytes::Bytes;
/// use tower_inbox::provider::{decode_json, DecodeError, InferenceKey, Payload, Profile, Provider};
///
/// struct Acme;
///
/// impl Provider for Acme {
///     const NAME: &'static str = "acme";
///     const PROFILE: Profile = Profile::REPORTS_FAILURES;
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Caption {
///     job: String,
///     text: String,
/// }
///
/// impl Payload for Caption {
///     type Provider = Acme;
///
///     fn decode(body: &Bytes) -> Result<Self, DecodeError> {
///         decode_json(body)
///     }
///
///     fn key(&self) -> InferenceKey {
///         InferenceKey::new(&self.job)
///     }
/// }
///
/// let caption = Caption::decode(&Bytes::from_static(br#"{"job": "j1", "text": "a cat"}"#))?;
/// assert_eq!(caption.text, "a cat");
/// assert_eq!(caption.key().id(), "j1");
/// # Ok::<(), DecodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the payload of a provider",
    label = "not a `Payload`",
    note = "use a payload type of a provider module, such as `mindee::Extraction<T>`",
    note = "for your own JSON type, use `Model::json`, or implement `Payload` for `{Self}`"
)]
pub trait Payload: Sized + Send + Sync + 'static {
    /// The provider that sends this payload.
    type Provider: Provider;

    /// The default [body limit](super::Model::body_limit) of models with this payload, in bytes. Default: 32 MiB
    /// ([`DEFAULT_BODY_LIMIT`]).
    const BODY_LIMIT: usize = DEFAULT_BODY_LIMIT;

    /// Decodes a body.
    ///
    /// # Errors
    ///
    /// If the body cannot be decoded to this type, or is [invalid](DecodeError::invalid). Unknown members and unknown
    /// enum values are not errors.
    fn decode(body: &Bytes) -> Result<Self, DecodeError>;

    /// Returns the key of the inference. Deliveries with equal keys carry the same inference.
    fn key(&self) -> InferenceKey;

    /// Returns the key of the inference in a delivery, for providers that send the id in a header. Default:
    /// [`key`](Self::key).
    fn key_of(&self, _: &Delivery) -> InferenceKey {
        self.key()
    }

    /// Returns the id that the provider gave to the request for this inference, or `None` if the payload is not the
    /// final result. A final result settles what [`Inbox::expect`](crate::Inbox::expect) recorded. Default: the id of
    /// the [`key`](Self::key).
    fn requested_id(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(self.key().id().to_owned()))
    }
}

/// Decodes a JSON body, and locates errors by their JSON path.
///
/// In [`Inference::load`](super::Inference::load) and in an inbox, a body that cannot be decoded to `T` is decoded a
/// second time, tolerantly: see [`Inference::tolerated`](super::Inference::tolerated).
///
/// # Errors
///
/// If `body` is not JSON, or cannot be decoded to `T`.
pub fn decode_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    if tolerant::is_active() {
        return tolerant::read(body);
    }
    // The path of an error is determined in a second pass, because tracking it takes half as long as decoding.
    read(body).map_err(|error| locate::<T>(body, error))
}

/// Checks UTF-8 once for the whole body, which is faster than for each string.
fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

fn locate<T: DeserializeOwned>(body: &[u8], first: serde_json::Error) -> DecodeError {
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => DecodeError::new(None, first),
        Err(error) => {
            let path = error.path().clone();
            DecodeError::new(Some(&path), error.into_inner())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    type Nested = HashMap<String, Vec<u8>>;

    #[test]
    fn decode_error_has_its_json_path() {
        let error = decode_json::<Nested>(br#"{"a": [1, 2, "x"]}"#).unwrap_err();
        assert_eq!(error.path(), "$.a[2]");
    }

    #[test]
    fn trailing_text_is_an_error_at_the_root() {
        let error = decode_json::<Nested>(b"{} {}").unwrap_err();
        assert_eq!(error.path(), "$");
        assert!(error.to_string().contains("not JSON"), "{error}");
    }

    #[test]
    fn empty_body_is_an_error() {
        let error = decode_json::<Nested>(b"").unwrap_err();
        assert!(error.to_string().contains("ends too early"), "{error}");
    }
}
