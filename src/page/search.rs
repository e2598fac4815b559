//! The search for text in the heads of deliveries. No archive has an index of it, so each search reads a limited number
//! of deliveries, and the next page continues it.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::{
    address::Cursor,
    listing::{self, Listing, PAGE},
};
use crate::{
    archive::{Archive, ArchiveError, LedgerEntry, Query},
    delivery::{Delivery, DeliveryId},
};

/// The most deliveries that one page reads.
const MOST: usize = 10_000;

/// A page that has been searched for this long ends.
const LONGEST: Duration = Duration::from_secs(2);

/// A page of the deliveries whose head contains a text.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The next page, if there is one, begins after the last delivery that was read.
    pub(super) listing: Listing,
    /// The number of deliveries that were read.
    pub(super) searched: usize,
}

/// Reads the page after `after` of what the queries select together, and whose head contains `text` in any case.
pub(super) async fn page(
    archive: &dyn Archive,
    queries: &[Query],
    text: &str,
    mut after: Option<Cursor>,
) -> Result<Found, ArchiveError> {
    let (end, text) = (Instant::now() + LONGEST, text.to_lowercase());
    let mut found = Found::default();
    loop {
        let part = listing::page(archive, queries.to_vec(), after).await?;
        let matching = matching(archive, &part.entries, &text).await?;
        for entry in part.entries {
            found.searched += 1;
            after = Some(listing::cursor(&entry));
            if !matching.contains(&entry.id) {
                continue;
            }
            found.listing.entries.push(entry);
            if found.listing.entries.len() == PAGE {
                found.listing.next = after;
                return Ok(found);
            }
        }
        if part.next.is_none() {
            return Ok(found);
        }
        if found.searched >= MOST || Instant::now() >= end {
            found.listing.next = part.next;
            return Ok(found);
        }
    }
}

/// The deliveries whose head contains `text`, which is in lower case.
async fn matching(
    archive: &dyn Archive,
    entries: &[LedgerEntry],
    text: &str,
) -> Result<HashSet<DeliveryId>, ArchiveError> {
    let ids = entries.iter().map(|entry| entry.id);
    let (mut deliveries, mut found) = (archive.scan(Query::all().ids(ids)), HashSet::new());
    while let Some(archived) = deliveries.next().await {
        match archived {
            Ok(archived) if is_in_head(&archived.delivery, text) => {
                found.insert(archived.delivery.id());
            }
            // The head of a damaged delivery cannot be read, and the others can.
            Ok(_) | Err(ArchiveError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn is_in_head(delivery: &Delivery, text: &str) -> bool {
    let head = delivery.head();
    let first = format!("{} {} {:?}", head.method(), head.uri(), head.version());
    let headers = head.headers().iter();
    let lines = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    std::iter::once(first).chain(lines).any(|line| line.to_lowercase().contains(text))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::{
        archive::{Append, MemoryArchive},
        delivery::Redaction,
        signature::Proof,
    };

    /// Appends a delivery with this header.
    async fn append(archive: &MemoryArchive, number: u64, value: &str) -> DeliveryId {
        let request = Request::post("/m?page=One").header("x-kind", value).body(());
        let (head, ()) = request.unwrap().into_parts();
        let received_at = std::time::UNIX_EPOCH + Duration::from_secs(number);
        let (id, model) = (DeliveryId::new(), "/m".parse().unwrap());
        let (body, proof) = (Bytes::from(number.to_string()), Proof::new("none", "none", "raw"));
        let redaction = Redaction::default();
        let delivery = Delivery::received(id, model, &head, body, received_at, proof, &redaction);
        let _ = archive.append(Append::new(delivery)).await.unwrap();
        id
    }

    async fn ids(archive: &MemoryArchive, text: &str) -> Vec<DeliveryId> {
        let found = page(archive, &[Query::all()], text, None).await.unwrap();
        found.listing.entries.iter().map(|entry| entry.id).collect()
    }

    #[tokio::test]
    async fn text_is_found_in_the_request_line_and_in_headers_in_any_case() {
        let archive = MemoryArchive::new();
        let [first, second] =
            [append(&archive, 1, "Alpha").await, append(&archive, 2, "beta").await];
        assert_eq!(ids(&archive, "x-KIND: alpha").await, [first]);
        assert_eq!(ids(&archive, "BETA").await, [second]);
        assert_eq!(ids(&archive, "post /m?page=one").await, [second, first], "latest first");
        assert_eq!(ids(&archive, "gamma").await, []);
    }

    #[tokio::test]
    async fn pages_have_every_match_once_and_read_a_limited_number() {
        let archive = MemoryArchive::new();
        let mut wanted = Vec::new();
        for number in 0..MOST as u64 + 200 {
            let is_wanted = number % 100 == 0;
            let id = append(&archive, number, if is_wanted { "wanted" } else { "other" }).await;
            wanted.extend(is_wanted.then_some(id));
        }
        wanted.reverse();
        let (mut found, mut after, mut sizes) = (Vec::new(), None, Vec::new());
        loop {
            let part = page(&archive, &[Query::all()], "WANTED", after).await.unwrap();
            sizes.push((part.searched, part.listing.entries.len()));
            found.extend(part.listing.entries.iter().map(|entry| entry.id));
            after = part.listing.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted);
        assert!(sizes.iter().all(|(searched, found)| *searched <= MOST && *found <= PAGE));
        let nothing = page(&archive, &[Query::all()], "nothing", None).await.unwrap();
        assert!(nothing.searched <= MOST && nothing.listing.next.is_some());
    }
}
