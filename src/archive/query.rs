use std::time::SystemTime;

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
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Wanted {
    #[default]
    Any,
    Pending,
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

    /// Only those whose latest outcome is of this kind.
    pub fn outcome(mut self, kind: OutcomeKind) -> Self {
        self.outcome = Wanted::Outcome(kind);
        self
    }

    /// Only those that have no outcome yet.
    pub fn pending(mut self) -> Self {
        self.outcome = Wanted::Pending;
        self
    }

    /// Only those that are done with: their latest outcome is another than failed, which will be tried again.
    pub fn settled(mut self) -> Self {
        self.outcome = Wanted::Settled;
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
        match self.outcome {
            Wanted::Any => true,
            Wanted::Pending => outcome.is_none(),
            Wanted::Settled => outcome.is_some_and(|outcome| outcome.kind() != OutcomeKind::Failed),
            Wanted::Outcome(kind) => outcome.is_some_and(|outcome| outcome.kind() == kind),
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
    }
}
