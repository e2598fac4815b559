use tower_layer::Layer;

use crate::layer::{
    ArchiveLayer, ArchiveService, BufferLayer, BufferService, DecodeLayer, DecodeService,
    DedupLayer, DedupService, RouteLayer, RouteService, RunLayer, RunService, VerifyLayer,
    VerifyService,
};

/// All steps of an inbox as one layer. Made by [`Inbox::layer`](super::Inbox::layer).
#[derive(Clone, Debug)]
pub struct InboxLayer {
    pub(super) route: RouteLayer,
    pub(super) buffer: BufferLayer,
    pub(super) verify: VerifyLayer,
    pub(super) archive: ArchiveLayer,
    pub(super) decode: DecodeLayer,
    pub(super) dedup: DedupLayer,
    pub(super) run: RunLayer,
}

/// All steps of an inbox around the service `S`.
pub type InboxService<S> = RouteService<
    BufferService<VerifyService<ArchiveService<DecodeService<DedupService<RunService<S>>>>>>,
>;

impl<S> Layer<S> for InboxLayer {
    type Service = InboxService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let run = self.run.layer(inner);
        let dedup = self.dedup.layer(run);
        let decode = self.decode.layer(dedup);
        let archive = self.archive.layer(decode);
        let verify = self.verify.layer(archive);
        let buffer = self.buffer.layer(verify);
        self.route.layer(buffer)
    }
}
