use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::layer::{
    AcceptLayer, AcceptService, ArchiveLayer, ArchiveService, BufferLayer, BufferService,
    DecodeLayer, DecodeService, DedupLayer, DedupService, RouteLayer, RouteService, RunLayer,
    RunService, SingleLayer, SingleService, VerifyLayer, VerifyService,
};

/// All steps of an inbox as one layer. Made by [`Inbox::layer`](super::Inbox::layer).
#[derive(Clone, Debug)]
pub struct InboxLayer {
    pub(super) route: RouteLayer,
    pub(super) buffer: BufferLayer,
    pub(super) verify: VerifyLayer,
    pub(super) archive: ArchiveLayer,
    pub(super) accept: AcceptLayer,
}

/// All steps of an inbox around the service `S`. Made by [`InboxLayer`].
#[derive(Clone, Debug)]
pub struct InboxService<S> {
    steps: Steps<S>,
}

type Steps<S> =
    RouteService<BufferService<VerifyService<ArchiveService<AcceptService<Handling<S>>>>>>;

/// The steps of a delivery that has its receipt, around the service `S`.
pub(super) type Handling<S> = DedupService<DecodeService<SingleService<RunService<S>>>>;

pub(super) fn handling<S>(inner: S) -> Handling<S> {
    let run = RunLayer::new().layer(inner);
    let single = SingleLayer::new().layer(run);
    let decode = DecodeLayer::new().layer(single);
    DedupLayer::new().layer(decode)
}

impl<S> Layer<S> for InboxLayer {
    type Service = InboxService<S>;

    fn layer(&self, inner: S) -> InboxService<S> {
        let accept = self.accept.layer(handling(inner));
        let archive = self.archive.layer(accept);
        let buffer = self.buffer.layer(self.verify.layer(archive));
        InboxService { steps: self.route.layer(buffer) }
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
