use std::{fmt, sync::Arc, time::SystemTime};

use http::request;

use super::{Proof, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::Redaction;

/// A way to authenticate the sender of a request.
///
/// Implement it for a provider whose scheme is not in this module. A scheme gets the head and the exact bytes of the
/// body, and must compare secrets in constant time. It must not read the clock: a delivery is verified as of its time of
/// receipt, also when it is verified again years later.
///
/// `Box<dyn Scheme>` and `Arc<dyn Scheme>` are schemes. [`AnyOf`](super::AnyOf) accepts what any of several schemes
/// accepts.
///
/// ```
/// use std::time::SystemTime;
/// use http::request::Parts;
/// use tower_inbox::delivery::Redaction;
/// use tower_inbox::signature::{Proof, Scheme, SchemeError, SignatureError};
///
/// /// Accepts every request, for a port that only a private network can reach.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a signature scheme",
    label = "not a `Scheme`",
    note = "use a scheme of `tower_inbox::signature`, such as `HmacBody`, `StandardWebhooks` or `HeaderToken`",
    note = "or implement `Scheme` for `{Self}`"
)]
pub trait Scheme: fmt::Debug + Send + Sync + 'static {
    /// Checks the configuration. Called when the inbox is built.
    ///
    /// # Errors
    ///
    /// If the scheme cannot work as configured, such as with an empty secret.
    fn check(&self) -> Result<(), SchemeError>;

    /// Checks the head before the body is read, so that unauthenticated clients cannot make the inbox buffer bodies.
    /// Reject here what no body can make acceptable, such as a missing header. A request that passes still has to be
    /// verified. Default: accepts every head.
    ///
    /// # Errors
    ///
    /// If no body can make the request acceptable.
    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        let _ = (head, at);
        Ok(())
    }

    /// Verifies that exactly these bytes were sent by a holder of a secret that was valid at `at`, the time of receipt.
    ///
    /// # Errors
    ///
    /// If they were not. The error contains nothing that was sent.
    fn verify(
        &self,
        head: &request::Parts,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError>;

    /// Signs `body` as the sender does at `at`, and returns what the sender adds to the request. `id` is the message id,
    /// for schemes that sign one; other schemes ignore it. [`sign_request`](super::sign_request) signs a whole request.
    ///
    /// # Errors
    ///
    /// [`SignError::CheckOnly`] if the scheme cannot sign, which is the default; [`SignError::NoSecret`] if no secret is
    /// valid at `at`.
    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let _ = (id, body, at);
        Err(SignError::CheckOnly)
    }

    /// Returns the message id that the head claims, for schemes whose signature covers one. It is not verified: a
    /// delivery is identified by the id in the proof ([`Proof::with_message_id`]). The quarantine distinguishes rejected
    /// deliveries by the claimed id. Default: `None`.
    fn claimed_message_id<'h>(&self, head: &'h request::Parts) -> Option<&'h str> {
        let _ = head;
        None
    }

    /// Returns where the head contains secrets, so that they are never archived. A token is a secret, a signature is not.
    ///
    /// Query parameters that are redacted by a scheme are not part of the identity of a delivery, so that the sender may
    /// change a token or sign again between two attempts. Include the parameters of a signature and its timestamp if they
    /// are in the query.
    fn redaction(&self) -> Redaction;

    /// Returns schemes that differ from this one in a single setting that is often wrong. They accept nothing: the
    /// [doctor](super::doctor) tries them to find out why a delivery was rejected. Default: none.
    fn variants(&self) -> Vec<Variant> {
        Vec::new()
    }
}

macro_rules! delegate_scheme {
    ($pointer:ident) => {
        impl<S: Scheme + ?Sized> Scheme for $pointer<S> {
            fn check(&self) -> Result<(), SchemeError> {
                S::check(self)
            }

            fn check_head(
                &self,
                head: &request::Parts,
                at: SystemTime,
            ) -> Result<(), SignatureError> {
                S::check_head(self, head, at)
            }

            fn verify(
                &self,
                head: &request::Parts,
                body: &[u8],
                at: SystemTime,
            ) -> Result<Proof, SignatureError> {
                S::verify(self, head, body, at)
            }

            fn signature(
                &self,
                id: &str,
                body: &[u8],
                at: SystemTime,
            ) -> Result<Signature, SignError> {
                S::signature(self, id, body, at)
            }

            fn claimed_message_id<'h>(&self, head: &'h request::Parts) -> Option<&'h str> {
                S::claimed_message_id(self, head)
            }

            fn redaction(&self) -> Redaction {
                S::redaction(self)
            }

            fn variants(&self) -> Vec<Variant> {
                S::variants(self)
            }
        }
    };
}

delegate_scheme!(Box);
delegate_scheme!(Arc);

/// Accepts every request: anybody who has the URL can post. It has to be written out, so that no endpoint is unsigned by
/// accident.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Unsigned {
    /// The name of the scheme in a proof.
    pub(crate) const NAME: &'static str = "unsigned";
}

impl Scheme for Unsigned {
    fn check(&self) -> Result<(), SchemeError> {
        Ok(())
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, _: &request::Parts, _: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
        Ok(Proof::new(Self::NAME, "none", "raw"))
    }

    fn signature(&self, _: &str, _: &[u8], _: SystemTime) -> Result<Signature, SignError> {
        Ok(Signature::new())
    }
}
