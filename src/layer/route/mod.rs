//! Finds the model for a path. Every other request passes through untouched and unbuffered.

mod captures;
mod error;
mod layer;
mod models;
mod service;
mod table;

pub use captures::Captures;
pub use error::ModelError;
pub use layer::RouteLayer;
pub use models::Models;
pub use service::RouteService;
