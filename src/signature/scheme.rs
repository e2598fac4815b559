use std::{fmt, time::SystemTime};

use http::request;

use super::{Proof, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::Redaction;

/// A way of proving who sent a request.
///
/// Implement it for a provider whose scheme is not here. A scheme sees the head and the exact bytes of the body, and
/// must compare secrets in constant time. It never asks for the time itself: a delivery is judged as of its receipt,
/// also when it is looked at again years later.
///
/// ```
/// use std::time::SystemTime;
/// use http::request::Parts;
/// use tower_inbox::delivery::Redaction;
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
///     fn verify(&self, _: &Parts, _: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
///         Ok(Proof::new("private-network", "none", "raw"))
///     }
///
///     fn redaction(&self) -> Redaction {
///         Redaction::default()
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

    /// Whether the head alone allows the request. Asked before anything of the body is read, so that strangers cannot
    /// make the inbox hold bodies: refuse here what no body can mend, such as a header that is missing. Allows all by
    /// default; what it allows still has to be verified.
    ///
    /// # Errors
    ///
    /// If no body can make the request acceptable.
    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        let _ = (head, at);
        Ok(())
    }

    /// Checks that a holder of a secret that was live at `at`, the time of receipt, sent exactly these bytes.
    ///
    /// # Errors
    ///
    /// If not. The error holds nothing of what was sent.
    fn verify(
        &self,
        head: &request::Parts,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError>;

    /// What a sender adds to a request with this body at `at`. `id` names the message where the scheme signs such a
    /// name; others pass over it.
    ///
    /// # Errors
    ///
    /// If the scheme only checks, which is the default; or if nothing to sign with is valid at `at`.
    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let _ = (id, body, at);
        Err(SignError::CheckOnly)
    }

    /// Returns the message id that the head claims, where the scheme covers one with its signature. It is not proved:
    /// a delivery is identified by what [`verify`](Self::verify) returns
    /// ([`Proof::with_message_id`]). The quarantine tells refused deliveries apart by it. None by default.
    fn claimed_message_id<'h>(&self, head: &'h request::Parts) -> Option<&'h str> {
        let _ = head;
        None
    }

    /// Where the scheme reads secrets from the head, so that they never reach the archive. A signature is not a secret,
    /// a token is.
    ///
    /// The query parameters named here prove the sender: they do not count for the identity of a delivery, so that the
    /// sender may change a token, or sign anew, between two attempts. Name a signature or its time if they are in the
    /// query.
    fn redaction(&self) -> Redaction;

    /// The schemes that differ from this one in a single thing that is often mistaken. They accept nothing: the
    /// [doctor](super::doctor) tries them to say why a delivery was refused. None by default.
    fn variants(&self) -> Vec<Variant> {
        Vec::new()
    }
}
