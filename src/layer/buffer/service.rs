use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Budget, future::BufferFuture, read::ReadBody};
use crate::{
    layer::{
        body::{InboxBody, RoutedBody},
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
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = BufferFuture<S, InboxBody<B, Raw>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RoutedBody<B>>) -> Self::Future {
        let (parts, RoutedBody { body, context }) = request.into_parts();
        let Some(context) = context else {
            let through = Request::from_parts(parts, InboxBody::through(body));
            return BufferFuture::calling(self.inner.call(through));
        };
        if !self.reads_all
            && let Some(response) = rejected_by_head(&parts, &context)
        {
            return BufferFuture::responded(response);
        }
        match ReadBody::start(parts, body, context, &self.budget) {
            Ok(reading) => {
                BufferFuture::working(read_then_call(reading, take_ready(&mut self.inner)))
            }
            Err(response) => BufferFuture::responded(*response),
        }
    }
}

async fn read_then_call<S, B, R>(
    reading: ReadBody<B>,
    mut ready_inner: S,
) -> Result<Response<ResponseBody>, S::Error>
where
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>>,
    B: Body<Data = Bytes>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    match reading.read().await {
        Ok(request) => {
            ready_inner.call(request).await.map(|response| response.map(ResponseBody::new))
        }
        Err(response) => Ok(response),
    }
}
