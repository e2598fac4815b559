use super::{InboxBuilder, InboxLayer, Workers, staff::Staff};
use crate::{
    archive::Archive,
    layer::{
        AcceptLayer, ArchiveLayer, Budget, BufferLayer, Clock, Custody, Models, Quarantine,
        RouteLayer, VerifyLayer,
    },
};

/// Receives deliveries: its layer goes around the service that has the handlers.
///
/// Cheap to clone; clones share everything.
///
/// ```
/// use tower::{Layer, service_fn};
/// use http::{Request, Response};
/// use tower_inbox::{Inbox, MemoryArchive, Secret, layer::InboxBody, provider::foxyai};
///
/// let inbox = Inbox::builder(MemoryArchive::new())
///     .model(
///         "/hooks/property/{reference}",
///         foxyai::image_group().token_in_query("ticket", Secret::new("correct horse")),
///     )
///     .build()?;
///
/// let service = inbox.layer().layer(service_fn(async |_request: Request<InboxBody<String>>| {
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// }));
/// # let _ = service;
/// # Ok::<(), tower_inbox::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(super) models: Models,
    pub(super) budget: Budget,
    pub(super) custody: Custody,
    pub(super) accept: AcceptLayer,
    pub(super) workers: Workers,
    pub(super) staff: Staff,
    pub(super) quarantine: Option<Quarantine>,
    pub(super) clock: Clock,
}

impl Inbox {
    /// Begins with the archive: everything else is optional.
    pub fn builder(archive: impl Archive) -> InboxBuilder {
        InboxBuilder::new(Box::new(archive))
    }

    /// The layer. However often it is used, all that it makes share the archive, the models and the limits.
    pub fn layer(&self) -> InboxLayer {
        let buffer = BufferLayer::new(self.budget.clone());
        let verify = VerifyLayer::new();
        let (buffer, verify) = match &self.quarantine {
            Some(kept) if kept.reads_all() => {
                (buffer.reading_all(), verify.quarantine(kept.clone()))
            }
            Some(kept) => (buffer, verify.quarantine(kept.clone())),
            None => (buffer, verify),
        };
        InboxLayer {
            route: RouteLayer::new(self.models.clone()).clock(self.clock.clone()),
            buffer,
            verify,
            archive: ArchiveLayer::new(self.custody.clone()),
            accept: self.accept,
        }
    }

    /// The models, to add and remove some while the server runs.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        self.custody.archive()
    }

    /// How many bytes are in flight now, as [`Budget`] counts them.
    pub fn bytes_in_flight(&self) -> usize {
        self.budget.used()
    }

    /// Waits until every delivery that was begun is archived, handled and settled: the last step of a graceful
    /// shutdown, after the server has stopped to accept connections. Where there are workers, [`stop`](Self::stop) does
    /// it.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn settled(&self) {
        self.custody.settled().await;
        if let Some(quarantine) = &self.quarantine {
            quarantine.settled().await;
        }
    }
}
