use http::HeaderName;
use serde::de::DeserializeOwned;

use super::{Classification, Crop, Extraction, Ocr, Split};
use crate::{
    provider::{ModelBuilder, Profile, Provider, SignedProvider},
    signature::{HmacBody, SecretSet},
};

/// Where Mindee V2 puts its signature (page "Process the Response"; V1 had `X-Mindee-Hmac-Signature`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// Mindee V2.
#[derive(Clone, Copy, Debug)]
pub struct Mindee;

impl Provider for Mindee {
    const NAME: &'static str = "mindee";

    /// What Mindee does on a 4xx is not published, but an error keeps the result on its server for the model's storage
    /// time (page "Webhooks", FAQ), while a 2xx may delete it. So 422 is the answer that loses nothing.
    const PROFILE: Profile = Profile::REPORTS_FAILURES;
}

impl SignedProvider for Mindee {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        signature(secrets)
    }
}

/// An extraction model, loaded into [`Extraction<F>`], where `F` is a struct of your own or
/// [`Fields`](super::Fields).
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

/// A classification model, loaded into [`Classification<F>`], where `F` is what a chained extraction is loaded into.
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

/// A crop model, loaded into [`Crop<F>`], where `F` is what chained extractions are loaded into.
pub fn crop<F>() -> ModelBuilder<Crop<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// A split model, loaded into [`Split<F>`], where `F` is what chained extractions are loaded into.
pub fn split<F>() -> ModelBuilder<Split<F>>
where
    F: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// An OCR model, loaded into [`Ocr`]. A page takes about 60 KB: long files need a larger
/// [`body_limit`](crate::Model::body_limit).
pub fn ocr() -> ModelBuilder<Ocr> {
    ModelBuilder::new()
}

/// Mindee's signature: HMAC-SHA256 of the exact body, in hexadecimal, in `X-Signature`. The secret is the endpoint's
/// "Signing Secret", as text (page "Process the Response").
///
/// `signed_with` does the same. This is for choosing the form of the body: see the [module](super).
pub fn signature(secrets: impl Into<SecretSet>) -> HmacBody {
    HmacBody::new(SIGNATURE, secrets)
}
