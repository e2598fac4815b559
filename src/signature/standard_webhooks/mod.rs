//! Standard Webhooks: the scheme, its versions of signatures, and its names of headers.

mod names;
mod read;
mod scheme;
mod version;

pub use scheme::StandardWebhooks;
#[cfg(feature = "ed25519")]
pub(super) use version::Version;
