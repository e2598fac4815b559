use std::fmt;

use http::request;

use super::{Proof, SchemeError, SignatureError};
use crate::delivery::Redaction;

/// A way of proving who sent a request.
///
/// Implement it for a provider whose scheme is not here. A scheme sees the head and the exact bytes of the body, and
/// must compare secrets in constant time.
///
/// ```
/// use http::request::Parts;
/// use tower_inbox::signature::{Proof, Scheme, SchemeError, SignatureError};
///
/// /// Whoever can reach the server's port inside a private network may post.
/// #[derive(Debug)]
/// struct PrivateNetwork;
///
/// impl Scheme for PrivateNetwork {
///     fn check(&self) -> Result<(), SchemeError> {
///         Ok(())
///     }
///
///     fn verify(&self, _: &Parts, _: &[u8]) -> Result<Proof, SignatureError> {
///         Ok(Proof::new("private-network", "none", "raw"))
///     }
/// }
/// ```
pub trait Scheme: fmt::Debug + Send + Sync + 'static {
    /// Whether the scheme can work as it was configured. Called when the inbox is built.
    ///
    /// # Errors
    ///
    /// If it cannot, such as for an empty secret.
    fn check(&self) -> Result<(), SchemeError>;

    /// Checks that a holder of a live secret sent exactly these bytes.
    ///
    /// # Errors
    ///
    /// If not. The error holds nothing of what was sent.
    fn verify(&self, head: &request::Parts, body: &[u8]) -> Result<Proof, SignatureError>;

    /// Where the scheme reads secrets from the head, so that they never reach the archive. None by default: a
    /// signature is not a secret.
    fn redaction(&self) -> Redaction {
        Redaction::default()
    }
}
