use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Models, table::RouteMatch};
use crate::{
    delivery::Delivery,
    layer::{body::RoutedBody, future::StepFuture},
    process::{BoxError, Clock, RequestContext, ResponseBody},
};

/// Finds the model for the path of each request. Other requests pass through.
#[derive(Clone, Debug)]
pub struct RouteLayer {
    models: Models,
    clock: Clock,
}

impl RouteLayer {
    /// Routes to `models`, including those that are added later.
    pub fn new(models: Models) -> Self {
        Self { models, clock: Clock::default() }
    }

    /// Sets the clock for the time of receipt. Default: the system clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = RouteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RouteService { inner, models: self.models.clone(), clock: self.clock.clone() }
    }
}

/// The service of [`RouteLayer`].
#[derive(Clone, Debug)]
pub struct RouteService<S> {
    inner: S,
    models: Models,
    clock: Clock,
}

impl<S, B, R> Service<Request<B>> for RouteService<S>
where
    S: Service<Request<RoutedBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, RoutedBody<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Nested twice, the inner inbox would wait for the outer one for ever.
        if request.extensions().get::<Delivery>().is_some() {
            tracing::warn!("an inbox is nested in an inbox; the inner one does nothing");
            let routed = request.map(|body| RoutedBody { body, context: None });
            return StepFuture::calling(self.inner.call(routed));
        }
        let context = match self.models.find(request.method(), request.uri().path()) {
            RouteMatch::Through => None,
            RouteMatch::Model { name, model, captures } => {
                Some(RequestContext::new(self.clock.now(), name, model, captures))
            }
            RouteMatch::Rejected(rejection) => return StepFuture::responded(rejection.reject()),
        };
        StepFuture::calling(self.inner.call(request.map(|body| RoutedBody { body, context })))
    }
}
