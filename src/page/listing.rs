//! Pages of ledger entries, latest first.

use std::{collections::BTreeMap, time::SystemTime};

use super::address::Cursor;
use crate::archive::{Archive, ArchiveError, Entries, LedgerEntry, Query};

/// The number of deliveries on a page.
pub(super) const PAGE: usize = 50;

/// A page of entries, sorted by time of receipt and id, latest first.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<LedgerEntry>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<Cursor>,
}

/// Reads the page after `after` of what the queries select together.
pub(super) async fn page(
    archive: &dyn Archive,
    queries: Vec<Query>,
    after: Option<Cursor>,
) -> Result<Listing, ArchiveError> {
    // One more shows whether there is another page.
    let most = PAGE + 1;
    let mut found = Latest::new(most);
    for query in queries {
        match after {
            None => found.read_latest(archive, query).await?,
            Some(cursor) => {
                found.read_same_time(archive, &query, cursor).await?;
                found.read_latest(archive, received_before(query, cursor.received_at)).await?;
            }
        }
    }
    Ok(found.into_listing())
}

/// The latest entries of those that were added, up to a number.
struct Latest {
    entries: BTreeMap<Cursor, LedgerEntry>,
    most: usize,
}

impl Latest {
    fn new(most: usize) -> Self {
        Self { entries: BTreeMap::new(), most }
    }

    fn add(&mut self, entry: LedgerEntry) {
        self.entries.insert(cursor(&entry), entry);
        if self.entries.len() > self.most {
            self.entries.pop_first();
        }
    }

    async fn add_all(
        &mut self,
        mut entries: Entries<LedgerEntry>,
        before: Option<Cursor>,
    ) -> Result<(), ArchiveError> {
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            if before.is_none_or(|before| cursor(&entry) < before) {
                self.add(entry);
            }
        }
        Ok(())
    }

    /// Adds the entries that were received at the time of the cursor, and have a lower id.
    async fn read_same_time(
        &mut self,
        archive: &dyn Archive,
        query: &Query,
        cursor: Cursor,
    ) -> Result<(), ArchiveError> {
        let next = cursor.received_at.checked_add(std::time::Duration::from_nanos(1));
        let Some(next) = next else { return Ok(()) };
        let query = received_since(query.clone(), cursor.received_at);
        self.add_all(archive.ledger(received_before(query, next)), Some(cursor)).await
    }

    /// Adds the latest entries of a query.
    ///
    /// The order of an archive is that of its appends, and a delivery that was released from the quarantine is appended
    /// late. The latest appended ones bound the time of those that were received latest, which are then read.
    async fn read_latest(
        &mut self,
        archive: &dyn Archive,
        query: Query,
    ) -> Result<(), ArchiveError> {
        let appended = archive.latest(query.clone(), self.most).await?;
        let oldest = appended.iter().map(|entry| entry.received_at).min();
        match oldest {
            Some(oldest) if appended.len() >= self.most => {
                self.add_all(archive.ledger(received_since(query, oldest)), None).await
            }
            _ => {
                for entry in appended {
                    self.add(entry);
                }
                Ok(())
            }
        }
    }

    fn into_listing(self) -> Listing {
        let has_next = self.entries.len() > PAGE;
        let entries: Vec<_> = self.entries.into_values().rev().take(PAGE).collect();
        let next = entries.last().map(cursor).filter(|_| has_next);
        Listing { entries, next }
    }
}

pub(super) fn cursor(entry: &LedgerEntry) -> Cursor {
    Cursor { received_at: entry.received_at, id: entry.id }
}

/// The query, limited to deliveries received before a time.
fn received_before(query: Query, time: SystemTime) -> Query {
    let time = query.received_before().map_or(time, |before| before.min(time));
    query.before(time)
}

/// The query, limited to deliveries received at or after a time.
fn received_since(query: Query, time: SystemTime) -> Query {
    let time = query.received_since().map_or(time, |since| since.max(time));
    query.since(time)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::{
        archive::{Append, MemoryArchive},
        delivery::{Delivery, DeliveryId, Redaction},
        signature::Proof,
    };

    /// Appends a delivery that was received at this second.
    async fn append(archive: &MemoryArchive, second: u64) -> DeliveryId {
        let id = DeliveryId::new();
        let (head, ()) = Request::post("/m").body(()).unwrap().into_parts();
        let received_at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let (model, body) = ("/m".parse().unwrap(), Bytes::from(id.to_string()));
        let proof = Proof::new("none", "none", "raw");
        let redaction = Redaction::default();
        let delivery = Delivery::received(id, model, &head, body, received_at, proof, &redaction);
        let appended = archive.append(Append::new(delivery)).await.unwrap();
        appended.receipt.id()
    }

    async fn all_pages(archive: &MemoryArchive) -> Vec<DeliveryId> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let Listing { entries, next } = page(archive, vec![Query::all()], after).await.unwrap();
            assert!(entries.len() <= PAGE);
            ids.extend(entries.iter().map(|entry| entry.id));
            after = next;
            if after.is_none() {
                return ids;
            }
        }
    }

    #[tokio::test]
    async fn pages_have_each_delivery_once_also_if_many_were_received_at_the_same_time() {
        for distinct_seconds in [1, 3, 1000] {
            let archive = MemoryArchive::new();
            let mut ids = Vec::new();
            for number in 0..(3 * PAGE as u64) {
                let second = number % distinct_seconds;
                ids.push((second, append(&archive, second).await));
            }
            ids.sort_unstable();
            let wanted: Vec<_> = ids.into_iter().rev().map(|(_, id)| id).collect();
            assert_eq!(all_pages(&archive).await, wanted, "{distinct_seconds}");
        }
    }

    #[tokio::test]
    async fn deliveries_that_were_appended_late_are_listed_by_their_time_of_receipt() {
        let archive = MemoryArchive::new();
        let mut ids = Vec::new();
        for second in 1000..1120 {
            ids.push(append(&archive, second).await);
        }
        // More than a page, so that the latest appended ones hide those that were received latest.
        let mut late = Vec::new();
        for second in 1..60 {
            late.push(append(&archive, second).await);
        }
        late.extend(ids);
        late.reverse();
        assert_eq!(all_pages(&archive).await, late);
    }
}
