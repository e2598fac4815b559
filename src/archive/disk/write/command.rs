//! Commands to the writer, and their results.

use tokio::{sync::oneshot, time::Instant};

use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveError, Claim, Claimed, Lease, Query, Release,
        disk::format::entry::Place,
    },
    delivery::{DeliveryId, Outcome, State},
};

/// The channel for the result of a command. The caller may no longer be waiting for it.
pub(in crate::archive::disk) type Reply<T> = oneshot::Sender<Result<T, ArchiveError>>;

/// A transition, or another change that must be ordered with transitions.
#[derive(Debug)]
pub(in crate::archive::disk) enum Command {
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
    /// Resets the listed deliveries that `query` selects and that can be retried to pending. Returns their number.
    Retry {
        ids: Vec<DeliveryId>,
        query: Query,
        now: Instant,
        reply: Reply<u64>,
    },
    /// Removes the listed deliveries that `query` selects. Returns their ids.
    Remove {
        ids: Vec<DeliveryId>,
        query: Query,
        reply: Reply<Vec<DeliveryId>>,
    },
    /// Reports that the record of a delivery is damaged.
    Unreadable {
        id: DeliveryId,
        place: Place,
    },
    /// Records a state that the index already has.
    Record {
        id: DeliveryId,
        state: State,
        now: Instant,
    },
    /// Seals the active segment, so that it can be rewritten.
    Seal(Reply<()>),
}

impl Command {
    /// Returns the time at which the command was issued, if it matters.
    pub(in crate::archive::disk) fn now(&self) -> Option<Instant> {
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

    /// Answers a command that was not executed, because the archive is closed.
    pub(in crate::archive::disk) fn refuse(self) {
        match self {
            Self::Append { reply, .. } => refuse(reply),
            Self::Claim { reply, .. } => refuse(reply),
            Self::Acquire { reply, .. } => refuse(reply),
            Self::Settle { reply, .. } | Self::Release { reply, .. } | Self::Seal(reply) => {
                refuse(reply);
            }
            Self::Retry { reply, .. } => refuse(reply),
            Self::Remove { reply, .. } => refuse(reply),
            Self::Unreadable { .. } | Self::Record { .. } => {}
        }
    }
}

fn refuse<T>(reply: Reply<T>) {
    drop(reply.send(Err(ArchiveError::Closed)));
}

/// The leases in a result. They must be released if the caller does not take the result.
pub(in crate::archive::disk) trait Leases: Send + 'static {
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

/// Returns the commands that release leases that were not taken.
pub(in crate::archive::disk) fn releases(
    answer: &impl Leases,
    now: Instant,
) -> impl Iterator<Item = Command> {
    answer.leases().into_iter().map(move |lease| Command::Release {
        lease,
        release: Release::After(std::time::Duration::ZERO),
        now,
        reply: oneshot::channel().0,
    })
}

/// Completes a command by sending its result.
pub(in crate::archive::disk) struct Answer(
    Box<dyn FnOnce(Result<(), ArchiveError>) -> Vec<Command> + Send>,
);

impl Answer {
    /// Sends `value` unless the batch fails.
    pub(in crate::archive::disk) fn new<T: Leases>(
        reply: Reply<T>,
        value: T,
        now: Instant,
    ) -> Self {
        Self(Box::new(move |result| match reply.send(result.map(|()| value)) {
            Err(Ok(untaken)) => releases(&untaken, now).collect(),
            Ok(()) | Err(Err(_)) => Vec::new(),
        }))
    }

    /// Like [`new`](Self::new), for results without leases.
    pub(in crate::archive::disk) fn without_lease<T: Send + 'static>(
        reply: Reply<T>,
        value: T,
    ) -> Self {
        Self(Box::new(move |result| {
            drop(reply.send(result.map(|()| value)));
            Vec::new()
        }))
    }

    /// Always sends an error.
    pub(in crate::archive::disk) fn refusal<T: Send + 'static>(
        reply: Reply<T>,
        error: ArchiveError,
    ) -> Self {
        Self(Box::new(move |result| {
            drop(reply.send(Err(result.err().unwrap_or(error))));
            Vec::new()
        }))
    }

    /// Sends the result. Returns the commands that release leases that were not taken.
    pub(in crate::archive::disk) fn done(self) -> Vec<Command> {
        (self.0)(Ok(()))
    }

    pub(in crate::archive::disk) fn failed(self, error: ArchiveError) {
        // An error holds no leases.
        drop((self.0)(Err(error)));
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
