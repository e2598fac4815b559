//! Queries as lines of text, for archives that send a query to another process.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use super::{Query, StateFilter};
use crate::delivery::DeliveryId;

/// The last line. A text without it was truncated, and would select too much.
const END: &str = "end";

/// Prints one line per condition.
pub(super) fn print(query: &Query) -> String {
    let mut text = String::new();
    let states = match query.selected_states() {
        StateFilter::Any => None,
        StateFilter::Pending => Some("unfinished-attempts"),
        StateFilter::Unsettled => Some("unsettled"),
        StateFilter::Settled => Some("settled"),
        StateFilter::Finished => Some("finished"),
        StateFilter::Only(kind) => Some(kind.as_str()),
    };
    let lines = [
        ("ids", query.selected_ids().map(join)),
        ("model", query.selected_model().map(ToString::to_string)),
        ("since", query.received_since().map(nanos)),
        ("before", query.received_before().map(nanos)),
        ("states", states.map(str::to_owned)),
        ("one-in", query.sample().map(|number| number.to_string())),
        ("inference", query.selected_inference().map(|inference| inference.to_string())),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} {value}");
        }
    }
    text + END + "\n"
}

/// Parses a query. Returns `None` if a line cannot be parsed, because the query would select too much without it.
pub(super) fn parse(text: &str) -> Option<Query> {
    let lines = text.strip_suffix('\n')?.strip_suffix(END)?;
    lines.lines().try_fold(Query::all(), |query, line| {
        let (name, value) = line.split_once(' ')?;
        Some(match (name, value) {
            ("ids", ids) => query.ids(parse_ids(ids)?),
            ("model", model) => query.model(model.parse().ok()?),
            ("since", time) => query.since(parse_nanos(time)?),
            ("before", time) => query.before(parse_nanos(time)?),
            ("states", "unfinished-attempts") => query.pending(),
            ("states", "unsettled") => query.unsettled(),
            ("states", "settled") => query.settled(),
            ("states", "finished") => query.finished(),
            ("states", kind) => query.state(kind.parse().ok()?),
            ("one-in", number) => query.one_in(number.parse().ok()?),
            ("inference", inference) => query.inference(inference.parse().ok()?),
            _ => return None,
        })
    })
}

/// Prints all ids on one line. An empty list becomes an empty value, and selects nothing.
fn join(ids: &[DeliveryId]) -> String {
    let mut text = String::with_capacity(37 * ids.len());
    for id in ids {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{id}");
    }
    text
}

fn parse_ids(text: &str) -> Option<Vec<DeliveryId>> {
    text.split_whitespace().map(|id| id.parse().ok()).collect()
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

pub(super) fn parse_nanos(text: &str) -> Option<SystemTime> {
    let nanos: u128 = text.parse().ok()?;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let since = Duration::new(seconds.try_into().ok()?, rest.try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{InferenceId, StateKind};

    #[test]
    fn query_reads_back_from_text() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(7, 8);
        let whole = Query::all().id(DeliveryId::new()).model("/m".parse().unwrap());
        let inference = InferenceId::of(&"/m".parse().unwrap(), "a");
        let whole = whole.since(time).before(time).settled().one_in(7).inference(inference);
        for query in [
            Query::all(),
            Query::all().pending(),
            Query::all().unsettled(),
            Query::all().ids([]),
            Query::all().ids((0..100).map(|_| DeliveryId::new())),
            Query::all().finished(),
            Query::all().state(StateKind::Pending),
            Query::all().state(StateKind::Dead),
            whole,
        ] {
            assert_eq!(parse(&print(&query)).unwrap(), query);
        }
    }

    #[test]
    fn truncated_or_unknown_text_is_not_a_query() {
        let ids = [DeliveryId::new(), DeliveryId::new()];
        let text = print(&Query::all().ids(ids).model("/m".parse().unwrap()).settled());
        for end in 0..text.len() {
            assert!(parse(&text[..end]).is_none(), "it ends at {end}");
        }
        assert!(parse("colour red\nend\n").is_none());
        assert!(parse("ids x\nend\n").is_none());
    }
}
