use std::{borrow::Cow, sync::Arc, time::SystemTime};

use http::{HeaderMap, request};

use super::{Proof, Scheme, SchemeError, SignError, Signature, SignatureError, doctor::Variant};
use crate::delivery::{Digest, Redaction, decompress};

/// The form of a body that a sender signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyForm {
    /// The body as it was sent.
    #[default]
    Raw,
    /// The body as it was sent or, if that does not match, without carriage returns and line feeds.
    ///
    /// In JSON, both are only allowed between values: an accepted body has the same meaning.
    RawOrWithoutLineBreaks,
}

impl BodyForm {
    /// Returns the forms that can match, in the order in which they are tried.
    pub(super) fn readings(self, body: &[u8]) -> impl Iterator<Item = Reading<'_>> {
        let joined = move || match self {
            Self::Raw => None,
            Self::RawOrWithoutLineBreaks => without_line_breaks(body),
        };
        let raw = std::iter::once(Reading { form: "raw", bytes: Cow::Borrowed(body) });
        let joined = move || {
            joined().map(|bytes| Reading { form: "without-line-breaks", bytes: bytes.into() })
        };
        // Lazy: the body is copied only if the raw body does not match.
        raw.chain(std::iter::once_with(joined).flatten())
    }
}

/// A form of a body. Owned bytes differ from those that were received.
#[derive(Debug)]
pub(super) struct Reading<'b> {
    pub(super) form: &'static str,
    pub(super) bytes: Cow<'b, [u8]>,
}

/// Returns `body` without carriage returns and line feeds; `None` if it has none.
pub(super) fn without_line_breaks(body: &[u8]) -> Option<Vec<u8>> {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let any = body.iter().any(is_break);
    any.then(|| body.iter().copied().filter(|byte| !is_break(byte)).collect())
}

/// A scheme whose sender signs the body before it compresses it.
#[derive(Clone, Debug)]
pub(crate) struct Decompressed {
    scheme: Arc<dyn Scheme>,
    /// The maximum size of a decompressed body, in bytes.
    limit: usize,
}

impl Decompressed {
    pub(crate) fn new(scheme: Arc<dyn Scheme>, limit: usize) -> Self {
        Self { scheme, limit }
    }

    /// Returns the decompressed body, or the body as it is if it cannot be decompressed. Its signature then does not
    /// match.
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
        // A retry can compress the same body to different bytes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_body_is_tried_first_and_alone_without_line_breaks() {
        let names = |form: BodyForm, body: &[u8]| -> Vec<_> {
            form.readings(body).map(|one| (one.form, one.bytes.into_owned())).collect()
        };
        let raw = |body: &[u8]| ("raw", body.to_vec());
        assert_eq!(names(BodyForm::Raw, b"a\nb"), [raw(b"a\nb")]);
        assert_eq!(names(BodyForm::RawOrWithoutLineBreaks, b"ab"), [raw(b"ab")]);
        assert_eq!(
            names(BodyForm::RawOrWithoutLineBreaks, b"a\r\nb\n"),
            [raw(b"a\r\nb\n"), ("without-line-breaks", b"ab".to_vec())]
        );
    }
}
