use std::sync::Arc;

use http::HeaderName;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    DEFAULT_BODY_LIMIT, DEFAULT_SCHEMA_DRIFT_INTERVAL, DecodeError, Inference, InferenceKey, Model,
    Payload, Profile, Provider, SignedProvider, inference::Decoder, schema_drift::SchemaDrift,
};
use crate::signature::{HeaderToken, QueryToken, Scheme, SecretSet, Unsigned};

/// A model without a signature scheme. The methods that set one return the [`Model`].
pub struct ModelBuilder<T> {
    decoder: Decoder<T>,
    provider: &'static str,
    profile: Profile,
    body_limit: usize,
    drift: Option<DriftDetection<T>>,
}

struct DriftDetection<T> {
    interval: u64,
    unknown_paths: fn(&Inference<T>) -> Vec<String>,
}

impl<T: Payload> ModelBuilder<T> {
    /// Creates a model whose deliveries are decoded to `T`.
    #[expect(clippy::new_without_default, reason = "the payload type has to be chosen")]
    pub fn new() -> Self {
        Self {
            decoder: Decoder::of_payload(),
            provider: T::Provider::NAME,
            profile: T::Provider::PROFILE,
            body_limit: T::BODY_LIMIT,
            drift: None,
        }
    }

    /// Requires the provider's own signature, made with one of `secrets`.
    pub fn signed_with(self, secrets: impl Into<SecretSet>) -> Model
    where
        T::Provider: SignedProvider,
    {
        self.verified_by(T::Provider::scheme(secrets.into()))
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> ModelBuilder<T> {
    pub(super) fn json(
        provider: &'static str,
        key: impl Fn(&T) -> InferenceKey + Send + Sync + 'static,
    ) -> Self {
        Self {
            decoder: Decoder::of_json(key),
            provider,
            profile: Profile::default(),
            body_limit: DEFAULT_BODY_LIMIT,
            drift: None,
        }
    }
}

impl<T: Send + Sync + 'static> ModelBuilder<T> {
    /// Validates each decoded payload. A delivery that `validate` rejects is undecodable: it is archived, and the handler
    /// does not run. Default: no validation.
    ///
    /// ```
    /// use tower_inbox::{Model, Secret, provider::{DecodeError, InferenceKey}};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Caption {
    ///     job: String,
    ///     confidence: f64,
    /// }
    ///
    /// let model = Model::json::<Caption>("in-house", |caption| InferenceKey::new(&caption.job))
    ///     .validated_by(|caption| match caption.confidence {
    ///         0.0..=1.0 => Ok(()),
    ///         _ => Err(DecodeError::invalid("$.confidence", "must be between 0 and 1")),
    ///     })
    ///     .token_in_header("x-hook-token", Secret::new("correct horse"));
    /// # let _ = model;
    /// ```
    pub fn validated_by(
        mut self,
        validate: impl Fn(&T) -> Result<(), DecodeError> + Send + Sync + 'static,
    ) -> Self {
        self.decoder.set_validation(validate);
        self
    }

    /// Detects schema drift: members and enum values that `T` does not contain. Each JSON path is logged once as a
    /// warning, and counted ([`Models::unknown`](crate::layer::Models::unknown) and a metric). Disabled by default. Checks the
    /// first of every 64 deliveries ([`DEFAULT_SCHEMA_DRIFT_INTERVAL`]), because the check costs more than decoding;
    /// [`detect_schema_drift_every`](Self::detect_schema_drift_every) sets another interval.
    ///
    /// Requires `T: Serialize`: the check compares the body with what `T` serializes. Derive `Serialize` for your own
    /// structs inside `T`, too; `inbox model` generates the derive.
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::foxyai};
    ///
    /// let model = foxyai::image_group()
    ///     .detect_schema_drift()
    ///     .token_in_query("ticket", Secret::new("correct horse"));
    /// # let _ = model;
    /// ```
    pub fn detect_schema_drift(self) -> Self
    where
        T: Serialize,
    {
        self.detect_schema_drift_every(DEFAULT_SCHEMA_DRIFT_INTERVAL)
    }

    /// [Detects schema drift](Self::detect_schema_drift) in the first of every `deliveries` deliveries. 0 and 1 check
    /// every delivery.
    pub fn detect_schema_drift_every(mut self, deliveries: u64) -> Self
    where
        T: Serialize,
    {
        let unknown_paths = Inference::<T>::unknown;
        self.drift = Some(DriftDetection { interval: deliveries, unknown_paths });
        self
    }

    /// Requires one of `secrets` in the query parameter `parameter`.
    pub fn token_in_query(
        self,
        parameter: impl Into<String>,
        secrets: impl Into<SecretSet>,
    ) -> Model {
        self.verified_by(QueryToken::new(parameter, secrets))
    }

    /// Requires one of `secrets` in `header`. An invalid header name is reported when the inbox is built.
    pub fn token_in_header(
        self,
        header: impl TryInto<HeaderName>,
        secrets: impl Into<SecretSet>,
    ) -> Model {
        self.verified_by(HeaderToken::new(header, secrets))
    }

    /// Requires `scheme` to accept each request.
    pub fn verified_by(self, scheme: impl Scheme) -> Model {
        let drift = self.drift.map(|DriftDetection { interval, unknown_paths }| {
            let decoder = self.decoder.clone();
            SchemaDrift::new(interval, move |delivery| {
                let inference = decoder.decode_tolerantly(delivery.clone());
                inference.map_or_else(|_| Vec::new(), |inference| unknown_paths(&inference))
            })
        });
        let model =
            Model::new::<T>(self.provider, self.profile, Arc::new(scheme), Arc::new(self.decoder));
        model.body_limit(self.body_limit).with_drift(drift.map(Arc::new))
    }

    /// Accepts every request. Only for a port that untrusted clients cannot reach, and for trials.
    pub fn unsigned(self) -> Model {
        self.verified_by(Unsigned)
    }
}
