use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::request;

use super::{DeliveryId, Digest, Fingerprint, Head, ModelName, Redaction};
use crate::signature::Proof;

/// One POST as received: id, model, head, exact body bytes, digest, time of receipt, and the proof of the sender.
///
/// In the request extensions; with feature `axum` an extractor. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    id: DeliveryId,
    inner: Arc<Inner>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    model: ModelName,
    head: Head,
    body: Bytes,
    digest: Digest,
    fingerprint: Fingerprint,
    received_at: SystemTime,
    proof: Proof,
}

impl Delivery {
    /// Creates a delivery from a request that was just received. Redacts the head by `redaction`, and computes the
    /// digest of the body and the fingerprint, the latter from the unredacted head.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use http::Request;
    /// use tower_inbox::{Delivery, DeliveryId, delivery::Redaction, signature::Proof};
    ///
    /// let received = |target: &str| -> Result<Delivery, Box<dyn std::error::Error>> {
    ///     let (parts, body) = Request::post(target).body("{}".into())?.into_parts();
    ///     let (id, model, proof) = (DeliveryId::new(), "/hooks".parse()?, Proof::new("none", "none", "raw"));
    ///     let redaction = Redaction::default().query("street");
    ///     Ok(Delivery::received(id, model, &parts, body, SystemTime::now(), proof, &redaction))
    /// };
    /// let (one, two) = (received("/hooks?street=Elm")?, received("/hooks?street=Oak")?);
    /// assert_eq!(one.head().uri(), two.head().uri());
    /// assert_ne!(one.fingerprint(), two.fingerprint());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn received(
        id: DeliveryId,
        model: ModelName,
        parts: &request::Parts,
        body: Bytes,
        received_at: SystemTime,
        proof: Proof,
        redaction: &Redaction,
    ) -> Self {
        let (head, digest) = (Head::of(parts, redaction), Digest::of(&body));
        let fingerprint = Fingerprint::of(&model, &parts.uri, redaction, &proof, digest);
        let inner = Inner { model, head, body, digest, fingerprint, received_at, proof };
        Self { id, inner: Arc::new(inner) }
    }

    /// Restores a delivery that an archive stored. Computes the digest of the body. The fingerprint must be the stored
    /// one, because the head is redacted.
    pub fn from_archive(
        id: DeliveryId,
        model: ModelName,
        head: Head,
        body: Bytes,
        received_at: SystemTime,
        proof: Proof,
        fingerprint: Fingerprint,
    ) -> Self {
        let digest = Digest::of(&body);
        let inner = Inner { model, head, body, digest, fingerprint, received_at, proof };
        Self { id, inner: Arc::new(inner) }
    }

    /// Creates a delivery from a head without secrets, for tests.
    #[cfg(any(feature = "testing", all(test, feature = "disk")))]
    pub(crate) fn with_head(
        id: DeliveryId,
        model: ModelName,
        head: Head,
        body: Bytes,
        received_at: SystemTime,
        proof: Proof,
    ) -> Self {
        let (redaction, digest) = (Redaction::default(), Digest::of(&body));
        let fingerprint = Fingerprint::of(&model, head.uri(), &redaction, &proof, digest);
        Self::from_archive(id, model, head, body, received_at, proof, fingerprint)
    }

    /// Returns the delivery with another id: a repeat continues under the id of the first delivery.
    pub fn with_id(self, id: DeliveryId) -> Self {
        Self { id, ..self }
    }

    /// Returns the delivery with its body decompressed. Digest and fingerprint stay those of the bytes as sent.
    pub(crate) fn with_plain_body(&self, body: Bytes) -> Self {
        let Inner { model, head, digest, fingerprint, received_at, proof, .. } = &*self.inner;
        let inner = Inner {
            model: model.clone(),
            head: head.clone(),
            body,
            digest: *digest,
            fingerprint: *fingerprint,
            received_at: *received_at,
            proof: proof.clone(),
        };
        Self { id: self.id, inner: Arc::new(inner) }
    }

    /// Returns the delivery with another proof, redacted by `redaction`: a parameter that proves the sender now may
    /// have been stored in plain text.
    ///
    /// The fingerprint becomes that of the same request with this proof, unless that covers a redacted value of the
    /// query. Then it stays as it is.
    pub(crate) fn proved_by(&self, proof: Proof, redaction: &Redaction) -> Self {
        let Inner { model, head, body, digest, fingerprint, received_at, .. } = &*self.inner;
        let proved = Fingerprint::of_redacted(model, head.uri(), redaction, &proof, *digest);
        let inner = Inner {
            model: model.clone(),
            head: head.redacted(redaction),
            body: body.clone(),
            digest: *digest,
            fingerprint: proved.unwrap_or(*fingerprint),
            received_at: *received_at,
            proof,
        };
        Self { id: self.id, inner: Arc::new(inner) }
    }

    /// The id in the archive, in logs, and in the response header `inbox-delivery-id`.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// The name of its model.
    pub fn model(&self) -> &ModelName {
        &self.inner.model
    }

    /// The head of the request, without its secrets.
    pub fn head(&self) -> &Head {
        &self.inner.head
    }

    /// The exact bytes of the body. Cheap to clone.
    pub fn body(&self) -> &Bytes {
        &self.inner.body
    }

    /// The SHA-256 of the body.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// The fingerprint, which repeats share: see [`Fingerprint`].
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// The time of receipt, by the clock of the inbox.
    pub fn received_at(&self) -> SystemTime {
        self.inner.received_at
    }

    /// Whether the delivery was posted by its provider, or fetched from its API.
    pub fn provenance(&self) -> Provenance {
        if self.proof().is_polled() { Provenance::Poll } else { Provenance::Webhook }
    }

    /// The proof of the sender: scheme, name of the secret, form of the body.
    pub fn proof(&self) -> &Proof {
        &self.inner.proof
    }
}

