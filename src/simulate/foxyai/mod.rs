//! Results of FoxyAI and its API, after the sources of [`provider::foxyai`](crate::provider::foxyai).

mod delivery;
mod object;
mod problem;
mod request;
mod sample;
mod service;
mod settings;
mod store;

pub use service::FoxyAi;
pub use settings::FoxyAiBuilder;
