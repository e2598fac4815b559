use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Budget, read::ReadBody};
use crate::{
    layer::{
        body::{InboxBody, RoutedBody},
        future::StepFuture,
        step::Raw,
        take_ready,
        verify::rejected_by_head,
    },
    process::{BoxError, ResponseBody},
};

/// Reads the body of a routed request into memory, within its limits.
#[derive(Clone, Debug, Default)]
pub struct BufferLayer {
    budget: Budget,
    reads_all: bool,
}

impl BufferLayer {
    /// Creates a layer of which all services share `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { budget, reads_all: false }
    }

    /// Reads the body even if the head alone is enough to reject the request, for a quarantine that is
    /// [`reading_all`](crate::layer::Quarantine::reading_all). The request is rejected after that.
    pub fn reading_all(mut self) -> Self {
        self.reads_all = true;
        self
    }
}

impl<S> Layer<S> for BufferLayer {
    type Service = BufferService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferService { inner, budget: self.budget.clone(), reads_all: self.reads_all }
    }
}

/// The service of [`BufferLayer`].
#[derive(Clone, Debug)]
pub struct BufferService<S> {
    inner: S,
    budget: Budget,
    reads_all: bool,
}

impl<S, B, R> Service<Request<RoutedBody<B>>> for BufferService<S>
where
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Raw>, ReadBody<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RoutedBody<B>>) -> Self::Future {
        let (parts, RoutedBody { body, context }) = request.into_parts();
        let Some(context) = context else {
            let through = Request::from_parts(parts, InboxBody::through(body));
            return StepFuture::calling(self.inner.call(through));
        };
        if !self.reads_all
            && let Some(response) = rejected_by_head(&parts, &context)
        {
            return StepFuture::responded(response);
        }
        let span = context.span.clone();
        match ReadBody::start(parts, body, context, &self.budget) {
            Ok(reading) => StepFuture::before(reading, take_ready(&mut self.inner)),
            Err(rejection) => StepFuture::responded(span.in_scope(|| rejection.reject())),
        }
    }
}
