//! One delivery: its state, its head, its body, and what can be done with it.

use std::time::SystemTime;

use maud::{Markup, html};

use super::{
    address::{Action, BodyForm, Place, View},
    body::ShownBody,
    curl, deliveries,
    filter::{Filter, States, is_retryable},
    format, history,
    html::{self, Page, Tab},
    listing::{self, Listing},
    quarantine,
};
use crate::{
    archive::{Archive, ArchiveError, Archived, Query},
    delivery::{Delivery, DeliveryId, Head, Provenance, State},
    inbox::Inbox,
    layer::Quarantine,
};

/// The archive at this place; `None` without a quarantine.
pub(super) fn archive(inbox: &Inbox, place: Place) -> Option<&dyn Archive> {
    match place {
        Place::Archive => Some(inbox.archive()),
        Place::Quarantine => inbox.quarantine().map(Quarantine::archive),
    }
}

/// The page of a delivery; `None` if it does not exist.
pub(super) async fn page(
    inbox: &Inbox,
    place: Place,
    id: DeliveryId,
    form: Option<BodyForm>,
) -> Result<Option<Page>, ArchiveError> {
    let Some(archive) = archive(inbox, place) else { return Ok(None) };
    let Some(archived) = archive.get(id).await? else {
        let Some(state) = archive.state(id).await? else { return Ok(None) };
        let history = history::section(archive, id, None).await;
        return Ok(Some(removed(id, &state, &history, inbox)));
    };
    let now = inbox.clock.now();
    let body = ShownBody::new(archived.delivery.body().clone(), form).await;
    let Archived { delivery, state, .. } = &archived;
    let reason = state.outcome().and_then(|outcome| outcome.reason());
    let tab = match place {
        Place::Archive => Tab::Deliveries,
        Place::Quarantine => Tab::Quarantine,
    };
    let of_form = |form| View::Delivery { place, id, body: Some(form) };
    let content = html! {
        div.bar {
            h1 { "Delivery " code { (id) } }
            (actions(inbox, place, id, state))
        }
        @match place {
            Place::Archive => (state_section(state, now)),
            Place::Quarantine => (quarantine::findings(inbox, delivery).await),
        }
        (facts(delivery, state, now))
        @if place == Place::Archive {
            (history::section(archive, id, Some(delivery.received_at())).await)
        }
        (body.html(of_form, &place.download(id), reason))
        (head(delivery.head(), "Secrets were redacted before the head was archived."))
        (command(delivery))
        @if place == Place::Archive { (same_inference(inbox, delivery, state, now).await?) }
    };
    let is_live = place == Place::Archive && !state.is_settled();
    Ok(Some(Page { title: format!("Delivery {id}"), tab: Some(tab), is_live, content }))
}

fn actions(inbox: &Inbox, place: Place, id: DeliveryId, state: &State) -> Markup {
    html! {
        div.actions {
            @match place {
                Place::Archive => {
                    @if is_retryable(state.kind()) { (html::button(&Action::Retry(id), "Retry")) }
                    @if inbox.pool.handler().is_some() {
                        (html::confirmed(Action::Replay(id), "Replay…"))
                    }
                },
                Place::Quarantine => (html::button(&Action::Release(id), "Verify and release")),
            }
            (html::confirmed(Action::Erase(place, id), "Erase…"))
        }
    }
}

fn state_section(state: &State, now: SystemTime) -> Markup {
    let class = state.kind().as_str();
    html! {
        section.outcome.(class) {
            p { (html::badge(state.kind())) " " (html::details(state, now)) }
        }
    }
}

fn facts(delivery: &Delivery, state: &State, now: SystemTime) -> Markup {
    let (proof, head) = (delivery.proof(), delivery.head());
    let of_model = View::deliveries(Filter::of_model(delivery.model()));
    html! {
        dl.facts {
            (fact("Model", &html! { a href=(of_model.link()) { (delivery.model().as_str()) } }))
            (fact("Received", &html::moment(delivery.received_at(), now)))
            @if let Some(peer) = head.peer() { (fact("Peer", &html! { code { (peer) } })) }
            (fact("Proof", &html! {
                @if delivery.provenance() == Provenance::Poll {
                    "fetched from the API of the provider"
                } @else {
                    (format::foreign(proof.scheme())) ", secret " bdi { (format::foreign(proof.secret())) } ", "
                    (format::foreign(proof.form())) " body"
                }
            }))
            @if let Some(id) = proof.message_id() {
                (fact("Message id", &html! { bdi { (format::foreign(id)) } }))
            }
            @if state.attempts() > 0 { (fact("Attempts", &html! { (state.attempts()) })) }
            @if state.crashes() > 0 { (fact("Crashes in a row", &html! { (state.crashes()) })) }
            @if let Some(inference) = state.inference() {
                (fact("Inference", &html! { code { (inference.id()) } }))
            }
            div.wide { dt { "SHA-256" } dd { code.digest { (delivery.digest()) } } }
        }
    }
}

pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The section with a head, and a remark on its secrets.
pub(super) fn head(head: &Head, remark: &str) -> Markup {
    html! {
        section {
            h2 { "Head" }
            pre.head tabindex="0" {
                bdi {
                    (head.method()) " " (format::foreign(&head.uri().to_string())) (format!(" {:?}\n", head.version()))
                    @for (name, value) in head.headers() {
                        span.key { (name) } ": " (format::foreign(&String::from_utf8_lossy(value.as_bytes()))) "\n"
                    }
                }
            }
            p.dim { (remark) }
        }
    }
}

fn command(delivery: &Delivery) -> Markup {
    html! {
        section {
            details {
                summary { "As a curl command" }
                pre #curl tabindex="0" { (curl::command(delivery)) }
                button type="button" data-copy="curl" hidden { "Copy" }
                p.dim {
                    "Redacted secrets are missing. A body that is not in the command is read from the downloaded file."
                }
            }
        }
    }
}

/// The other deliveries of the same inference, in any version.
async fn same_inference(
    inbox: &Inbox,
    delivery: &Delivery,
    state: &State,
    now: SystemTime,
) -> Result<Markup, ArchiveError> {
    let Some(inference) = state.inference() else { return Ok(html! {}) };
    let query = Query::all().model(delivery.model().clone()).inference(inference.id());
    let mut found = listing::page(inbox.archive(), vec![query], None).await?;
    found.entries.retain(|entry| entry.id != delivery.id());
    let all = Filter::of_model(delivery.model());
    let all = Filter { inference: Some(inference.id().to_string()), ..all };
    Ok(html! {
        @if !found.entries.is_empty() {
            section {
                h2 { "Other deliveries of this inference" }
                (deliveries::table(&Listing { next: None, ..found }, Place::Archive, now))
                p { a href=(View::deliveries(all.states(States::Any)).link()) { "All of this inference" } }
            }
        }
    })
}

/// The page of a delivery whose head and body were removed.
fn removed(id: DeliveryId, state: &State, history: &Markup, inbox: &Inbox) -> Page {
    let content = html! {
        h1 { "Delivery " code { (id) } }
        p { "Its head and body were removed. Repeats of a settled delivery are still recognized." }
        (state_section(state, inbox.clock.now()))
        (history)
    };
    Page { title: format!("Delivery {id}"), tab: Some(Tab::Deliveries), is_live: false, content }
}
