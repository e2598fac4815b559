use std::time::SystemTime;

use super::Archived;
use crate::delivery::{Delivery, ModelName, Outcome, OutcomeKind};

/// Selects deliveries of an archive: by model, by time of receipt, by outcome. All of them without another word.
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
    model: Option<ModelName>,
    since: Option<SystemTime>,
    before: Option<SystemTime>,
    outcome: Wanted,
}

#[derive(Clone, Copy, Debug, Default)]
enum Wanted {
    #[default]
    Any,
    Pending,
    Outcome(OutcomeKind),
}

impl Query {
    /// Every delivery.
    pub fn all() -> Self {
        Self::default()
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

    /// Whether `archived` is one of the selected.
    pub fn selects(&self, archived: &Archived) -> bool {
        self.selects_delivery(&archived.delivery) && self.selects_outcome(archived.outcome.as_ref())
    }

    /// Whether a delivery with this latest outcome can be one of the selected.
    pub fn selects_outcome(&self, outcome: Option<&Outcome>) -> bool {
        match self.outcome {
            Wanted::Any => true,
            Wanted::Pending => outcome.is_none(),
            Wanted::Outcome(kind) => outcome.is_some_and(|outcome| outcome.kind() == kind),
        }
    }

    fn selects_delivery(&self, delivery: &Delivery) -> bool {
        self.model.as_ref().is_none_or(|model| model == delivery.model())
            && self.since.is_none_or(|since| since <= delivery.received_at())
            && self.before.is_none_or(|before| delivery.received_at() < before)
    }
}
