use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::request;

use super::{DeliveryId, Digest, Fingerprint, Head, ModelName, Redaction};
use crate::signature::Proof;

/// One POST as it was received: id, model, head, exact body, digest, time, and what proved its sender.
///
/// Cheap to clone. In a request's extensions, and with feature `axum` an extractor.
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
    /// Makes a delivery of a request that was just received. Stores its head without what `redaction` names, and
    /// computes its digest and its fingerprint, the latter from the unredacted head.
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

    /// Restores a delivery from what an archive stored of it. Computes the digest of the body, and takes the fingerprint
    /// as it was stored, since the head is redacted.
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

    /// Makes a delivery of a head that had nothing to redact, for tests.
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

    /// The same delivery under the id of the one that came first with the same bytes.
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

    /// Returns the delivery with another proof, and without what `redaction` names: a parameter that proves the sender
    /// now may have been stored before.
    ///
    /// The fingerprint becomes that of the same request with this proof. Where it covers a value of the query that was
    /// redacted, it stays as it is: that of the request as an unproved one.
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

    /// What names this delivery in the archive, in logs and in the answer's `inbox-delivery-id`.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// The model that it is for.
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

    /// Identifies the delivery among repeats: see [`Fingerprint`].
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// When the request reached the inbox, by the clock of this machine.
    pub fn received_at(&self) -> SystemTime {
        self.inner.received_at
    }

    /// What proved the sender: scheme, name of the secret, form of the body.
    pub fn proof(&self) -> &Proof {
        &self.inner.proof
    }
}

/// Shows sizes and names, never the body.
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

/// Proof that a delivery is durable. No 2xx is answered without one.
///
/// Only an archive makes receipts, and only after the bytes are where its documentation says that they survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a receipt is what allows to answer 2xx"]
pub struct Receipt {
    id: DeliveryId,
    repeat: bool,
}

impl Receipt {
    /// For an archive to give out: `id` has just been made durable.
    pub fn fresh(id: DeliveryId) -> Self {
        Self { id, repeat: false }
    }

    /// For an archive to give out: the same bytes for the same model are durable already, as `first`.
    pub fn repeat(first: DeliveryId) -> Self {
        Self { id: first, repeat: true }
    }

    /// The delivery under which the bytes are archived: of a repeat, the first.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Whether the same bytes were there before.
    pub fn is_repeat(&self) -> bool {
        self.repeat
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

    /// Refused under the redaction of the wrong scheme, then proved under that of the right one.
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
}
