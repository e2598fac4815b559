use base64::{Engine, alphabet::URL_SAFE, engine::GeneralPurpose};
use serde::Deserialize;

use super::{Ed25519Key, Ed25519KeyError, keys::MOST_KEYS};
use crate::signature::encoding::CONFIG;

/// Base64 for URLs and file names (RFC 4648, section 5).
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key of any type (RFC 7517); of an Ed25519 key `x` is the public key (RFC 8037, section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    x: Option<String>,
}

impl Ed25519Key {
    /// The Ed25519 keys of a JSON Web Key Set (RFC 7517), such as fal's at
    /// `https://rest.fal.ai/.well-known/jwks.json`. They are named by their `kid`, or else by their place in the set.
    /// Keys of other types are left out.
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
    /// If the text is no such set, if there is no Ed25519 key in it or more than 16, or if one of them is none.
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
    fn keys_of_other_types_are_left_out() {
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
    fn what_is_no_set_is_refused() {
        let error = |text| Ed25519Key::from_jwks(text).unwrap_err();
        assert_eq!(error("[]"), Ed25519KeyError::Jwks);
        assert_eq!(error(r#"{"keys": []}"#), Ed25519KeyError::NoKey);
        let missing = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}"#;
        assert_eq!(error(missing), Ed25519KeyError::Public);
        let short = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}"#;
        assert_eq!(error(short), Ed25519KeyError::Public);
    }
}
