use std::sync::Arc;

use super::reader::Reader;
use crate::archive::{EntrySender, Query};

/// How many deliveries wait to be taken from a scan. Their bodies are in memory.
pub(super) const AHEAD: usize = 4;

/// Sends what `query` selects, until all is sent or nobody listens. Blocks.
pub(super) fn scan(reader: &Arc<Reader>, query: &Query, found: EntrySender) {
    let mut last = None;
    let index = reader.index();
    let positions = index.ask(|index| index.candidates(query));
    // Damage lies before positions, and behind the last one. Whoever asks for one delivery does not ask for damage.
    let all = query.selected_id().is_none();
    let positions = if all { 0..positions.end + 1 } else { positions };
    for position in positions {
        for damage in reader.damages_at(position, &index).into_iter().filter(|_| all) {
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
