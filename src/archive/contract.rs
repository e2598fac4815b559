use std::{fmt, future::ready, pin::Pin, sync::Arc};

use super::{ArchiveError, Entries, Line, Query, Room};
use crate::delivery::{Delivery, DeliveryId, InferenceDigest, Outcome, Receipt};

/// What an archive is doing. The work begins with the call that gives it, and goes on if it is dropped.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T, ArchiveError>> + Send>>;

/// Keeps deliveries, and what became of each.
///
/// Every implementation passes the conformance suite in `testing` (feature `testing`).
///
/// # Cancel safety
///
/// Each method begins its work when it is called, not when its future is first polled. Dropping the future changes
/// nothing about what happens to the archive.
pub trait Archive: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Keeps a delivery. On return it is durable, or the same bytes for the same model were durable before; then the
    /// receipt names the first, and the delivery is not kept a second time.
    ///
    /// # Errors
    ///
    /// If the delivery could not be made durable. It may be found in the archive all the same.
    fn append(&self, delivery: Delivery) -> Work<Receipt>;

    /// Records what became of a delivery. On return the outcome is durable. The latest outcome counts.
    ///
    /// # Errors
    ///
    /// If there is no such delivery, or the outcome could not be made durable.
    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()>;

    /// The latest outcome of a delivery; `None` while it is pending, and where there is no such delivery. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// If the archive cannot be read.
    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>>;

    /// A delivery with its exact body and its latest outcome; `None` where there is no such delivery, or it was removed.
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// If the archive cannot be read, or what it holds is damaged.
    fn get(&self, id: DeliveryId) -> Work<Option<Archived>>;

    /// All deliveries that `query` selects, in the order in which they were archived. Changes nothing. What is
    /// appended while the scan runs may be missing from it.
    fn scan(&self, query: Query) -> Entries;

    /// What is known of all deliveries that [`scan`](Archive::scan) would find, in the same order, without reading
    /// them: cheap enough to be asked again and again. Changes nothing.
    fn ledger(&self, query: Query) -> Entries<Line>;

    /// The delivery that was [processed](Outcome::Processed) as this inference in these bytes, and its outcome, also if
    /// it was removed; else the latest delivery that was processed as an inference of
    /// [this key](InferenceDigest::has_key_of); `None` where there is none. Changes nothing.
    ///
    /// # Errors
    ///
    /// If the archive cannot be read.
    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>>;

    /// How much the archive takes and how much is free, for metrics; `None`, the default, where that is not known.
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be found out.
    fn room(&self) -> Work<Option<Room>> {
        Box::pin(ready(Ok(None)))
    }

    /// Removes heads and bodies of all deliveries that `query` selects, settled or not, and says of how many. On return
    /// they are gone for good, also after a crash.
    ///
    /// What stays of each is its line in the ledger: id, model, digest, time of receipt and latest outcome, for as long as
    /// the archive says that it remembers. So its bytes are still known as a repeat, if it was settled, and its outcome can
    /// be asked for and settled; the bytes of one that was not are archived anew when they come again;
    /// [`get`](Archive::get) and [`scan`](Archive::scan) do not find it any more. What is appended while the work goes on
    /// may stay.
    ///
    /// # Errors
    ///
    /// If something could not be removed. A part may be gone; what is not can be removed by the same query again.
    fn remove(&self, query: Query) -> Work<u64>;
}

/// An archive that is shared is an archive.
impl<T: Archive + ?Sized> Archive for Arc<T> {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        (**self).append(delivery)
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        (**self).settle(id, outcome)
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        (**self).outcome(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        (**self).get(id)
    }

    fn scan(&self, query: Query) -> Entries {
        (**self).scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        (**self).ledger(query)
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        (**self).processed_as(inference)
    }

    fn room(&self) -> Work<Option<Room>> {
        (**self).room()
    }

    fn remove(&self, query: Query) -> Work<u64> {
        (**self).remove(query)
    }
}

/// A delivery as an archive holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Archived {
    /// The delivery.
    pub delivery: Delivery,
    /// What became of it last; `None` while it is pending.
    pub outcome: Option<Outcome>,
}

impl Archived {
    /// For archives: a delivery and its latest outcome.
    pub fn new(delivery: Delivery, outcome: Option<Outcome>) -> Self {
        Self { delivery, outcome }
    }
}
