use crate::{delivery::ModelNameError, signature::SchemeError};

/// Why a model cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The path cannot be routed by, or overlaps with another one.
    #[error("the model path {path} cannot be used: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a model with this path.
    #[error("there is a model at {path} already: remove it first")]
    Taken {
        /// The path.
        path: String,
    },
    /// The path cannot be the model's name.
    #[error("the path {path} cannot be the name of its model: name it with Model::named")]
    Name {
        /// The path.
        path: String,
        /// What is wrong with it.
        source: ModelNameError,
    },
    /// The model's scheme cannot work.
    #[error("the sender of the model at {path} cannot be verified")]
    Scheme {
        /// The path.
        path: String,
        /// What is wrong with the scheme.
        source: SchemeError,
    },
}
