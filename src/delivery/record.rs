use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;

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
    /// Puts a delivery together and hashes its body.
    pub fn new(
        id: DeliveryId,
        model: ModelName,
        head: Head,
        body: Bytes,
        received_at: SystemTime,
        proof: Proof,
    ) -> Self {
        let digest = Digest::of(&body);
        let target = head.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let fingerprint = Fingerprint::of(&model, target, digest);
        let inner = Inner { model, head, body, digest, fingerprint, received_at, proof };
        Self { id, inner: Arc::new(inner) }
    }

    /// The same delivery under the id of the one that came first with the same bytes.
    pub fn with_id(self, id: DeliveryId) -> Self {
        Self { id, ..self }
    }

    /// The same delivery with another proof, without what `redaction` takes for a secret: who proved it may have done so
    /// by what was no secret before.
    pub(crate) fn proved_by(&self, proof: Proof, redaction: &Redaction) -> Self {
        let Inner { model, head, body, digest, received_at, .. } = &*self.inner;
        let head = head.redacted(redaction);
        let target = head.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let inner = Inner {
            model: model.clone(),
            fingerprint: Fingerprint::of(model, target, *digest),
            head,
            body: body.clone(),
            digest: *digest,
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

    /// What makes a repeat of it: model, path with query, and bytes.
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
