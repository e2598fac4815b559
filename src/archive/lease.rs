use std::{fmt, time::Duration};

use uuid::Uuid;

use crate::delivery::DeliveryId;

/// The length of a lease unless it is renewed: 60 s.
pub(crate) const LEASE_LENGTH: Duration = Duration::from_secs(60);

/// The right to process one delivery, until it is settled, released, or expires.
///
/// Only archives create leases. Every write under a lease is fenced by its token: once another process holds the
/// delivery, the archive returns [`ArchiveError::LeaseLost`](super::ArchiveError::LeaseLost).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    id: DeliveryId,
    token: LeaseToken,
    attempt: u32,
    crashes: u32,
}

/// Identifies a lease. Random, so that every lease of a delivery has a different token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(Uuid);

impl LeaseToken {
    /// Creates a random token.
    #[expect(clippy::new_without_default, reason = "two defaults would differ")]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// Creates a token from its bytes, for archives that store tokens.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bytes of the token.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl Lease {
    /// For archives: a lease of `id`, for attempt number `attempt`, after `crashes` crashes in a row.
    pub fn new(id: DeliveryId, token: LeaseToken, attempt: u32, crashes: u32) -> Self {
        Self { id, token, attempt, crashes }
    }

    /// The delivery.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// The token that fences writes.
    pub fn token(&self) -> LeaseToken {
        self.token
    }

    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number of consecutive attempts directly before this one that ended because the process crashed.
    pub fn crashes(&self) -> u32 {
        self.crashes
    }
}
