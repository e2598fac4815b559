//! The list of deliveries with its filter.

use std::{collections::BTreeSet, time::SystemTime};

use maud::{Markup, html};

use super::{
    address::{Action, Cursor, Place, View},
    filter::{Filter, States},
    format,
    html::{self, Page, Tab},
    listing::{self, Listing},
    search::{self, Found},
};
use crate::{
    archive::{ArchiveError, LedgerEntry},
    delivery::ModelName,
    inbox::Inbox,
};

pub(super) async fn page(
    inbox: &Inbox,
    filter: Filter,
    head: Option<String>,
    after: Option<Cursor>,
) -> Result<Page, ArchiveError> {
    let models = models(inbox).await?;
    let (archive, queries) = (inbox.archive(), filter.queries(&models));
    let (listing, searched) = match &head {
        Some(text) => {
            let Found { listing, searched } = search::page(archive, &queries, text, after).await?;
            (listing, Some(searched))
        }
        None => (listing::page(archive, queries, after).await?, None),
    };
    let tab = match filter.states {
        States::DeadLetters => Tab::DeadLetters,
        _ => Tab::Deliveries,
    };
    let title = if tab == Tab::DeadLetters { "Dead letters" } else { "Deliveries" };
    let next = listing.next.map(|next| View::Deliveries {
        filter: filter.clone(),
        head: head.clone(),
        after: Some(next),
    });
    let first = View::Deliveries { filter: filter.clone(), head: head.clone(), after: None };
    let content = html! {
        div.bar {
            h1 { (title) }
            @if head.is_none() && filter.states.may_be_retryable() && !listing.entries.is_empty() {
                (html::confirmed(Action::RetryAll(filter.clone()), "Retry all that match…"))
            }
        }
        (form(&filter, head.as_deref(), &models))
        @if let Some(searched) = searched {
            p.dim {
                "Searched the heads of " (format::number(searched as u64)) " deliveries"
                @if next.is_some() { "; older ones are on the next page" }
                "."
            }
        }
        (table(&listing, Place::Archive, inbox.clock.now()))
        (pages(after.is_some().then_some(first), next))
    };
    // A search reads too much to be repeated with every change.
    let is_live = after.is_none() && head.is_none();
    Ok(Page { title: title.to_owned(), tab: Some(tab), is_live, content })
}

/// The models of the inbox and of the deliveries in the archive, sorted by name.
pub(super) async fn models(inbox: &Inbox) -> Result<Vec<ModelName>, ArchiveError> {
    let counts = inbox.archive().counts().await?;
    let all: BTreeSet<_> = counts.models().cloned().chain(inbox.models.names()).collect();
    Ok(all.into_iter().collect())
}

fn form(filter: &Filter, head: Option<&str>, models: &[ModelName]) -> Markup {
    // A link may name a model that the archive no longer has.
    let unknown = filter.model.as_ref().filter(|model| !models.contains(model));
    let text = |moment: &Option<super::filter::Moment>| {
        moment.as_ref().map(|moment| moment.text.clone()).unwrap_or_default()
    };
    html! {
        form.filter #filter method="get" action="?" role="search" {
            input type="hidden" name="view" value="deliveries";
            label {
                span { "Model" }
                select #model name="model" {
                    option value="" { "any model" }
                    @for model in models.iter().chain(unknown) {
                        option value=(model.as_str()) selected[filter.model.as_ref() == Some(model)] { (model.as_str()) }
                    }
                }
            }
            label {
                span { "State" }
                select #state name="state" {
                    @for states in States::all() {
                        option value=(states.as_str()) selected[filter.states == states] { (states.label()) }
                    }
                }
            }
            label {
                span { "Since" }
                input #since name="since" value=(text(&filter.since)) placeholder="2h, 2026-01-31" autocomplete="off";
            }
            label {
                span { "Before" }
                input #before name="before" value=(text(&filter.before)) placeholder="30m, 2026-02-01" autocomplete="off";
            }
            label.wide {
                span { "Inference" }
                input #inference name="inference" value=(filter.inference.as_deref().unwrap_or_default())
                    placeholder="the provider's id" autocomplete="off";
            }
            label.wide {
                span { "Text in the head" }
                input #head name="head" value=(head.unwrap_or_default()) placeholder="a header or its value"
                    autocomplete="off";
            }
            button type="submit" { "Filter" }
            @if *filter != Filter::default() || head.is_some() {
                a.button href=(View::deliveries(Filter::default()).link()) { "Clear" }
            }
        }
    }
}

/// The entries of a page, each with a link.
pub(super) fn table(listing: &Listing, place: Place, now: SystemTime) -> Markup {
    html! {
        @if listing.entries.is_empty() {
            p.empty { "No deliveries." }
        } @else {
            table.deliveries {
                thead {
                    tr {
                        th scope="col" { "state" }
                        th scope="col" { "received (UTC)" }
                        th scope="col" { "model" }
                        th scope="col" { "delivery" }
                        th scope="col" { "details" }
                    }
                }
                tbody { @for entry in &listing.entries { (row(entry, place, now)) } }
            }
        }
    }
}

fn row(entry: &LedgerEntry, place: Place, now: SystemTime) -> Markup {
    let LedgerEntry { id, model, received_at, state, .. } = entry;
    let details = match place {
        Place::Archive => html::details(state, now),
        // Quarantined deliveries are not processed, so their state is always pending.
        Place::Quarantine => html! {},
    };
    html! {
        tr data-id=(id) {
            td.state {
                @match place {
                    Place::Archive => (html::badge(state.kind())),
                    Place::Quarantine => span.badge.dead { "rejected" },
                }
            }
            td.received { (html::moment(*received_at, now)) }
            td.model { (model.as_str()) }
            td.id { a href=(View::delivery(place, *id).link()) title=(id) { code { (html::short_id(*id)) } } }
            td.details { (details) }
        }
    }
}

/// Links to the first and to the next page.
pub(super) fn pages(first: Option<View>, next: Option<View>) -> Markup {
    html! {
        nav.pages aria-label="Pages of the list" {
            @if let Some(first) = first { a.button href=(first.link()) { "Newest" } }
            @if let Some(next) = next { a.button rel="next" href=(next.link()) { "Older" } }
        }
    }
}
