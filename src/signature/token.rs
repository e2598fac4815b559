use std::{borrow::Cow, time::SystemTime};

use base64::Engine;
use http::{
    HeaderName,
    header::AUTHORIZATION,
    request::{self, Parts},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    Place, Proof, Scheme, SchemeError, Secret, SecretSet, SignError, Signature, SignatureError,
    doctor::{Difference, TOKEN_HEADERS, TOKEN_PARAMETERS, Variant},
    encoding::BASE64,
    place::GivenHeader,
};
use crate::delivery::Redaction;

/// A token in a header, for providers that do not sign, but send a header of your choice (`AssemblyAI`, guide
/// "Webhooks"), a fixed header (Hugging Face, `X-Webhook-Secret`), or a bearer token (RFC 6750).
///
/// 1. The header must occur exactly once.
/// 2. After the prefix (default: none; case-insensitive, RFC 9110, section 11.1), its value must be one of the secrets
///    that are valid at the time of receipt, compared in constant time.
///
/// The value is never archived or logged.
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

    /// Expects one of `secrets` as a bearer token in `Authorization`.
    pub fn bearer(secrets: impl Into<SecretSet>) -> Self {
        Self::new(AUTHORIZATION, secrets).prefix("Bearer ")
    }

    /// Sets the prefix of the token. Case-insensitive. Default: none.
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

/// Returns the rest of `value` after `prefix`, ignoring case.
pub(super) fn behind<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

/// A token in a query parameter, for providers that do not sign: the URL is the secret.
///
/// 1. The parameter must occur exactly once.
/// 2. Its decoded value must be one of the secrets that are valid at the time of receipt, compared in constant time.
///
/// The value is never archived or logged.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{QueryToken, Scheme, Secret};
///
/// let scheme = QueryToken::new("ticket", Secret::new("correct horse"));
/// let (head, ()) = Request::post("/hooks/group?ticket=correct%20horse").body(())?.into_parts();
/// assert!(scheme.verify(&head, b"{}", SystemTime::now()).is_ok());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QueryToken {
    parameter: String,
    secrets: SecretSet,
}

impl QueryToken {
    /// Expects one of `secrets` in the query parameter `parameter`.
    pub fn new(parameter: impl Into<String>, secrets: impl Into<SecretSet>) -> Self {
        Self { parameter: parameter.into(), secrets: secrets.into() }
    }
}

impl Scheme for QueryToken {
    fn check(&self) -> Result<(), SchemeError> {
        self.secrets.check()
    }

    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.verify(head, b"", at).map(drop)
    }

    fn verify(
        &self,
        head: &request::Parts,
        _: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError> {
        let place = Place::Query(self.parameter.clone());
        let query = head.uri.query().unwrap_or_default();
        let values = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.parameter))
            .map(|(_, value)| value);
        let token = place.single(values)?;
        prove("query-token", &self.secrets.live(head, at), b"", token.as_bytes(), &place)
    }

    fn signature(&self, _: &str, _: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let secret = self.secrets.signing(at).next().ok_or(SignError::NoSecret)?;
        let place = || Place::Query(self.parameter.clone());
        let token = std::str::from_utf8(secret.value());
        let token = token.map_err(|_| SignError::Unsendable { place: place() })?;
        Ok(Signature::new().parameter(self.parameter.as_str(), token))
    }

    fn redaction(&self) -> Redaction {
        Redaction::default().query(self.parameter.clone())
    }

    fn variants(&self) -> Vec<Variant> {
        let sets = self.secrets.variants().into_iter();
        let sets =
            sets.map(|(difference, set)| Variant::new(difference, Self::new(&self.parameter, set)));
        let parameters = TOKEN_PARAMETERS.into_iter().map(|name| {
            Variant::new(Difference::Parameter(name), Self::new(name, self.secrets.clone()))
        });
        sets.chain(parameters).collect()
    }
}

