use super::DeliveryId;

/// Proof that a delivery is durable. No 2xx is answered without one.
///
/// Only an archive makes receipts, and only after the bytes are where its documentation says that they survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a receipt is what allows to answer 2xx"]
pub struct Receipt {
    id: DeliveryId,
    repeat: bool,
}

impl Receipt {
    /// For an archive to give out: `id` has just been made durable.
    pub fn fresh(id: DeliveryId) -> Self {
        Self { id, repeat: false }
    }

    /// For an archive to give out: the same bytes for the same model are durable already, as `first`.
    pub fn repeat(first: DeliveryId) -> Self {
        Self { id: first, repeat: true }
    }

    /// The delivery under which the bytes are archived: of a repeat, the first.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Whether the same bytes were there before.
    pub fn is_repeat(&self) -> bool {
        self.repeat
    }
}
