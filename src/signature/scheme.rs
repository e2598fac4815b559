use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use http::{HeaderMap, request};

use super::{Proof, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::{Digest, Redaction, decompress};

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

/// The form of a body that a sender signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyForm {
    /// The body as it was sent.
    #[default]
    Raw,
    /// The body as it was sent or, if that does not match, without carriage returns and line feeds.
    ///
    /// In JSON, both are only allowed between values: an accepted body has the same meaning.
    RawOrWithoutLineBreaks,
}

impl BodyForm {
    /// Returns the forms that can match, in the order in which they are tried.
    pub(super) fn readings(self, body: &[u8]) -> impl Iterator<Item = Reading<'_>> {
        let joined = move || match self {
            Self::Raw => None,
            Self::RawOrWithoutLineBreaks => without_line_breaks(body),
        };
        let raw = std::iter::once(Reading { form: "raw", bytes: Cow::Borrowed(body) });
        let joined = move || {
            joined().map(|bytes| Reading { form: "without-line-breaks", bytes: bytes.into() })
        };
        // Lazy: the body is copied only if the raw body does not match.
        raw.chain(std::iter::once_with(joined).flatten())
    }
}

/// A form of a body. Owned bytes differ from those that were received.
#[derive(Debug)]
pub(super) struct Reading<'b> {
    pub(super) form: &'static str,
    pub(super) bytes: Cow<'b, [u8]>,
}

/// Returns `body` without carriage returns and line feeds; `None` if it has none.
pub(super) fn without_line_breaks(body: &[u8]) -> Option<Vec<u8>> {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let any = body.iter().any(is_break);
    any.then(|| body.iter().copied().filter(|byte| !is_break(byte)).collect())
}

/// A scheme whose sender signs the body before it compresses it.
#[derive(Clone, Debug)]
pub(crate) struct Decompressed {
    scheme: Arc<dyn Scheme>,
    /// The maximum size of a decompressed body, in bytes.
    limit: usize,
}

impl Decompressed {
    pub(crate) fn new(scheme: Arc<dyn Scheme>, limit: usize) -> Self {
        Self { scheme, limit }
    }

    /// Returns the decompressed body, or the body as it is if it cannot be decompressed. Its signature then does not
    /// match.
    fn plain<'b>(&self, headers: &HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
        decompress(headers, body, self.limit).unwrap_or(Cow::Borrowed(body))
    }
}

impl Scheme for Decompressed {
    fn check(&self) -> Result<(), SchemeError> {
        self.scheme.check()
    }

    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.scheme.check_head(head, at)
    }

    fn verify(
        &self,
        head: &request::Parts,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError> {
        let plain = self.plain(&head.headers, body);
        let proof = self.scheme.verify(head, &plain, at)?;
        // A retry can compress the same body to different bytes.
        let proves_digest = proof.signed_digest().is_some() || matches!(plain, Cow::Borrowed(_));
        Ok(if proves_digest { proof } else { proof.with_signed_digest(Digest::of(&plain)) })
    }

    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        self.scheme.signature(id, &self.plain(&HeaderMap::new(), body), at)
    }

    fn claimed_message_id<'h>(&self, head: &'h request::Parts) -> Option<&'h str> {
        self.scheme.claimed_message_id(head)
    }

    fn redaction(&self) -> Redaction {
        self.scheme.redaction()
    }

    fn variants(&self) -> Vec<Variant> {
        self.scheme.variants()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_body_is_tried_first_and_alone_without_line_breaks() {
        let names = |form: BodyForm, body: &[u8]| -> Vec<_> {
            form.readings(body).map(|one| (one.form, one.bytes.into_owned())).collect()
        };
        let raw = |body: &[u8]| ("raw", body.to_vec());
        assert_eq!(names(BodyForm::Raw, b"a\nb"), [raw(b"a\nb")]);
        assert_eq!(names(BodyForm::RawOrWithoutLineBreaks, b"ab"), [raw(b"ab")]);
        assert_eq!(
            names(BodyForm::RawOrWithoutLineBreaks, b"a\r\nb\n"),
            [raw(b"a\r\nb\n"), ("without-line-breaks", b"ab".to_vec())]
        );
    }
}
