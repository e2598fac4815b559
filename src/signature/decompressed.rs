use std::{borrow::Cow, sync::Arc, time::SystemTime};

use http::{HeaderMap, request};

use super::{Proof, Scheme, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::{Digest, Redaction, decompress};

/// A scheme whose sender signs the body before it compresses it.
#[derive(Clone, Debug)]
pub(crate) struct Decompressed {
    scheme: Arc<dyn Scheme>,
    /// The longest decompressed body, in bytes.
    limit: usize,
}

impl Decompressed {
    pub(crate) fn new(scheme: Arc<dyn Scheme>, limit: usize) -> Self {
        Self { scheme, limit }
    }

    /// A body that cannot be decompressed stays as it is: its signature then does not match.
    fn plain<'b>(&self, headers: &HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
        decompress(headers, body, self.limit).unwrap_or(Cow::Borrowed(body))
    }
}

impl Scheme for Decompressed {
    fn check(&self) -> Result<(), SchemeError> {
        self.scheme.check()
    }

    fn check_head(&self, head: &request::Parts, at: SystemTime) -> Result<(), SignatureError> {
        self.scheme.check_head(head, at)
    }

    fn verify(
        &self,
        head: &request::Parts,
        body: &[u8],
        at: SystemTime,
    ) -> Result<Proof, SignatureError> {
        let plain = self.plain(&head.headers, body);
        let proof = self.scheme.verify(head, &plain, at)?;
        // The same body may be compressed to other bytes when it is sent again.
        let proves_digest = proof.signed_digest().is_some() || matches!(plain, Cow::Borrowed(_));
        Ok(if proves_digest { proof } else { proof.with_signed_digest(Digest::of(&plain)) })
    }

    fn signature(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        self.scheme.signature(id, &self.plain(&HeaderMap::new(), body), at)
    }

    fn claimed_message_id<'h>(&self, head: &'h request::Parts) -> Option<&'h str> {
        self.scheme.claimed_message_id(head)
    }

    fn redaction(&self) -> Redaction {
        self.scheme.redaction()
    }

    fn variants(&self) -> Vec<Variant> {
        self.scheme.variants()
    }
}
