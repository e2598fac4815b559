//! The quarantine: rejected deliveries, and why they were rejected.

use maud::{Markup, html};

use super::{
    address::{Action, Cursor, Place, View},
    deliveries, doctor, format,
    html::{self, Page, Tab},
    listing,
};
use crate::{
    archive::{ArchiveError, Query},
    delivery::Delivery,
    inbox::{Inbox, NotReleased},
};

pub(super) async fn page(
    inbox: &Inbox,
    after: Option<Cursor>,
) -> Result<Option<Page>, ArchiveError> {
    let Some(quarantine) = inbox.quarantine() else { return Ok(None) };
    let listing = listing::page(quarantine.archive(), vec![Query::all()], after).await?;
    let next = listing.next.map(|next| View::Quarantine { after: Some(next) });
    let content = html! {
        div.bar {
            h1 { "Quarantine" }
            @if !listing.entries.is_empty() {
                (html::confirmed(Action::ReleaseAll, "Verify and release all…"))
            }
        }
        p.dim {
            "Deliveries whose signature was rejected. Release them after you corrected a secret: those that are verified "
            "then are moved to the archive. "
            @if quarantine.discarded() > 0 {
                (format::number(quarantine.discarded())) " were discarded since the start: too many, or too fast."
            }
        }
        (deliveries::table(&listing, Place::Quarantine, inbox.clock.now()))
        (deliveries::pages(after.is_some().then_some(View::Quarantine { after: None }), next))
    };
    let (title, tab) = ("Quarantine".to_owned(), Some(Tab::Quarantine));
    Ok(Some(Page { title, tab, is_live: after.is_none(), content }))
}

/// What the doctor finds for a quarantined delivery, with the secrets of now.
pub(super) async fn findings(inbox: &Inbox, delivery: &Delivery) -> Markup {
    let examined = inbox.examine(delivery).await.map(|(_, proof)| proof);
    html! {
        @match examined {
            Ok(proof) => section.outcome.processed {
                p {
                    strong { "The signature is accepted now, " }
                    "by the secret " bdi { (format::foreign(proof.secret())) } ". Release the delivery."
                }
            },
            Err(NotReleased::Signature { source, doctor: findings, others }) => section.outcome.dead {
                (doctor::explanation(&source, None, &findings, &others))
            },
            Err(error) => section.outcome.dead { p { (format::foreign(&error.to_string())) } },
        }
    }
}
