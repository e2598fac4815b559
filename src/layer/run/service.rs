use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{RunFuture, future::Running};
use crate::layer::{
    body::{Held, InboxBody, Split},
    reply::Reply,
    step::{Handed, Single},
};

/// Made by [`RunLayer`](super::RunLayer).
#[derive(Clone, Debug)]
pub struct RunService<S> {
    inner: S,
}

impl<S> RunService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Single>>> for RunService<S>
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = RunFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Single>>) -> Self::Future {
        let (parts, held) = match InboxBody::split(request) {
            Split::Delivery(parts, held) => (parts, held),
            Split::Through(through) => return RunFuture::through(self.inner.call(through)),
        };
        let span = held.step.claim().span.clone();
        let _entered = span.enter();
        let running = Running::begin(held.step.deduped);
        let request = Held::request(parts, held.bytes, Handed);
        // A handler may also panic before it gives a future.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        RunFuture::running(called.ok(), running)
    }
}
