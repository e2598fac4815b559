use std::time::SystemTime;

use http::{HeaderName, request::Parts};

use crate::{
    delivery::Redaction,
    signature::{
        Encoding, KeyEncoding, Placement, Proof, Scheme, SchemeError, SecretSet, SignError,
        Signature, SignatureError, TimeUnit, Tolerance,
        doctor::Variant,
        hmac::{self, HmacKeys},
        template::{Shape, slices},
    },
};

/// HMAC-SHA256 (RFC 2104) of a template of timestamp, body and headers.
///
/// Placeholders in braces: `timestamp`, as it was sent; `body`, the exact bytes; `body-sha256`, their SHA-256 in
/// lower-case hexadecimal; and header names, such as `webhook-id`. Everything else is literal.
///
/// 1. Timestamp and signature must be at the [`Placement`]. Each header of the template must occur exactly once, and
///    not be empty.
/// 2. The timestamp must be digits, in seconds since 1970 or in [milliseconds](Self::unit), and within the
///    [tolerance](Self::tolerance) around the time of receipt. Default: 300 s in both directions.
/// 3. A signature must be 64 hexadecimal digits of either case, or 32 bytes in base64. In a list, others are ignored,
///    and there must be 1 to 16 distinct signatures of this format.
/// 4. One signature must be the HMAC of the filled template under one of the secrets that are valid at the time of
///    receipt, compared in constant time. The key is the text of the secret, unless another [key encoding](Self::key)
///    is set.
///
/// The scheme of `ElevenLabs` (`elevenlabs-python`, `webhooks_custom.py`), with a tolerance of 30 minutes in the past:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::Request;
/// use tower_inbox::signature::{HmacTemplate, Placement, Scheme, Secret, Tolerance};
///
/// let place = Placement::list("elevenlabs-signature", "t", "v0");
/// let scheme = HmacTemplate::new("{timestamp}.{body}", place, Secret::new("correct horse"))
///     .tolerance(Tolerance::past(Duration::from_secs(30 * 60)));
/// let now = SystemTime::now();
/// let (mut head, ()) = Request::post("/hooks/calls").body(())?.into_parts();
/// scheme.signature("", b"{}", now)?.add_to(&mut head)?;
/// assert!(scheme.verify(&head, b"{}", now).is_ok());
/// assert!(scheme.verify(&head, b"{}", now + Duration::from_secs(1801)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HmacTemplate {
    shape: Shape<32>,
    keys: HmacKeys,
}

impl HmacTemplate {
    /// Expects the HMAC of the filled `template`, made with one of `secrets`, in hexadecimal.
    ///
    /// A template with an unknown placeholder, or without timestamp or body, is rejected when the inbox is built.
    pub fn new(template: &str, placement: Placement, secrets: impl Into<SecretSet>) -> Self {
        let keys = HmacKeys::new(secrets.into(), KeyEncoding::Text);
        Self { shape: Shape::new(template, placement), keys }
    }

    /// Sets the encoding of the HMAC. Default: hexadecimal.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.shape.encoding = encoding;
        self
    }

    /// Sets the key encoding of the secrets. Default: the text is the key.
    pub fn key(mut self, encoding: KeyEncoding) -> Self {
        self.keys = self.keys.encoded(encoding);
        self
    }

    /// Sets the unit of the timestamp. Default: seconds.
    pub fn unit(mut self, unit: TimeUnit) -> Self {
        self.shape.unit = unit;
        self
    }

    /// Uses the value of `header`, which the template must contain, as the message id, which identifies a delivery in
    /// place of the query. The id must be the same in every attempt to deliver a message, and unique to the message.
    /// [`check`](Scheme::check) rejects a header that the template does not contain. Default: no message id.
    pub fn message_id(mut self, header: impl TryInto<HeaderName>) -> Self {
        self.shape.set_message_id(header);
        self
    }

    /// Sets the maximum difference between the timestamp and the time of receipt. Default: 300 s in both directions.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.shape.tolerance = tolerance;
        self
    }
}

impl Scheme for HmacTemplate {
    fn check(&self) -> Result<(), SchemeError> {
        self.shape.check()?;
        self.keys.check()
    }

