//! Ed25519 (RFC 8032): keys, key sets that can be replaced while the server runs, and the schemes that use them.

mod keys;
mod template;
mod webhooks;

pub use keys::Ed25519Keys;
pub use keys::{Ed25519Key, Ed25519KeyError};
pub use template::Ed25519Template;
