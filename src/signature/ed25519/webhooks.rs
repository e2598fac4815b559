use std::{sync::Arc, time::SystemTime};

use http::request::Parts;

use super::Ed25519Keys;
use crate::signature::{
    Encoding, SchemeError, SignError, StandardWebhooks, place::MOST_ED25519_SIGNATURES,
    standard_webhooks::Version,
};

/// `v1a`: Ed25519.
impl Version for Ed25519Keys {
    fn name(&self) -> &'static str {
        "v1a"
    }

    fn scheme(&self) -> &'static str {
        "standard-webhooks-v1a"
    }

    fn svix_scheme(&self) -> &'static str {
        "svix-v1a"
    }

    fn check(&self) -> Result<(), SchemeError> {
        Self::check(self)
    }

    fn most_signatures(&self) -> usize {
        MOST_ED25519_SIGNATURES
    }

    fn is_well_formed(&self, text: &[u8]) -> bool {
        Encoding::Base64.decode::<64>(text).is_some()
    }

    fn signer_of(
        &self,
        _: &Parts,
        message: &[&[u8]],
        texts: &[&[u8]],
        at: SystemTime,
    ) -> Option<String> {
        let sent: Vec<_> = texts.iter().filter_map(|text| Encoding::Base64.decode(text)).collect();
        Self::signer_of(self, message, &sent, at)
    }

    fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<String>, SignError> {
        let signatures = Self::sign(self, message, at)?;
        Ok(signatures.iter().map(|bytes| Encoding::Base64.encode(bytes)).collect())
    }
}

impl StandardWebhooks {
    /// Expects messages that are signed with one of `keys`, version `v1a`.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use http::Request;
    /// use tower_inbox::signature::{Ed25519Key, Scheme, StandardWebhooks};
    ///
    /// let scheme = StandardWebhooks::with_keys(Ed25519Key::private(&[7; 32])?);
    /// let now = SystemTime::now();
    /// let (mut head, ()) = Request::post("/hooks/images").body(())?.into_parts();
    /// scheme.signature("msg_1", b"{}", now)?.add_to(&mut head)?;
    /// assert!(scheme.verify(&head, b"{}", now).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_keys(keys: impl Into<Ed25519Keys>) -> Self {
        Self::unproved().or_keys(keys)
    }

    /// Also accepts messages that are signed with one of `keys`, version `v1a`.
    pub fn or_keys(mut self, keys: impl Into<Ed25519Keys>) -> Self {
        self.v1a = Some(Arc::new(keys.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::signature::{Ed25519Key, Scheme, Secret, SignatureError};

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330)
    }

    fn signed_with(scheme: &StandardWebhooks) -> Parts {
        let mut head = Request::post("/a").body(()).unwrap().into_parts().0;
        scheme.signature("msg_1", b"{}", at()).unwrap().add_to(&mut head).unwrap();
        head
    }

    fn key(seed: u8) -> Ed25519Key {
        Ed25519Key::private(&[seed; 32]).unwrap()
    }

    #[test]
    fn message_signed_in_either_version_is_accepted() {
        let (by_secret, by_key) =
            (StandardWebhooks::new(Secret::new("whsec_AAAA")), StandardWebhooks::with_keys(key(1)));
        let either = by_secret.clone().or_keys(key(1));
        let scheme = |head: &Parts| either.verify(head, b"{}", at()).unwrap().scheme().to_owned();
        assert_eq!(scheme(&signed_with(&by_secret)), "standard-webhooks-v1");
        assert_eq!(scheme(&signed_with(&by_key)), "standard-webhooks-v1a");
        let both = signed_with(&either);
        assert!(by_key.verify(&both, b"{}", at()).is_ok());
        assert!(by_secret.verify(&both, b"{}", at()).is_ok());
    }

    #[test]
    fn unknown_key_and_unexpected_version_are_rejected() {
        let scheme = StandardWebhooks::with_keys(key(1));
        let stranger = signed_with(&StandardWebhooks::with_keys(key(2)));
        let refused = scheme.verify(&stranger, b"{}", at());
        assert!(matches!(refused, Err(SignatureError::Mismatch { .. })));
        let by_secret = signed_with(&StandardWebhooks::new(Secret::new("whsec_AAAA")));
        let refused = scheme.verify(&by_secret, b"{}", at());
        assert!(matches!(refused, Err(SignatureError::Malformed { .. })));
    }

    #[test]
    fn public_keys_cannot_sign() {
        let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let scheme = StandardWebhooks::with_keys(Ed25519Key::from_whpk(public).unwrap());
        assert_eq!(scheme.check(), Ok(()));
        assert_eq!(scheme.signature("msg_1", b"{}", at()).unwrap_err(), SignError::NoSecret);
    }
}
