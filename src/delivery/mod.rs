//! A delivery, which is one POST as it was received, and its state. Plain data without I/O.
//!
//! ```
//! use tower_inbox::{Outcome, delivery::{State, StateKind}};
//!
//! let state = State::from(Outcome::dead("the handler returned 404"));
//! assert_eq!(state.kind(), StateKind::Dead);
//! assert!(state.is_settled());
//! ```

mod content_encoding;
mod fingerprint;
mod head;
mod id;
mod inference;
mod outcome;
mod record;
mod redaction;
mod secret_values;
mod state;

pub(crate) use content_encoding::{
    ContentEncoding, DecompressError, decompress, decompress_as_any,
};
pub use fingerprint::{Digest, Fingerprint, ParseDigestError, ParseFingerprintError};
pub use head::{Captures, Head};
pub use id::{DeliveryId, ModelName, ModelNameError, ParseDeliveryIdError};
pub use inference::{InferenceDigest, InferenceId, InferenceKey, ParseInferenceError};
pub use outcome::{Outcome, ParseOutcomeError};
pub(crate) use outcome::{one_line, prefix, with_causes};
pub use record::{Delivery, Provenance, Receipt};
#[cfg(any(feature = "disk", feature = "postgres"))]
pub(crate) use record::{from_nanos, to_nanos};
pub use redaction::Redaction;
pub use state::{State, StateKind};
