//! Standard Webhooks: the scheme, its signature versions and its header names.

mod headers;
mod scheme;

#[cfg(feature = "ed25519")]
pub(super) use headers::Version;
pub use scheme::StandardWebhooks;
