//! The frame, the navigation, and parts that several pages have.

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, html};

use super::{
    address::{Action, Done, DoneKind, File, View},
    filter::{Filter, States},
    format,
};
use crate::delivery::{DeliveryId, Outcome, State, StateKind};

/// A page without its frame.
pub(super) struct Page {
    pub(super) title: String,
    /// The link of the navigation that is marked as the current one.
    pub(super) tab: Option<Tab>,
    /// Whether the script replaces the content when something changes.
    pub(super) is_live: bool,
    pub(super) content: Markup,
}

/// A link of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Deliveries,
    DeadLetters,
    Quarantine,
    Temporary,
}

/// What the frame shows around a page.
pub(super) struct Frame<'a> {
    pub(super) archive: &'a str,
    pub(super) user: &'a str,
    pub(super) has_quarantine: bool,
    /// The result of the action that led here.
    pub(super) done: Option<Done>,
}

/// The whole document.
pub(super) fn document(page: &Page, frame: &Frame<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · inbox" }
                link rel="icon" href=(File::Icon.link());
                link rel="stylesheet" href=(File::Style.link());
                script src=(File::Script.link()) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header(page.tab, frame))
                @if let Some(done) = frame.done { p.notice role="status" { (result(done)) } }
                main #main data-live[page.is_live] { (page.content) }
            }
        }
    }
}

fn header(current: Option<Tab>, frame: &Frame<'_>) -> Markup {
    let dead_letters = View::deliveries(Filter::of_states(States::DeadLetters));
    let tabs = [
        (Tab::Overview, "Overview", View::Overview, true),
        (Tab::Deliveries, "Deliveries", View::deliveries(Filter::default()), true),
        (Tab::DeadLetters, "Dead letters", dead_letters, true),
        (Tab::Quarantine, "Quarantine", View::Quarantine { after: None }, frame.has_quarantine),
        (Tab::Temporary, "Temporary endpoints", View::TemporaryEndpoints, true),
    ];
    html! {
        header {
            a.brand href=(View::Overview.link()) { "inbox" }
            nav aria-label="Pages" {
                @for (tab, name, view, _) in tabs.iter().filter(|(.., shown)| *shown) {
                    a href=(view.link()) aria-current=[(current == Some(*tab)).then_some("page")] { (name) }
                }
            }
            span.where title="archive" { (frame.archive) }
            span.who title="user" { (frame.user) }
            span.live hidden role="img" aria-label="updated live" title="updated live" {}
        }
    }
}

/// The sentence about an action that succeeded.
fn result(done: Done) -> String {
    let count = |what: &str| match done.number {
        1 => format!("1 delivery {what}."),
        number => format!("{} deliveries {what}.", format::number(number)),
    };
    match done.what {
        DoneKind::Retried => count("requeued"),
        DoneKind::Erased => count("erased"),
        DoneKind::Released => count("released"),
        DoneKind::Replayed => format!("Replayed. The handler returned {}.", done.number),
        DoneKind::Paused => "The model is paused. Its new deliveries wait.".to_owned(),
        DoneKind::Resumed => "The model is resumed.".to_owned(),
        DoneKind::Created => format!("Temporary endpoint {} created.", done.number),
        DoneKind::Deleted => format!("Temporary endpoint {} deleted.", done.number),
    }
}

/// A page with a message instead of content.
pub(super) fn message(title: &str, text: &str) -> Page {
    let content = html! {
        h1 { (title) }
        p { (format::foreign(text)) }
        p { a href=(View::Overview.link()) { "Overview" } }
    };
    Page { title: title.to_owned(), tab: None, is_live: false, content }
}

/// The head of a column.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    Text(&'a str),
    /// Aligned right.
    Number(&'a str),
}

/// A table that scrolls sideways where it is wider than the page. `class` says how it looks on phones; it may be empty.
pub(super) fn table(label: &str, class: &str, columns: &[Column<'_>], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table class=[(!class.is_empty()).then_some(class)] {
                thead {
                    tr {
                        @for column in columns {
                            @match column {
                                Column::Text(name) => th scope="col" { (name) },
                                Column::Number(name) => th.number scope="col" { (name) },
                            }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// The number of rows beyond the most that are shown. Nothing if all are shown.
pub(super) fn more(total: usize, most: usize) -> Markup {
    html! { @if total > most { p.dim { "and " (total - most) " more" } } }
}

/// A button that runs an action at once.
pub(super) fn button(action: &Action, label: &str) -> Markup {
    html! {
        form method="post" action=(action.link()) { button type="submit" { (label) } }
    }
}

/// A link to the page that asks for a confirmation.
pub(super) fn confirmed(action: Action, label: &str) -> Markup {
    let is_danger = matches!(action, Action::Erase(..));
    html! { a.button.danger[is_danger] href=(View::Confirm(action).link()) { (label) } }
}

/// A state with a mark in its color. The name is always beside it, for those who cannot see the color.
pub(super) fn badge(kind: StateKind) -> Markup {
    html! { span.badge.(kind.as_str()) { (kind.as_str()) } }
}

/// A time, with its age.
pub(super) fn moment(at: SystemTime, now: SystemTime) -> Markup {
    let age = format::duration(now.duration_since(at).unwrap_or_default());
    html! {
        time datetime=(format::exact_time(at)) title=(format::exact_time(at)) { (format::time(at)) }
        " "
        span.age.dim { (age) " ago" }
    }
}

/// The end of an id, which is random: the beginnings of ids of one minute are equal.
pub(super) fn short_id(id: DeliveryId) -> String {
    let text = id.to_string();
    format!("…{}", text.get(text.len().saturating_sub(12)..).unwrap_or_default())
}

/// The details of a state in a few words.
pub(super) fn details(state: &State, now: SystemTime) -> Markup {
    html! {
        @match state {
            State::Pending { attempts, crashes } | State::Leased { attempts, crashes } => {
                @if *attempts > 0 { "attempt " (attempts) }
                @if *crashes > 0 { ", after " (crashes) " crashes" }
            },
            State::Outcome(outcome) => (outcome_details(outcome, now)),
        }
    }
}

fn outcome_details(outcome: &Outcome, now: SystemTime) -> Markup {
    html! {
        @match outcome {
            Outcome::Processed { status, .. } => { "status " (status) },
            Outcome::Failed { attempts, due, reason, .. } => {
                "attempt " (attempts) ", " (next_attempt(*due, now)) ": " bdi { (format::foreign(reason)) }
            },
            Outcome::Dead { reason, poisoned, .. } => {
                @if *poisoned { strong { "poisoned" } ": " }
                bdi { (format::foreign(reason)) }
            },
            Outcome::Undecodable { reason } => bdi { (format::foreign(reason)) },
            Outcome::Repeat { of } => {
                "of "
                a href=(View::delivery(super::address::Place::Archive, *of).link()) { code { (short_id(*of)) } }
            },
        }
    }
}

/// When a failed delivery is tried again.
fn next_attempt(due: Option<SystemTime>, now: SystemTime) -> String {
    match due.and_then(|due| due.duration_since(now).ok()) {
        Some(wait) => format!("again in {}", format::duration(wait)),
        None => "again now".to_owned(),
    }
}
