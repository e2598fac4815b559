use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

use bytes::Bytes;
use http::Extensions;
use serde::{Serialize, Serializer, de::DeserializeOwned};

use super::{
    DecodeError, InferenceKey, Payload, Tolerated, decode_json,
    json::{tolerant, unknown},
    model,
};
use crate::delivery::Delivery;

/// A delivery that was decoded to the payload type of its model. Derefs to `T`; cheap to clone.
///
/// The inner service finds it in the extensions of the request. With feature `axum` it is an extractor.
///
/// ```no_run
/// use http::Request;
/// use tower_inbox::{Inference, provider::foxyai};
///
/// fn status<B>(request: &Request<B>) -> Option<&foxyai::Status> {
///     let group = request.extensions().get::<Inference<foxyai::ImageGroup>>()?;
///     group.status.as_ref()
/// }
/// ```
pub struct Inference<T>(Arc<Loaded<T>>);

struct Loaded<T> {
    payload: T,
    key: InferenceKey,
    delivery: Delivery,
    tolerated: Vec<Tolerated>,
}

impl<T: Payload> Inference<T> {
    /// Decodes the body of `delivery`. The key has no scope, since the path of the model is not known here.
    ///
    /// # Errors
    ///
    /// If the body cannot be decoded to `T`.
    pub fn load(delivery: Delivery) -> Result<Self, DecodeError> {
        Decoder::of_payload().decode_tolerantly(delivery)
    }
}

/// Whether a body that cannot be decoded is decoded a second time, tolerantly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    Strict,
    #[default]
    Tolerant,
}

/// The captures of a model's path.
pub(super) type Scope<'c> = &'c [(&'c str, &'c str)];

/// The id of the request whose final result the payload is. None: the id of the key.
type RequestedId<T> = Option<fn(&T) -> Option<Cow<'_, str>>>;

type KeyOf<T> = dyn Fn(&T, &Delivery) -> InferenceKey + Send + Sync;
type Validate<T> = dyn Fn(&T) -> Result<(), DecodeError> + Send + Sync;

/// Decodes deliveries to `T`.
pub(super) struct Decoder<T> {
    decode: fn(&Bytes) -> Result<T, DecodeError>,
    key: Arc<KeyOf<T>>,
    requested_id: RequestedId<T>,
    validate: Option<Arc<Validate<T>>>,
}

impl<T: Payload> Decoder<T> {
    pub(super) fn of_payload() -> Self {
        Self {
            decode: T::decode,
            key: Arc::new(T::key_of),
            requested_id: Some(T::requested_id),
            validate: None,
        }
    }
}

impl<T: DeserializeOwned> Decoder<T> {
    pub(super) fn of_json(key: impl Fn(&T) -> InferenceKey + Send + Sync + 'static) -> Self {
        let key = move |payload: &T, _: &Delivery| key(payload);
        Self {
            decode: |body| decode_json(body),
            key: Arc::new(key),
            requested_id: None,
            validate: None,
        }
    }
}

impl<T> Decoder<T> {
    pub(super) fn set_validation(
        &mut self,
        validate: impl Fn(&T) -> Result<(), DecodeError> + Send + Sync + 'static,
    ) {
        self.validate = Some(Arc::new(validate));
    }

    pub(super) fn decode_tolerantly(
        &self,
        delivery: Delivery,
    ) -> Result<Inference<T>, DecodeError> {
        self.decode(delivery, &[], Reading::Tolerant)
    }

    fn decode(
        &self,
        delivery: Delivery,
        scope: Scope<'_>,
        reading: Reading,
    ) -> Result<Inference<T>, DecodeError> {
        let body = delivery.body();
        let (payload, tolerated) = match ((self.decode)(body), reading) {
            (Ok(payload), _) => (payload, Vec::new()),
            (Err(error), Reading::Strict) => return Err(error),
            (Err(error), Reading::Tolerant) => tolerant::decode(|| (self.decode)(body), error)?,
        };
        if let Some(validate) = &self.validate {
            validate(&payload)?;
        }
        let key = (self.key)(&payload, &delivery).within(scope.iter().copied());
        Ok(Inference(Arc::new(Loaded { payload, key, delivery, tolerated })))
    }
}

impl<T> Clone for Decoder<T> {
    fn clone(&self) -> Self {
        Self {
            decode: self.decode,
            key: Arc::clone(&self.key),
            requested_id: self.requested_id,
            validate: self.validate.clone(),
        }
    }
}

/// A [`Decoder`] whose payload type is erased.
pub(super) trait DecodeInto: Send + Sync {
    /// Decodes the delivery and inserts the inference into `extensions`.
    fn decode_into(
        &self,
        delivery: &Delivery,
        scope: Scope<'_>,
        reading: Reading,
        extensions: &mut Extensions,
    ) -> Result<model::Loaded, DecodeError>;

    /// The id of the request whose final result is the inference in `extensions`.
    fn requested_id(&self, extensions: &Extensions) -> Option<String>;
}

