//! What the writer is asked to do, and the answers.

use tokio::{sync::oneshot, time::Instant};

use super::entry::Place;
use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveError, Claim, Claimed, Lease, Query, Release,
    },
    delivery::{DeliveryId, Outcome, State},
};

/// Where the answer to a command goes. Its caller may not be waiting for it any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, ArchiveError>>;

/// A transition, or another change that has to be ordered with transitions.
#[derive(Debug)]
pub(super) enum Command {
    Append {
        append: Append,
        now: Instant,
        reply: Reply<Appended>,
    },
    Claim {
        claim: Claim,
        now: Instant,
        reply: Reply<Claimed>,
    },
    Acquire {
        acquire: Acquire,
        now: Instant,
        reply: Reply<Acquired>,
    },
    Settle {
        lease: Lease,
        outcome: Outcome,
        due: Instant,
        reply: Reply<()>,
    },
    Release {
        lease: Lease,
        release: Release,
        now: Instant,
        reply: Reply<()>,
    },
    /// Makes those of these deliveries pending that `query` selects and that can be retried. Answers how many.
    Retry {
        ids: Vec<DeliveryId>,
        query: Query,
        now: Instant,
        reply: Reply<u64>,
    },
    /// Gives up those of these deliveries that `query` selects. Answers which.
    Remove {
        ids: Vec<DeliveryId>,
        query: Query,
        reply: Reply<Vec<DeliveryId>>,
    },
    /// The record of a delivery was found damaged.
    Unreadable {
        id: DeliveryId,
        place: Place,
    },
    /// Records a state that the index has already.
    Record {
        id: DeliveryId,
        state: State,
        now: Instant,
    },
    /// Seals the segment that is being written, so that it can be rewritten.
    Seal(Reply<()>),
}

impl Command {
    /// When it was given, if that matters.
    pub(super) fn now(&self) -> Option<Instant> {
        match self {
            Self::Append { now, .. }
            | Self::Claim { now, .. }
            | Self::Acquire { now, .. }
            | Self::Release { now, .. }
            | Self::Retry { now, .. }
            | Self::Record { now, .. } => Some(*now),
            Self::Settle { .. } | Self::Remove { .. } | Self::Unreadable { .. } | Self::Seal(_) => {
                None
            }
        }
    }
}

/// The leases in an answer. If nobody takes the answer, they have to be released.
pub(super) trait Leases: Send + 'static {
    fn leases(&self) -> Vec<Lease> {
        Vec::new()
    }
}

impl Leases for () {}

impl Leases for u64 {}

impl Leases for Vec<DeliveryId> {}

impl Leases for Appended {
    fn leases(&self) -> Vec<Lease> {
        self.lease.into_iter().collect()
    }
}

impl Leases for Acquired {
    fn leases(&self) -> Vec<Lease> {
        self.lease.into_iter().collect()
    }
}

impl Leases for Claimed {
    fn leases(&self) -> Vec<Lease> {
        self.leases.iter().map(|(_, lease)| *lease).collect()
    }
}

/// The commands that release what nobody has taken.
pub(super) fn releases(answer: &impl Leases, now: Instant) -> impl Iterator<Item = Command> {
    answer.leases().into_iter().map(move |lease| Command::Release {
        lease,
        release: Release::After(std::time::Duration::ZERO),
        now,
        reply: oneshot::channel().0,
    })
}

/// Answers a command.
pub(super) struct Answer(Box<dyn FnOnce(Result<(), ArchiveError>) -> Vec<Command> + Send>);

impl Answer {
    /// Answers with `value`, if nothing fails.
    pub(super) fn new<T: Leases>(reply: Reply<T>, value: T, now: Instant) -> Self {
        Self(Box::new(move |result| match reply.send(result.map(|()| value)) {
            Err(Ok(untaken)) => releases(&untaken, now).collect(),
            Ok(()) | Err(Err(_)) => Vec::new(),
        }))
    }

    /// The same for answers without leases.
    pub(super) fn without_lease<T: Send + 'static>(reply: Reply<T>, value: T) -> Self {
        Self(Box::new(move |result| {
            drop(reply.send(result.map(|()| value)));
            Vec::new()
        }))
    }

    /// Answers with an error, whatever happens.
    pub(super) fn refusal<T: Send + 'static>(reply: Reply<T>, error: ArchiveError) -> Self {
        Self(Box::new(move |result| {
            drop(reply.send(Err(result.err().unwrap_or(error))));
            Vec::new()
        }))
    }

    /// Answers. Returns the commands that release what nobody takes.
    pub(super) fn done(self) -> Vec<Command> {
        (self.0)(Ok(()))
    }

    pub(super) fn failed(self, error: ArchiveError) {
        // A failure leases nothing.
        drop((self.0)(Err(error)));
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
