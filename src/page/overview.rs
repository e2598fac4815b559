//! The first page: health, backlog, activity, and the numbers of each model.

use std::{collections::BTreeSet, iter, time::SystemTime};

use maud::{Markup, html};

use super::{
    activity::{self, LastActivity, Span},
    address::{Action, View},
    drift,
    filter::{Filter, States},
    format,
    html::{self, Column, Page, Tab},
    latency, nodes,
};
use crate::{
    archive::{ArchiveError, Counts, Node, StorageUsage},
    delivery::{ModelName, StateKind},
    inbox::{HealthReport, Inbox, OverdueResult},
};

struct Facts {
    counts: Counts,
    models: BTreeSet<ModelName>,
    paused: Vec<ModelName>,
    usage: Option<StorageUsage>,
    quarantined: Option<u64>,
    has_workers: bool,
    overdue: Vec<OverdueResult>,
    nodes: Vec<Node>,
    bytes_in_flight: usize,
    now: SystemTime,
}

pub(super) async fn page(
    inbox: &Inbox,
    health: &HealthReport,
    activity: &LastActivity,
    span: Span,
) -> Result<Page, ArchiveError> {
    let facts = facts(inbox).await?;
    let activity = activity.get(inbox, span).await;
    let content = html! {
        h1.hidden { "Overview" }
        div.cards {
            (health_card(health))
            (backlog_card(&facts))
            (dead_card(&facts))
            (space_card(&facts))
        }
        (activity::figure(span, &activity))
        (models(&facts))
        (overdue(&facts))
        (nodes::section(&facts.nodes))
        (latency::section(&inbox.processor.latencies().summaries()))
        (drift::section(inbox.models.drift(), facts.now))
    };
    Ok(Page { title: "Overview".to_owned(), tab: Some(Tab::Overview), is_live: true, content })
}

async fn facts(inbox: &Inbox) -> Result<Facts, ArchiveError> {
    let archive = inbox.archive();
    let (counts, paused) = (archive.counts().await?, archive.paused().await?);
    let configured = inbox.models.names();
    let all = counts.models().cloned().chain(configured).chain(paused.iter().cloned());
    let quarantined = match inbox.quarantine() {
        Some(quarantine) => {
            let counts = quarantine.archive().counts().await?;
            Some(StateKind::ALL.into_iter().map(|kind| counts.of_all(kind)).sum())
        }
        None => None,
    };
    Ok(Facts {
        models: all.collect(),
        paused,
        // The page is useful without it.
        usage: archive.usage().await.unwrap_or_default(),
        quarantined,
        has_workers: inbox.pool.handler().is_some(),
        overdue: inbox.overdue().await.unwrap_or_default(),
        nodes: archive.nodes().await.unwrap_or_default(),
        bytes_in_flight: inbox.bytes_in_flight(),
        now: inbox.clock.now(),
        counts,
    })
}

fn card(title: &str, tone: &str, value: &Markup, details: &Markup) -> Markup {
    html! {
        div.card.(tone) {
            h2 { (title) }
            p.value { (value) }
            p.dim { (details) }
        }
    }
}

fn health_card(health: &HealthReport) -> Markup {
    let (tone, word) = match (health.is_ready() && health.is_live(), health.reasons()) {
        (false, _) => ("bad", "unavailable"),
        (true, []) => ("good", "healthy"),
        (true, _) => ("warn", "degraded"),
    };
    let reasons: Vec<_> =
        health.reasons().iter().map(|reason| reason.as_str().replace('_', " ")).collect();
    let reasons = if reasons.is_empty() { "no problems".to_owned() } else { reasons.join(", ") };
    card("Health", tone, &html! { (word) }, &html! { (reasons) })
}

fn backlog_card(facts: &Facts) -> Markup {
    let unsettled: u64 = facts.models.iter().map(|model| facts.counts.unsettled(model)).sum();
    let oldest = facts.counts.oldest_unsettled();
    let view = View::deliveries(Filter::of_states(States::Unsettled));
    let details = html! {
        @match oldest {
            Some(at) => { "oldest: " (since(at, facts.now)) },
            None => { "nothing waits" },
        }
        ", " (format::bytes(facts.bytes_in_flight as u64)) " in flight"
    };
    card("Not settled", "", &linked(unsettled, &view), &details)
}

