//! Who sends: payload types, schemes, ids, and what each status code makes a sender do.
//!
//! A provider is a small file or folder: a type that implements [`Provider`], and for each thing that it posts a type
//! that implements [`Payload`]. The provider of your own model is no more than that.

mod error;
pub mod foxyai;
mod inference;
mod json_path;
mod key;
mod known;
mod listed;
mod members;
pub mod mindee;
pub mod mindee_v1;
mod mismatch;
mod model;
mod novelties;
mod other_members;
mod payload;
mod profile;
mod read;
mod text;
mod unknown;
mod words;

pub use error::DecodeError;
pub use inference::Inference;
pub use key::InferenceKey;
pub use listed::Listed;
pub use model::{DEFAULT_BODY_DEADLINE, DEFAULT_BODY_LIMIT, Model, ModelDraft};
pub use novelties::Novelties;
pub use other_members::OtherMembers;
pub use payload::{Payload, Provider, Signs, decode_json};
pub use profile::Profile;
pub use text::Text;
