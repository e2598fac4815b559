use http::HeaderName;
use serde::de::DeserializeOwned;

use super::Response;
use crate::{
    provider::{ModelBuilder, Profile, Provider, SignedProvider, mindee::Mindee},
    signature::{HmacBody, SecretSet},
};

/// Where Mindee V1 puts its signature (readme of the fixture `v1/async/get_completed_empty.json`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-mindee-hmac-signature");

/// Mindee V1.
#[derive(Clone, Copy, Debug)]
pub struct MindeeV1;

impl Provider for MindeeV1 {
    const NAME: &'static str = "mindee-v1";

    /// What V1 does on a 4xx is not published: taken to be what V2 does.
    const PROFILE: Profile = Mindee::PROFILE;
}

impl SignedProvider for MindeeV1 {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        signature(secrets)
    }
}

/// A product of Mindee V1, loaded into [`Response<P>`], where `P` is a struct of your own or
/// [`Prediction`](super::Prediction).
///
/// ```
/// use tower_inbox::{Secret, provider::mindee_v1};
///
/// let model = mindee_v1::document::<mindee_v1::Prediction>().signed_with(Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn document<P>() -> ModelBuilder<Response<P>>
where
    P: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// The signature of Mindee V1: HMAC-SHA256 of the exact body, in hexadecimal, in `X-Mindee-Hmac-Signature`. The secret
/// is that of the API version's webhook, as text.
///
/// `signed_with` does the same. This is for choosing the form of the body.
pub fn signature(secrets: impl Into<SecretSet>) -> HmacBody {
    HmacBody::new(SIGNATURE, secrets)
}
