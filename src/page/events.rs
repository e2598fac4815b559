//! Server-sent events: one for each change of the archive or of a temporary endpoint, upon which the script loads the
//! page again.

use std::{
    collections::hash_map::DefaultHasher,
    convert::Infallible,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};

use crate::{
    archive::{Archive, ArchiveError, Query},
    inbox::Inbox,
    page::temporary::Endpoints,
};

/// The polling interval.
const POLL: Duration = Duration::from_secs(1);

/// The number of polls without a change after which a comment is sent, so that proxies do not close the connection.
const KEEP_ALIVE: u32 = 15;

/// The maximum number of streams.
const STREAMS: usize = 64;

/// The number of latest deliveries whose changes are noticed also if the counts stay the same.
const LATEST: usize = 50;

/// The streams of all clients. They share the polls of the archive.
#[derive(Clone)]
pub(super) struct Events {
    endpoints: Endpoints,
    slots: Arc<Semaphore>,
    /// The last poll. Its lock makes one poll at a time.
    last: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Events {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, slots: Arc::new(Semaphore::new(STREAMS)), last: Arc::default() }
    }

    /// Starts a stream. It ends when the client is gone, or when the inbox is shut down. `None` if there are too many.
    pub(super) fn stream(&self, inbox: &Inbox) -> Option<EventStream> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let (events, stream) = mpsc::channel(1);
        let watching = self.clone().watch(inbox.clone(), events, slot);
        let pool = inbox.pool.clone();
        tokio::spawn(async move { pool.shutdown_state().until_started(watching).await });
        Some(EventStream(stream))
    }

    async fn watch(self, inbox: Inbox, events: mpsc::Sender<Bytes>, slot: OwnedSemaphorePermit) {
        let (mut seen, mut quiet) = (None, 0);
        loop {
            // Health and pages show that the archive does not answer.
            let now = self.revision(&inbox).await.ok().or(seen);
            let event = if seen.is_none() {
                Some("retry: 3000\nevent: open\ndata: \n\n")
            } else if now != seen {
                Some("event: change\ndata: \n\n")
            } else {
                (quiet >= KEEP_ALIVE).then_some(": keep-alive\n\n")
            };
            seen = now;
            quiet = if event.is_some() { 0 } else { quiet + 1 };
            if let Some(event) = event
                && events.send(Bytes::from_static(event.as_bytes())).await.is_err()
            {
                break;
            }
            let is_closed = timeout(POLL, events.closed()).await.is_ok();
            if is_closed {
                break;
            }
        }
        drop(slot);
    }

    /// A number that changes with the archive and with the temporary endpoints.
    async fn revision(&self, inbox: &Inbox) -> Result<u64, ArchiveError> {
        let mut last = self.last.lock().await;
        if let Some((at, revision)) = *last
            && at.elapsed() < POLL / 2
        {
            return Ok(revision);
        }
        let mut hasher = DefaultHasher::new();
        hash(inbox.archive(), &mut hasher).await?;
        if let Some(quarantine) = inbox.quarantine() {
            hash(quarantine.archive(), &mut hasher).await?;
        }
        self.endpoints.revision().hash(&mut hasher);
        let revision = hasher.finish();
        *last = Some((Instant::now(), revision));
        Ok(revision)
    }
}

async fn hash(archive: &dyn Archive, hasher: &mut DefaultHasher) -> Result<(), ArchiveError> {
    for (model, kind, count) in archive.counts().await?.iter() {
        (model, kind, count).hash(hasher);
    }
    archive.paused().await?.hash(hasher);
    for entry in archive.latest(Query::all(), LATEST).await? {
        (entry.id, entry.state.to_string()).hash(hasher);
    }
    Ok(())
}

/// The body of the response.
#[derive(Debug)]
pub(super) struct EventStream(mpsc::Receiver<Bytes>);

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
