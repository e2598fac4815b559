//! Providers: payload types, signature schemes, keys of inferences, and the reaction of each provider to status codes.
//!
//! Each provider has a module with a type that implements [`Provider`], a type that implements [`Payload`] for each
//! format, and functions that start a [`Model`]. For a provider without a module, use [`Model::json`], or implement
//! [`Provider`] and [`Payload`].

pub mod assemblyai;
pub mod baseten;
pub mod bfl;
mod builder;
pub mod deepgram;
pub mod deepinfra;
pub mod elevenlabs;
mod error;
pub mod extend;
pub mod fal;
pub mod foxyai;
pub mod gemini;
pub mod gladia;
pub mod huggingface;
mod inference;
mod json;
pub mod llamacloud;
pub mod mindee;
pub mod mindee_v1;
mod model;
pub mod openai;
mod payload;
mod profile;
mod provider_scheme;
pub mod recall;
mod recover;
pub mod reducto;
pub mod replicate;
pub mod rossum;
pub mod runpod;
mod schema_drift;
pub mod standard;
pub mod vlmrun;

pub use crate::delivery::InferenceKey;
pub use builder::ModelBuilder;
pub use error::DecodeError;
pub use inference::Inference;
pub(crate) use json::json_path;
pub use json::{Listed, OtherMembers, Redacted, Text, Tolerated};
pub(crate) use model::Loaded;
pub use model::{DEFAULT_BODY_LIMIT, DEFAULT_BODY_TIMEOUT, DEFAULT_MIN_BODY_RATE, Model};
pub use payload::{Payload, Provider, SignedProvider, decode_json};
pub use profile::{OnClientError, Profile};
pub use provider_scheme::ProviderScheme;
pub use recover::{HttpClient, Recover, RecoverError, Recovered, Recovering};
pub use schema_drift::{DEFAULT_SCHEMA_DRIFT_INTERVAL, Drift, DriftKind};
