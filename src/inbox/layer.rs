use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::layer::{
    ArchiveLayer, ArchiveService, BufferLayer, BufferService, DispatchLayer, DispatchService,
    ProcessLayer, ProcessService, RouteLayer, RouteService, VerifyLayer, VerifyService,
};

/// All steps of an inbox as one layer. Made by [`Inbox::layer`](super::Inbox::layer).
#[derive(Clone, Debug)]
pub struct InboxLayer {
    pub(super) route: RouteLayer,
    pub(super) buffer: BufferLayer,
    pub(super) verify: VerifyLayer,
    pub(super) archive: ArchiveLayer,
}

/// All steps of an inbox around the service `S`. Made by [`InboxLayer`].
#[derive(Clone, Debug)]
pub struct InboxService<S> {
    steps: Steps<S>,
}

type Steps<S> =
    RouteService<BufferService<VerifyService<ArchiveService<DispatchService<ProcessService<S>>>>>>;

impl<S> Layer<S> for InboxLayer {
    type Service = InboxService<S>;

    fn layer(&self, inner: S) -> InboxService<S> {
        let dispatch = DispatchLayer::new().layer(ProcessLayer::new().layer(inner));
        let verify = self.verify.layer(self.archive.layer(dispatch));
        InboxService { steps: self.route.layer(self.buffer.layer(verify)) }
    }
}

impl<S, Request> Service<Request> for InboxService<S>
where
    Steps<S>: Service<Request>,
{
    type Response = <Steps<S> as Service<Request>>::Response;
    type Error = <Steps<S> as Service<Request>>::Error;
    type Future = <Steps<S> as Service<Request>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.steps.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.steps.call(request)
    }
}
