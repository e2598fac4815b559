use crate::delivery::DeliveryId;

/// Which run of the handler this is. In the request's extensions, and with feature `axum` an extractor.
///
/// ```
/// use http::Request;
/// use tower_inbox::layer::Attempt;
///
/// fn is_first<B>(request: &Request<B>) -> bool {
///     request.extensions().get::<Attempt>().is_some_and(|attempt| attempt.number() == 1)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub(super) number: u32,
    pub(super) cause: Cause,
    pub(super) version_of: Option<DeliveryId>,
}

impl Attempt {
    pub(super) fn new(number: u32, cause: Cause) -> Self {
        Self { number, cause, version_of: None }
    }

    /// Counted from one. Also those count that a crash ended.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether a worker runs the handler, and no sender waits for the answer.
    pub fn is_in_background(&self) -> bool {
        self.cause == Cause::Taken
    }

    /// Whether the delivery is replayed: its handler may have taken it long ago.
    pub fn is_replay(&self) -> bool {
        self.cause == Cause::Replayed
    }

    /// The delivery in which the same inference was processed before, in other bytes: this is a new version of it.
    pub fn new_version_of(&self) -> Option<DeliveryId> {
        self.version_of
    }
}

/// Why a delivery comes to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its sender has posted it, and waits.
    Posted,
    /// A worker has taken it, since it was not settled.
    Taken,
    /// Somebody wants to see it handled once more.
    Replayed,
}
