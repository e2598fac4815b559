//! What is counted and measured. Without feature `metrics` nothing is.

#[cfg(feature = "metrics")]
mod facade;
#[cfg(not(feature = "metrics"))]
mod nothing;

#[cfg(feature = "metrics")]
pub(crate) use facade::*;
#[cfg(not(feature = "metrics"))]
pub(crate) use nothing::*;
