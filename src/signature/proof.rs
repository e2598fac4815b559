use std::{
    borrow::Cow,
    fmt::{self, Display},
    str::FromStr,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::delivery::Digest;

/// The scheme of results that were fetched.
const POLLED: &str = "polled";

/// The separator of the parts, and the escape character.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The proof of a delivery's sender: the scheme, the name of the secret, the form of the body that matched, and the
/// message id if the signature covers one.
///
/// Contains no secret and no signature. `Display` is one line, which archives store. Spaces, percent signs, control
/// characters and non-ASCII characters are percent-encoded.
///
/// ```
/// use tower_inbox::signature::Proof;
///
/// let proof = Proof::new("hmac-sha256", "2026-11", "raw");
/// assert_eq!(proof.to_string(), "hmac-sha256 secret=2026-11 form=raw");
///
/// let proof = Proof::new("acme", "main", "raw").with_message_id("msg 1");
/// assert_eq!(proof.to_string(), "acme secret=main form=raw message=msg%201");
/// assert_eq!(proof.to_string().parse::<Proof>()?, proof);
/// # Ok::<(), tower_inbox::signature::ParseProofError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    scheme: Cow<'static, str>,
    secret: String,
    form: Cow<'static, str>,
    signed: Option<Digest>,
    message_id: Option<String>,
}

impl Proof {
    /// Returns a proof by `scheme`, with the secret of this name, over this form of the body.
    pub fn new(scheme: &'static str, secret: impl Into<String>, form: &'static str) -> Self {
        let (scheme, secret, form) = (scheme.into(), secret.into(), form.into());
        Self { scheme, secret, form, signed: None, message_id: None }
    }

    /// Returns the proof of a result that was fetched from the API of its provider.
    pub(crate) fn polled() -> Self {
        Self::new(POLLED, "none", "raw")
    }

    /// Returns true if the delivery was fetched from the API of its provider.
    pub(crate) fn is_polled(&self) -> bool {
        self.scheme == POLLED
    }

    /// Sets the message id that the sender gave to the delivery.
    ///
    /// It identifies the delivery in place of the query: only set an id that the signature covers, that is the same in
    /// every attempt to deliver one message, and that no two messages share.
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets the SHA-256 of the bytes that were signed, if they differ from the received body. Bodies that differ only
    /// in unsigned bytes are repeats of each other.
    pub fn with_signed_digest(mut self, digest: Digest) -> Self {
        self.signed = Some(digest);
        self
    }

    /// Returns the scheme that was checked.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the name of the secret that matched.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the form of the body that matched, usually `raw`.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// Returns the SHA-256 of the bytes that were signed; `None` if they are the received body.
    pub fn signed_digest(&self) -> Option<Digest> {
        self.signed
    }

    /// Returns the message id that the signature covers, if it covers one.
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }
}

impl Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text| utf8_percent_encode(text, ESCAPED);
        let (scheme, secret, form) = (&self.scheme, &self.secret, &self.form);
        write!(f, "{} secret={} form={}", encoded(scheme), encoded(secret), encoded(form))?;
        if let Some(signed) = &self.signed {
            write!(f, " signed=sha256:{signed}")?;
        }
        if let Some(id) = &self.message_id {
            write!(f, " message={}", encoded(id))?;
        }
        Ok(())
    }
}

impl FromStr for Proof {
    type Err = ParseProofError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        Self::parse(line).ok_or(ParseProofError(()))
    }
}

impl Proof {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(' ').peekable();
        let scheme = decoded(parts.next()?)?;
        let secret = decoded(parts.next()?.strip_prefix("secret=")?)?;
        let form = decoded(parts.next()?.strip_prefix("form=")?)?;
        let signed = parts.next_if(|part| part.starts_with("signed="));
        let signed = signed.map(|part| part.strip_prefix("signed=sha256:")?.parse().ok());
        let message_id = parts.next().map(|part| decoded(part.strip_prefix("message=")?));
        let (scheme, form) = (scheme.into(), form.into());
        // Optional parts must be well-formed, and nothing may follow.
        let (signed, message_id) = (optional(signed)?, optional(message_id)?);
        parts.next().is_none().then_some(Self { scheme, secret, form, signed, message_id })
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// `None` for a part that is malformed.
#[expect(clippy::option_option, reason = "missing and malformed are two things")]
fn optional<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |part| part.map(Some))
}

/// The error of parsing a [`Proof`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid proof: expected `SCHEME secret=NAME form=FORM`, then optionally `signed=sha256:HEX` and `message=ID`"
)]
pub struct ParseProofError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proof_round_trips_through_one_line() {
        let plain = Proof::new("a scheme", "50% form=raw\r\n", "without line breaks");
        let signed = plain.clone().with_signed_digest(Digest::of(b"x"));
        let ids = ["msg_1", "", "a message=b", "é", "%20"];
        let with_ids = ids.map(|id| signed.clone().with_message_id(id));
        for proof in [plain, signed].into_iter().chain(with_ids) {
            let line = proof.to_string();
            assert_eq!(line.parse::<Proof>().as_ref(), Ok(&proof), "{line}");
            assert!(!line.contains(['\r', '\n']), "{line:?}");
        }
        assert!("none secret= form=raw".parse::<Proof>().is_ok());
    }

    #[test]
    fn invalid_proof_is_an_error() {
        for line in [
            "",
            "hmac",
            "hmac secret=a",
            "hmac form=raw secret=a",
            "hmac secret=a form=raw signed=sha256:00",
            "hmac secret=a form=raw signed=",
            "hmac secret=a form=raw message=%FF",
            "hmac secret=a form=raw more=b",
            "hmac secret=a form=raw message=b message=c",
            "hmac secret=a form=raw ",
        ] {
            assert_eq!(line.parse::<Proof>(), Err(ParseProofError(())), "{line}");
        }
    }
}