    fn check_head(&self, head: &Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.shape.read(head, b"", at).map(drop)
    }

    fn claimed_message_id<'h>(&self, head: &'h Parts) -> Option<&'h str> {
        self.shape.message_id(head).ok().flatten()
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, head: &Parts, body: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        let claimed = self.shape.read(head, body, at)?;
        let keys = self.keys.live(head, at);
        if keys.is_empty() {
            return Err(self.shape.no_secret());
        }
        hmac::signer_of(&keys, &slices(&claimed.message), &claimed.signatures)
            .map(|key| claimed.proof("hmac-sha256-template", key.name()))
            .ok_or_else(|| self.shape.mismatch())
    }

    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        self.shape.write(id, body, at, |message| self.keys.sign(message, at))
    }

    fn variants(&self) -> Vec<Variant> {
        let keys = self.keys.variants().into_iter();
        let keys = keys.map(|(difference, keys)| {
            Variant::new(difference, Self { shape: self.shape.clone(), keys })
        });
        let shapes = self.shape.variants().into_iter().map(|(difference, shape)| {
            Variant::new(difference, Self { shape, keys: self.keys.clone() })
        });
        keys.chain(shapes).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::signature::Secret;

    const BODY: &[u8] = br#"{"type":"post_call_transcription"}"#;
    const SENT: u64 = 1_739_537_297;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn elevenlabs() -> HmacTemplate {
        let place = Placement::list(HeaderName::from_static("elevenlabs-signature"), "t", "v0");
        HmacTemplate::new("{timestamp}.{body}", place, Secret::new("wsec_1"))
            .tolerance(Tolerance::past(Duration::from_secs(30 * 60)))
    }

    fn extend() -> HmacTemplate {
        let place = Placement::headers(
            HeaderName::from_static("x-extend-request-signature"),
            HeaderName::from_static("x-extend-request-timestamp"),
        );
        HmacTemplate::new("v0:{timestamp}:{body}", place, Secret::new("wss_1"))
    }

    fn retell() -> HmacTemplate {
        let place = Placement::list(HeaderName::from_static("x-retell-signature"), "v", "d");
        HmacTemplate::new("{body}{timestamp}", place, Secret::new("key_1")).unit(TimeUnit::Millis)
    }

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = Request::post("/a");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn mac(secret: &str, message: &str) -> String {
        hex::encode(hmac::tag(&Secret::new(secret), &[message.as_bytes()]).unwrap())
    }

    fn listed(header: &str, value: &str) -> Parts {
        head(&[(header, value)])
    }

    #[test]
    fn timestamped_list_is_accepted_within_the_past_tolerance() {
        let text = std::str::from_utf8(BODY).unwrap();
        let good = mac("wsec_1", &format!("{SENT}.{text}"));
        let signed = listed("elevenlabs-signature", &format!("t={SENT},v0=00,v0={good}"));
        let proof = elevenlabs().verify(&signed, BODY, at(SENT + 1800)).unwrap();
        assert_eq!(proof.to_string(), "hmac-sha256-template secret=main form=raw");
        assert!(elevenlabs().verify(&signed, BODY, at(0)).is_ok());
        let old = elevenlabs().verify(&signed, BODY, at(SENT + 1801));
        assert!(matches!(old, Err(SignatureError::TooOld { .. })));
        assert!(elevenlabs().verify(&signed, b"{}", at(SENT)).is_err());
    }

    #[test]
    fn timestamped_list_with_missing_or_repeated_parts_is_rejected() {
        let text = std::str::from_utf8(BODY).unwrap();
        let good = mac("wsec_1", &format!("{SENT}.{text}"));
        for (value, expected) in [
            (format!("v0={good}"), "missing signature"),
            (format!("t={SENT},t={SENT},v0={good}"), "more than one"),
            (format!("t={SENT}"), "expected 64"),
            (format!("t={SENT},v1={good}"), "expected 64"),
            (format!("t=+{SENT},v0={good}"), "expected a timestamp"),
            (format!("t={},v0={good}", SENT + 1), "does not match any valid secret"),
        ] {
            let signed = listed("elevenlabs-signature", &value);
            let error = elevenlabs().verify(&signed, BODY, at(SENT)).unwrap_err().to_string();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn separate_headers_are_accepted_within_the_tolerance() {
        let text = std::str::from_utf8(BODY).unwrap();
        let signature = mac("wss_1", &format!("v0:{SENT}:{text}"));
        let time = SENT.to_string();
        let names = ("x-extend-request-signature", "x-extend-request-timestamp");
        let signed = head(&[(names.0, &signature), (names.1, &time)]);
        assert!(extend().verify(&signed, BODY, at(SENT + 300)).is_ok());
        assert!(extend().verify(&signed, BODY, at(SENT - 301)).is_err());
        assert!(extend().verify(&head(&[(names.0, &signature)]), BODY, at(SENT)).is_err());
        let twice = head(&[(names.0, &signature), (names.1, &time), (names.1, &time)]);
        assert!(extend().verify(&twice, BODY, at(SENT)).is_err());
    }

    #[test]
    fn timestamp_in_milliseconds_is_signed_as_sent() {
        let text = std::str::from_utf8(BODY).unwrap();
        let signature = mac("key_1", &format!("{text}{SENT}250"));
        let signed = listed("x-retell-signature", &format!("v={SENT}250,d={signature}"));
        assert!(retell().verify(&signed, BODY, at(SENT)).is_ok());
        assert!(retell().unit(TimeUnit::Seconds).verify(&signed, BODY, at(SENT)).is_err());
    }

    #[test]
    fn changed_signed_header_is_rejected() {
        let place = Placement::headers(
            HeaderName::from_static("x-signature"),
            HeaderName::from_static("x-timestamp"),
        );
        let scheme = HmacTemplate::new(
            "{x-request-id}.{timestamp}.{body}",
            place.prefix("sha256="),
            Secret::new("s"),
        );
        let mut head = head(&[]);
        scheme.signature("id-1", BODY, at(SENT)).unwrap().add_to(&mut head).unwrap();
        assert_eq!(head.headers["x-request-id"], "id-1");
        assert!(scheme.verify(&head, BODY, at(SENT)).is_ok());
        head.headers.insert("x-request-id", "id-2".parse().unwrap());
        assert!(scheme.verify(&head, BODY, at(SENT)).is_err());
    }

    #[test]
    fn message_id_is_verified_if_the_scheme_has_one() {
        let scheme = |template| {
            HmacTemplate::new(
                template,
                Placement::headers("x-signature", "x-timestamp"),
                Secret::new("s"),
            )
        };
        let plain = scheme("{x-request-id}.{timestamp}.{body}");
        let named = plain.clone().message_id("X-Request-Id");
        let mut head = head(&[]);
        plain.signature("id-1", BODY, at(SENT)).unwrap().add_to(&mut head).unwrap();
        let id = |scheme: &HmacTemplate| {
            let proof = scheme.verify(&head, BODY, at(SENT)).unwrap();
            proof.message_id().map(str::to_owned)
        };
        assert_eq!((id(&plain), id(&named)), (None, Some("id-1".to_owned())));
        assert_eq!(named.claimed_message_id(&head), Some("id-1"));
        assert_eq!((named.check(), plain.check()), (Ok(()), Ok(())));
        let unsigned = scheme("{timestamp}.{body}").message_id("x-request-id").check();
        assert!(matches!(unsigned, Err(SchemeError::MessageIdNotSigned { .. })), "{unsigned:?}");
        let invalid = plain.message_id("x request").check();
        assert_eq!(invalid, Err(SchemeError::InvalidHeaderName { holds: "message id" }));
    }

    #[test]
    fn empty_secret_and_invalid_template_are_errors_of_check() {
        let place = || Placement::list(HeaderName::from_static("x-signature"), "t", "v0");
        let check = |template, secret: &str| {
            HmacTemplate::new(template, place(), Secret::new(secret)).check()
        };
        assert_eq!(check("{timestamp}.{body}", "s"), Ok(()));
        assert!(matches!(check("{timestamp}.{body}", ""), Err(SchemeError::EmptySecret { .. })));
        assert!(matches!(check("{timestamp}", "s"), Err(SchemeError::LeftOut { .. })));
    }
}
