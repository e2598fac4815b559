//! The paths with their models, and the handler that they share.

use axum::{
    Json,
    routing::{MethodRouter, post},
};
use serde::Serialize;
use serde_json::Value;
use tower_inbox::{
    Inference, Model,
    provider::{
        ModelBuilder, Payload, assemblyai, baseten, foxyai,
        mindee::{self, Fields},
        mindee_v1::{self, Prediction},
        replicate, standard,
    },
    signature::{Scheme, SchemeError},
};

use crate::{fal, senders::Senders};

pub(crate) struct Hook {
    pub(crate) path: &'static str,
    pub(crate) model: Model,
    pub(crate) handler: MethodRouter,
}

impl Hook {
    /// One secret is used for all senders, but not every text is a valid secret for senders that encode it in base64.
    pub(crate) fn cannot_read_its_secret(&self) -> Option<SchemeError> {
        let error = self.model.check().err()?;
        matches!(error, SchemeError::MalformedSecret { .. }).then_some(error)
    }
}

/// Without `senders`, unsigned requests are accepted.
pub(crate) fn all(senders: Option<&Senders>) -> Vec<Hook> {
    let mindee = || senders.map(Senders::mindee);
    let foxyai = || senders.map(Senders::foxyai);
    let standard = || senders.map(Senders::standard_webhooks);
    let mut hooks = vec![
        hook("/hooks/mindee/extraction", mindee::extraction::<Fields>(), mindee()),
        hook("/hooks/mindee/classification", mindee::classification::<Fields>(), mindee()),
        hook("/hooks/mindee/crop", mindee::crop::<Fields>(), mindee()),
        hook("/hooks/mindee/split", mindee::split::<Fields>(), mindee()),
        hook("/hooks/mindee/ocr", mindee::ocr(), mindee()),
        hook(
            "/hooks/mindee-v1",
            mindee_v1::document::<Prediction>(),
            senders.map(Senders::mindee_v1),
        ),
        hook("/hooks/foxyai/image-group", foxyai::image_group(), foxyai()),
        hook("/hooks/foxyai/image", foxyai::image(), foxyai()),
        hook("/hooks/standard", standard::event::<Value>(), standard()),
        hook("/hooks/replicate", replicate::prediction::<Value>(), standard()),
        hook("/hooks/baseten", baseten::completed::<Value>(), senders.map(Senders::baseten)),
        hook("/hooks/assemblyai", assemblyai::notice(), senders.map(Senders::assemblyai)),
    ];
    hooks.extend(fal::hook(senders));
    hooks
}

pub(crate) fn hook<T>(
    path: &'static str,
    draft: ModelBuilder<T>,
    scheme: Option<impl Scheme>,
) -> Hook
where
    T: Payload + Serialize,
{
    // Schema drift is logged, and counted with feature `metrics`.
    let draft = draft.detect_schema_drift();
    let model = match scheme {
        Some(scheme) => draft.verified_by(scheme),
        None => draft.unsigned(),
    };
    Hook { path, model, handler: post(echo::<T>) }
}

async fn echo<T: Payload + Serialize>(inference: Inference<T>) -> Json<Inference<T>> {
    Json(inference)
}
