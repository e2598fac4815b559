use crate::{
    archive::ArchiveError,
    delivery::{Delivery, DeliveryId, Outcome},
    layer::{dedup::Thing, step::Archived},
};

/// Leaves the first delivery of a repeat to the workers once more, if it is not going to be handled otherwise. On return
/// that is durable.
pub(super) async fn take_up_again(archived: &Archived) -> Result<(), ArchiveError> {
    let (custody, id) = (&archived.custody, archived.delivery.id());
    // Whoever has the turn handles it, or takes it up for another repeat.
    let Some(turn) = custody.turns().take_now(Thing::Delivery(id)) else { return Ok(()) };
    let outcome = custody.archive().outcome(id).await?;
    if let Some(again) = outcome.filter(is_wanted).and_then(|outcome| outcome.again()) {
        let delivery = from_the_start(archived, again).await?;
        // Workers do not wait for it.
        drop(turn);
        custody.take_up(&delivery);
    }
    Ok(())
}

/// Whether its sender may have it handled once more by repeating it, as it may inline.
fn is_wanted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Dead { put_aside: false, .. } | Outcome::Undecodable { .. })
}

/// The delivery that is pending now.
async fn from_the_start(archived: &Archived, again: Outcome) -> Result<Delivery, ArchiveError> {
    let (archive, delivery) = (archived.custody.archive(), archived.delivery.clone());
    archive.settle(delivery.id(), again).await?;
    if archive.get(delivery.id()).await?.is_some() {
        return Ok(delivery);
    }
    // Its body was removed. Not settled, it is no more what the same bytes repeat.
    let anew = delivery.with_id(DeliveryId::new());
    let receipt = archive.append(anew.clone()).await?;
    Ok(anew.with_id(receipt.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_gets_another_run_of_what_was_refused_and_of_nothing_else() {
        for (outcome, wanted) in [
            (Outcome::dead("404"), true),
            (Outcome::undecodable("$"), true),
            (Outcome::put_aside("it ended the process"), false),
            (Outcome::failed("503"), false),
            (Outcome::processed(200), false),
            (Outcome::Pending { attempts: 1, crashes: 0, running: false }, false),
        ] {
            assert_eq!(is_wanted(&outcome), wanted, "{outcome}");
        }
    }
}
