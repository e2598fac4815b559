use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use base64::{Engine, alphabet::URL_SAFE, engine::GeneralPurpose};
use serde::Deserialize;

use super::{Ed25519Key, Ed25519KeyError};
use crate::signature::{SchemeError, SignError, encoding::CONFIG};

/// The maximum number of keys in a set. All live keys are tried on every delivery.
pub(super) const MOST_KEYS: usize = 16;

/// A set of at most 16 keys, which can be replaced while the server runs: providers publish new keys before they use
/// them.
///
/// Clones share the keys. Pass a clone to the scheme, and call [`replace`](Self::replace) whenever you have fetched the
/// provider's set again; fal's may be at most a day old. This crate does not fetch keys.
///
/// ```
/// use tower_inbox::signature::{Ed25519Key, Ed25519Keys};
///
/// let fetched = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let keys = Ed25519Keys::new(Ed25519Key::from_jwks(fetched)?);
/// let handle = keys.clone();
/// // Hours later:
/// handle.replace(Ed25519Key::from_jwks(fetched)?)?;
/// # Ok::<(), tower_inbox::signature::Ed25519KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ed25519Keys(Arc<RwLock<Arc<[Ed25519Key]>>>);

impl Ed25519Keys {
    /// Creates a set of these keys. An empty set, and one of more than 16 keys, is rejected when the inbox is built.
    pub fn new(keys: impl IntoIterator<Item = Ed25519Key>) -> Self {
        Self(Arc::new(RwLock::new(keys.into_iter().collect())))
    }

    /// Replaces the keys. Verifications in progress use the old keys.
    ///
    /// # Errors
    ///
    /// If there are no keys, or more than 16. The old keys are kept.
    pub fn replace(
        &self,
        keys: impl IntoIterator<Item = Ed25519Key>,
    ) -> Result<(), Ed25519KeyError> {
        let keys: Arc<[_]> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(Ed25519KeyError::NoKey);
        }
        if keys.len() > MOST_KEYS {
            return Err(Ed25519KeyError::TooManyKeys { most: MOST_KEYS });
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), SchemeError> {
        match self.all().len() {
            0 => Err(SchemeError::NoSecret),
            1..=MOST_KEYS => Ok(()),
            _ => Err(SchemeError::TooManyKeys { most: MOST_KEYS }),
        }
    }

    /// Returns the name of the key with which one of `signatures` was made.
    pub(super) fn signer_of(
        &self,
        message: &[&[u8]],
        signatures: &[[u8; 64]],
        at: SystemTime,
    ) -> Option<String> {
        if signatures.is_empty() {
            return None;
        }
        let message = message.concat();
        let keys = self.all();
        let signed = |key: &Ed25519Key| {
            signatures.iter().any(|signature| key.has_signed(&message, signature))
        };
        let key = keys.iter().filter(|key| key.is_live(at)).find(|key| signed(key));
        key.map(|key| key.name().to_owned())
    }

    /// Signs a message, with each valid private key.
    pub(super) fn sign(
        &self,
        message: &[&[u8]],
        at: SystemTime,
    ) -> Result<Vec<[u8; 64]>, SignError> {
        let message = message.concat();
        let keys = self.all();
        let live = keys.iter().filter(|key| key.is_live(at));
        let signatures: Vec<_> = live.filter_map(|key| key.sign(&message)).collect();
        if signatures.is_empty() { Err(SignError::NoSecret) } else { Ok(signatures) }
    }

    /// Returns a copy, so that the lock is not held during verification.
    fn all(&self) -> Arc<[Ed25519Key]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Ed25519Key> for Ed25519Keys {
    fn from(key: Ed25519Key) -> Self {
        Self::new([key])
    }
}

impl From<Vec<Ed25519Key>> for Ed25519Keys {
    fn from(keys: Vec<Ed25519Key>) -> Self {
        Self::new(keys)
    }
}

/// Base64 for URLs and file names (RFC 4648, section 5).
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key of any type (RFC 7517). In an Ed25519 key, `x` is the public key (RFC 8037, section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    x: Option<String>,
}

impl Ed25519Key {
    /// Parses the Ed25519 keys of a JSON Web Key Set (RFC 7517), such as fal's at
    /// `https://rest.fal.ai/.well-known/jwks.json`. The name of a key is its `kid`, or else its index in the set. Keys
    /// of other types are ignored.
    ///
    /// ```
    /// use tower_inbox::signature::Ed25519Key;
    ///
    /// let keys = Ed25519Key::from_jwks(
    ///     r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    /// )?;
    /// assert_eq!(keys[0].name(), "0");
    /// # Ok::<(), tower_inbox::signature::Ed25519KeyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not a key set, contains no Ed25519 key or more than 16, or contains an invalid one.
    pub fn from_jwks(text: &str) -> Result<Vec<Self>, Ed25519KeyError> {
        let set: Jwks = serde_json::from_str(text).map_err(|_| Ed25519KeyError::Jwks)?;
        let keys = set.keys.iter().enumerate().filter(|(_, key)| key.is_ed25519());
        let keys: Vec<_> = keys.map(|(place, key)| key.load(place)).collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err(Ed25519KeyError::NoKey),
            1..=MOST_KEYS => Ok(keys),
            _ => Err(Ed25519KeyError::TooManyKeys { most: MOST_KEYS }),
        }
    }
}

impl Jwk {
    fn is_ed25519(&self) -> bool {
        self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519")
    }

    fn load(&self, place: usize) -> Result<Ed25519Key, Ed25519KeyError> {
        let x = self.x.as_deref().and_then(|x| BASE64_URL.decode(x).ok());
        let key = Ed25519Key::public(&x.ok_or(Ed25519KeyError::Public)?)?;
        Ok(key.named(self.kid.clone().unwrap_or_else(|| place.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_types_are_ignored() {
        // RFC 8037, appendix A.2, behind the start of a key of RFC 7517, appendix A.1.
        let text = r#"{"keys": [
            {"kty": "RSA", "n": "0vx7", "e": "AQAB"},
            {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "k 1", "use": "sig",
             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]}"#;
        let names: Vec<_> =
            Ed25519Key::from_jwks(text).unwrap().iter().map(|key| key.name().to_owned()).collect();
        assert_eq!(names, ["k_1"]);
    }

    #[test]
    fn invalid_key_sets_are_errors() {
        let error = |text| Ed25519Key::from_jwks(text).unwrap_err();
        assert_eq!(error("[]"), Ed25519KeyError::Jwks);
        assert_eq!(error(r#"{"keys": []}"#), Ed25519KeyError::NoKey);
        let missing = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}"#;
        assert_eq!(error(missing), Ed25519KeyError::Public);
        let short = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}"#;
        assert_eq!(error(short), Ed25519KeyError::Public);
    }
}
