use std::{borrow::Cow, time::SystemTime};

use http::{HeaderName, request::Parts};

use super::{
    BodyForm, Encoding, KeyEncoding, Proof, Scheme, SchemeError, Secret, SecretSet, SignError,
    Signature, SignatureError,
    doctor::{Difference, Variant, WELL_KNOWN, other_prefixes},
    hmac::{self, HmacFormat, HmacKeys},
    place::GivenHeader,
    scheme::Reading,
};
use crate::delivery::{Digest, Redaction};

/// HMAC-SHA256 (RFC 2104) of the exact body, in one header.
///
/// 1. The header must occur exactly once.
/// 2. Its value must be the prefix (default: none), followed by 64 hexadecimal digits of either case, or 32 bytes in
///    base64. In a [list](Self::list), items of another format are ignored, and there must be 1 to 16 distinct items of
///    this format.
/// 3. It must be the HMAC of the body under one of the secrets that are valid at the time of receipt, compared in
///    constant time. The key is the text of the secret, unless another [key encoding](Self::key) is set.
///
/// | provider | header | settings |
/// |---|---|---|
/// | Mindee V2 (page "Process the Response") | `X-Signature` | – |
/// | Baseten (docs.baseten.co/inference/async) | `X-BASETEN-SIGNATURE` | `.prefix("v1=").list()` |
/// | VLM Run (docs.vlm.run/webhooks) | `X-VLMRun-Signature` | `.prefix("sha256=")` |
/// | Rossum (elis.rossum.ai) | `X-Rossum-Signature-SHA256` | `.prefix("sha256=")` |
/// | Azure Speech (learn.microsoft.com) | `X-MicrosoftSpeechServices-Signature` | `.encoding(Encoding::Base64)` |
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{HmacBody, Scheme, Secret};
///
/// let secret = Secret::new("whsec_correct horse");
/// let scheme = HmacBody::new("x-baseten-signature", secret).prefix("v1=").list();
/// let now = SystemTime::now();
/// let (mut head, ()) = Request::post("/hooks/invoices").body(())?.into_parts();
/// scheme.signature("", b"{}", now)?.add_to(&mut head)?;
/// assert!(scheme.verify(&head, b"{}", now).is_ok());
/// assert!(scheme.verify(&head, b"{ }", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HmacBody {
    format: HmacFormat,
    keys: HmacKeys,
    form: BodyForm,
}

impl HmacBody {
    /// Expects the HMAC-SHA256 of the body in `header`, in hexadecimal, made with one of `secrets`. An invalid header name
    /// is reported when the inbox is built, by [`check`](Scheme::check).
    pub fn new(header: impl TryInto<HeaderName>, secrets: impl Into<SecretSet>) -> Self {
        Self {
            format: HmacFormat::new(header),
            keys: HmacKeys::new(secrets.into(), KeyEncoding::Text),
            form: BodyForm::Raw,
        }
    }

    /// The same as [`new`](Self::new), with the algorithm in the name.
    pub fn sha256(header: impl TryInto<HeaderName>, secrets: impl Into<SecretSet>) -> Self {
        Self::new(header, secrets)
    }

    /// Sets the encoding of the HMAC. Default: hexadecimal.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.format.encoding = encoding;
        self
    }

    /// Sets the prefix of the HMAC, such as `sha256=`. Case-sensitive. Default: none.
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.format.prefix = prefix.into();
        self
    }

    /// Expects a comma-separated list in the header, with one item for each secret of the sender. Disabled by default.
    pub fn list(mut self) -> Self {
        self.format.list = true;
        self
    }

    /// Sets the key encoding of the secrets. Default: the text is the key.
    pub fn key(mut self, encoding: KeyEncoding) -> Self {
        self.keys = self.keys.encoded(encoding);
        self
    }

    /// Sets the accepted forms of the body. Default: the raw body only.
    pub fn form(mut self, form: BodyForm) -> Self {
        self.form = form;
        self
    }

    /// Returns the header value for `body`, signed with the first secret, whether it is valid or not. `None` if there
    /// is no secret. [`signature`](Scheme::signature) signs with the secrets that are valid at a time.
    pub fn sign(&self, body: &[u8]) -> Option<String> {
        self.keys.sign_with_first(&[body]).map(|tag| self.format.write_item(&tag))
    }

    fn differing(&self, difference: Difference, change: impl FnOnce(&mut Self)) -> Variant {
        let mut other = self.clone();
        change(&mut other);
        Variant::new(difference, other)
    }
}

impl Scheme for HmacBody {
    fn check(&self) -> Result<(), SchemeError> {
        self.format.check()?;
        self.keys.check()
    }

