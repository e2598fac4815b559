//! Results of Mindee V2 and its API, after its pages "Webhooks" and "Model storage policy", its `OpenAPI` description, and
//! its client libraries.

mod enqueue;
mod inference;
mod job;
mod problem;
mod product;
mod search;
mod service;
mod settings;
mod store;
mod webhook;

pub(super) use inference::Inference;
pub use product::{Product, UnknownProduct};
pub use service::Mindee;
pub use settings::MindeeBuilder;
pub use webhook::Webhook;
