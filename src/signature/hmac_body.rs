use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, request};
use sha2::Sha256;

use super::{Proof, Scheme, SchemeError, Secret, SecretSet, SignatureError, error::header_place};

/// HMAC-SHA256 (RFC 2104) over the exact bytes of the body, as hexadecimal in one header.
///
/// 1. The header must be there exactly once.
/// 2. Its value must be 64 hexadecimal digits, of either case.
/// 3. It must be the HMAC of the body under one of the live secrets, compared in constant time.
///
/// ```
/// use http::{HeaderName, Request};
/// use tower_inbox::signature::{HmacBody, Scheme, Secret};
///
/// let scheme = HmacBody::new(HeaderName::from_static("x-signature"), Secret::new("correct horse"));
/// let (head, ()) = Request::post("/hooks/invoices")
///     .header("x-signature", scheme.sign(b"{}").unwrap_or_default())
///     .body(())?
///     .into_parts();
/// assert!(scheme.verify(&head, b"{}").is_ok());
/// assert!(scheme.verify(&head, b"{ }").is_err());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HmacBody {
    header: HeaderName,
    secrets: SecretSet,
    form: BodyForm,
}

/// The bytes of a body that a sender signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyForm {
    /// The body as it was sent.
    #[default]
    Raw,
    /// The body as it was sent or, if that does not match, without its carriage returns and line feeds.
    ///
    /// In JSON those two can only stand between values, so that the meaning of what is accepted does not change.
    RawOrWithoutLineBreaks,
}

impl HmacBody {
    /// Expects the HMAC in `header`, made with one of `secrets`.
    pub fn new(header: HeaderName, secrets: impl Into<SecretSet>) -> Self {
        Self { header, secrets: secrets.into(), form: BodyForm::Raw }
    }

    /// Accepts this form of the body instead of only the raw one.
    pub fn form(mut self, form: BodyForm) -> Self {
        self.form = form;
        self
    }

    /// What a sender puts into the header for `body`, with the first secret; `None` where there is no secret.
    pub fn sign(&self, body: &[u8]) -> Option<String> {
        let mac = hmac(self.secrets.iter().next()?, body)?;
        Some(hex::encode(mac.finalize().into_bytes()))
    }

    fn sent(&self, head: &request::Parts) -> Result<[u8; 32], SignatureError> {
        let place = || header_place(&self.header);
        let mut values = head.headers.get_all(&self.header).iter();
        let value = values.next().ok_or_else(|| SignatureError::Missing { place: place() })?;
        if values.next().is_some() {
            return Err(SignatureError::Ambiguous { place: place() });
        }
        let mut sent = [0; 32];
        hex::decode_to_slice(value.as_bytes(), &mut sent).map_err(|_| {
            SignatureError::Malformed { place: place(), expected: "64 hexadecimal digits" }
        })?;
        Ok(sent)
    }

    fn secret_of(&self, sent: &[u8; 32], body: &[u8]) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|secret| hmac(secret, body).is_some_and(|mac| mac.verify_slice(sent).is_ok()))
    }
}

impl Scheme for HmacBody {
    fn check(&self) -> Result<(), SchemeError> {
        self.secrets.check()
    }

    fn verify(&self, head: &request::Parts, body: &[u8]) -> Result<Proof, SignatureError> {
        let sent = self.sent(head)?;
        let proof = |secret: &Secret, form| Proof::new("hmac-sha256", secret.name(), form);
        if let Some(secret) = self.secret_of(&sent, body) {
            return Ok(proof(secret, "raw"));
        }
        if self.form == BodyForm::RawOrWithoutLineBreaks
            && let Cow::Owned(joined) = without_line_breaks(body)
            && let Some(secret) = self.secret_of(&sent, &joined)
        {
            return Ok(proof(secret, "without-line-breaks"));
        }
        Err(SignatureError::Mismatch { place: header_place(&self.header) })
    }
}

/// HMAC takes keys of any length, so that this is never `None`.
fn hmac(secret: &Secret, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.value()).ok()?;
    mac.update(body);
    Some(mac)
}

fn without_line_breaks(body: &[u8]) -> Cow<'_, [u8]> {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if body.iter().any(is_break) {
        Cow::Owned(body.iter().copied().filter(|byte| !is_break(byte)).collect())
    } else {
        Cow::Borrowed(body)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const HEADER: HeaderName = HeaderName::from_static("x-signature");
    const BODY: &[u8] = b"{\n  \"a\": 1\r\n}";

    fn scheme() -> HmacBody {
        HmacBody::new(HEADER, [Secret::new("new").named("new"), Secret::new("old").named("old")])
    }

    fn signed_by(secret: &str, body: &[u8]) -> String {
        HmacBody::new(HEADER, Secret::new(secret)).sign(body).unwrap()
    }

    fn verify(scheme: &HmacBody, signatures: &[&str]) -> Result<Proof, SignatureError> {
        let mut request = Request::post("/a");
        for signature in signatures {
            request = request.header(HEADER, *signature);
        }
        scheme.verify(&request.body(()).unwrap().into_parts().0, BODY)
    }

    #[test]
    fn the_known_vector_matches() {
        // RFC 4231, test case 2.
        let scheme = HmacBody::new(HEADER, Secret::new("Jefe"));
        assert_eq!(
            scheme.sign(b"what do ya want for nothing?").unwrap(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn every_live_secret_is_accepted_in_either_case() {
        assert_eq!(verify(&scheme(), &[&signed_by("new", BODY)]).unwrap().secret(), "new");
        let upper = signed_by("old", BODY).to_uppercase();
        assert_eq!(verify(&scheme(), &[&upper]).unwrap().secret(), "old");
    }

    #[test]
    fn anything_else_is_refused() {
        let good = signed_by("new", BODY);
        let place = || "header x-signature".to_owned();
        let malformed =
            Err(SignatureError::Malformed { place: place(), expected: "64 hexadecimal digits" });
        assert_eq!(verify(&scheme(), &[]), Err(SignatureError::Missing { place: place() }));
        assert_eq!(
            verify(&scheme(), &[&good, &good]),
            Err(SignatureError::Ambiguous { place: place() })
        );
        assert_eq!(verify(&scheme(), &[&good[1..]]), malformed);
        assert_eq!(verify(&scheme(), &[""]), malformed);
        assert_eq!(verify(&scheme(), &[&good.replace(&good[..1], "g")]), malformed);
        let stranger = signed_by("stranger", BODY);
        assert_eq!(
            verify(&scheme(), &[&stranger]),
            Err(SignatureError::Mismatch { place: place() })
        );
    }

    #[test]
    fn line_breaks_count_unless_the_form_says_otherwise() {
        let joined = signed_by("new", b"{  \"a\": 1}");
        assert!(verify(&scheme(), &[&joined]).is_err());
        let lenient = scheme().form(BodyForm::RawOrWithoutLineBreaks);
        assert_eq!(verify(&lenient, &[&joined]).unwrap().form(), "without-line-breaks");
        assert_eq!(verify(&lenient, &[&signed_by("new", BODY)]).unwrap().form(), "raw");
    }
}
