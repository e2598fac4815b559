use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::delivery::DeliveryId;

/// The deliveries of one model that wait to be handled.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeSet<Ticket>,
    /// Apart from the others, which do not wait for them.
    suspects: BTreeSet<Ticket>,
    /// How many are being handled by workers.
    pub(super) running: usize,
    pub(super) paused: bool,
    /// When it was last served, as a count of what was served of all models.
    pub(super) served: u64,
    /// Whether there are more in the archive, for which there was no room here.
    pub(super) spilled: bool,
}

/// A place in the queue: what is due first comes first, and of two that are due at once the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) due: Instant,
    pub(super) number: u64,
    pub(super) id: DeliveryId,
}

impl Queue {
    pub(super) fn insert(&mut self, ticket: Ticket, suspect: bool) {
        self.tickets(suspect).insert(ticket);
    }

    pub(super) fn remove(&mut self, ticket: &Ticket, suspect: bool) {
        self.tickets(suspect).remove(ticket);
    }

    fn tickets(&mut self, suspect: bool) -> &mut BTreeSet<Ticket> {
        if suspect { &mut self.suspects } else { &mut self.waiting }
    }

    /// What comes first; of suspects only `with_suspects`.
    pub(super) fn first(&self, with_suspects: bool) -> Option<Ticket> {
        let suspect = with_suspects.then(|| self.suspects.first()).flatten();
        self.waiting.first().into_iter().chain(suspect).min().copied()
    }

    /// What comes last.
    pub(super) fn last(&self) -> Option<Ticket> {
        self.waiting.last().max(self.suspects.last()).copied()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.suspects.len()
    }
}
