//! The pages that ask for a confirmation.

use maud::{Markup, html};

use super::{
    address::{Action, Place, View},
    deliveries,
    filter::{Filter, is_retryable},
    format,
    html::Page,
};
use crate::{archive::ArchiveError, inbox::Inbox};

pub(super) async fn page(inbox: &Inbox, action: Action) -> Result<Page, ArchiveError> {
    let (title, text, back) = match &action {
        Action::Erase(place, id) => {
            let text = html! {
                p { "The head and the body of " code { (id) } " are erased permanently. Backups are not changed." }
                @if *place == Place::Archive {
                    p { "Repeats of a processed delivery are still recognized." }
                }
            };
            ("Erase this delivery?", text, View::delivery(*place, *id))
        }
        Action::Replay(id) => {
            let text = html! {
                p { "The handler runs for " code { (id) } " again, also if it was processed." }
            };
            ("Replay this delivery?", text, View::delivery(Place::Archive, *id))
        }
        Action::RetryAll(filter) => (
            "Retry these deliveries?",
            retried(inbox, filter).await?,
            View::deliveries(filter.clone()),
        ),
        Action::ReleaseAll => {
            let text = html! {
                p {
                    "Every delivery in the quarantine is verified again, with the secrets that its model has now. Those that pass "
                    "are moved to the archive and processed."
                }
            };
            ("Release the quarantine?", text, View::Quarantine { after: None })
        }
        Action::Retry(id) => {
            ("Retry this delivery?", html! {}, View::delivery(Place::Archive, *id))
        }
        Action::Release(id) => {
            ("Release this delivery?", html! {}, View::delivery(Place::Quarantine, *id))
        }
        Action::Pause(_) => ("Pause this model?", html! {}, View::Overview),
        Action::Resume(_) => ("Resume this model?", html! {}, View::Overview),
        Action::CreateEndpoint => {
            ("Create a temporary endpoint?", html! {}, View::TemporaryEndpoints)
        }
        Action::DeleteEndpoint(number) => {
            ("Delete this temporary endpoint?", html! {}, View::TemporaryEndpoint(*number))
        }
    };
    let action = match action {
        Action::RetryAll(filter) => Action::RetryAll(filter.fixed()),
        other => other,
    };
    let content = html! {
        section.confirm {
            h1 { (title) }
            (text)
            form method="post" action=(action.link()) {
                button.danger[matches!(action, Action::Erase(..))] type="submit" { (verb(&action)) }
                a.button href=(back.link()) { "Cancel" }
            }
        }
    };
    Ok(Page { title: title.to_owned(), tab: None, is_live: false, content })
}

/// How many deliveries a retry changes.
async fn retried(inbox: &Inbox, filter: &Filter) -> Result<Markup, ArchiveError> {
    let models = deliveries::models(inbox).await?;
    let mut count = 0;
    for query in filter.queries(&models) {
        let mut entries = inbox.archive().ledger(query);
        while let Some(entry) = entries.next().await {
            count += u64::from(is_retryable(entry?.state.kind()));
        }
    }
    Ok(html! {
        p {
            strong { (format::number(count)) }
            " dead, undecodable or failed deliveries match. They become pending, and their attempts start from 1."
        }
        dl.facts {
            @for (name, value) in filter.clone().fixed().parameters() {
                div { dt { (name) } dd { (format::foreign(&value)) } }
            }
        }
    })
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Erase(..) => "Erase",
        Action::Replay(_) => "Replay",
        Action::Retry(_) | Action::RetryAll(_) => "Retry",
        Action::Release(_) | Action::ReleaseAll => "Release",
        Action::Pause(_) => "Pause",
        Action::Resume(_) => "Resume",
        Action::CreateEndpoint => "Create",
        Action::DeleteEndpoint(_) => "Delete",
    }
}
