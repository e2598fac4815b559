use crate::{delivery::ModelNameError, signature::SchemeError};

/// Why a model cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The path cannot be routed by, or overlaps with another one.
    #[error("invalid model path {path}: {reason}")]
    #[non_exhaustive]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A model is mounted at this path.
    #[error("a model is mounted at {path} already; use Models::replace, or remove it first")]
    #[non_exhaustive]
    Taken {
        /// The path.
        path: String,
    },
    /// There is no model at this path to be replaced.
    #[error("no model at {path}; add it with Models::add")]
    #[non_exhaustive]
    Missing {
        /// The path.
        path: String,
    },
    /// The path cannot be the model's name.
    #[error("path {path} cannot be the name of its model; set one with Model::named")]
    #[non_exhaustive]
    Name {
        /// The path.
        path: String,
        /// What is wrong with it.
        source: ModelNameError,
    },
    /// The model's scheme cannot work.
    #[error("invalid signature scheme of the model at {path}")]
    #[non_exhaustive]
    Scheme {
        /// The path.
        path: String,
        /// What is wrong with the scheme.
        source: SchemeError,
    },
}
