use std::{fmt, str::FromStr};

use http::Uri;
use sha2::{Digest as _, Sha256};

use super::{ModelName, Redaction};
use crate::signature::Proof;

/// The SHA-256 digest of a body.
///
/// ```
/// use tower_inbox::Digest;
///
/// let digest = Digest::of(b"");
/// assert!(digest.to_string().starts_with("e3b0c442"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes a sequence of fields, each prefixed with its length, so that two different sequences never hash the same
    /// bytes.
    pub(super) fn of_fields<'f>(fields: impl IntoIterator<Item = &'f [u8]>) -> Self {
        let hash = fields.into_iter().fold(Sha256::new(), |hash, field| {
            hash.chain_update((field.len() as u64).to_be_bytes()).chain_update(field)
        });
        Self(hash.finalize().into())
    }

    /// Returns the digest with these 32 bytes.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal, as WARC tools write it after `sha256:`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Hot path of archiving: writing byte by byte takes ten times as long.
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError(()))?;
        Ok(Self(bytes))
    }
}

/// The error of parsing a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid SHA-256 digest: expected 64 hexadecimal digits")]
pub struct ParseDigestError(());

/// Identifies a delivery: if two deliveries have the same fingerprint, the later one is a repeat.
///
/// | the proof | the fingerprint covers |
/// |---|---|
/// | has a message id that the signature covers | model, path, message id, and the digest of the signed bytes |
/// | has no message id | model, path, query, and the digest of the signed bytes |
///
/// The query is covered as received, before redaction, without the parameters that prove the sender: a token or
/// signature may change between two attempts, while `?id=…` may be the only difference between two deliveries. The
/// signed bytes differ from the body if a scheme accepts another form of it ([`Proof::signed_digest`]).
///
/// The fingerprint cannot be computed from a stored delivery, because its query is redacted. Archives store it as text
/// or as [bytes](Self::as_bytes).
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

    /// The same for a redacted target; None if a value that the fingerprint covers is redacted.
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

    /// Returns the fingerprint with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// Returns the 32 bytes of the fingerprint.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// 64 hexadecimal digits.
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

    #[test]
    fn digest_reads_back_from_text() {
        // FIPS 180-4, the example of one block: "abc".
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert!(text[1..].parse::<Digest>().is_err());
    }

    #[test]
    fn digest_of_fields_depends_on_field_boundaries() {
        let of = |fields: &[&str]| Digest::of_fields(fields.iter().map(|field| field.as_bytes()));
        let all =
            [of(&[]), of(&[""]), of(&["ab"]), of(&["a", "b"]), of(&["ab", ""]), of(&["", "ab"])];
        for (place, one) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other != one), "{place}");
        }
    }

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
    fn fingerprint_covers_model_target_and_bytes() {
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
    fn fingerprint_leaves_out_only_the_parameters_that_prove_the_sender() {
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
    fn fingerprint_depends_on_field_boundaries() {
        assert_ne!(at("/p?a=b&c=d"), at("/p?a=b%26c=d"));
        assert_ne!(of("/m", "/p", &plain(), b""), of("/m/p", "/", &plain(), b""));
        let (one, two) = (plain().with_message_id("/pa"), plain().with_message_id("a"));
        assert_ne!(of("/m", "/", &one, b""), of("/m", "/p", &two, b""));
        assert_ne!(of("/m", "/p", &one, b""), of("/m", "/p", &plain(), b""));
    }

    #[test]
    fn fingerprint_covers_a_signed_message_id_instead_of_the_query() {
        let of_message =
            |id: &str, target, body| of("/m", target, &plain().with_message_id(id), body);
        let one = of_message("msg_1", "/p", b"x");
        assert_eq!(one, of_message("msg_1", "/p?added=by-a-stranger", b"x"));
        assert_ne!(one, of_message("msg_2", "/p", b"x"));
        assert_ne!(one, of_message("msg_1", "/p", b"y"), "other bytes are a new version");
        assert_ne!(one, of_message("msg_1", "/q", b"x"), "another endpoint has its own delivery");
    }

    #[test]
    fn fingerprint_covers_the_bytes_as_signed() {
        let joined = plain().with_signed_digest(Digest::of(b"ab"));
        let one = of("/m", "/p", &joined, b"a\nb");
        assert_eq!(one, of("/m", "/p", &joined, b"a\n\nb"));
        assert_eq!(one, of("/m", "/p", &plain(), b"ab"), "the same bytes without the line break");
        assert_ne!(one, of("/m", "/p", &plain(), b"a\nb"));
    }

    #[test]
    fn fingerprint_reads_back_from_text() {
        let one = at("/p");
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(Fingerprint::from_bytes(*one.as_bytes()), one);
        assert_eq!("00".parse::<Fingerprint>(), Err(ParseFingerprintError(())));
    }
}
