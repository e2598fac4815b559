use std::time::SystemTime;

use http::request::Parts;

use super::{
    KeyEncoding, SchemeError, Secret, SecretSet, SignError,
    doctor::Difference,
    hmac::{self, Tag},
};

/// Secrets, and how their texts become the keys of an HMAC.
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
            // Where it is decoded, the version before it is passed over.
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

    /// The keys with which a request that was received at `at` may be signed. Never an empty one.
    pub(super) fn live(&self, head: &Parts, at: SystemTime) -> Vec<Secret> {
        let secrets = self.secrets.live(head, at);
        let keys = secrets.iter().filter_map(|secret| self.key(secret));
        keys.filter(|key| !key.value().is_empty()).collect()
    }

    /// The HMACs of a sender, one for each live secret.
    pub(super) fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<Tag>, SignError> {
        let keys = self.secrets.signing(at).filter_map(|secret| self.key(secret));
        let tags: Vec<_> = keys.filter_map(|key| hmac::tag(&key, message)).collect();
        if tags.is_empty() { Err(SignError::NoSecret) } else { Ok(tags) }
    }

    /// With the first secret, whenever it is valid.
    pub(super) fn sign_with_first(&self, message: &[&[u8]]) -> Option<Tag> {
        hmac::tag(&self.key(self.secrets.fixed().first()?)?, message)
    }

    pub(super) fn variants(&self) -> Vec<(Difference, Self)> {
        let sets = self.secrets.variants().into_iter();
        let sets = sets.map(|(difference, secrets)| (difference, Self { secrets, ..*self }));
        // The second covers plain base64, too.
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
