//! Finds the model for a path. Every other request passes through untouched and unbuffered.

mod error;
mod models;
mod service;
mod table;

pub use error::ModelError;
pub use models::Models;
pub(crate) use service::PeerAddress;
pub use service::{RouteLayer, RouteService};
