//! Deliveries, their states and times as text and as JSON.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use anstyle::Style;
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table as Layout, Width, presets::NOTHING,
};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use tower_inbox::{
    Outcome,
    archive::{Archived, LedgerEntry, StateChange},
    delivery::{State, StateKind},
    signature::Proof,
};

use crate::console::{BOLD, RED, YELLOW, escape};

/// The JSON members of a delivery, for the help of commands.
macro_rules! json_help {
    () => {
        "\
JSON members of a delivery (null if they do not apply to the state):
  id            string, a UUID
  received_at   string, RFC 3339 with milliseconds, UTC
  model         string
  bytes         number, the length of the body (not in `dead`)
  sha256        string, the digest of the body (not in `dead`)
  state         pending, leased, processed, failed, dead, undecodable or repeat
  attempts      number, of a pending, leased or failed delivery
  crashes       number in a row, of a pending or leased delivery
  status        number, the HTTP status of the handler of a processed delivery
  reason        string, of a failed, dead or undecodable delivery
  poisoned      boolean, of a dead delivery: it crashed the process three times in a row
  due_at        string, the time of the next attempt of a failed delivery
  inference     string, the digest of the provider's id; --inference accepts it
  repeat_of     string, the id of the first delivery of a repeat

"
    };
}
pub(crate) use json_help;

/// The last second of the year 9999: RFC 3339 has no later years.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// A time in RFC 3339; one before 1970 or after the year 9999 as the nearest that has a text.
pub(crate) fn time(time: SystemTime) -> String {
    let latest = SystemTime::UNIX_EPOCH + LATEST;
    humantime::format_rfc3339_millis(time.clamp(SystemTime::UNIX_EPOCH, latest)).to_string()
}

/// A state on one line, without the digest of the inference.
pub(crate) fn state(state: &State) -> String {
    let kind = state.kind();
    match state {
        State::Pending { attempts: 0, .. } => kind.to_string(),
        State::Pending { attempts, crashes } => {
            format!("{kind}, {}, {}", count(*attempts, "attempt"), count(*crashes, "crash"))
        }
        State::Leased { attempts, .. } => format!("{kind}, attempt {attempts}"),
        State::Outcome(Outcome::Processed { status, .. }) => format!("{kind} {status}"),
        State::Outcome(Outcome::Failed { attempts, reason, due, .. }) => {
            let due = due.map(|due| format!(", due {}", time(due))).unwrap_or_default();
            format!("{kind}, attempt {attempts}{due}: {reason}")
        }
        State::Outcome(Outcome::Dead { reason, poisoned: true, .. }) => {
            format!("{kind}, poisoned: {reason}")
        }
        State::Outcome(Outcome::Dead { reason, .. } | Outcome::Undecodable { reason, .. }) => {
            format!("{kind}: {reason}")
        }
        State::Outcome(Outcome::Repeat { of, .. }) => format!("{kind} of {of}"),
        state => state.to_string(),
    }
}

fn count(number: u32, noun: &str) -> String {
    let plural = if noun.ends_with("sh") { "es" } else { "s" };
    format!("{number} {noun}{}", if number == 1 { "" } else { plural })
}

/// No color.
pub(crate) const PLAIN: Style = Style::new();

/// The color of a state on a terminal.
pub(crate) fn style(state: &State) -> Style {
    match state.kind() {
        StateKind::Dead | StateKind::Undecodable => RED,
        StateKind::Failed => YELLOW,
        _ => PLAIN,
    }
}

/// The id of the inference as 24 hexadecimal digits, once it is known.
pub(crate) fn inference(state: &State) -> Option<String> {
    state.inference().map(|inference| inference.id().to_string())
}

/// A delivery without head and body, as JSON.
pub(crate) fn archived_object(archived: &Archived) -> Value {
    let Archived { delivery, state, .. } = archived;
    let object = json!({
        "id": delivery.id().to_string(),
        "received_at": time(delivery.received_at()),
        "model": delivery.model().as_str(),
        "bytes": delivery.body().len(),
        "sha256": delivery.digest().to_string(),
    });
    merged(object, state_object(state))
}

