use std::{
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::Quarantine;
use crate::{
    delivery::Delivery,
    layer::{
        body::{BufferedBody, InboxBody, Split},
        future::StepFuture,
        step::{Raw, Verified},
    },
    process::{BoxError, Rejection, RequestContext, ResponseBody},
    signature::Proof,
};

/// Passes on only deliveries that the model's scheme can verify. Others are answered 401.
#[derive(Clone, Debug, Default)]
pub struct VerifyLayer {
    quarantine: Option<Quarantine>,
}

impl VerifyLayer {
    /// Creates the layer. Each model has its scheme.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps rejected deliveries.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifyService { inner, quarantine: self.quarantine.clone() }
    }
}

/// The service of [`VerifyLayer`].
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    inner: S,
    quarantine: Option<Quarantine>,
}

impl<S, B, R> Service<Request<InboxBody<B, Raw>>> for VerifyService<S>
where
    S: Service<Request<InboxBody<B, Verified>>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Verified>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Raw>>) -> Self::Future {
        let (parts, buffered) = match InboxBody::split(request) {
            Split::Delivery(parts, buffered) => (parts, buffered),
            Split::Through(through) => return StepFuture::calling(self.inner.call(through)),
        };
        let _entered = buffered.step.context.span.clone().entered();
        match verify(&parts, buffered, self.quarantine.as_ref()) {
            Ok((bytes, verified)) => {
                let request = Request::from_parts(parts, InboxBody::buffered(bytes, verified));
                StepFuture::calling(self.inner.call(request))
            }
            Err(rejection) => StepFuture::responded(rejection.reject()),
        }
    }
}

fn verify(
    parts: &Parts,
    buffered: BufferedBody<Raw>,
    quarantine: Option<&Quarantine>,
) -> Result<(Bytes, Verified), Rejection> {
    let BufferedBody { bytes, step: raw } = buffered;
    let started = Instant::now();
    let verified = raw.context.model.scheme().verify(parts, &bytes, raw.context.received_at);
    raw.context.record_duration("verify_us", started);
    match verified {
        Ok(proof) => Ok((bytes, Verified::new(raw, proof))),
        Err(error) => {
            if let Some(quarantine) = quarantine {
                quarantine.keep(bytes.len(), rejected(parts, bytes, &raw.context));
            }
            Err(Rejection::Signature(error))
        }
    }
}

/// Creates a delivery without a proof when it is called, because the digest takes time.
fn rejected(
    parts: &Parts,
    bytes: Bytes,
    context: &RequestContext,
) -> impl FnOnce() -> Delivery + Send + 'static {
    let (parts, context) = (parts.clone(), context.clone());
    move || {
        let proof = Proof::new("refused", "none", "raw");
        // Not proved, but two messages that claim two ids are both kept.
        let proof = match context.model.scheme().claimed_message_id(&parts) {
            Some(id) => proof.with_message_id(id),
            None => proof,
        };
        let RequestContext { id, name, model, received_at, .. } = context;
        Delivery::received(id, name, &parts, bytes, received_at, proof, model.redaction())
    }
}
