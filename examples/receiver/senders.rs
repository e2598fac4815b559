//! The signature scheme of each sender, with the secrets of the command line.

use http::HeaderName;
use tower_inbox::{
    Secret,
    provider::{SignedProvider, baseten::Baseten, mindee, mindee_v1},
    signature::{BodyForm, HeaderToken, HmacBody, QueryToken, StandardWebhooks},
};

use crate::fal;

pub(crate) struct Senders {
    pub(crate) secret: Secret,
    pub(crate) token: Secret,
    #[cfg_attr(not(feature = "ed25519"), expect(dead_code, reason = "only keys are asked for it"))]
    pub(crate) fal_key: Option<fal::Key>,
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

    /// Also for Replicate.
    pub(crate) fn standard_webhooks(&self) -> StandardWebhooks {
        StandardWebhooks::new(self.secret.clone())
    }

    pub(crate) fn baseten(&self) -> HmacBody {
        Baseten::scheme(self.secret.clone().into())
    }

    pub(crate) fn assemblyai(&self) -> HeaderToken {
        HeaderToken::new(HeaderName::from_static("x-webhook-secret"), self.token.clone())
    }
}