/// A change of a state as JSON.
pub(crate) fn change_object(change: &StateChange) -> Value {
    merged(json!({ "at": time(change.at) }), state_object(&change.state))
}

/// A ledger entry as JSON.
pub(crate) fn ledger_object(entry: &LedgerEntry) -> Value {
    let object = json!({
        "id": entry.id.to_string(),
        "received_at": time(entry.received_at),
        "model": entry.model.as_str(),
    });
    merged(object, state_object(&entry.state))
}

/// The proof and the head of a delivery, as JSON.
pub(crate) fn head_object(archived: &Archived) -> Value {
    let (delivery, head) = (&archived.delivery, archived.delivery.head());
    json!({
        "peer": head.peer().map(|peer| peer.to_string()),
        "proof": proof_object(delivery.proof()),
        "method": head.method().as_str(),
        "path": head.uri().path(),
        "query": head.uri().query(),
        "version": format!("{:?}", head.version()),
        "headers": headers(head.headers()),
    })
}

/// A proof as JSON.
pub(crate) fn proof_object(proof: &Proof) -> Value {
    json!({
        "scheme": proof.scheme(),
        "secret": proof.secret(),
        "form": proof.form(),
        "message_id": proof.message_id(),
    })
}

/// Headers in their order. A value that is not UTF-8 is written in hexadecimal.
fn headers(headers: &HeaderMap) -> Value {
    let object = |(name, value): (&http::HeaderName, &HeaderValue)| match std::str::from_utf8(
        value.as_bytes(),
    ) {
        Ok(value) => json!({ "name": name.as_str(), "value": value }),
        Err(_) => json!({ "name": name.as_str(), "value_hex": hex::encode(value.as_bytes()) }),
    };
    headers.iter().map(object).collect()
}

/// The members of a state. Those that do not apply to it are null.
fn state_object(state: &State) -> Value {
    let kind = state.kind();
    let outcome = state.outcome();
    let (status, poisoned, due, repeat_of) = match outcome {
        Some(Outcome::Processed { status, .. }) => (Some(*status), None, None, None),
        Some(Outcome::Dead { poisoned, .. }) => (None, Some(*poisoned), None, None),
        Some(Outcome::Failed { due, .. }) => (None, None, *due, None),
        Some(Outcome::Repeat { of, .. }) => (None, None, None, Some(of.to_string())),
        _ => (None, None, None, None),
    };
    let crashes = matches!(kind, StateKind::Pending | StateKind::Leased).then(|| state.crashes());
    json!({
        "state": kind.as_str(),
        "attempts": (!kind.is_settled()).then(|| state.attempts()),
        "crashes": crashes,
        "status": status,
        "reason": outcome.and_then(Outcome::reason),
        "poisoned": poisoned,
        "due_at": due.map(time),
        "inference": inference(state),
        "repeat_of": repeat_of,
    })
}

/// An object with the members of both.
pub(crate) fn merged(one: Value, other: Value) -> Value {
    let members = [one, other].into_iter().filter_map(|value| match value {
        Value::Object(members) => Some(members),
        _ => None,
    });
    Value::Object(members.flatten().collect::<Map<_, _>>())
}

/// The number of rows that are aligned together. A longer table is written in parts, so that memory is bounded.
const ROWS: usize = 1000;

/// Writes rows in aligned columns, below a header. Columns never become narrower from one part to the next.
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<([String; N], Style)>,
    widths: [u16; N],
    is_begun: bool,
}

