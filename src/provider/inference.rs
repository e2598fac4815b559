use std::{fmt, ops::Deref, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::{DecodeError, InferenceKey, Payload, Tolerated, known, tolerant, unknown};
use crate::delivery::Delivery;

/// A delivery loaded into the type of its model. Derefs to `T`; cheap to clone.
///
/// It is in the extensions of the request that the inner service gets, and with feature `axum` an extractor.
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
    /// If the body is not of type `T`.
    pub fn load(delivery: Delivery) -> Result<Self, DecodeError> {
        Self::load_within(delivery, &[], Reading::Tolerant)
    }

    /// Decodes the body of `delivery`, for a path that captured this.
    pub(super) fn load_within(
        delivery: Delivery,
        scope: &[(&str, &str)],
        reading: Reading,
    ) -> Result<Self, DecodeError> {
        let (payload, tolerated) = match (T::decode(delivery.body()), reading) {
            (Ok(payload), _) => (payload, Vec::new()),
            (Err(error), Reading::Strict) => return Err(error),
            (Err(error), Reading::Tolerant) => tolerant::decode(delivery.body(), error)?,
        };
        let key = payload.key_of(&delivery).within(scope.iter().copied());
        Ok(Self(Arc::new(Loaded { payload, key, delivery, tolerated })))
    }
}

/// Whether a body that cannot be decoded is read a second time, tolerantly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    Strict,
    #[default]
    Tolerant,
}

impl<T: Payload> Inference<T> {
    /// Creates an inference of a payload that was not decoded from the body of `delivery`, for unit tests of handlers.
    pub fn from_payload(payload: T, delivery: Delivery) -> Self {
        let key = payload.key_of(&delivery);
        Self(Arc::new(Loaded { payload, key, delivery, tolerated: Vec::new() }))
    }
}

impl<T> Inference<T> {
    /// Returns the key of the inference: what the payload says of this delivery, and the scope. The same key is in the
    /// request extensions.
    pub fn key(&self) -> &InferenceKey {
        &self.0.key
    }

    /// The delivery that it came with.
    pub fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    /// What did not have the expected form, and did not prevent decoding. Empty for a body that `T` decodes as it is. At
    /// most 100 are listed.
    ///
    /// A body that cannot be decoded is read a second time, tolerantly:
    ///
    /// - A byte order mark is skipped (RFC 8259, section 8.1), half of a surrogate pair in an escape is read as U+FFFD,
    ///   and `NaN`, `Infinity` and `-Infinity` as null.
    /// - A member of the provider's own envelope or metadata that has an unexpected type is absent; a text is read as the
    ///   number or boolean that it holds, and the other way round. Of the provider's own lists, such as locations or
    ///   annotations, elements that cannot be read are left out.
    /// - The values that a type of yours asks for must be of that type. A body without them stays undecodable.
    ///
    /// [`Model::strict`](super::Model::strict) turns it off.
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

    /// The exact bytes that it was loaded from: the body, decompressed if the model
    /// [decompresses](super::Model::decompress).
    pub fn raw(&self) -> &Bytes {
        self.0.delivery.body()
    }
}

impl<T: Serialize> Inference<T> {
    /// The JSON paths of what `T` does not know: unknown members, unknown words, and what `T` writes otherwise than it
    /// came. In a [`Fields`](super::mindee::Fields) or a map all members are known.
    ///
    /// Nothing is lost, it is in [`raw`](Self::raw). This loads the body once more: not for every delivery.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use tower_inbox::{Inference, delivery::Delivery, provider::{DecodeError, foxyai::ImageGroup}};
    /// # fn of(inference: &Inference<ImageGroup>) {
    /// for path in inference.unknown() {
    ///     println!("not known: {path}");
    /// }
    /// # }
    /// ```
    pub fn unknown(&self) -> Vec<String> {
        let raw = unknown::read(self.raw());
        let known = known::write(&self.0.payload);
        match (raw, known) {
            (Ok(raw), Ok(known)) => unknown::paths(&raw, &known),
            // Not JSON, or with keys that JSON does not have: nothing to compare.
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

/// In the provider's own form, as `T` writes it.
impl<T: Serialize> Serialize for Inference<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.payload.serialize(serializer)
    }
}

/// Shows which delivery it is, never what is in it: handlers' arguments end up in logs.
impl<T> fmt::Debug for Inference<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = self.0.delivery.id();
        f.debug_struct("Inference").field("delivery", &delivery).finish_non_exhaustive()
    }
}
