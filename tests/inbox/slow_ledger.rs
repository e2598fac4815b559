//! An archive with so much in it that reading its ledger takes its time.

use std::{fmt, time::Duration};

use tower_inbox::{
    Archive, Delivery, DeliveryId, MemoryArchive, Outcome, Receipt,
    archive::{Archived, Entries, Line, Query, Work},
    delivery::InferenceDigest,
};

/// Gives a line of the ledger each `pace`.
#[derive(Clone, Debug)]
pub(crate) struct SlowLedger {
    pub(crate) archive: MemoryArchive,
    pub(crate) pace: Duration,
}

impl fmt::Display for SlowLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

impl Archive for SlowLedger {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        self.archive.append(delivery)
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        self.archive.settle(id, outcome)
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        self.archive.outcome(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.archive.get(id)
    }

    fn scan(&self, query: Query) -> Entries {
        self.archive.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        let (pace, mut lines) = (self.pace, self.archive.ledger(query));
        let (sender, slow) = Entries::channel(1);
        tokio::spawn(async move {
            while let Some(line) = lines.next().await {
                tokio::time::sleep(pace).await;
                if !sender.send(line).await {
                    return;
                }
            }
            sender.finish();
        });
        slow
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        self.archive.processed_as(inference)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.archive.remove(query)
    }
}
