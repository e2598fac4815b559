use std::{num::NonZeroU64, time::SystemTime};

use super::Archived;
use crate::delivery::{DeliveryId, ModelName, Outcome, OutcomeKind};

/// Selects deliveries of an archive: by id, by model, by time of receipt, by outcome. All of them without another word.
///
/// ```
/// use tower_inbox::archive::Query;
/// use tower_inbox::delivery::OutcomeKind;
///
/// let dead_invoices = Query::all().model("/hooks/invoices".parse()?).outcome(OutcomeKind::Dead);
/// # let _ = dead_invoices;
/// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub(super) id: Option<DeliveryId>,
    pub(super) model: Option<ModelName>,
    pub(super) since: Option<SystemTime>,
    pub(super) before: Option<SystemTime>,
    pub(super) outcome: Wanted,
    pub(super) one_in: Option<NonZeroU64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Wanted {
    #[default]
    Any,
    Pending,
    Unsettled,
    Settled,
    Outcome(OutcomeKind),
}

impl Query {
    /// Every delivery.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only this one.
    pub fn id(mut self, id: DeliveryId) -> Self {
        self.id = Some(id);
        self
    }

    /// Only those for this model.
    pub fn model(mut self, model: ModelName) -> Self {
        self.model = Some(model);
        self
    }

    /// Only those received at this time or later.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Only those received before this time.
    pub fn before(mut self, time: SystemTime) -> Self {
        self.before = Some(time);
        self
    }

    /// Only those whose latest outcome is of this kind. Those without an outcome are pending.
    pub fn outcome(mut self, kind: OutcomeKind) -> Self {
        self.outcome = match kind {
            OutcomeKind::Pending => Wanted::Pending,
            kind => Wanted::Outcome(kind),
        };
        self
    }

    /// Only those that wait for their handler, or whose handler is at work.
    pub fn pending(mut self) -> Self {
        self.outcome = Wanted::Pending;
        self
    }

    /// Only those that are not done with: pending, or failed, which will be tried again.
    pub fn unsettled(mut self) -> Self {
        self.outcome = Wanted::Unsettled;
        self
    }

    /// Only those that are done with: neither pending nor failed, which will be tried again.
    pub fn settled(mut self) -> Self {
        self.outcome = Wanted::Settled;
        self
    }

    /// Only a sample: about one in so many, the same ones each time. With 0 and 1 all of them.
    ///
    /// ```
    /// use tower_inbox::archive::Query;
    ///
    /// let some_of_the_invoices = Query::all().model("/hooks/invoices".parse()?).one_in(100);
    /// # let _ = some_of_the_invoices;
    /// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
    /// ```
    pub fn one_in(mut self, number: u64) -> Self {
        self.one_in = NonZeroU64::new(number);
        self
    }

    /// Whether `archived` is one of the selected.
    pub fn selects(&self, archived: &Archived) -> bool {
        let Archived { delivery, outcome } = archived;
        self.selects_facts(delivery.id(), delivery.model(), delivery.received_at())
            && self.selects_outcome(outcome.as_ref())
    }

    /// Whether a delivery with this latest outcome can be one of the selected.
    pub fn selects_outcome(&self, outcome: Option<&Outcome>) -> bool {
        self.selects_kind(outcome.map_or(OutcomeKind::Pending, Outcome::kind))
    }

    pub(crate) fn selects_kind(&self, kind: OutcomeKind) -> bool {
        match self.outcome {
            Wanted::Any => true,
            Wanted::Unsettled => !kind.is_settled(),
            Wanted::Settled => kind.is_settled(),
            Wanted::Pending => kind == OutcomeKind::Pending,
            Wanted::Outcome(wanted) => kind == wanted,
        }
    }

    /// Whether a delivery of which this is known can be one of the selected.
    pub fn selects_facts(
        &self,
        id: DeliveryId,
        model: &ModelName,
        received_at: SystemTime,
    ) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
            && self.model.as_ref().is_none_or(|wanted| wanted == model)
            && self.since.is_none_or(|since| since <= received_at)
            && self.before.is_none_or(|before| received_at < before)
            && self.one_in.is_none_or(|number| lot(id) % number == 0)
    }
}

/// What chance has given a delivery: the last bits of its id are random (RFC 9562, section 5.7).
fn lot(id: DeliveryId) -> u64 {
    id.as_bytes().last_chunk().map_or(0, |random| u64::from_be_bytes(*random) & (u64::MAX >> 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_about_as_large_as_was_asked_and_the_same_each_time() {
        let model = "/m".parse().unwrap();
        let ids: Vec<_> = (0..4000).map(|_| DeliveryId::new()).collect();
        let sample = |number| -> Vec<_> {
            let query = Query::all().one_in(number);
            let taken =
                |id: &&DeliveryId| query.selects_facts(**id, &model, SystemTime::UNIX_EPOCH);
            ids.iter().filter(taken).collect()
        };
        assert_eq!((sample(0).len(), sample(1).len()), (4000, 4000));
        // Of 4000 by a tenth, 400 with a deviation of 19.
        assert!((250..550).contains(&sample(10).len()), "{}", sample(10).len());
        assert_eq!(sample(10), sample(10));
    }
}
