use std::{
    fmt,
    ops::RangeBounds,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use base64::{Engine, alphabet::URL_SAFE, engine::GeneralPurpose};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::signature::{
    SchemeError, SignError,
    encoding::{BASE64, CONFIG},
    secret::{Validity, printable},
};

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

/// An Ed25519 key (RFC 8032) with a name: a public key, which verifies, or a private key, which also signs.
///
/// Cheap to clone. A private key is wiped from memory when the last copy is dropped.
///
/// ```
/// use tower_inbox::signature::Ed25519Key;
///
/// // RFC 8032, section 7.1, test 1.
/// let key = Ed25519Key::from_whpk("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")?.named("2026-11");
/// assert_eq!(format!("{key:?}"), "Ed25519Key(2026-11)");
/// # Ok::<(), tower_inbox::signature::Ed25519KeyError>(())
/// ```
#[derive(Clone)]
pub struct Ed25519Key {
    name: Arc<str>,
    public: VerifyingKey,
    private: Option<Arc<SigningKey>>,
    validity: Validity,
}

impl Ed25519Key {
    /// Creates a public key from its 32 bytes, with the name `main`.
    ///
    /// # Errors
    ///
    /// If the bytes are not a public key, or a weak one, for which signatures can be forged.
    pub fn public(bytes: &[u8]) -> Result<Self, Ed25519KeyError> {
        let public = VerifyingKey::try_from(bytes).map_err(|_| Ed25519KeyError::Public)?;
        if public.is_weak() {
            return Err(Ed25519KeyError::Public);
        }
        Ok(Self::of(public, None))
    }

    /// Creates a private key from its seed of 32 bytes, or from seed and public key in 64 bytes, with the name `main`.
    /// For senders and tests.
    ///
    /// # Errors
    ///
    /// If the bytes are not a private key, or if seed and public key do not match.
    pub fn private(bytes: &[u8]) -> Result<Self, Ed25519KeyError> {
        let private = match bytes.try_into() {
            Ok(pair) => SigningKey::from_keypair_bytes(pair),
            Err(_) => SigningKey::try_from(bytes),
        };
        let private = private.map_err(|_| Ed25519KeyError::Private)?;
        Ok(Self::of(private.verifying_key(), Some(Arc::new(private))))
    }

    /// Parses a public key in the format of Standard Webhooks: base64 after `whpk_` or `v1a,whpk_`.
    ///
    /// # Errors
    ///
    /// If the text does not have this format.
    pub fn from_whpk(text: &str) -> Result<Self, Ed25519KeyError> {
        Self::public(&decode(text, "whpk_", "base64 after whpk_")?)
    }

    /// Parses a private key in the format of Standard Webhooks: base64 after `whsk_` or `v1a,whsk_`.
    ///
    /// # Errors
    ///
    /// If the text does not have this format.
    pub fn from_whsk(text: &str) -> Result<Self, Ed25519KeyError> {
        Self::private(&decode(text, "whsk_", "base64 after whsk_")?)
    }

    fn of(public: VerifyingKey, private: Option<Arc<SigningKey>>) -> Self {
        Self { name: "main".into(), public, private, validity: Validity::default() }
    }

    /// Sets the name. Spaces and control characters are replaced by `_`. Default: `main`.
    pub fn named(mut self, name: impl AsRef<str>) -> Self {
        self.name = printable(name.as_ref());
        self
    }

    /// Sets the time of receipt for which the key is valid. Default: always.
    pub fn valid(mut self, during: impl RangeBounds<SystemTime>) -> Self {
        self.validity = Validity::during(&during);
        self
    }

    /// Returns the name, which is shown in logs and the archive.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_live(&self, at: SystemTime) -> bool {
        self.validity.holds(at)
    }

    /// Verifies strictly: rejects signatures that other libraries may judge differently.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.public.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// Returns `None` for a public key.
    pub(super) fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        self.private.as_ref().map(|key| key.sign(message).to_bytes())
    }
}

fn decode(
    text: &str,
    prefix: &str,
    expected: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Ed25519KeyError> {
    let text = text.strip_prefix("v1a,").unwrap_or(text);
    let encoded = text.strip_prefix(prefix);
    let bytes = encoded.and_then(|encoded| BASE64.decode(encoded).ok());
    bytes.map(Zeroizing::new).ok_or(Ed25519KeyError::Text { expected })
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519Key({})", self.name)
    }
}

/// The error of parsing an Ed25519 key. Contains nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ed25519KeyError {
    /// The bytes are not a public key, or a weak one, for which signatures can be forged.
    #[error("not a public Ed25519 key; expected the 32 bytes of an encoded point (RFC 8032)")]
    Public,
    /// The bytes are not a private key.
    #[error(
        "not a private Ed25519 key; expected a seed of 32 bytes, or seed and public key in 64 bytes"
    )]
    Private,
    /// The text does not have the expected format.
    #[error("not an Ed25519 key; expected {expected}")]
    #[non_exhaustive]
    Text {
        /// The expected format.
        expected: &'static str,
    },
    /// The text is not a JSON Web Key Set (RFC 7517).
    #[error("not a JSON Web Key Set; expected {{\"keys\": […]}}")]
    Jwks,
    /// The set contains more keys than a scheme accepts.
    #[error("more than {most} Ed25519 keys in the set; remove those that are no longer used")]
    #[non_exhaustive]
    TooManyKeys {
        /// The maximum number of keys.
        most: usize,
    },
    /// The set contains no Ed25519 key.
    #[error("no Ed25519 key in the set; expected one with `kty` OKP, `crv` Ed25519 and `x`")]
    NoKey,
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

    // RFC 8032, section 7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    #[test]
    fn rfc_8032_vector_is_signed_and_verified() {
        let private = Ed25519Key::private(&bytes(SEED)).unwrap();
        let public = Ed25519Key::public(&bytes(PUBLIC)).unwrap();
        let signature = private.sign(&[0x72]).unwrap();
        assert_eq!(hex::encode(signature), SIGNATURE);
        assert!(public.has_signed(&[0x72], &signature) && private.has_signed(&[0x72], &signature));
        assert!(!public.has_signed(&[0x73], &signature));
        assert_eq!(public.sign(&[0x72]), None);
    }

    #[test]
    fn key_pair_with_mismatched_halves_is_an_error() {
        assert!(Ed25519Key::private(&bytes(&format!("{SEED}{PUBLIC}"))).is_ok());
        let other = Ed25519Key::private(&bytes(&format!("{SEED}{SEED}"))).unwrap_err();
        assert_eq!(other, Ed25519KeyError::Private);
    }

    #[test]
    fn invalid_keys_are_errors() {
        const OFF_THE_CURVE: [u8; 32] = [2; 32];
        let weak = [0; 32];
        for wrong in [&b""[..], &[1; 31], &weak, &OFF_THE_CURVE, &[1; 33]] {
            assert_eq!(
                Ed25519Key::public(wrong).unwrap_err(),
                Ed25519KeyError::Public,
                "{wrong:?}"
            );
        }
        let versioned = "v1a,whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert!(Ed25519Key::from_whpk(versioned).is_ok());
        for wrong in ["", "whpk_", "whpk_%", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="] {
            assert!(Ed25519Key::from_whpk(wrong).is_err(), "{wrong:?}");
        }
        assert!(Ed25519Key::from_whsk("whsk_AAAA").is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let private = Ed25519Key::private(&bytes(SEED)).unwrap().named("a b");
        assert_eq!(format!("{private:?}"), "Ed25519Key(a_b)");
    }
}