    fn check_head(&self, head: &Parts, _: SystemTime) -> Result<(), SignatureError> {
        self.format.read(&head.headers).map(drop)
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, head: &Parts, body: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        let place = self.format.place();
        let sent = self.format.read(&head.headers)?;
        let keys = self.keys.live(head, at);
        if keys.is_empty() {
            return Err(SignatureError::NoSecret { place });
        }
        let matching = self.form.readings(body).find_map(|reading| {
            hmac::signer_of(&keys, &[&reading.bytes], &sent).map(|key| proof(key, &reading))
        });
        matching.ok_or_else(|| place.mismatch())
    }

    fn signature(&self, _: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        self.format.write(&self.keys.sign(&[body], at)?)
    }

    fn variants(&self) -> Vec<Variant> {
        let keys = self.keys.variants().into_iter();
        let keys =
            keys.map(|(difference, keys)| self.differing(difference, |other| other.keys = keys));
        let encoding = self.format.encoding.other();
        let difference = Difference::Encoding(encoding);
        let encodings = [self.differing(difference, |other| other.format.encoding = encoding)];
        let others =
            WELL_KNOWN.into_iter().filter(|(header, _)| self.format.header.name() != *header);
        let headers = others.map(|(header, prefix)| {
            let header = HeaderName::from_static(header);
            let difference = Difference::Header { header: header.clone(), prefix };
            self.differing(difference, |other| {
                other.format.header = GivenHeader::new(header);
                other.format.prefix = prefix.into();
            })
        });
        let prefixes = other_prefixes(&self.format.prefix).into_iter().map(|prefix| {
            let difference = Difference::Prefix(prefix.clone());
            self.differing(difference, |other| other.format.prefix = prefix)
        });
        let list = (!self.format.list)
            .then(|| self.differing(Difference::List, |other| other.format.list = true));
        keys.chain(encodings).chain(headers).chain(prefixes).chain(list).collect()
    }
}

