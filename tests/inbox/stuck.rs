//! An archive whose disk hangs.

use std::fmt;

use tower_inbox::{
    Archive, Delivery, DeliveryId, Outcome, Receipt,
    archive::{Archived, Entries, Line, Query, Work},
    delivery::InferenceDigest,
};

/// Holds nothing, and never comes to an end with an append.
#[derive(Debug)]
pub(crate) struct Stuck;

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stuck")
    }
}

fn nothing<T>() -> Entries<T> {
    Entries::ready([])
}

impl Archive for Stuck {
    fn append(&self, _: Delivery) -> Work<Receipt> {
        Box::pin(std::future::pending())
    }

    fn settle(&self, _: DeliveryId, _: Outcome) -> Work<()> {
        unreachable!("there is nothing to settle")
    }

    fn outcome(&self, _: DeliveryId) -> Work<Option<Outcome>> {
        unreachable!("nobody asks for what was not archived")
    }

    fn get(&self, _: DeliveryId) -> Work<Option<Archived>> {
        unreachable!("nobody asks for what was not archived")
    }

    fn scan(&self, _: Query) -> Entries {
        nothing()
    }

    fn ledger(&self, _: Query) -> Entries<Line> {
        nothing()
    }

    fn processed_as(&self, _: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        unreachable!("nothing was processed")
    }

    fn remove(&self, _: Query) -> Work<u64> {
        unreachable!("there is nothing to remove")
    }
}
