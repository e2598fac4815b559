use std::time::SystemTime;

use http::{HeaderName, request::Parts};

use super::Ed25519Keys;
use crate::{
    delivery::Redaction,
    signature::{
        Encoding, Placement, Proof, Scheme, SchemeError, SignError, Signature, SignatureError,
        TimeUnit, Tolerance,
        doctor::Variant,
        template::{Shape, slices},
    },
};

/// Ed25519 (RFC 8032) over a template of timestamp, body and headers, with a key set that can be replaced.
///
/// The template is that of [`HmacTemplate`](crate::signature::HmacTemplate).
///
/// 1. Timestamp and signature must be at the [`Placement`]. Each header of the template must occur exactly once, and
///    not be empty.
/// 2. The timestamp must be digits, in seconds since 1970 or in [milliseconds](Self::unit), and within the
///    [tolerance](Self::tolerance) around the time of receipt. Default: 300 s in both directions.
/// 3. A signature must be 128 hexadecimal digits of either case, or 64 bytes in base64. In a list, others are ignored,
///    and there must be 1 to 8 distinct signatures of this format.
/// 4. One signature must be that of the filled template under one of the keys that are valid at the time of receipt,
///    verified strictly (RFC 8032, section 5.1.7, without keys or points of small order). All keys are tried.
///
/// The scheme of fal (docs "Webhooks"):
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{Ed25519Key, Ed25519Keys, Ed25519Template, Placement, Scheme};
///
/// let template = "{x-fal-webhook-request-id}\n{x-fal-webhook-user-id}\n{timestamp}\n{body-sha256}";
/// let placement = Placement::headers("x-fal-webhook-signature", "x-fal-webhook-timestamp");
/// let scheme = Ed25519Template::new(template, placement, Ed25519Key::private(&[7; 32])?)
///     .message_id("x-fal-webhook-request-id");
/// let now = SystemTime::now();
/// let (mut head, ()) = Request::post("/hooks/images").body(())?.into_parts();
/// scheme.signature("request-1", b"{}", now)?.add_to(&mut head)?;
/// assert_eq!(scheme.verify(&head, b"{}", now)?.message_id(), Some("request-1"));
/// assert!(scheme.verify(&head, b"[]", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ed25519Template {
    shape: Shape<64>,
    keys: Ed25519Keys,
}

impl Ed25519Template {
    /// Expects the signature of the filled `template`, made with one of `keys`, in hexadecimal.
    ///
    /// A template with an unknown placeholder, or without timestamp or body, is rejected when the inbox is built.
    pub fn new(template: &str, placement: Placement, keys: impl Into<Ed25519Keys>) -> Self {
        Self { shape: Shape::new(template, placement), keys: keys.into() }
    }

    /// Sets the encoding of the signature. Default: hexadecimal.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.shape.encoding = encoding;
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

impl Scheme for Ed25519Template {
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
        self.keys
            .signer_of(&slices(&claimed.message), &claimed.signatures, at)
            .map(|key| claimed.proof("ed25519-template", &key))
            .ok_or_else(|| self.shape.mismatch())
    }

    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        self.shape.write(id, body, at, |message| self.keys.sign(message, at))
    }

    fn variants(&self) -> Vec<Variant> {
        let shapes = self.shape.variants().into_iter();
        shapes
            .map(|(difference, shape)| {
                Variant::new(difference, Self { shape, keys: self.keys.clone() })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderName, Request};
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::signature::{Ed25519Key, Ed25519KeyError};

    const BODY: &[u8] = br#"{"request_id":"r-1","status":"OK"}"#;
    const SENT: u64 = 1_795_000_000;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn key(seed: u8) -> Ed25519Key {
        Ed25519Key::private(&[seed; 32]).unwrap().named(format!("key-{seed}"))
    }

    fn fal(keys: Ed25519Keys) -> Ed25519Template {
        let placement = Placement::headers(
            HeaderName::from_static("x-fal-webhook-signature"),
            HeaderName::from_static("x-fal-webhook-timestamp"),
        );
        let template =
            "{x-fal-webhook-request-id}\n{x-fal-webhook-user-id}\n{timestamp}\n{body-sha256}";
        Ed25519Template::new(template, placement, keys)
    }

    /// What fal's page says, without the code under test.
    fn signed_by(key: &Ed25519Key, body: &[u8]) -> Parts {
        let message = format!("r-1\nu-1\n{SENT}\n{}", hex::encode(Sha256::digest(body)));
        Request::post("/a")
            .header("x-fal-webhook-request-id", "r-1")
            .header("x-fal-webhook-user-id", "u-1")
            .header("x-fal-webhook-timestamp", SENT)
            .header("x-fal-webhook-signature", hex::encode(key.sign(message.as_bytes()).unwrap()))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn every_key_is_tried_and_named_in_the_proof() {
        let scheme = fal(Ed25519Keys::new([key(1), key(2)]));
        let proof = scheme.verify(&signed_by(&key(2), BODY), BODY, at(SENT)).unwrap();
        assert_eq!(proof.to_string(), "ed25519-template secret=key-2 form=raw");
    }

    #[test]
    fn wrong_key_body_header_or_timestamp_is_rejected() {
        let scheme = fal(key(1).into());
        let head = signed_by(&key(1), BODY);
        assert!(scheme.verify(&head, BODY, at(SENT + 300)).is_ok());
        assert!(scheme.verify(&head, BODY, at(SENT - 300)).is_ok());
        assert!(scheme.verify(&head, BODY, at(SENT + 301)).is_err());
        assert!(scheme.verify(&head, BODY, at(SENT - 301)).is_err());
        assert!(scheme.verify(&head, b"{}", at(SENT)).is_err());
        assert!(scheme.verify(&signed_by(&key(3), BODY), BODY, at(SENT)).is_err());
        for name in ["request-id", "user-id", "timestamp", "signature"] {
            let name: HeaderName = format!("x-fal-webhook-{name}").parse().unwrap();
            let mut twice = head.clone();
            twice.headers.append(&name, head.headers[&name].clone());
            assert!(scheme.verify(&twice, BODY, at(SENT)).is_err(), "{name}");
            let mut other = head.clone();
            other.headers.insert(&name, "1795000001".parse().unwrap());
            assert!(scheme.verify(&other, BODY, at(SENT)).is_err(), "{name}");
        }
    }

    #[test]
    fn keys_can_be_replaced_while_the_scheme_is_in_use() {
        let handle = Ed25519Keys::from(key(1));
        let scheme = fal(handle.clone());
        let signed_by = |seed| scheme.verify(&signed_by(&key(seed), BODY), BODY, at(SENT)).is_ok();
        assert!(signed_by(1) && !signed_by(2));
        handle.replace([key(2)]).unwrap();
        assert!(!signed_by(1) && signed_by(2));
        assert_eq!(handle.replace([]), Err(Ed25519KeyError::NoKey));
        assert!(signed_by(2));
    }

    #[test]
    fn key_validity_is_checked_at_the_time_of_receipt() {
        let scheme = fal(key(1).valid(..at(SENT)).into());
        assert!(scheme.verify(&signed_by(&key(1), BODY), BODY, at(SENT - 1)).is_ok());
        assert!(scheme.verify(&signed_by(&key(1), BODY), BODY, at(SENT)).is_err());
    }

    #[test]
    fn empty_key_set_is_an_error_of_check() {
        assert_eq!(fal(Ed25519Keys::new([])).check(), Err(SchemeError::NoSecret));
        assert_eq!(fal(key(1).into()).check(), Ok(()));
    }
}