fn proof(key: &Secret, reading: &Reading<'_>) -> Proof {
    let proof = Proof::new("hmac-sha256", key.name(), reading.form);
    match &reading.bytes {
        // The received bytes: the digest of the delivery.
        Cow::Borrowed(_) => proof,
        Cow::Owned(signed) => proof.with_signed_digest(Digest::of(signed)),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::signature::Place;

    const HEADER: HeaderName = HeaderName::from_static("x-signature");
    const BODY: &[u8] = b"{\n  \"a\": 1\r\n}";
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn secrets() -> [Secret; 2] {
        [Secret::new("new").named("new"), Secret::new("old").named("old")]
    }

    fn scheme() -> HmacBody {
        HmacBody::new(HEADER, secrets())
    }

    fn signed_by(secret: &str, body: &[u8]) -> String {
        HmacBody::new(HEADER, Secret::new(secret)).sign(body).unwrap()
    }

    fn verify(scheme: &HmacBody, signatures: &[&str]) -> Result<Proof, SignatureError> {
        let mut request = Request::post("/a");
        for signature in signatures {
            request = request.header(HEADER, *signature);
        }
        scheme.verify(&request.body(()).unwrap().into_parts().0, BODY, NOW)
    }

    fn place() -> Place {
        Place::Header(HEADER)
    }

    #[test]
    fn every_valid_secret_is_accepted_in_either_case() {
        assert_eq!(verify(&scheme(), &[&signed_by("new", BODY)]).unwrap().secret(), "new");
        let upper = signed_by("old", BODY).to_uppercase();
        assert_eq!(verify(&scheme(), &[&upper]).unwrap().secret(), "old");
    }

    #[test]
    fn anything_else_is_rejected() {
        let good = signed_by("new", BODY);
        let malformed = Err(SignatureError::Malformed {
            place: place(),
            expected: "64 hexadecimal digits".into(),
        });
        assert_eq!(verify(&scheme(), &[]), Err(SignatureError::Missing { place: place() }));
        assert_eq!(
            verify(&scheme(), &[&good, &good]),
            Err(SignatureError::Ambiguous { place: place() })
        );
        assert_eq!(verify(&scheme(), &[&good[1..]]), malformed);
        assert_eq!(verify(&scheme(), &[""]), malformed);
        assert_eq!(verify(&scheme(), &[&good.replace(&good[..1], "g")]), malformed);
        assert_eq!(verify(&scheme(), &[&format!("sha256={good}")]), malformed);
        assert_eq!(verify(&scheme(), &[&format!("{good},{good}")]), malformed);
        assert_eq!(verify(&scheme(), &[&signed_by("stranger", BODY)]), Err(place().mismatch()));
    }

    #[test]
    fn secret_outside_its_validity_is_not_used() {
        let scheme = HmacBody::new(HEADER, Secret::new("old").valid(..NOW));
        let signed = verify(&scheme, &[&signed_by("old", BODY)]);
        assert_eq!(signed, Err(SignatureError::NoSecret { place: place() }));
    }

    #[test]
    fn prefix_must_occur_once_and_is_case_sensitive() {
        let scheme = scheme().prefix("sha256=");
        let good = signed_by("new", BODY);
        assert!(verify(&scheme, &[&format!("sha256={good}")]).is_ok());
        for prefix in ["", "SHA256=", "sha1=", "sha256=sha256=", " sha256=", "sha256= "] {
            assert!(verify(&scheme, &[&format!("{prefix}{good}")]).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn base64_requires_base64_encoding() {
        let scheme = scheme().encoding(Encoding::Base64);
        let good = scheme.sign(BODY).unwrap();
        assert!(verify(&scheme, &[&good]).is_ok());
        assert!(verify(&scheme, &[&signed_by("new", BODY)]).is_err());
        assert!(verify(&self::scheme(), &[&good]).is_err());
    }

    #[test]
    fn one_item_of_a_list_is_enough_and_other_versions_are_ignored() {
        let scheme = scheme().prefix("v1=").list();
        let (good, bad) = (signed_by("old", BODY), signed_by("stranger", BODY));
        let accepted = format!("v0={bad}, v1={bad} , v1={good},v1=zz");
        assert_eq!(verify(&scheme, &[&accepted]).unwrap().secret(), "old");
        assert_eq!(verify(&scheme, &[&format!("v1={bad},")]), Err(place().mismatch()));
        for refused in [format!("v0={good}"), good, String::new(), ",,".to_owned()] {
            let refused = verify(&scheme, &[&refused]);
            assert!(matches!(refused, Err(SignatureError::Malformed { .. })), "{refused:?}");
        }
    }

    #[test]
    fn list_is_signed_with_every_valid_secret() {
        let scheme = scheme().prefix("v1=").list();
        let signature = scheme.signature("", BODY, NOW).unwrap();
        let expected = format!("v1={},v1={}", signed_by("new", BODY), signed_by("old", BODY));
        assert_eq!(signature.headers()[HEADER], expected);
        let single = self::scheme().signature("", BODY, NOW).unwrap();
        assert_eq!(single.headers()[HEADER], signed_by("new", BODY));
    }

    #[test]
    fn invalid_base64_key_is_an_error_of_check() {
        let keyed = |secret: &str| {
            HmacBody::new(HEADER, Secret::new(secret)).key(KeyEncoding::Base64).check()
        };
        assert_eq!(keyed("Cv8="), Ok(()));
        let name = || "main".to_owned();
        let malformed = SchemeError::MalformedSecret { name: name(), expected: "base64" };
        assert_eq!(keyed("%"), Err(malformed));
        for prefix in ["whsec_", "v1,whsec_"] {
            let prefixed = SchemeError::SecretPrefixed { name: name(), prefix: prefix.to_owned() };
            assert_eq!(keyed(&format!("{prefix}Cv8=")), Err(prefixed));
        }
        let text = |secret: &str| HmacBody::new(HEADER, Secret::new(secret)).check();
        assert!(matches!(text("v1,whsec_Cv8="), Err(SchemeError::SecretPrefixed { .. })));
        assert_eq!(text("whsec_Cv8="), Ok(()), "the secrets of Baseten are used as they are");
    }

    #[test]
    fn line_breaks_are_significant_unless_the_form_ignores_them() {
        let joined = signed_by("new", b"{  \"a\": 1}");
        assert!(verify(&scheme(), &[&joined]).is_err());
        let lenient = scheme().form(BodyForm::RawOrWithoutLineBreaks);
        let proof = verify(&lenient, &[&joined]).unwrap();
        assert_eq!(proof.form(), "without-line-breaks");
        assert_eq!(proof.signed_digest(), Some(Digest::of(b"{  \"a\": 1}")));
        let proof = verify(&lenient, &[&signed_by("new", BODY)]).unwrap();
        assert_eq!((proof.form(), proof.signed_digest()), ("raw", None));
    }

    #[test]
    fn invalid_header_name_is_an_error_of_check() {
        let check = |header: &str| HmacBody::new(header, Secret::new("s")).check();
        assert_eq!(check("X-Signature"), Ok(()));
        let invalid = SchemeError::InvalidHeaderName { holds: "signature" };
        assert_eq!(check("x signature"), Err(invalid));
    }
}
