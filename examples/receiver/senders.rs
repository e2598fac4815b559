//! How each sender is proved, with what the command line gives.

use http::HeaderName;
use tower_inbox::{
    Secret,
    provider::{Signs, baseten::Baseten, fal, mindee, mindee_v1},
    signature::{
        BodyForm, Ed25519Key, Ed25519KeyError, Ed25519Template, HeaderToken, HmacBody, QueryToken,
        StandardWebhooks,
    },
};

pub(crate) struct Senders {
    pub(crate) secret: Secret,
    pub(crate) token: Secret,
    pub(crate) fal_key: Option<Ed25519Key>,
    pub(crate) form: BodyForm,
}

impl Senders {
    pub(crate) fn mindee(&self) -> HmacBody {
        mindee::signature(self.secret.clone()).form(self.form)
    }

    pub(crate) fn mindee_v1(&self) -> HmacBody {
        mindee_v1::signature(self.secret.clone()).form(self.form)
    }

    pub(crate) fn foxyai(&self) -> QueryToken {
        QueryToken::new("token", self.token.clone())
    }

    /// Replicate's, too.
    pub(crate) fn standard_webhooks(&self) -> StandardWebhooks {
        StandardWebhooks::new(self.secret.clone())
    }

    pub(crate) fn baseten(&self) -> HmacBody {
        Baseten::scheme(self.secret.clone().into())
    }

    pub(crate) fn assemblyai(&self) -> HeaderToken {
        HeaderToken::new(HeaderName::from_static("x-webhook-secret"), self.token.clone())
    }

    /// `None` where its key is not given.
    pub(crate) fn fal(&self) -> Option<Ed25519Template> {
        self.fal_key.clone().map(fal::signature)
    }
}

/// A public key in hexadecimal or base64, or in base64 for URLs as it stands in a JWKS.
pub(crate) fn public_key(text: &str) -> Result<Ed25519Key, Ed25519KeyError> {
    if text.len() == 64 {
        return Ed25519Key::public(&hex::decode(text).unwrap_or_default());
    }
    let base64 = text.replace('-', "+").replace('_', "/");
    Ed25519Key::from_whpk(&format!("whpk_{base64}")).map_err(|_| Ed25519KeyError::Public)
}
