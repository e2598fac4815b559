//! Who sends: payload types, schemes, ids, and what each status code makes a sender do.
//!
//! A provider is a small file or folder: a type that implements [`Provider`], and for each thing that it posts a type
//! that implements [`Payload`]. The provider of your own model is no more than that.

pub mod assemblyai;
pub mod baseten;
pub mod bfl;
pub mod deepgram;
pub mod deepinfra;
pub mod elevenlabs;
mod error;
pub mod extend;
pub mod fal;
pub mod foxyai;
pub mod gemini;
pub mod gladia;
mod hidden;
pub mod huggingface;
mod inference;
pub(crate) mod json_path;
mod known;
mod listed;
pub mod llamacloud;
mod members;
pub mod mindee;
pub mod mindee_v1;
mod mismatch;
mod model;
pub mod openai;
mod other_members;
mod payload;
mod profile;
mod read;
pub mod recall;
pub mod reducto;
pub mod replicate;
pub mod rossum;
pub mod runpod;
pub mod standard;
mod text;
mod tolerant;
mod unknown;
pub mod vlmrun;
mod watch;
mod words;

pub use crate::delivery::InferenceKey;
pub use error::DecodeError;
pub use hidden::Redacted;
pub use inference::Inference;
pub use listed::Listed;
pub(crate) use model::Loaded;
pub use model::{
    DEFAULT_BODY_TIMEOUT, DEFAULT_BODY_LIMIT, DEFAULT_MIN_BODY_RATE, Model, ModelBuilder,
};
pub use other_members::OtherMembers;
pub use payload::{Payload, Provider, SignedProvider, decode_json};
pub use profile::{OnClientError, Profile};
pub use text::Text;
pub use tolerant::Tolerated;
pub use watch::DEFAULT_SCHEMA_DRIFT_INTERVAL;
