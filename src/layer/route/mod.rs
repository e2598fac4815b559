//! Finds the model for a path. Every other request passes through untouched and unbuffered.

mod models;
mod service;
mod table;

pub use models::{ModelError, Models};
pub(crate) use service::PeerAddress;
pub use service::{RouteLayer, RouteService};
