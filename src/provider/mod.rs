//! Who sends: payload types, schemes, ids, and what each status code makes a sender do.
//!
//! A provider is a small file or folder: a type that implements [`Provider`], and for each thing that it posts a type
//! that implements [`Payload`]. The provider of your own model is no more than that.

mod error;
pub mod foxyai;
mod inference;
mod key;
mod listed;
pub mod mindee;
mod model;
mod payload;
mod profile;
mod read;

pub use error::DecodeError;
pub use inference::Inference;
pub use key::InferenceKey;
pub use listed::Listed;
pub use model::{DEFAULT_BODY_DEADLINE, DEFAULT_BODY_LIMIT, Model, ModelDraft};
pub use payload::{Payload, Provider, Signs, decode_json};
pub use profile::Profile;
