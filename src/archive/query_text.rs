//! A query as lines of text, for engines that hand one over to another process.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use super::{Query, query::Wanted};

/// The last line: without it the text is not whole, and would select too much.
const END: &str = "end";

/// A line for each choice.
pub(super) fn print(query: &Query) -> String {
    let Query { id, model, since, before, outcome, one_in } = query;
    let mut text = String::new();
    let outcome = match outcome {
        Wanted::Any => None,
        Wanted::Pending => Some("pending"),
        Wanted::Unsettled => Some("unsettled"),
        Wanted::Settled => Some("settled"),
        Wanted::Outcome(kind) => Some(kind.as_str()),
    };
    let lines = [
        ("id", id.map(|id| id.to_string())),
        ("model", model.as_ref().map(ToString::to_string)),
        ("since", since.map(nanos)),
        ("before", before.map(nanos)),
        ("outcome", outcome.map(str::to_owned)),
        ("one-in", one_in.map(|number| number.to_string())),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} {value}");
        }
    }
    text + END + "\n"
}

/// The query; `None` if a line is not understood, since it would select too much without it.
pub(super) fn parse(text: &str) -> Option<Query> {
    let lines = text.strip_suffix('\n')?.strip_suffix(END)?;
    lines.lines().try_fold(Query::all(), |query, line| {
        let (name, value) = line.split_once(' ')?;
        Some(match (name, value) {
            ("id", id) => query.id(id.parse().ok()?),
            ("model", model) => query.model(model.parse().ok()?),
            ("since", time) => query.since(parse_nanos(time)?),
            ("before", time) => query.before(parse_nanos(time)?),
            ("outcome", "pending") => query.pending(),
            ("outcome", "unsettled") => query.unsettled(),
            ("outcome", "settled") => query.settled(),
            ("one-in", number) => query.one_in(number.parse().ok()?),
            ("outcome", kind) => query.outcome(kind.parse().ok()?),
            _ => return None,
        })
    })
}

/// Nanoseconds since the beginning of 1970.
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
    use crate::delivery::{DeliveryId, OutcomeKind};

    #[test]
    fn a_query_reads_back() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(7, 8);
        let whole = Query::all().id(DeliveryId::new()).model("/m".parse().unwrap());
        let whole = whole.since(time).before(time).settled().one_in(7);
        for query in [
            Query::all(),
            Query::all().pending(),
            Query::all().unsettled(),
            Query::all().outcome(OutcomeKind::Dead),
            whole,
        ] {
            assert_eq!(format!("{:?}", parse(&print(&query)).unwrap()), format!("{query:?}"));
        }
    }

    #[test]
    fn a_text_that_is_not_understood_selects_nothing() {
        let text = print(&Query::all().model("/m".parse().unwrap()).settled());
        for end in 0..text.len() {
            assert!(parse(&text[..end]).is_none(), "it ends at {end}");
        }
        assert!(parse("colour red\nend\n").is_none());
    }
}