/// User and password (RFC 7617), for providers that do not sign, but accept a URL such as `https://user:password@host/`
/// (Deepgram, page "Callback").
///
/// 1. `Authorization` must occur exactly once: `Basic` (case-insensitive), one space, and base64.
/// 2. The decoded value must be the user, a colon, and one of the secrets that are valid at the time of receipt,
///    compared in constant time.
///
/// The value is never archived or logged.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{BasicAuth, Scheme, Secret};
///
/// let scheme = BasicAuth::new("Aladdin", Secret::new("open sesame"));
/// let (head, ()) = Request::post("/hooks/transcripts")
///     .header("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
///     .body(())?
///     .into_parts();
/// assert!(scheme.verify(&head, b"{}", SystemTime::now()).is_ok());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BasicAuth {
    user: String,
    passwords: SecretSet,
}

impl BasicAuth {
    /// Expects `user` with one of `passwords`.
    pub fn new(user: impl Into<String>, passwords: impl Into<SecretSet>) -> Self {
        Self { user: user.into(), passwords: passwords.into() }
    }
}

impl Scheme for BasicAuth {
    fn check(&self) -> Result<(), SchemeError> {
        self.passwords.check()
    }

    fn check_head(&self, head: &Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.verify(head, b"", at).map(drop)
    }

    fn verify(&self, head: &Parts, _: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        let place = Place::from(&AUTHORIZATION);
        let value = place.single(head.headers.get_all(AUTHORIZATION))?.as_bytes();
        let sent = behind(value, "Basic ").and_then(|encoded| BASE64.decode(encoded).ok());
        let sent = sent.ok_or_else(|| place.malformed("`Basic` and base64"))?;
        let (user, sent) = (format!("{}:", self.user), Zeroizing::new(sent));
        prove("basic-auth", &self.passwords.live(head, at), user.as_bytes(), &sent, &place)
    }

    fn signature(&self, _: &str, _: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let password = self.passwords.signing(at).next().ok_or(SignError::NoSecret)?;
        let pair = [self.user.as_bytes(), b":", password.value()].concat();
        let value = format!("Basic {}", BASE64.encode(Zeroizing::new(pair)));
        Signature::new().header(&AUTHORIZATION, value)
    }

    fn redaction(&self) -> Redaction {
        Redaction::default().header(AUTHORIZATION)
    }

    fn variants(&self) -> Vec<Variant> {
        let sets = self.passwords.variants().into_iter();
        sets.map(|(difference, set)| Variant::new(difference, Self::new(&self.user, set))).collect()
    }
}

/// Returns a proof if `sent` is `before` followed by one of `secrets`.
pub(super) fn prove(
    scheme: &'static str,
    secrets: &[Secret],
    before: &[u8],
    sent: &[u8],
    place: &Place,
) -> Result<Proof, SignatureError> {
    if secrets.is_empty() {
        return Err(SignatureError::NoSecret { place: place.clone() });
    }
    // Digests have a fixed length, so that the time does not depend on the length of the secret.
    let sent = Sha256::digest(sent);
    let digest = |secret: &Secret| {
        Sha256::new().chain_update(before).chain_update(secret.value()).finalize()
    };
    secrets
        .iter()
        .find(|secret| digest(secret).ct_eq(&sent).into())
        .map(|secret| Proof::new(scheme, secret.name(), "raw"))
        .ok_or_else(|| place.mismatch())
}

