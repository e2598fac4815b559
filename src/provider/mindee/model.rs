use http::HeaderName;
use serde::de::DeserializeOwned;

use super::{Classification, Crop, Extraction, Ocr, Split};
use crate::{
    provider::{ModelBuilder, Profile, Provider, SignedProvider},
    signature::{HmacBody, SecretSet},
};

/// The signature header (page "Process the Response"; V1 had `X-Mindee-Hmac-Signature`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// Mindee V2.
#[derive(Clone, Copy, Debug)]
pub struct Mindee;

impl Provider for Mindee {
    const NAME: &'static str = "mindee";

    /// The reaction to a 4xx is not published. After an error, Mindee keeps the result for the model's storage time
    /// (page "Webhooks", FAQ); after a 2xx, it can delete it. An undecodable delivery is therefore answered 422, which
    /// loses nothing.
    const PROFILE: Profile = Profile::REPORTS_FAILURES;
}

impl SignedProvider for Mindee {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        signature(secrets)
    }
}

/// Starts an extraction model, decoded to [`Extraction<F>`], where `F` is your own struct or [`Fields`](super::Fields).
///
/// ```
/// use tower_inbox::{Secret, provider::mindee};
///
/// let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn extraction<F>() -> ModelBuilder<Extraction<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// Starts a classification model, decoded to [`Classification<F>`], where `F` is the type of a chained extraction.
///
/// ```
/// use tower_inbox::{Secret, provider::mindee};
///
/// let model = mindee::classification::<mindee::Fields>().signed_with(Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn classification<F>() -> ModelBuilder<Classification<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// Starts a crop model, decoded to [`Crop<F>`], where `F` is the type of chained extractions.
pub fn crop<F>() -> ModelBuilder<Crop<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// Starts a split model, decoded to [`Split<F>`], where `F` is the type of chained extractions.
pub fn split<F>() -> ModelBuilder<Split<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// Starts an OCR model, decoded to [`Ocr`]. A page takes about 60 KB: long files require a larger
/// [`body_limit`](crate::Model::body_limit).
pub fn ocr() -> ModelBuilder<Ocr> {
    ModelBuilder::new()
}

/// Returns Mindee's signature scheme: HMAC-SHA256 of the exact body, in hexadecimal, in `X-Signature`. The key is the
/// text of the endpoint's "Signing Secret" (page "Process the Response").
///
/// `signed_with` uses this scheme. Call this function to set the form of the body: see the [module](super).
pub fn signature(secrets: impl Into<SecretSet>) -> HmacBody {
    HmacBody::new(SIGNATURE, secrets)
}
