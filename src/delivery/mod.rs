//! A delivery: one POST as it was received, and what became of it.
//!
//! Plain data without I/O; every other part of the crate speaks in these words.

mod captures;
mod content_encoding;
mod digest;
mod fingerprint;
mod head;
mod id;
mod inference_digest;
mod inference_key;
mod model_name;
mod occurrences;
mod outcome;
mod outcome_text;
mod receipt;
mod record;
mod redaction;
mod state;

pub use captures::Captures;
pub(crate) use content_encoding::{
    ContentEncoding, DecompressError, decompress, decompress_as_any,
};
pub use digest::{Digest, ParseDigestError};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use head::Head;
pub use id::{DeliveryId, ParseDeliveryIdError};
pub use inference_digest::{InferenceDigest, InferenceId, ParseInferenceError};
pub use inference_key::InferenceKey;
pub use model_name::{ModelName, ModelNameError};
pub use outcome::Outcome;
pub(crate) use outcome::one_line;
pub use outcome_text::ParseOutcomeError;
pub use receipt::Receipt;
pub use record::Delivery;
pub use redaction::Redaction;
pub use state::{State, StateKind};
