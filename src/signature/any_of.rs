use std::{sync::Arc, time::SystemTime};

use http::request::Parts;

use super::{Proof, Scheme, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::Redaction;

/// Accepts a request that any of several schemes accepts, for a sender that changes its scheme, or for two senders that
/// share an endpoint.
///
/// 1. The schemes are tried in the order in which they were added. The proof is that of the first one that accepts the
///    request.
/// 2. A request that all of them reject is rejected with the error of the first scheme that found a signature or token,
///    or else with the error of the first scheme.
/// 3. The values that any of the schemes reads as secrets are redacted.
///
/// An endpoint is as secure as its weakest scheme, and a request without a valid signature costs as much CPU time as all
/// schemes together. To accept several secrets under one scheme, use a [`SecretSet`](super::SecretSet).
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{AnyOf, HmacBody, Scheme, Secret, StandardWebhooks};
///
/// // The sender moves from an HMAC of its own to Standard Webhooks.
/// let old = HmacBody::new("x-my-signature", Secret::new("correct horse")).prefix("sha256=");
/// let new = StandardWebhooks::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
/// let scheme = AnyOf::new(new).or(old.clone());
///
/// let now = SystemTime::now();
/// let (mut head, ()) = Request::post("/hooks/captions").body(())?.into_parts();
/// old.signature("", b"{}", now)?.add_to(&mut head)?;
/// assert_eq!(scheme.verify(&head, b"{}", now)?.scheme(), "hmac-sha256");
/// assert!(scheme.verify(&head, b"[]", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyOf {
    first: Arc<dyn Scheme>,
    others: Vec<Arc<dyn Scheme>>,
}

impl AnyOf {
    /// Accepts what `scheme` accepts. Add other schemes with [`or`](Self::or).
    pub fn new(scheme: impl Scheme) -> Self {
        Self { first: Arc::new(scheme), others: Vec::new() }
    }

    /// Also accepts what `scheme` accepts.
    pub fn or(mut self, scheme: impl Scheme) -> Self {
        self.others.push(Arc::new(scheme));
        self
    }

    fn schemes(&self) -> impl Iterator<Item = &dyn Scheme> {
        std::iter::once(&*self.first).chain(self.others.iter().map(|scheme| &**scheme))
    }

    /// Returns the result of the first scheme that accepts the request, or the most specific error.
    fn first_accepting<T>(
        &self,
        accept: impl Fn(&dyn Scheme) -> Result<T, SignatureError>,
    ) -> Result<T, SignatureError> {
        let mut error = match accept(&*self.first) {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        for scheme in &self.others {
            match accept(&**scheme) {
                Ok(accepted) => return Ok(accepted),
                Err(SignatureError::Missing { .. }) => {}
                Err(other) if matches!(error, SignatureError::Missing { .. }) => error = other,
                Err(_) => {}
            }
        }
        Err(error)
    }
}

impl Scheme for AnyOf {
    fn check(&self) -> Result<(), SchemeError> {
        self.schemes().try_for_each(Scheme::check)
    }

    fn check_head(&self, head: &Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.first_accepting(|scheme| scheme.check_head(head, at))
    }

    fn verify(&self, head: &Parts, body: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        self.first_accepting(|scheme| scheme.verify(head, body, at))
    }

    /// Signs with the first scheme that can sign.
    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let signed = self.first.signature(id, body, at);
        let others = self.others.iter().map(|scheme| scheme.signature(id, body, at));
        others.fold(signed, Result::or)
    }

