use std::{sync::Arc, time::SystemTime};

use http::request::Parts;

use super::headers::{Names, Presented, Version};
use crate::{
    delivery::Redaction,
    signature::{
        KeyEncoding, Place, Proof, Scheme, SchemeError, SecretSet, SignError, Signature,
        SignatureError, TimeUnit, Tolerance,
        doctor::{Difference, Variant},
        hmac::HmacKeys,
    },
};

/// A version, and its signatures in a head.
type Listed<'s, 'h> = (&'s dyn Version, Vec<&'h [u8]>);

/// Standard Webhooks 1.0.0 (github.com/standard-webhooks, `spec/standard-webhooks.md`): the scheme of Replicate,
/// `OpenAI`, Gemini and all senders that use Svix.
///
/// 1. `webhook-id`, `webhook-timestamp` and `webhook-signature`, or the names of [Svix](Self::svix), must each occur
///    exactly once.
/// 2. The id must be UTF-8, not be empty, and not end in a full stop and digits, which could be mistaken for the
///    timestamp.
/// 3. The timestamp must be digits, in seconds since 1970, and within the [tolerance](Self::tolerance) around the time
///    of receipt. Default: 300 s in both directions.
/// 4. The signature is a space-separated list of a version, a comma and base64. Other versions than `v1` (with feature
///    `ed25519` and public keys: `v1a`) are ignored. There must be at least one well-formed signature, and at most 16
///    distinct ones of `v1` and 8 of `v1a`. A list with more is rejected before the body is read.
/// 5. One entry must be the signature of `{id}.{timestamp}.{body}`: for `v1`, the HMAC-SHA256 under one of the secrets
///    that are valid at the time of receipt, compared in constant time. The key is the secret, decoded from base64,
///    with or without the prefix `whsec_` or `v1,whsec_`. The body can be binary.
///
/// The proof contains the id: another attempt to deliver the same message is a repeat, even with another timestamp and
/// signature, and two messages with equal bodies are two deliveries.
///
/// ```
/// use std::time::SystemTime;
/// use http::Request;
/// use tower_inbox::signature::{Scheme, Secret, StandardWebhooks};
///
/// let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
/// let scheme = StandardWebhooks::new(secret);
/// let now = SystemTime::now();
/// let (mut head, ()) = Request::post("/hooks/images").body(())?.into_parts();
/// scheme.signature("msg_1", b"{}", now)?.add_to(&mut head)?;
/// assert!(scheme.verify(&head, b"{}", now).is_ok());
/// assert!(scheme.verify(&head, b"[]", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StandardWebhooks {
    names: Names,
    v1: Option<HmacKeys>,
    pub(in crate::signature) v1a: Option<Arc<dyn Version>>,
    tolerance: Tolerance,
}

impl StandardWebhooks {
    /// Expects messages that are signed with one of `secrets`.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        let keys = HmacKeys::new(secrets.into(), KeyEncoding::Base64After("whsec_"));
        Self { v1: Some(keys), ..Self::unproved() }
    }

    /// Creates a scheme that accepts nothing.
    pub(in crate::signature) fn unproved() -> Self {
        Self { names: Names::STANDARD, v1: None, v1a: None, tolerance: Tolerance::default() }
    }

    /// Uses the header names of Svix: `svix-id`, `svix-timestamp` and `svix-signature`.
    pub fn svix(mut self) -> Self {
        self.names = Names::SVIX;
        self
    }

    /// Sets the maximum difference between the timestamp and the time of receipt. Default: 300 s in both directions.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    fn versions(&self) -> impl Iterator<Item = &dyn Version> {
        let v1 = self.v1.iter().map(|keys| -> &dyn Version { keys });
        v1.chain(self.v1a.as_deref())
    }

    fn signer_of(
        &self,
        presented: &Presented<'_>,
        head: &Parts,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError> {
        let message = [presented.id.as_bytes(), b".", presented.timestamp, b".", body];
        for (version, signatures) in self.listed(presented)? {
            if let Some(key) = version.signer_of(head, &message, &signatures, at) {
                let proof = Proof::new(self.names.scheme_of(version), key, "raw");
                return Ok(proof.with_message_id(presented.id));
            }
        }
        Err(Place::from(&self.names.signature).mismatch())
    }

    /// Returns the distinct, well-formed signatures in the head, by version. At least one.
    fn listed<'s, 'h>(
        &'s self,
        presented: &Presented<'h>,
    ) -> Result<Vec<Listed<'s, 'h>>, SignatureError> {
        let place = Place::from(&self.names.signature);
        let mut listed = Vec::new();
        for version in self.versions() {
            let texts = presented.of_version(version.name());
            let texts = texts.filter(|text| version.is_well_formed(text));
            let texts = place.distinct(texts, version.most_signatures())?;
            if !texts.is_empty() {
                listed.push((version, texts));
            }
        }
        if listed.is_empty() {
            Err(place.malformed("a list of `v1,` and base64"))
        } else {
            Ok(listed)
        }
    }

    fn differing(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    /// Reads the head, and checks its timestamp.
    fn presented<'h>(
        &self,
        head: &'h Parts,
        at: SystemTime,
    ) -> Result<Presented<'h>, SignatureError> {
        let presented = Presented::of(&head.headers, &self.names)?;
        let place = Place::from(&self.names.timestamp);
        self.tolerance.check(presented.timestamp, TimeUnit::Seconds, at, &place)?;
        Ok(presented)
    }
}

