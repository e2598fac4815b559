//! The keys of fal, which only feature `ed25519` can check. Without it, the path of fal is left out.

#[cfg(feature = "ed25519")]
pub(crate) use with_keys::{Key, hook};
#[cfg(not(feature = "ed25519"))]
pub(crate) use without_keys::{Key, hook};

#[cfg(feature = "ed25519")]
mod with_keys {
    use std::{error::Error, str::FromStr};

    use serde_json::Value;
    use tower_inbox::{
        provider::fal,
        signature::{Ed25519Key, Ed25519KeyError},
    };

    use crate::{
        hooks::{Hook, hook as any_hook},
        senders::Senders,
    };

    #[derive(Clone)]
    pub(crate) struct Key(Ed25519Key);

    /// Without a key of fal, requests of fal cannot be verified, and its path is left out.
    pub(crate) fn hook(senders: Option<&Senders>) -> Option<Hook> {
        let key = senders.map(|senders| senders.fal_key.clone());
        let scheme = match key {
            Some(None) => return None,
            Some(Some(Key(key))) => Some(fal::signature(key)),
            None => None,
        };
        Some(any_hook("/hooks/fal", fal::response::<Value>(), scheme))
    }

    /// A public key in hexadecimal or base64, or in base64url as in a JWKS.
    impl FromStr for Key {
        type Err = Box<dyn Error>;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            if text.len() == 64 {
                return Ok(Self(Ed25519Key::public(&hex::decode(text).unwrap_or_default())?));
            }
            let base64 = text.replace('-', "+").replace('_', "/");
            let key = Ed25519Key::from_whpk(&format!("whpk_{base64}"));
            Ok(Self(key.map_err(|_| Ed25519KeyError::Public)?))
        }
    }
}

#[cfg(not(feature = "ed25519"))]
mod without_keys {
    use std::{error::Error, str::FromStr};

    use crate::{hooks::Hook, senders::Senders};

    pub(crate) struct Key;

    pub(crate) fn hook(_: Option<&Senders>) -> Option<Hook> {
        None
    }

    impl FromStr for Key {
        type Err = Box<dyn Error>;

        fn from_str(_: &str) -> Result<Self, Self::Err> {
            Err("fal's keys need the feature ed25519: run with --features axum,ed25519".into())
        }
    }
}
