use std::{borrow::Cow, time::SystemTime};

use http::{HeaderName, header::AUTHORIZATION, request::Parts};

use super::compare::prove;
use crate::{
    delivery::Redaction,
    signature::{
        Proof, Scheme, SchemeError, SecretSet, SignError, Signature, SignatureError,
        doctor::{Difference, TOKEN_HEADERS, Variant},
        given_header::GivenHeader,
    },
};

/// A token in a header, for providers that sign nothing but send a header of your choice (`AssemblyAI`, guide
/// "Webhooks"), their own (Hugging Face, `X-Webhook-Secret`), or a bearer token (RFC 6750).
///
/// 1. The header must be there exactly once.
/// 2. Behind the prefix, by default none, whose case does not count (RFC 9110, section 11.1), its value must be one of
///    the secrets that are live at the time of receipt; neither place nor length of a difference shows in the time.
///
/// The value never reaches the archive or a log.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{HeaderToken, Scheme, Secret};
///
/// let scheme = HeaderToken::new("x-hook-token", Secret::new("correct horse"));
/// let (head, ()) = Request::post("/").header("x-hook-token", "correct horse").body(())?.into_parts();
/// assert!(scheme.verify(&head, b"{}", SystemTime::now()).is_ok());
///
/// let scheme = HeaderToken::bearer(Secret::new("correct-horse"));
/// let (head, ()) = Request::post("/").header("authorization", "Bearer correct-horse").body(())?.into_parts();
/// assert!(scheme.verify(&head, b"{}", SystemTime::now()).is_ok());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderToken {
    header: GivenHeader,
    prefix: Cow<'static, str>,
    secrets: SecretSet,
}

impl HeaderToken {
    /// Expects one of `secrets` in `header`. An invalid header name is reported when the inbox is built, by
    /// [`check`](Scheme::check).
    pub fn new(header: impl TryInto<HeaderName>, secrets: impl Into<SecretSet>) -> Self {
        let header = GivenHeader::new(header);
        Self { header, prefix: Cow::Borrowed(""), secrets: secrets.into() }
    }

    /// Expects one of `secrets` behind `Bearer ` in `Authorization`.
    pub fn bearer(secrets: impl Into<SecretSet>) -> Self {
        Self::new(AUTHORIZATION, secrets).prefix("Bearer ")
    }

    /// What stands before the token.
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

impl Scheme for HeaderToken {
    fn check(&self) -> Result<(), SchemeError> {
        self.header.check("token")?;
        self.secrets.check()?;
        self.secrets.fixed().iter().try_for_each(|secret| secret.check_prefix(&self.prefix))
    }

    fn check_head(&self, head: &Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.verify(head, b"", at).map(drop)
    }

    fn verify(&self, head: &Parts, _: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        let place = self.header.place();
        let value = place.single(head.headers.get_all(self.header.name()))?.as_bytes();
        let token = behind(value, &self.prefix);
        let token = token.ok_or_else(|| place.malformed("a token behind the expected word"))?;
        prove("header-token", &self.secrets.live(head, at), b"", token, &place)
    }

    fn signature(&self, _: &str, _: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let secret = self.secrets.signing(at).next().ok_or(SignError::NoSecret)?;
        Signature::new()
            .header(self.header.name(), [self.prefix.as_bytes(), secret.value()].concat())
    }

    fn redaction(&self) -> Redaction {
        Redaction::default().header(self.header.name().clone())
    }

    fn variants(&self) -> Vec<Variant> {
        let sets = self.secrets.variants().into_iter().map(|(difference, secrets)| {
            Variant::new(difference, Self { secrets, ..self.clone() })
        });
        let headers = TOKEN_HEADERS.into_iter().map(|(header, prefix)| {
            let header = HeaderName::from_static(header);
            let difference = Difference::Header { header: header.clone(), prefix };
            Variant::new(difference, Self::new(header, self.secrets.clone()).prefix(prefix))
        });
        sets.chain(headers).collect()
    }
}

/// What follows `prefix`, whose case does not count.
pub(super) fn behind<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};

    use super::*;
    use crate::signature::{Place, Secret};

    const HEADER: HeaderName = HeaderName::from_static("x-hook-token");
    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn verify(scheme: &HeaderToken, values: &[&str]) -> Result<Proof, SignatureError> {
        let mut head = Request::post("/a").body(()).unwrap().into_parts().0;
        for value in values {
            head.headers.append(scheme.header.name(), value.parse().unwrap());
        }
        scheme.verify(&head, b"", AT)
    }

    #[test]
    fn a_live_secret_is_accepted_and_anything_else_refused() {
        let old = Secret::new("old").named("old");
        let scheme = HeaderToken::new(HEADER, [Secret::new("new").named("new"), old.valid(..AT)]);
        let place = Place::Header(HEADER);
        assert_eq!(verify(&scheme, &["new"]).unwrap().secret(), "new");
        assert_eq!(verify(&scheme, &[]), Err(SignatureError::Missing { place: place.clone() }));
        let twice = Err(SignatureError::Ambiguous { place: place.clone() });
        assert_eq!(verify(&scheme, &["new", "new"]), twice);
        for value in ["old", "", "ne", "neww", "NEW", "Bearer new"] {
            assert_eq!(verify(&scheme, &[value]), Err(place.mismatch()), "{value:?}");
        }
    }

    #[test]
    fn the_word_before_a_bearer_token_has_no_case() {
        let scheme = HeaderToken::bearer(Secret::new("t0ken"));
        assert!(verify(&scheme, &["bearer t0ken"]).is_ok());
        for value in ["t0ken", "Bearert0ken", "Basic t0ken", "Bearer", "Bearer  t0ken"] {
            assert!(verify(&scheme, &[value]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn an_invalid_header_name_is_reported_when_the_inbox_is_built() {
        let check = HeaderToken::new("x-hook token", Secret::new("t0ken")).check();
        assert_eq!(check, Err(SchemeError::InvalidHeaderName { holds: "token" }));
    }

    #[test]
    fn a_token_never_reaches_the_archive() {
        let scheme = HeaderToken::new(HEADER, Secret::new("t0ken"));
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "t0ken".parse().unwrap());
        assert_eq!(scheme.redaction().redact_headers(&headers)[HEADER], "REDACTED");
    }

    #[test]
    fn secret_that_repeats_the_prefix_is_an_error() {
        let check = |secret: &str| HeaderToken::bearer(Secret::new(secret)).check();
        assert_eq!(check("hunter2"), Ok(()));
        for secret in ["Bearer hunter2", "bearer hunter2"] {
            let error = check(secret).unwrap_err();
            assert!(error.to_string().contains("`Bearer `"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