/// How a delivery came to the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provenance {
    /// The provider posted it.
    Webhook,
    /// It was overdue, and fetched from the API of the provider: see [`Expectations`](crate::Expectations).
    Poll,
}

/// Shows the length of the body, never its bytes.
impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("model", &self.model)
            .field("head", &self.head)
            .field("bytes", &self.body.len())
            .field("digest", &self.digest)
            .field("fingerprint", &self.fingerprint)
            .field("received_at", &self.received_at)
            .field("proof", &self.proof)
            .finish()
    }
}

/// Proof that a delivery is durable. No 2xx is sent without one.
///
/// Only an archive creates receipts, after the bytes are durable as its documentation defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a 2xx requires a receipt"]
pub struct Receipt {
    id: DeliveryId,
    repeat: bool,
}

impl Receipt {
    /// Creates the receipt of a delivery that was just made durable. For archives.
    pub fn fresh(id: DeliveryId) -> Self {
        Self { id, repeat: false }
    }

    /// Creates the receipt of a repeat: the same delivery is durable already, as `first`. For archives.
    pub fn repeat(first: DeliveryId) -> Self {
        Self { id: first, repeat: true }
    }

    /// The id under which the bytes are archived: for a repeat, that of the first delivery.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Returns true if the delivery is a repeat.
    pub fn is_repeat(&self) -> bool {
        self.repeat
    }
}

/// Returns a time in nanoseconds since 1970, as archives store it. Negative before 1970. The range is 1677 to 2262.
#[cfg(any(feature = "disk", feature = "postgres"))]
pub(crate) fn to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// Returns the time of nanoseconds since 1970; `None` if the system cannot represent it.
#[cfg(any(feature = "disk", feature = "postgres"))]
pub(crate) fn from_nanos(nanos: i64) -> Option<SystemTime> {
    let away = std::time::Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(away)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(away)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn received(target: &str, proof: Proof, redaction: &Redaction) -> Delivery {
        let (parts, body) = Request::post(target).body("a\nb".into()).unwrap().into_parts();
        let (id, model) = (DeliveryId::new(), "/m".parse().unwrap());
        Delivery::received(id, model, &parts, body, SystemTime::UNIX_EPOCH, proof, redaction)
    }

    fn proof() -> Proof {
        Proof::new("hmac-sha256", "main", "raw")
    }

    /// Rejected with the redaction of the wrong scheme, then verified with that of the right one.
    fn released(target: &str, proof: Proof, redaction: &Redaction) -> Delivery {
        let refused = Proof::new("refused", "none", "raw");
        received(target, refused, &Redaction::default()).proved_by(proof, redaction)
    }

    fn by_ticket() -> Redaction {
        Redaction::default().query("ticket").as_proof()
    }

    #[test]
    fn released_delivery_has_the_fingerprint_of_one_verified_at_once() {
        let joined = proof().with_signed_digest(Digest::of(b"ab"));
        let message = proof().with_message_id("msg_1");
        for (target, proof) in [
            ("/m", proof()),
            ("/m?page=1", joined),
            ("/m?page=1&ticket=4711", proof()),
            ("/m?page=1&token=4711", message),
        ] {
            let (released, at_once) = (
                released(target, proof.clone(), &by_ticket()),
                received(target, proof, &by_ticket()),
            );
            assert_eq!(released.fingerprint(), at_once.fingerprint(), "{target}");
            assert_eq!(released.head(), at_once.head(), "{target}");
        }
        let by_token = Redaction::default().query("token").as_proof();
        let (one, two) = ("/m?token=1", "/m?token=2");
        let (one, two) = (released(one, proof(), &by_token), received(two, proof(), &by_token));
        assert_eq!(one.fingerprint(), two.fingerprint());
    }

    #[test]
    fn redacted_values_distinguish_released_deliveries() {
        let redaction = by_ticket().query("street");
        let released = |target| {
            let refused = received(target, Proof::new("refused", "none", "raw"), &redaction);
            refused.proved_by(proof(), &redaction)
        };
        let [one, two] = ["/m?street=Elm", "/m?street=Oak"].map(released);
        assert_eq!(one.head().uri(), two.head().uri());
        assert_ne!(one.fingerprint(), two.fingerprint());
        let at_once = received("/m?street=Elm", proof(), &redaction);
        assert_eq!(one.fingerprint(), at_once.fingerprint());
    }

    #[test]
    fn restored_delivery_keeps_its_stored_fingerprint() {
        let one = received("/m?key=document-1", proof(), &by_ticket());
        let restored = Delivery::from_archive(
            one.id(),
            one.model().clone(),
            one.head().clone(),
            one.body().clone(),
            one.received_at(),
            one.proof().clone(),
            one.fingerprint(),
        );
        assert_eq!(restored, one);
    }

    #[cfg(any(feature = "disk", feature = "postgres"))]
    #[test]
    fn times_before_1970_read_back() {
        let early = SystemTime::UNIX_EPOCH - std::time::Duration::new(1, 7);
        for time in [early, SystemTime::UNIX_EPOCH] {
            assert_eq!(from_nanos(to_nanos(time)), Some(time));
        }
    }
}
