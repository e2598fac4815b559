use std::sync::Arc;

use super::reader::Reader;
use crate::archive::{EntrySender, Query, disk::index::Found};

/// The maximum number of deliveries buffered for the consumer of a scan. Their bodies are in memory.
pub(in crate::archive::disk) const AHEAD: usize = 4;

/// Sends the deliveries that `query` selects, and the damage, until all are sent or the receiver is dropped. Blocks.
pub(in crate::archive::disk) fn scan(reader: &Arc<Reader>, query: &Query, found: EntrySender) {
    let mut last = None;
    for one in reader.find(query) {
        let selected = match one {
            Ok(Found::Entry(entry)) => match reader.get_found(&entry, &mut last) {
                // It may have been removed or settled in the meantime.
                Ok(Some(archived)) if query.selects(&archived) => Ok(archived),
                Ok(_) => continue,
                Err(error) => Err(error),
            },
            Ok(Found::Damage(damage)) => Err(reader.damage(damage)),
            Err(error) => {
                found.blocking_send(Err(error));
                return;
            }
        };
        if !found.blocking_send(selected) {
            return;
        }
    }
    found.finish();
}
