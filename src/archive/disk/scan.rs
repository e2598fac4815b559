use std::sync::Arc;

use super::{
    index::{Cursor, Found},
    reader::Reader,
};
use crate::archive::{EntrySender, Query};

/// How many deliveries wait to be taken from a scan. Their bodies are in memory.
pub(super) const AHEAD: usize = 4;

/// Sends what `query` selects, and the damage, until all is sent or nobody listens. Blocks.
pub(super) fn scan(reader: &Arc<Reader>, query: &Query, found: EntrySender) {
    let (mut last, mut next) = (None, Cursor::Start);
    while next != Cursor::End {
        let part = match reader.part(query, next) {
            Ok(part) => part,
            Err(error) => {
                // What is behind it cannot be found either.
                found.blocking_send(Err(error));
                return;
            }
        };
        for one in part.found {
            let selected = match one {
                Found::Damage(damage) => Err(reader.damage(damage)),
                Found::Entry(entry) => match reader.get_found(&entry, &mut last) {
                    // It may have been removed or settled in the meantime.
                    Ok(Some(archived)) if query.selects(&archived) => Ok(archived),
                    Ok(_) => continue,
                    Err(error) => Err(error),
                },
            };
            if !found.blocking_send(selected) {
                return;
            }
        }
        next = part.next;
    }
    found.finish();
}
