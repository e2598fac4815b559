use std::sync::Arc;

use super::{index::Index, reader::Reader};
use crate::archive::{EntrySender, Query};

/// How many deliveries wait to be taken from a scan. Their bodies are in memory.
pub(super) const AHEAD: usize = 4;

/// Sends what `query` selects, until all is sent or nobody listens. Blocks.
pub(super) fn scan(reader: &Arc<Reader>, query: &Query, found: EntrySender) {
    let mut last = None;
    let index = reader.index();
    let end = index.ask(Index::positions).end;
    for position in 0..=end {
        for damage in reader.damages_at(position, &index) {
            if !found.blocking_send(Err(damage)) {
                return;
            }
        }
        let Some(selected) = index.ask(|index| index.selected_at(position, query)) else {
            continue;
        };
        // It may have been removed or settled in the meantime.
        let selected = match reader.get(selected, &mut last) {
            Ok(Some(archived)) if query.selects(&archived) => Ok(archived),
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        if !found.blocking_send(selected) {
            return;
        }
    }
    found.finish();
}
