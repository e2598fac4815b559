use super::{index::Index, reader::Reader};
use crate::archive::{EntrySender, Line, Query};

/// How many lines wait to be taken.
pub(super) const AHEAD: usize = 256;

/// How many deliveries are looked at before others get at the index.
const AT_A_TIME: usize = 4096;

/// Sends a line for each delivery that `query` selects, until all is sent or nobody listens. Blocks, and reads nothing.
pub(super) fn ledger(reader: &Reader, query: &Query, found: EntrySender<Line>) {
    let index = reader.index();
    for from in index.ask(Index::positions).step_by(AT_A_TIME) {
        for line in index.ask(|index| lines(index, from, query)) {
            if !found.blocking_send(Ok(line)) {
                return;
            }
        }
    }
    found.finish();
}

fn lines(index: &Index, from: usize, query: &Query) -> Vec<Line> {
    let kept = (from..from + AT_A_TIME).filter_map(|position| index.at(position));
    let selected = kept.filter(|kept| kept.is_selected(query));
    selected
        .map(|kept| Line::new(kept.id, kept.model.clone(), kept.received_at, kept.outcome()))
        .collect()
}
