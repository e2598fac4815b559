use std::{borrow::Cow, time::SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, request::Parts};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    Encoding, KeyEncoding, Place, SchemeError, Secret, SecretSet, SignError, Signature,
    SignatureError,
    doctor::Difference,
    place::{GivenHeader, MOST_HMACS, with_prefix},
};

/// An HMAC-SHA256 (RFC 2104).
pub(super) type Tag = [u8; 32];

/// Returns the first of `keys` under which one of `sent` is the HMAC of `message`, whose parts are concatenated.
pub(super) fn signer_of<'k>(
    keys: &'k [Secret],
    message: &[&[u8]],
    sent: &[Tag],
) -> Option<&'k Secret> {
    keys.iter().find(|key| {
        let made = tag(key, message);
        made.is_some_and(|made| sent.iter().any(|sent| made.ct_eq(sent).into()))
    })
}

/// Never `None`, because HMAC accepts keys of any length.
pub(super) fn tag(key: &Secret, message: &[&[u8]]) -> Option<Tag> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.value()).ok()?;
    for part in message {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

/// Secrets and their key encoding.
#[derive(Clone, Debug)]
pub(super) struct HmacKeys {
    secrets: SecretSet,
    encoding: KeyEncoding,
}

impl HmacKeys {
    pub(super) fn new(secrets: SecretSet, encoding: KeyEncoding) -> Self {
        Self { secrets, encoding }
    }

    pub(super) fn encoded(self, encoding: KeyEncoding) -> Self {
        Self { encoding, ..self }
    }

    pub(super) fn check(&self) -> Result<(), SchemeError> {
        self.secrets.check()?;
        self.secrets.fixed().iter().try_for_each(|secret| self.check_key(secret))
    }

    fn check_key(&self, secret: &Secret) -> Result<(), SchemeError> {
        let name = || secret.name().to_owned();
        match self.encoding {
            // Decoding ignores the version prefix.
            KeyEncoding::Base64After(_) => {}
            KeyEncoding::Base64 => ["v1,whsec_", "whsec_"]
                .into_iter()
                .try_for_each(|prefix| secret.check_prefix(prefix))?,
            KeyEncoding::Text => secret.check_prefix("v1,whsec_")?,
        }
        match self.key(secret) {
            None => Err(SchemeError::MalformedSecret { name: name(), expected: "base64" }),
            Some(key) if key.value().is_empty() => Err(SchemeError::EmptySecret { name: name() }),
            Some(_) => Ok(()),
        }
    }

    /// Returns the keys that are valid for a request received at `at`. Never an empty one.
    pub(super) fn live(&self, head: &Parts, at: SystemTime) -> Vec<Secret> {
        let secrets = self.secrets.live(head, at);
        let keys = secrets.iter().filter_map(|secret| self.key(secret));
        keys.filter(|key| !key.value().is_empty()).collect()
    }

    /// Signs a message, with each valid secret.
    pub(super) fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<Tag>, SignError> {
        let keys = self.secrets.signing(at).filter_map(|secret| self.key(secret));
        let tags: Vec<_> = keys.filter_map(|key| tag(&key, message)).collect();
        if tags.is_empty() { Err(SignError::NoSecret) } else { Ok(tags) }
    }

    /// Signs with the first secret, whether it is valid or not.
    pub(super) fn sign_with_first(&self, message: &[&[u8]]) -> Option<Tag> {
        tag(&self.key(self.secrets.fixed().first()?)?, message)
    }

    pub(super) fn variants(&self) -> Vec<(Difference, Self)> {
        let sets = self.secrets.variants().into_iter();
        let sets = sets.map(|(difference, secrets)| (difference, Self { secrets, ..*self }));
        // The second one also covers plain base64.
        let encodings = [KeyEncoding::Text, KeyEncoding::Base64After("whsec_")].into_iter();
        let encodings = encodings.filter(|encoding| *encoding != self.encoding);
        let encodings =
            encodings.map(|encoding| (Difference::Key(encoding), self.clone().encoded(encoding)));
        sets.chain(encodings).collect()
    }

    fn key(&self, secret: &Secret) -> Option<Secret> {
        match self.encoding {
            KeyEncoding::Text => Some(secret.clone()),
            _ => self.encoding.decode(secret.value()).map(|key| secret.with_value(key)),
        }
    }
}

/// The header and the format of an HMAC of a body.
#[derive(Clone, Debug)]
pub(super) struct HmacFormat {
    pub(super) header: GivenHeader,
    pub(super) encoding: Encoding,
    pub(super) prefix: Cow<'static, str>,
    pub(super) list: bool,
}

impl HmacFormat {
    pub(super) fn new(header: impl TryInto<HeaderName>) -> Self {
        let header = GivenHeader::new(header);
        Self { header, encoding: Encoding::Hex, prefix: Cow::Borrowed(""), list: false }
    }

    pub(super) fn place(&self) -> Place {
        self.header.place()
    }

    pub(super) fn check(&self) -> Result<(), SchemeError> {
        self.header.check("signature")
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Vec<Tag>, SignatureError> {
        let value = self.place().single(headers.get_all(self.header.name()))?.as_bytes();
        let items = value.split(|byte| self.list && *byte == b',');
        let tags = items.filter_map(|item| self.read_item(item));
        let tags = self.place().distinct(tags, MOST_HMACS)?;
        if tags.is_empty() {
            return Err(self
                .place()
                .malformed(with_prefix(&self.prefix, self.encoding.expected::<32>())));
        }
        Ok(tags)
    }

    fn read_item(&self, item: &[u8]) -> Option<Tag> {
        let item = if self.list { item.trim_ascii() } else { item };
        self.encoding.decode(item.strip_prefix(self.prefix.as_bytes())?)
    }

    /// Writes all of `tags` if the header is a list, else the first one.
    pub(super) fn write(&self, tags: &[Tag]) -> Result<Signature, SignError> {
        let items = tags.iter().map(|tag| self.write_item(tag));
        let items: Vec<_> = items.take(if self.list { usize::MAX } else { 1 }).collect();
        Signature::new().header(self.header.name(), items.join(","))
    }

    pub(super) fn write_item(&self, tag: &Tag) -> String {
        format!("{}{}", self.prefix, self.encoding.encode(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4231_vector_matches() {
        // RFC 4231, test case 2.
        let made = tag(&Secret::new("Jefe"), &[b"what do ya want ", b"for nothing?"]).unwrap();
        assert_eq!(
            hex::encode(made),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
