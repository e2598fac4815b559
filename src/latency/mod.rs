//! How long deliveries waited and ran, by model. Without feature `page` nothing is recorded.

#[cfg(not(feature = "page"))]
mod disabled;
#[cfg(feature = "page")]
mod histogram;
#[cfg(feature = "page")]
mod recorder;

#[cfg(not(feature = "page"))]
pub(crate) use disabled::Latencies;
#[cfg(feature = "page")]
pub(crate) use recorder::{Latencies, Quantiles, Summary};