impl<T: Send + Sync + 'static> DecodeInto for Decoder<T> {
    fn decode_into(
        &self,
        delivery: &Delivery,
        scope: Scope<'_>,
        reading: Reading,
        extensions: &mut Extensions,
    ) -> Result<model::Loaded, DecodeError> {
        let inference = self.decode(delivery.clone(), scope, reading)?;
        let (key, tolerated) = (inference.key().clone(), inference.tolerated().to_vec());
        extensions.insert(inference);
        Ok(model::Loaded { key, tolerated })
    }

    fn requested_id(&self, extensions: &Extensions) -> Option<String> {
        let inference: &Inference<T> = extensions.get()?;
        match self.requested_id {
            Some(of) => of(inference).map(Cow::into_owned),
            None => Some(inference.key().id().to_owned()),
        }
    }
}

impl<T: Payload> Inference<T> {
    /// Creates an inference of a payload that was not decoded from the body of `delivery`, for unit tests of handlers.
    pub fn from_payload(payload: T, delivery: Delivery) -> Self {
        let key = payload.key_of(&delivery);
        Self::with_key(payload, key, delivery)
    }
}

impl<T> Inference<T> {
    /// Like [`from_payload`](Self::from_payload), for types that are not a [`Payload`], such as those of
    /// [`Model::json`](super::Model::json).
    pub fn with_key(payload: T, key: InferenceKey, delivery: Delivery) -> Self {
        Self(Arc::new(Loaded { payload, key, delivery, tolerated: Vec::new() }))
    }
}

impl<T> Inference<T> {
    /// Returns the key of the inference: the key of the payload, and the captures of the path. The same key is in the
    /// request extensions.
    pub fn key(&self) -> &InferenceKey {
        &self.0.key
    }

    /// Returns the delivery.
    pub fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    /// Returns the mismatches that did not prevent decoding. Empty for a body that `T` decodes as it is. Lists at most 100.
    ///
    /// A body that cannot be decoded is decoded a second time, tolerantly:
    ///
    /// - A byte order mark is skipped (RFC 8259, section 8.1), a lone surrogate in an escape is read as U+FFFD, and `NaN`,
    ///   `Infinity` and `-Infinity` are read as null.
    /// - A member of the provider's own envelope or metadata with an unexpected type is treated as absent. Strings are
    ///   converted to the expected number or boolean, and the other way round. Invalid elements of the provider's own
    ///   lists, such as locations or annotations, are skipped.
    /// - The values of your own types must have the expected type. Otherwise the body is undecodable.
    ///
    /// [`Model::strict`](super::Model::strict) disables tolerant decoding.
    ///
    /// ```
    /// use http::Request;
    /// use tower_inbox::{Inference, provider::mindee::{Extraction, Fields}};
    /// # use tower_inbox::delivery::Delivery;
    ///
    /// # fn of(delivery: Delivery) -> Result<(), tower_inbox::provider::DecodeError> {
    /// let inference = Inference::<Extraction<Fields>>::load(delivery)?;
    /// for tolerated in inference.tolerated() {
    ///     println!("{tolerated}"); // $.inference.file.alias: expected a string, found an integer
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn tolerated(&self) -> &[Tolerated] {
        &self.0.tolerated
    }

    /// Returns the exact bytes that were decoded: the body, decompressed if the model
    /// [decompresses](super::Model::decompress).
    pub fn raw(&self) -> &Bytes {
        self.0.delivery.body()
    }
}

impl<T: Serialize> Inference<T> {
    /// Returns the JSON paths of unknown members and enum values, and of values that `T` serializes differently. All
    /// members of a map and of [`Fields`](super::mindee::Fields) are known.
    ///
    /// Unknown values are available from [`raw`](Self::raw). This method parses the body again: do not call it for every
    /// delivery.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use tower_inbox::{Inference, delivery::Delivery, provider::{DecodeError, foxyai::ImageGroup}};
    /// # fn of(inference: &Inference<ImageGroup>) {
    /// for path in inference.unknown() {
    ///     println!("unknown: {path}");
    /// }
    /// # }
    /// ```
    pub fn unknown(&self) -> Vec<String> {
        let raw = unknown::read_body(self.raw());
        let known = unknown::to_known_value(&self.0.payload);
        match (raw, known) {
            (Ok(raw), Ok(known)) => unknown::paths(&raw, &known),
            // Not JSON, or map keys that JSON does not have.
            _ => Vec::new(),
        }
    }
}

impl<T> Clone for Inference<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Inference<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.payload
    }
}

/// Serializes the payload.
impl<T: Serialize> Serialize for Inference<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.payload.serialize(serializer)
    }
}

/// Shows the id of the delivery, never the payload: arguments of handlers end up in logs.
impl<T> fmt::Debug for Inference<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = self.0.delivery.id();
        f.debug_struct("Inference").field("delivery", &delivery).finish_non_exhaustive()
    }
}