    fn claimed_message_id<'h>(&self, head: &'h Parts) -> Option<&'h str> {
        self.schemes().find_map(|scheme| scheme.claimed_message_id(head))
    }

    fn redaction(&self) -> Redaction {
        self.schemes().map(Scheme::redaction).fold(Redaction::default(), Redaction::and)
    }

    fn variants(&self) -> Vec<Variant> {
        self.schemes().flat_map(Scheme::variants).collect()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request};

    use super::*;
    use crate::signature::{
        HmacBody, Place, QueryToken, Secret, StandardWebhooks, doctor::examine,
    };

    const BODY: &[u8] = b"{}";
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn hmac(header: &'static str) -> HmacBody {
        HmacBody::new(header, Secret::new("correct horse"))
    }

    fn webhooks() -> StandardWebhooks {
        StandardWebhooks::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    }

    fn signed_by(scheme: &dyn Scheme) -> Parts {
        let (mut head, ()) = Request::post("/a?x=y").body(()).unwrap().into_parts();
        scheme.signature("msg_1", BODY, NOW).unwrap().add_to(&mut head).unwrap();
        head
    }

    fn unsigned() -> Parts {
        Request::post("/a").body(()).unwrap().into_parts().0
    }

    #[test]
    fn request_signed_under_any_scheme_is_accepted_with_the_proof_of_that_scheme() {
        let token = QueryToken::new("ticket", Secret::new("t0ken"));
        let any = AnyOf::new(hmac("x-old")).or(webhooks()).or(token.clone());
        for (scheme, name) in [
            (&hmac("x-old") as &dyn Scheme, "hmac-sha256"),
            (&webhooks(), "standard-webhooks-v1"),
            (&token, "query-token"),
        ] {
            let head = signed_by(scheme);
            assert_eq!(any.check_head(&head, NOW), Ok(()));
            assert_eq!(any.verify(&head, BODY, NOW).unwrap().scheme(), name);
        }
        let head = signed_by(&webhooks());
        assert_eq!(any.claimed_message_id(&head), Some("msg_1"));
        assert_eq!(any.verify(&head, BODY, NOW).unwrap().message_id(), Some("msg_1"));
    }

    #[test]
    fn error_of_the_scheme_whose_signature_is_there_is_returned() {
        let any = AnyOf::new(hmac("x-old")).or(hmac("x-new"));
        let missing = |header| SignatureError::Missing {
            place: Place::Header(HeaderName::from_static(header)),
        };
        assert_eq!(any.check_head(&unsigned(), NOW), Err(missing("x-old")));
        assert_eq!(any.verify(&unsigned(), BODY, NOW), Err(missing("x-old")));
        let mismatch = Place::Header(HeaderName::from_static("x-new")).mismatch();
        assert_eq!(any.verify(&signed_by(&hmac("x-new")), b"[]", NOW), Err(mismatch));
        let first = Place::Header(HeaderName::from_static("x-old")).mismatch();
        assert_eq!(any.verify(&signed_by(&hmac("x-old")), b"[]", NOW), Err(first));
    }

    #[test]
    fn secrets_of_every_scheme_are_checked_and_redacted() {
        let token = |secret| QueryToken::new("ticket", Secret::new(secret));
        let any = AnyOf::new(hmac("x-old")).or(token("hunter2"));
        assert_eq!(any.check(), Ok(()));
        assert!(AnyOf::new(hmac("x-old")).or(token("")).check().is_err());
        let head = signed_by(&token("hunter2"));
        assert!(head.uri.query().unwrap().contains("hunter2"));
        let redacted = any.redaction().redact_uri(&head.uri).to_string();
        assert!(!redacted.contains("hunter2") && redacted.contains("x=y"), "{redacted}");
    }

    #[test]
    fn request_is_signed_with_the_first_scheme_that_can_sign() {
        #[derive(Debug)]
        struct CheckOnly;

        impl Scheme for CheckOnly {
            fn check(&self) -> Result<(), SchemeError> {
                Ok(())
            }

            fn verify(&self, _: &Parts, _: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
                Err(Place::Query("a".to_owned()).mismatch())
            }

            fn redaction(&self) -> Redaction {
                Redaction::default()
            }
        }

        let any = AnyOf::new(CheckOnly).or(hmac("x-new")).or(hmac("x-old"));
        let signature = any.signature("", BODY, NOW).unwrap();
        assert!(signature.headers().contains_key("x-new"));
        assert!(!signature.headers().contains_key("x-old"));
        let error = AnyOf::new(CheckOnly).signature("", BODY, NOW).unwrap_err();
        assert_eq!(error, SignError::CheckOnly);
    }

    #[test]
    fn variants_of_every_scheme_are_examined() {
        let any = AnyOf::new(webhooks()).or(hmac("x-signature"));
        let head = signed_by(&hmac("x-signature").prefix("sha256="));
        assert!(any.verify(&head, BODY, NOW).is_err());
        let findings = examine(&any, &head, BODY, NOW);
        assert!(findings.iter().any(|finding| finding.to_string().contains("sha256=")));
    }

    #[test]
    fn boxed_and_shared_schemes_behave_like_the_scheme_inside() {
        let boxed: Box<dyn Scheme> = Box::new(webhooks());
        let shared: Arc<dyn Scheme> = Arc::new(webhooks());
        let head = signed_by(&boxed);
        for scheme in [&boxed as &dyn Scheme, &shared] {
            assert_eq!(scheme.check(), Ok(()));
            assert!(scheme.check_head(&unsigned(), NOW).is_err());
            assert!(scheme.verify(&head, BODY, NOW).is_ok());
            assert_eq!(scheme.claimed_message_id(&head), Some("msg_1"));
            assert_eq!(scheme.variants().len(), webhooks().variants().len());
        }
        let token: Box<dyn Scheme> = Box::new(QueryToken::new("ticket", Secret::new("hunter2")));
        let uri = signed_by(&token).uri;
        assert!(!Scheme::redaction(&token).redact_uri(&uri).to_string().contains("hunter2"));
    }
}
