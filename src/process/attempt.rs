use crate::{archive::Lease, delivery::DeliveryId};

/// Which run of the handler this is. In the request extensions; with feature `axum` an extractor.
///
/// ```
/// use http::Request;
/// use tower_inbox::layer::Attempt;
///
/// fn is_first<B>(request: &Request<B>) -> bool {
///     request.extensions().get::<Attempt>().is_some_and(|attempt| attempt.number() == 1)
/// }
/// ```
///
/// A unit test of a handler creates the attempt itself:
///
/// ```
/// use tower_inbox::layer::Attempt;
///
/// let second = Attempt::new(2).in_background();
/// assert!(second.is_in_background() && !second.is_replay());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    number: u32,
    trigger: Trigger,
    lease: Option<Lease>,
    earlier_version: Option<DeliveryId>,
}

/// What caused a run of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The sender posted the delivery, and waits for the response.
    Request,
    /// A worker claimed the delivery.
    Worker,
    /// The delivery is replayed.
    Replay,
}

impl Attempt {
    /// Creates an attempt whose sender waits for the response, without a lease, for unit tests of handlers.
    pub fn new(number: u32) -> Self {
        Self { number, trigger: Trigger::Request, lease: None, earlier_version: None }
    }

    /// Makes it an attempt of a worker.
    pub fn in_background(self) -> Self {
        Self { trigger: Trigger::Worker, ..self }
    }

    /// Makes it a replay.
    pub fn as_replay(self) -> Self {
        Self { trigger: Trigger::Replay, ..self }
    }

    /// Sets the delivery in which the same version of the inference was processed before, in other bytes.
    pub fn as_new_version_of(self, earlier: DeliveryId) -> Self {
        Self { earlier_version: Some(earlier), ..self }
    }

    pub(super) fn of(trigger: Trigger, lease: Option<Lease>) -> Self {
        let number = lease.map_or(1, |lease| lease.attempt());
        Self { number, trigger, lease, earlier_version: None }
    }

    pub(super) fn with_earlier_version(self, earlier_version: Option<DeliveryId>) -> Self {
        Self { earlier_version, ..self }
    }

    /// The number of the attempt, from 1. Attempts that ended in a crash count. 1 in a replay of a settled delivery.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns true if a worker runs the handler, and no sender waits for the response.
    pub fn is_in_background(&self) -> bool {
        self.trigger == Trigger::Worker
    }

    /// Returns true if the delivery is replayed: its handler may have accepted it before.
    pub fn is_replay(&self) -> bool {
        self.trigger == Trigger::Replay
    }

    /// The lease of the delivery. None in a replay of a settled delivery.
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// The delivery in which the same version of the inference was processed before, in other bytes.
    pub fn new_version_of(&self) -> Option<DeliveryId> {
        self.earlier_version
    }
}
