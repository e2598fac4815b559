use std::{cmp::Reverse, collections::BinaryHeap};

use tokio::time::Instant;

use crate::delivery::DeliveryId;

/// The deliveries of one model that wait to be handled.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BinaryHeap<Reverse<Ticket>>,
    /// How many are being handled by workers.
    pub(super) running: usize,
    pub(super) paused: bool,
    /// When it was last served, as a count of what was served of all models.
    pub(super) served: u64,
}

/// A place in the queue: what is due first comes first, and of two that are due at once the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) due: Instant,
    pub(super) number: u64,
    pub(super) id: DeliveryId,
    /// Whether the process ended when it was last handled.
    pub(super) suspect: bool,
    pub(super) left: bool,
}

impl Queue {
    pub(super) fn push(&mut self, ticket: Ticket) {
        self.waiting.push(Reverse(ticket));
    }

    /// The first that still counts; those before it are forgotten.
    pub(super) fn first(&mut self, counts: impl Fn(&Ticket) -> bool) -> Option<Ticket> {
        while let Some(Reverse(ticket)) = self.waiting.peek() {
            if counts(ticket) {
                return Some(*ticket);
            }
            self.waiting.pop();
        }
        None
    }

    pub(super) fn pop(&mut self) {
        self.waiting.pop();
        // What was a burst does not hold its memory for ever.
        if self.waiting.len() < self.waiting.capacity() / 8 {
            self.waiting.shrink_to(self.waiting.len() * 2);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }
}
