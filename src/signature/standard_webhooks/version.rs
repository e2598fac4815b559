use std::{fmt, time::SystemTime};

use http::request::Parts;

use crate::signature::{
    Encoding, SchemeError, SignError, hmac, hmac_keys::HmacKeys, place::MOST_HMACS,
};

/// One version of signature in the header: how it is named, and who can have made it.
pub(in crate::signature) trait Version: fmt::Debug + Send + Sync {
    /// What stands before the comma.
    fn name(&self) -> &'static str;

    /// What a proof calls the scheme with signatures of this version.
    fn scheme(&self) -> &'static str;

    /// What it calls the scheme where the headers are named as Svix does.
    fn svix_scheme(&self) -> &'static str;

    fn check(&self) -> Result<(), SchemeError>;

    /// The maximum number of distinct signatures of this version that one head may list.
    fn most_signatures(&self) -> usize;

    /// Whether this text can be a signature of this version at all.
    fn is_well_formed(&self, text: &[u8]) -> bool;

    /// The name of the key with which one of `texts` was made; `None` if no live key did.
    fn signer_of(
        &self,
        head: &Parts,
        message: &[&[u8]],
        texts: &[&[u8]],
        at: SystemTime,
    ) -> Option<String>;

    /// The signatures of a sender, as text, one for each live key.
    fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<String>, SignError>;
}

/// `v1`: HMAC-SHA256.
impl Version for HmacKeys {
    fn name(&self) -> &'static str {
        "v1"
    }

    fn scheme(&self) -> &'static str {
        "standard-webhooks-v1"
    }

    fn svix_scheme(&self) -> &'static str {
        "svix-v1"
    }

    fn check(&self) -> Result<(), SchemeError> {
        Self::check(self)
    }

    fn most_signatures(&self) -> usize {
        MOST_HMACS
    }

    fn is_well_formed(&self, text: &[u8]) -> bool {
        Encoding::Base64.decode::<32>(text).is_some()
    }

    fn signer_of(
        &self,
        head: &Parts,
        message: &[&[u8]],
        texts: &[&[u8]],
        at: SystemTime,
    ) -> Option<String> {
        let sent: Vec<_> = texts.iter().filter_map(|text| Encoding::Base64.decode(text)).collect();
        let keys = self.live(head, at);
        hmac::signer_of(&keys, message, &sent).map(|key| key.name().to_owned())
    }

    fn sign(&self, message: &[&[u8]], at: SystemTime) -> Result<Vec<String>, SignError> {
        let tags = Self::sign(self, message, at)?;
        Ok(tags.iter().map(|tag| Encoding::Base64.encode(tag)).collect())
    }
}