#[cfg(test)]
mod header_tests {
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
    fn valid_token_is_accepted_and_any_other_is_rejected() {
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
    fn bearer_prefix_is_case_insensitive() {
        let scheme = HeaderToken::bearer(Secret::new("t0ken"));
        assert!(verify(&scheme, &["bearer t0ken"]).is_ok());
        for value in ["t0ken", "Bearert0ken", "Basic t0ken", "Bearer", "Bearer  t0ken"] {
            assert!(verify(&scheme, &[value]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn invalid_header_name_is_an_error_of_check() {
        let check = HeaderToken::new("x-hook token", Secret::new("t0ken")).check();
        assert_eq!(check, Err(SchemeError::InvalidHeaderName { holds: "token" }));
    }

    #[test]
    fn token_header_is_redacted() {
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

#[cfg(test)]
mod query_tests {
    use http::Request;

    use super::*;
    use crate::signature::Secret;

    fn scheme() -> QueryToken {
        QueryToken::new("ticket", [Secret::new("a+b c").named("new"), Secret::new("old")])
    }

    fn verify(uri: &str) -> Result<Proof, SignatureError> {
        let head = Request::post(uri).body(()).unwrap().into_parts().0;
        scheme().verify(&head, b"", SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_valid_token_is_accepted() {
        assert_eq!(verify("/a?x=y&ticket=a%2Bb%20c").unwrap().secret(), "new");
        assert_eq!(verify("/a?ticket=old").unwrap().secret(), "main");
    }

    #[test]
    fn anything_else_is_rejected() {
        let place = Place::Query("ticket".to_owned());
        let missing = Err(SignatureError::Missing { place: place.clone() });
        let ambiguous = Err(SignatureError::Ambiguous { place: place.clone() });
        let mismatch = Err(place.mismatch());
        assert_eq!(verify("/a"), missing);
        assert_eq!(verify("/a?x=old"), missing);
        assert_eq!(verify("/a?ticket="), mismatch);
        assert_eq!(verify("/a?ticket=ol"), mismatch);
        assert_eq!(verify("/a?ticket=old2"), mismatch);
        assert_eq!(verify("/a?ticket=old&Ticket=old"), ambiguous);
    }

    #[test]
    fn signed_query_is_accepted() {
        let (mut head, ()) = Request::post("/a?x=y").body(()).unwrap().into_parts();
        let at = SystemTime::UNIX_EPOCH;
        scheme().signature("", b"", at).unwrap().add_to(&mut head).unwrap();
        assert_eq!(head.uri, "/a?x=y&ticket=a%2Bb+c");
        assert_eq!(scheme().verify(&head, b"", at).unwrap().secret(), "new");
    }
}

#[cfg(test)]
mod basic_tests {
    use http::Request;

    use super::*;
    use crate::signature::Secret;

    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn scheme() -> BasicAuth {
        BasicAuth::new("Aladdin", Secret::new("open sesame"))
    }

    fn verify(values: &[&str]) -> Result<Proof, SignatureError> {
        let mut head = Request::post("/a").body(()).unwrap().into_parts().0;
        for value in values {
            head.headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        scheme().verify(&head, b"", AT)
    }

    #[test]
    fn rfc_7617_vector_is_accepted_and_reproduced_by_signing() {
        // RFC 7617, section 2.
        let value = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(verify(&[value]).unwrap().scheme(), "basic-auth");
        assert!(verify(&["basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"]).is_ok());
        let written = scheme().signature("", b"", AT).unwrap();
        assert_eq!(written.headers()[AUTHORIZATION], value);
    }

    #[test]
    fn anything_else_is_rejected() {
        let encoded = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        for pair in
            ["aladdin:open sesame", "Aladdin:open", "Aladdin:", ":open sesame", "Aladdin", ""]
        {
            let refused = verify(&[&encoded(pair)]);
            assert!(matches!(refused, Err(SignatureError::Mismatch { .. })), "{pair:?}");
        }
        let good = encoded("Aladdin:open sesame");
        assert!(matches!(verify(&[&good, &good]), Err(SignatureError::Ambiguous { .. })));
        assert!(matches!(verify(&[]), Err(SignatureError::Missing { .. })));
        for value in ["Basic", "Basic %", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="] {
            let refused = verify(&[value]);
            assert!(matches!(refused, Err(SignatureError::Malformed { .. })), "{value:?}");
        }
    }
}
