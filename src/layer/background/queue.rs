use std::{cmp::Reverse, collections::BinaryHeap};

use tokio::time::Instant;

use crate::delivery::DeliveryId;

type Waiting = BinaryHeap<Reverse<Ticket>>;

/// The deliveries of one model that wait to be handled.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Waiting,
    /// Apart from the others, which do not wait for them.
    suspects: Waiting,
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
        self.heap(ticket.suspect).push(Reverse(ticket));
    }

    fn heap(&mut self, suspect: bool) -> &mut Waiting {
        if suspect { &mut self.suspects } else { &mut self.waiting }
    }

    /// The first that still counts, of suspects only `with_suspects`; those before it are forgotten.
    pub(super) fn first(
        &mut self,
        with_suspects: bool,
        counts: impl Fn(&Ticket) -> bool,
    ) -> Option<Ticket> {
        let suspect = if with_suspects { first(&mut self.suspects, &counts) } else { None };
        first(&mut self.waiting, &counts).into_iter().chain(suspect).min()
    }

    /// Takes out what came first.
    pub(super) fn pop(&mut self, ticket: &Ticket) {
        let heap = self.heap(ticket.suspect);
        heap.pop();
        // What was a burst does not hold its memory for ever.
        if heap.len() < heap.capacity() / 8 {
            heap.shrink_to(heap.len() * 2);
        }
    }
}

fn first(heap: &mut Waiting, counts: impl Fn(&Ticket) -> bool) -> Option<Ticket> {
    while let Some(Reverse(ticket)) = heap.peek() {
        if counts(ticket) {
            return Some(*ticket);
        }
        heap.pop();
    }
    None
}