fn dead_card(facts: &Facts) -> Markup {
    let [dead, undecodable] =
        [StateKind::Dead, StateKind::Undecodable].map(|kind| facts.counts.of_all(kind));
    let view = View::deliveries(Filter::of_states(States::DeadLetters));
    let details = html! {
        (format::number(dead)) " dead, " (format::number(undecodable)) " undecodable"
        @if let Some(quarantined) = facts.quarantined {
            ", "
            a href=(View::Quarantine { after: None }.link()) { (format::number(quarantined)) " in quarantine" }
        }
    };
    let tone = if dead + undecodable > 0 { "bad" } else { "" };
    card("Dead letters", tone, &linked(dead + undecodable, &view), &details)
}

fn space_card(facts: &Facts) -> Markup {
    match facts.usage {
        None => {
            card("Space", "", &html! { "unknown" }, &html! { "the archive does not report it" })
        }
        Some(StorageUsage { used, free, .. }) => {
            let free = free.map(|free| format!("{} free", format::bytes(free)));
            let details = html! { (free.unwrap_or_else(|| "free space unknown".to_owned())) };
            card("Space", "", &html! { (format::bytes(used)) }, &details)
        }
    }
}

fn linked(number: u64, view: &View) -> Markup {
    html! { a href=(view.link()) { (format::number(number)) } }
}

/// The most overdue results in the table.
const MOST_OVERDUE: usize = 50;

/// Expected results that did not arrive. Nothing if there are none.
fn overdue(facts: &Facts) -> Markup {
    let columns = ["model", "id", "overdue for", "last check"].map(Column::Text);
    let rows = html! {
        @for result in facts.overdue.iter().take(MOST_OVERDUE) {
            tr {
                td { (format::foreign(result.model.as_str())) }
                td { code { (format::foreign(&result.id)) } }
                td { (since(result.due_at, facts.now)) }
                td { (format::foreign(&result.reason)) }
            }
        }
    };
    html! {
        @if !facts.overdue.is_empty() {
            section {
                h2 { "Overdue results" }
                (html::table("Overdue results", "", &columns, &rows))
                (html::more(facts.overdue.len(), MOST_OVERDUE))
            }
        }
    }
}

fn since(time: SystemTime, now: SystemTime) -> String {
    format::duration(now.duration_since(time).unwrap_or_default())
}

fn models(facts: &Facts) -> Markup {
    let kinds = StateKind::ALL.into_iter().map(|kind| Column::Number(kind.as_str()));
    let columns: Vec<_> =
        iter::once(Column::Text("model")).chain(kinds).chain([Column::Text("workers")]).collect();
    let rows = html! { @for model in &facts.models { (row(model, facts)) } };
    html! {
        section {
            h2 { "Models" }
            @if facts.models.is_empty() {
                p.dim { "The inbox has no models, and the archive has no deliveries." }
            } @else {
                (html::table("Models", "counts", &columns, &rows))
            }
        }
    }
}

fn row(model: &ModelName, facts: &Facts) -> Markup {
    let filter = Filter::of_model(model);
    let paused = facts.paused.contains(model);
    html! {
        tr {
            th scope="row" { a href=(View::deliveries(filter.clone()).link()) { (model.as_str()) } }
            @for kind in StateKind::ALL {
                @let count = facts.counts.of(model, kind);
                td.number.(kind.as_str()) {
                    @if count > 0 {
                        (linked(count, &View::deliveries(filter.clone().states(States::Only(kind)))))
                    } @else {
                        span.dim { "0" }
                    }
                }
            }
            td.pause {
                @if paused {
                    span.badge.paused { "paused" }
                    (html::button(&Action::Resume(model.clone()), "Resume"))
                } @else if facts.has_workers {
                    (html::button(&Action::Pause(model.clone()), "Pause"))
                }
            }
        }
    }
}
