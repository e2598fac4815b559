//! The changes of the state of one delivery.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use tokio::time::timeout;

use super::{
    format,
    html::{self as parts, Column},
};
use crate::{
    archive::{Archive, MAX_HISTORY, StateChange},
    delivery::{DeliveryId, Outcome, State, with_causes},
};

/// How long the archive may take. The disk archive reads whole segments.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of changes that are shown at first.
const LATEST: usize = 10;

const COLUMNS: [Column<'_>; 4] =
    [Column::Text("time"), Column::Number("after"), Column::Text("state"), Column::Text("details")];

/// The section of a delivery. Nothing if the archive keeps no history, or if nothing has changed.
pub(super) async fn section(
    archive: &dyn Archive,
    id: DeliveryId,
    received_at: Option<SystemTime>,
) -> Markup {
    let changes = match timeout(PATIENCE, archive.history(id)).await {
        Ok(Ok(changes)) => changes.unwrap_or_default(),
        // The rest of the page does not depend on it.
        Ok(Err(error)) => return unread(&with_causes(&error)),
        Err(_) => return unread("the archive did not answer within 5 s"),
    };
    let is_cut = changes.len() == MAX_HISTORY;
    let (earlier, latest) = changes.split_at(changes.len().saturating_sub(LATEST));
    let received_at = received_at.filter(|_| !is_cut);
    let before = earlier.last().map_or(received_at, |change| Some(change.at));
    html! {
        @if !changes.is_empty() {
            section {
                h2 { "History" }
                @if !earlier.is_empty() {
                    details {
                        summary { (times(earlier.len() as u64, "earlier change", "earlier changes")) }
                        (parts::table("Earlier changes", "history", &COLUMNS, &rows(earlier, received_at)))
                        @if is_cut { p.dim { "Older ones are not listed." } }
                    }
                }
                (parts::table("History", "history", &COLUMNS, &rows(latest, before)))
            }
        }
    }
}

fn unread(reason: &str) -> Markup {
    html! {
        section {
            h2 { "History" }
            p.dim { "The history could not be read: " (format::foreign(reason)) }
        }
    }
}

/// Each change with the time since the one before; the first with the time since `before`.
fn rows(changes: &[StateChange], before: Option<SystemTime>) -> Markup {
    let before = std::iter::once(before).chain(changes.iter().map(|change| Some(change.at)));
    html! {
        @for (change, before) in changes.iter().zip(before) {
            tr {
                td {
                    time datetime=(format::exact_time(change.at)) title=(format::exact_time(change.at)) {
                        (format::time(change.at))
                    }
                }
                td.number {
                    @if let Some(before) = before {
                        (format::latency(change.at.duration_since(before).unwrap_or_default()))
                    }
                }
                td { (parts::badge(change.state.kind())) }
                td { (details(&change.state)) }
            }
        }
    }
}

/// The details of a change. Unlike those of a current state, with absolute times.
fn details(state: &State) -> Markup {
    html! {
        @match state {
            State::Leased { attempts, crashes } => {
                "attempt " (attempts) " started"
                @if *crashes > 0 { ", after " (times(u64::from(*crashes), "crash", "crashes")) " in a row" }
            },
            State::Pending { attempts, crashes: 0 } => {
                "waits again, with " (times(u64::from(*attempts), "attempt", "attempts"))
            },
            State::Pending { crashes, .. } => {
                "waits again, after " (times(u64::from(*crashes), "crash", "crashes")) " in a row"
            },
            State::Outcome(Outcome::Failed { attempts, due, reason, .. }) => {
                "attempt " (attempts)
                @if let Some(due) = due { ", next attempt at " (format::time(*due)) }
                ": " bdi { (format::foreign(reason)) }
            },
            State::Outcome(_) => (parts::details(state, SystemTime::UNIX_EPOCH)),
        }
    }
}

fn times(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
