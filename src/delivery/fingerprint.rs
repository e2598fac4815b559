use std::{fmt, str::FromStr};

use http::Uri;

use super::{Digest, ModelName, Redaction};
use crate::signature::Proof;

/// Identifies a delivery: two deliveries with the same fingerprint are the original and its repeat.
///
/// | the proof | what the fingerprint covers |
/// |---|---|
/// | names a message id that the signature covers | model, path, message id, and the digest of the signed bytes |
/// | names none | model, path, query, and the digest of the signed bytes |
///
/// The query counts as it was received, before redaction, without the parameters that prove the sender: a token or
/// signature there may change between two attempts, while `?id=…` may be all that distinguishes two deliveries. The
/// signed bytes differ from the body where a scheme accepts another form of it
/// ([`Proof::signed_digest`]).
///
/// It cannot be computed from a stored delivery, whose query is redacted. Archives store it, as text or as
/// [bytes](Self::as_bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// Returns the fingerprint of a request for `model` to the unredacted `target` with a body of this digest.
    pub(super) fn of(
        model: &ModelName,
        target: &Uri,
        redaction: &Redaction,
        proof: &Proof,
        body: Digest,
    ) -> Self {
        let signed = proof.signed_digest().unwrap_or(body);
        let (model, path, signed) =
            (model.as_str().as_bytes(), target.path().as_bytes(), signed.as_bytes());
        if let Some(id) = proof.message_id() {
            return Self(Digest::of_fields([b"message", model, path, id.as_bytes(), signed]));
        }
        let query = redaction.identifying_pairs(target).map(str::as_bytes);
        let fields = [b"request", model, path, signed.as_slice()].into_iter();
        Self(Digest::of_fields(fields.chain(query)))
    }

    /// The same for a target that was redacted before; `None` where a value is missing that the fingerprint covers.
    pub(super) fn of_redacted(
        model: &ModelName,
        target: &Uri,
        redaction: &Redaction,
        proof: &Proof,
        body: Digest,
    ) -> Option<Self> {
        let is_whole = proof.message_id().is_some()
            || !redaction.identifying_pairs(target).any(Redaction::is_redacted);
        let is_whole = is_whole && !Redaction::is_redacted(target.path());
        is_whole.then(|| Self::of(model, target, redaction, proof, body))
    }

    /// Returns a fingerprint from its thirty-two bytes, as an archive stored them.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// Returns the thirty-two bytes of the fingerprint.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// Sixty-four hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| ParseFingerprintError(()))
    }
}

/// The error of parsing a [`Fingerprint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid fingerprint: expected 64 hexadecimal digits")]
pub struct ParseFingerprintError(());

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Proof {
        Proof::new("hmac-sha256", "main", "raw")
    }

    fn redaction() -> Redaction {
        Redaction::default().query("ticket").as_proof().query("street")
    }

    fn of(model: &str, target: &str, proof: &Proof, body: &[u8]) -> Fingerprint {
        let (model, target) = (model.parse().unwrap(), target.parse().unwrap());
        Fingerprint::of(&model, &target, &redaction(), proof, Digest::of(body))
    }

    fn at(target: &str) -> Fingerprint {
        of("/m", target, &plain(), b"x")
    }

    #[test]
    fn model_target_and_bytes_all_count() {
        let one = at("/p/1?a=b");
        assert_eq!(one, at("/p/1?a=b"));
        assert_eq!(one, at("http://host/p/1?a=b"), "the host does not count");
        for other in [
            of("/n", "/p/1?a=b", &plain(), b"x"),
            of("/m", "/p/2?a=b", &plain(), b"x"),
            of("/m", "/p/1?a=b", &plain(), b"y"),
            at("/p/1"),
            at("/p/1?a=c"),
            at("/p/1?a=b&a=b"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn only_the_parameters_that_prove_the_sender_are_left_out_of_the_query() {
        assert_ne!(
            at("/p?key=document-1"),
            at("/p?key=document-2"),
            "usual names of secrets count"
        );
        assert_ne!(at("/p?street=Elm"), at("/p?street=Oak"), "what the model redacts counts");
        assert_ne!(at("/p?one"), at("/p?two"));
        assert_eq!(at("/p?key=1&ticket=a"), at("/p?TICKET=b&key=1"));
        assert_eq!(at("/p?key=1&%74icket=a"), at("/p?key=1"));
    }

    #[test]
    fn parts_cannot_be_shifted_from_one_field_to_the_next() {
        assert_ne!(at("/p?a=b&c=d"), at("/p?a=b%26c=d"));
        assert_ne!(of("/m", "/p", &plain(), b""), of("/m/p", "/", &plain(), b""));
        let (one, two) = (plain().with_message_id("/pa"), plain().with_message_id("a"));
        assert_ne!(of("/m", "/", &one, b""), of("/m", "/p", &two, b""));
        assert_ne!(of("/m", "/p", &one, b""), of("/m", "/p", &plain(), b""));
    }

    #[test]
    fn a_proved_message_id_counts_in_place_of_the_query() {
        let of_message =
            |id: &str, target, body| of("/m", target, &plain().with_message_id(id), body);
        let one = of_message("msg_1", "/p", b"x");
        assert_eq!(one, of_message("msg_1", "/p?added=by-a-stranger", b"x"));
        assert_ne!(one, of_message("msg_2", "/p", b"x"));
        assert_ne!(one, of_message("msg_1", "/p", b"y"), "other bytes are a new version");
        assert_ne!(one, of_message("msg_1", "/q", b"x"), "another endpoint has its own delivery");
    }

    #[test]
    fn bytes_count_as_they_were_signed() {
        let joined = plain().with_signed_digest(Digest::of(b"ab"));
        let one = of("/m", "/p", &joined, b"a\nb");
        assert_eq!(one, of("/m", "/p", &joined, b"a\n\nb"));
        assert_eq!(one, of("/m", "/p", &plain(), b"ab"), "the same bytes without the line break");
        assert_ne!(one, of("/m", "/p", &plain(), b"a\nb"));
    }

    #[test]
    fn text_reads_back() {
        let one = at("/p");
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(Fingerprint::from_bytes(*one.as_bytes()), one);
        assert_eq!("00".parse::<Fingerprint>(), Err(ParseFingerprintError(())));
    }
}