impl<const N: usize> Table<N> {
    /// A table with this header. Columns named in [`RIGHT`] are aligned to the right.
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self { header, rows: Vec::new(), widths: [0; N], is_begun: false }
    }

    /// Adds a row, with characters that are unsafe on a terminal escaped. `style` applies to the last cell.
    pub(crate) fn row(
        &mut self,
        out: &mut impl Write,
        cells: [String; N],
        style: Style,
    ) -> io::Result<()> {
        self.rows.push((cells.map(|cell| escape(&cell)), style));
        if self.rows.len() < ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Writes the rows that were added, and flushes `out`.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut layout = Layout::new();
        layout.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.is_begun {
            layout.add_row(self.header);
        }
        layout.add_rows(self.rows.iter().map(|(cells, _)| cells));
        for ((column, width), name) in layout.column_iter_mut().zip(self.widths).zip(self.header) {
            column.set_padding((0, 2)).set_constraint(ColumnConstraint::LowerBoundary(
                // With the padding, which the constraint includes.
                Width::Fixed(if width == 0 { 0 } else { width.saturating_add(2) }),
            ));
            if RIGHT.contains(&name) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (known, now) in self.widths.iter_mut().zip(layout.column_max_content_widths()) {
            *known = (*known).max(now);
        }
        let mut lines = layout.lines();
        if !self.is_begun {
            let header = lines.next().unwrap_or_default();
            writeln!(out, "{BOLD}{}{BOLD:#}", header.trim_end())?;
            self.is_begun = true;
        }
        for (line, (cells, style)) in lines.zip(self.rows.drain(..)) {
            write_line(out, line.trim_end(), cells.last().map_or("", String::as_str), style)?;
        }
        out.flush()
    }
}

/// The columns with numbers.
const RIGHT: [&str; 2] = ["BYTES", "STATUS"];

fn write_line(out: &mut impl Write, line: &str, last: &str, style: Style) -> io::Result<()> {
    match line.strip_suffix(last.trim_end()) {
        Some(start) => writeln!(out, "{start}{style}{}{style:#}", last.trim_end()),
        None => writeln!(out, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn state_is_one_readable_line() {
        let due = UNIX_EPOCH + Duration::from_secs(60);
        for (value, wanted) in [
            (State::NEW, "pending"),
            (State::Pending { attempts: 2, crashes: 1 }, "pending, 2 attempts, 1 crash"),
            (State::Pending { attempts: 1, crashes: 0 }, "pending, 1 attempt, 0 crashes"),
            (State::Leased { attempts: 2, crashes: 0 }, "leased, attempt 2"),
            (Outcome::processed(204).into(), "processed 204"),
            (
                Outcome::failed_at(3, "503").due_at(due).into(),
                "failed, attempt 3, due 1970-01-01T00:01:00.000Z: 503",
            ),
            (Outcome::dead("404").into(), "dead: 404"),
            (Outcome::poisoned("crashed").into(), "dead, poisoned: crashed"),
            (Outcome::undecodable("$.a").into(), "undecodable: $.a"),
        ] {
            assert_eq!(state(&value), wanted);
        }
    }

    #[test]
    fn time_outside_of_rfc_3339_is_printed_as_the_nearest() {
        let far = UNIX_EPOCH + Duration::from_secs(90_000_000 * 3600);
        assert_eq!(time(far), "9999-12-31T23:59:59.000Z");
        assert_eq!(time(UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn documented_members_are_those_of_the_object() {
        let object = state_object(&State::NEW);
        for name in object.as_object().into_iter().flat_map(Map::keys) {
            assert!(json_help!().contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn columns_are_aligned_and_stay_at_least_as_wide() {
        let (mut table, mut out) = (Table::new(["ID", "BYTES", "STATE"]), Vec::new());
        let cells = |cells: [&str; 3]| cells.map(str::to_owned);
        table.row(&mut out, cells(["a long id", "1", "dead"]), RED).unwrap();
        table.row(&mut out, cells(["b", "12345678", "\u{1b}é"]), Style::new()).unwrap();
        table.flush(&mut out).unwrap();
        table.row(&mut out, cells(["c", "2", ""]), Style::new()).unwrap();
        table.flush(&mut out).unwrap();
        let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        let wanted = "\
ID            BYTES  STATE
a long id         1  dead
b          12345678  \\u{1b}é
c                 2
";
        assert_eq!(text, wanted);
        assert!(String::from_utf8(out).unwrap().contains("\u{1b}[31mdead\u{1b}[0m"));
    }
}
