//! Ed25519 (RFC 8032): keys, sets of them that can be replaced while the server runs, and the schemes that use them.

mod error;
mod jwks;
mod key;
mod keys;
mod template;
mod webhooks;

pub use error::Ed25519KeyError;
pub use key::Ed25519Key;
pub use keys::Ed25519Keys;
pub use template::Ed25519Template;