impl Scheme for StandardWebhooks {
    fn check(&self) -> Result<(), SchemeError> {
        self.versions().try_for_each(Version::check)
    }

    fn check_head(&self, head: &Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.presented(head, at).and_then(|presented| self.listed(&presented)).map(drop)
    }

    fn claimed_message_id<'h>(&self, head: &'h Parts) -> Option<&'h str> {
        Presented::of(&head.headers, &self.names).ok().map(|presented| presented.id)
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, head: &Parts, body: &[u8], at: SystemTime) -> Result<Proof, SignatureError> {
        let presented = self.presented(head, at)?;
        self.signer_of(&presented, head, body, at)
    }

    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let timestamp = TimeUnit::Seconds.write(at)?;
        let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let mut entries = Vec::new();
        for version in self.versions() {
            let signatures = version.sign(&message, at).unwrap_or_default();
            entries.extend(signatures.iter().map(|text| format!("{},{text}", version.name())));
        }
        if entries.is_empty() {
            return Err(SignError::NoSecret);
        }
        Signature::new()
            .header(&self.names.id, id)?
            .header(&self.names.timestamp, &timestamp)?
            .header(&self.names.signature, entries.join(" "))
    }

    fn variants(&self) -> Vec<Variant> {
        let keys = self.v1.iter().flat_map(HmacKeys::variants).map(|(difference, keys)| {
            Variant::new(difference, self.differing(|other| other.v1 = Some(keys)))
        });
        let names = self.names.other();
        let header = Difference::Header { header: names.signature.clone(), prefix: "" };
        let others = [
            Variant::new(Difference::Time, self.clone().tolerance(Tolerance::unlimited())),
            Variant::new(header, self.differing(|other| other.names = names)),
        ];
        keys.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::signature::Secret;

    // libraries/python/tests/test_webhooks.py::test_sign_function
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn received_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330)
    }

    fn scheme() -> StandardWebhooks {
        StandardWebhooks::new(Secret::new(SECRET))
    }

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = Request::post("/a");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn signed(signature: &str) -> Parts {
        head(&[("webhook-id", ID), ("webhook-timestamp", TIME), ("webhook-signature", signature)])
    }

    fn verify(head: &Parts) -> Result<Proof, SignatureError> {
        scheme().verify(head, BODY, received_at())
    }

    #[test]
    fn published_vector_is_verified_and_reproduced_by_signing() {
        let proof = verify(&signed(SIGNATURE)).unwrap();
        assert_eq!(
            proof.to_string(),
            format!("standard-webhooks-v1 secret=main form=raw message={ID}")
        );
        assert_eq!(proof.message_id(), Some(ID));
        let written = scheme().signature(ID, BODY, received_at()).unwrap();
        assert_eq!(written.headers()["webhook-id"], ID);
        assert_eq!(written.headers()["webhook-timestamp"], TIME);
        assert_eq!(written.headers()["webhook-signature"], SIGNATURE);
    }

    #[test]
    fn wrong_secret_body_id_or_timestamp_is_rejected() {
        let stranger = StandardWebhooks::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSv"));
        let head = signed(SIGNATURE);
        assert!(stranger.verify(&head, BODY, received_at()).is_err());
        assert!(scheme().verify(&head, b"{\"test\": 2432232315}", received_at()).is_err());
        for (name, value) in [("webhook-id", "msg_2"), ("webhook-timestamp", "1614265331")] {
            let mut head = head.clone();
            head.headers.insert(name, value.parse().unwrap());
            assert!(matches!(verify(&head), Err(SignatureError::Mismatch { .. })), "{name}");
        }
    }

    #[test]
    fn missing_and_repeated_headers_are_rejected() {
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut head = signed(SIGNATURE);
            let value = head.headers[name].clone();
            head.headers.append(name, value);
            assert!(matches!(verify(&head), Err(SignatureError::Ambiguous { .. })), "{name}");
            head.headers.remove(name);
            assert!(matches!(verify(&head), Err(SignatureError::Missing { .. })), "{name}");
            head.headers.insert(name, "".parse().unwrap());
            assert!(matches!(verify(&head), Err(SignatureError::Malformed { .. })), "{name}");
        }
    }

    #[test]
    fn timestamp_outside_the_tolerance_is_rejected() {
        let head = signed(SIGNATURE);
        let at = |at: SystemTime| scheme().verify(&head, BODY, at);
        let seconds = Duration::from_secs;
        assert!(at(received_at() + seconds(300)).is_ok());
        let old = at(received_at() + seconds(301));
        assert!(matches!(old, Err(SignatureError::TooOld { .. })));
        assert!(at(received_at() - seconds(300)).is_ok());
        let new = at(received_at() - seconds(301));
        assert!(matches!(new, Err(SignatureError::TooNew { .. })));
    }

    #[test]
    fn one_of_several_signatures_is_enough_and_unknown_versions_are_ignored() {
        let stranger = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=";
        assert!(verify(&signed(&format!("v1a,x v2,y {stranger} {SIGNATURE} v1,"))).is_ok());
        let body = SIGNATURE.strip_prefix("v1,").unwrap();
        for refused in [body.to_owned(), format!("v2,{body}"), format!("v1a,{body}"), "v1,".into()]
        {
            let refused = verify(&signed(&refused));
            assert!(matches!(refused, Err(SignatureError::Malformed { .. })), "{refused:?}");
        }
    }

    #[test]
    fn svix_header_names_require_svix() {
        let head =
            head(&[("svix-id", ID), ("svix-timestamp", TIME), ("svix-signature", SIGNATURE)]);
        assert!(scheme().svix().verify(&head, BODY, received_at()).is_ok());
        assert!(matches!(verify(&head), Err(SignatureError::Missing { .. })));
    }

    #[test]
    fn secret_is_base64_with_or_without_whsec_prefix() {
        let plain = StandardWebhooks::new(Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert!(plain.verify(&signed(SIGNATURE), BODY, received_at()).is_ok());
        let check = |secret: &str| StandardWebhooks::new(Secret::new(secret)).check();
        let versioned = StandardWebhooks::new(Secret::new(format!("v1,{SECRET}")));
        assert_eq!(versioned.check(), Ok(()));
        assert!(versioned.verify(&signed(SIGNATURE), BODY, received_at()).is_ok());
        assert_eq!(check(SECRET), Ok(()));
        let spaced = check(&format!("{SECRET}\n"));
        assert_eq!(spaced, Err(SchemeError::SecretWhiteSpace { name: "main".to_owned() }));
        let name = || "main".to_owned();
        assert_eq!(check("whsec_"), Err(SchemeError::EmptySecret { name: name() }));
        let malformed = Err(SchemeError::MalformedSecret { name: name(), expected: "base64" });
        assert_eq!(check("whsec_ünïcode"), malformed);
        assert_eq!(check("whsk_MfKQ"), malformed);
    }

    #[test]
    fn svix_id_is_verified_with_svix_headers() {
        let mut head = head(&[("webhook-id", "msg_2"), ("svix-id", ID)]);
        let scheme = scheme().svix();
        scheme.signature(ID, BODY, received_at()).unwrap().add_to(&mut head).unwrap();
        let proof = scheme.verify(&head, BODY, received_at()).unwrap();
        assert_eq!(proof.message_id(), Some(ID));
        assert_eq!(scheme.claimed_message_id(&head), Some(ID));
        head.headers.insert("svix-id", http::HeaderValue::from_bytes(b"\xff").unwrap());
        let refused = scheme.verify(&head, BODY, received_at());
        assert!(matches!(refused, Err(SignatureError::Malformed { .. })), "{refused:?}");
    }

    #[test]
    fn binary_body_is_accepted() {
        let body = [0xff, 0x00, 0xc3];
        let mut head = head(&[]);
        scheme().signature(ID, &body, received_at()).unwrap().add_to(&mut head).unwrap();
        assert!(scheme().verify(&head, &body, received_at()).is_ok());
    }

    #[test]
    fn sender_signs_with_every_valid_secret() {
        let old = Secret::new("whsec_AAAA").named("old").valid(..received_at());
        let new = Secret::new("whsec_BBBB").named("new");
        let rotating = StandardWebhooks::new([Secret::new(SECRET), new, old]);
        let written = rotating.signature(ID, BODY, received_at()).unwrap();
        let entries = written.headers()["webhook-signature"].to_str().unwrap().to_owned();
        assert_eq!(entries.split(' ').count(), 2, "{entries}");
        assert!(entries.starts_with(SIGNATURE), "{entries}");
        let expired = StandardWebhooks::new(Secret::new(SECRET).valid(..received_at()));
        let error = expired.signature(ID, BODY, received_at()).unwrap_err();
        assert_eq!(error, SignError::NoSecret);
    }
}
