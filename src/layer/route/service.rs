use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{Models, table::Found};
use crate::{
    delivery::Delivery,
    layer::{Clock, body::Routed, claim::Claim, future::StepFuture, reply::Reply},
};

/// Made by [`RouteLayer`](super::RouteLayer).
#[derive(Clone, Debug)]
pub struct RouteService<S> {
    inner: S,
    models: Models,
    clock: Clock,
}

impl<S> RouteService<S> {
    pub(super) fn new(inner: S, models: Models, clock: Clock) -> Self {
        Self { inner, models, clock }
    }
}

impl<S, B, R> Service<Request<B>> for RouteService<S>
where
    S: Service<Request<Routed<B>>, Response = Response<R>>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, Routed<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Twice around one service, the inner inbox would wait for the outer one's turn for ever.
        if request.extensions().get::<Delivery>().is_some() {
            tracing::warn!("there is an inbox inside of an inbox: the inner one does nothing");
            let routed = request.map(|body| Routed { body, claim: None });
            return StepFuture::calling(self.inner.call(routed));
        }
        let claim = match self.models.find(request.method(), request.uri().path()) {
            Found::Through => None,
            Found::Model { name, model, captures } => {
                Some(Claim::new(self.clock.now(), name, model, captures))
            }
            Found::Refused(refusal) => return StepFuture::answered(refusal.refuse()),
        };
        StepFuture::calling(self.inner.call(request.map(|body| Routed { body, claim })))
    }
}
