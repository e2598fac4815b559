use std::time::SystemTime;

use base64::Engine;
use http::{header::AUTHORIZATION, request::Parts};
use zeroize::Zeroizing;

use super::{compare::prove, header::behind};
use crate::{
    delivery::Redaction,
    signature::{
        Place, Proof, Scheme, SchemeError, SecretSet, SignError, Signature, SignatureError,
        doctor::Variant, encoding::BASE64,
    },
};

/// User and password (RFC 7617), for providers that sign nothing but take an URL such as `https://user:password@host/`
/// (Deepgram, page "Callback").
///
/// 1. `Authorization` must be there exactly once: `Basic`, in any case, one space, and base64.
/// 2. What that encodes must be the user, a colon, and one of the secrets that are live at the time of receipt; neither
///    place nor length of a difference shows in the time.
///
/// The value never reaches the archive or a log.
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

#[cfg(test)]
mod tests {
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
    fn the_vector_of_the_rfc_is_accepted_and_is_what_a_sender_writes() {
        // RFC 7617, section 2.
        let value = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(verify(&[value]).unwrap().scheme(), "basic-auth");
        assert!(verify(&["basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"]).is_ok());
        let written = scheme().signature("", b"", AT).unwrap();
        assert_eq!(written.headers()[AUTHORIZATION], value);
    }

    #[test]
    fn anything_else_is_refused() {
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
