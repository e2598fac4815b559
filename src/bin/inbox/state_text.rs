//! States of deliveries as text and as JSON.

use serde_json::{Value, json};
use tower_inbox::{
    Outcome,
    delivery::{State, StateKind},
};

use crate::time;

/// A state as one line. The digest of the inference is left out.
pub(crate) fn text(state: &State) -> String {
    let kind = state.kind();
    match state {
        State::Pending { attempts: 0, .. } => kind.to_string(),
        State::Pending { attempts, crashes } => {
            format!("{kind}, {}, {}", count(*attempts, "attempt"), count(*crashes, "crash"))
        }
        State::Leased { attempts, .. } => format!("{kind}, attempt {attempts}"),
        State::Outcome(Outcome::Processed { status, .. }) => format!("{kind} {status}"),
        State::Outcome(Outcome::Failed { attempts, reason, due, .. }) => {
            let due = due.map(|due| format!(", due {}", time::print(due))).unwrap_or_default();
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

/// The id of the inference as 24 hexadecimal digits, once it is known.
pub(crate) fn inference(state: &State) -> Option<String> {
    state.inference().map(|inference| inference.id().to_string())
}

/// `object` with the members of a state added. Members that do not apply to the state are null.
pub(crate) fn with_state(mut object: Value, state: &State) -> Value {
    let kind = state.kind();
    let attempts = (!kind.is_settled()).then(|| state.attempts());
    let outcome = state.outcome();
    let (status, poisoned, due, repeat_of) = match outcome {
        Some(Outcome::Processed { status, .. }) => (Some(*status), None, None, None),
        Some(Outcome::Dead { poisoned, .. }) => (None, Some(*poisoned), None, None),
        Some(Outcome::Failed { due, .. }) => (None, None, *due, None),
        Some(Outcome::Repeat { of, .. }) => (None, None, None, Some(of.to_string())),
        _ => (None, None, None, None),
    };
    let crashes = matches!(kind, StateKind::Pending | StateKind::Leased).then(|| state.crashes());
    let members = json!({
        "state": kind.as_str(),
        "attempts": attempts,
        "crashes": crashes,
        "status": status,
        "reason": outcome.and_then(Outcome::reason),
        "poisoned": poisoned,
        "due_at": due.map(time::print),
        "inference": inference(state),
        "repeat_of": repeat_of,
    });
    if let (Value::Object(object), Value::Object(members)) = (&mut object, members) {
        object.extend(members);
    }
    object
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn state_is_one_readable_line() {
        let due = UNIX_EPOCH + Duration::from_secs(60);
        for (state, wanted) in [
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
            assert_eq!(text(&state), wanted);
        }
    }
}
