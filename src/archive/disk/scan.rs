use std::sync::Arc;

use tokio::sync::mpsc;

use super::reader::Reader;
use crate::archive::{ArchiveError, Archived, Query};

/// How many deliveries wait to be taken from a scan. Their bodies are in memory.
pub(super) const AHEAD: usize = 4;

type Found = Result<Archived, ArchiveError>;

/// Sends what `query` selects, until all is sent or nobody listens. Blocks.
pub(super) fn scan(reader: &Arc<Reader>, query: &Query, found: &mpsc::Sender<Found>) {
    let mut last = None;
    let end = reader.index().positions().end;
    for position in 0..=end {
        for damage in reader.damages_at(position) {
            if found.blocking_send(Err(damage)).is_err() {
                return;
            }
        }
        let selected = match reader.index().at(position) {
            Some(kept) if kept.is_selected(query) => kept.id,
            _ => continue,
        };
        // It may have been removed or settled in the meantime.
        let selected = match reader.get(selected, &mut last) {
            Ok(Some(archived)) if query.selects(&archived) => Ok(archived),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        if found.blocking_send(selected).is_err() {
            return;
        }
    }
}
