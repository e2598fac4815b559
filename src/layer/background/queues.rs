use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::{
    limits::{Limits, Load},
    queue::{Queue, Ticket},
};
use crate::delivery::{DeliveryId, ModelName};

/// Which delivery is handled next: fair among models, in each of them by the time at which they are due. Without I/O,
/// tasks and locks.
///
/// Takes some 100 bytes for each delivery that waits.
#[derive(Debug)]
pub(super) struct Queues {
    limits: Limits,
    models: BTreeMap<ModelName, Queue>,
    /// The ticket that counts of each delivery that waits or is being handled, and when it is or was due.
    known: HashMap<DeliveryId, (u64, Instant)>,
    tickets: u64,
    served: u64,
    running: usize,
    suspect_running: bool,
}

/// A delivery that is to be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: DeliveryId,
    pub(crate) model: ModelName,
    /// Whether the process ended when it was last handled. Of those only one is handled at a time, so that one that
    /// takes the process down does not make others look as if they had.
    pub(crate) suspect: bool,
    /// Whether it was found at the start, and may have been begun without a record of it.
    pub(crate) left: bool,
}

impl Job {
    /// Of a delivery of which nothing bad is known.
    pub(crate) fn new(id: DeliveryId, model: ModelName) -> Self {
        Self { id, model, suspect: false, left: false }
    }
}

/// What a worker is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Job(Job),
    /// Nothing before this time, or before something changes.
    Wait(Option<Instant>),
}

impl Queues {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            models: BTreeMap::new(),
            known: HashMap::new(),
            tickets: 0,
            served: 0,
            running: 0,
            suspect_running: false,
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Has a delivery handled at this time; what was known of it before does not count any more.
    pub(super) fn push(&mut self, job: Job, due: Instant) {
        self.tickets += 1;
        self.known.insert(job.id, (self.tickets, due));
        let ticket =
            Ticket { due, number: self.tickets, id: job.id, suspect: job.suspect, left: job.left };
        self.models.entry(job.model).or_default().push(ticket);
    }

    /// The delivery is settled.
    pub(super) fn forget(&mut self, id: DeliveryId) {
        self.known.remove(&id);
        // What was a burst does not hold its memory for ever.
        if self.known.len() < self.known.capacity() / 8 {
            self.known.shrink_to(self.known.len() * 2);
        }
    }

    pub(super) fn knows(&self, id: DeliveryId) -> bool {
        self.known.contains_key(&id)
    }

    /// When the delivery is due; what is being handled was due before. `None` if it is not known.
    pub(super) fn due(&self, id: DeliveryId) -> Option<Instant> {
        self.known.get(&id).map(|(_, due)| *due)
    }

    /// How many deliveries wait or are being handled.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Takes the next that is due. So many `models` there are, whether or not they have something to do now.
    pub(super) fn take(&mut self, now: Instant, models: usize) -> Next {
        if self.running >= self.limits.all {
            return Next::Wait(None);
        }
        let (limits, all, idle_models) = (self.limits, self.running, self.idle(models));
        let load = |own| Load { all, own, idle_models };
        let (known, with_suspects) = (&self.known, !self.suspect_running);
        let free = self.models.iter_mut();
        let free = free.filter(|(_, queue)| !queue.paused && limits.allow(load(queue.running)));
        let firsts = free.filter_map(|(model, queue)| {
            let counts =
                |ticket: &Ticket| known.get(&ticket.id) == Some(&(ticket.number, ticket.due));
            Some((queue.first(with_suspects, counts)?, queue.served, model.clone()))
        });
        let firsts: Vec<_> = firsts.collect();
        let due = firsts.iter().filter(|(first, ..)| first.due <= now);
        match due.min_by_key(|(first, served, _)| (*served, first.due)).cloned() {
            Some((first, _, model)) => Next::Job(self.begin(first, model)),
            None => Next::Wait(firsts.iter().map(|(first, ..)| first.due).min()),
        }
    }

    /// Of how many models nothing is handled, and might be.
    fn idle(&self, models: usize) -> usize {
        let counted = |queue: &&Queue| queue.running > 0 || queue.paused;
        models.saturating_sub(self.models.values().filter(counted).count())
    }

    fn begin(&mut self, ticket: Ticket, model: ModelName) -> Job {
        self.served += 1;
        self.running += 1;
        self.suspect_running |= ticket.suspect;
        if let Some(queue) = self.models.get_mut(&model) {
            queue.pop(&ticket);
            queue.running += 1;
            queue.served = self.served;
        }
        Job { id: ticket.id, model, suspect: ticket.suspect, left: ticket.left }
    }

    /// A worker is done with what it took.
    pub(super) fn done(&mut self, job: &Job) {
        self.running = self.running.saturating_sub(1);
        self.suspect_running &= !job.suspect;
        if let Some(queue) = self.models.get_mut(&job.model) {
            queue.running = queue.running.saturating_sub(1);
        }
    }

    /// Stops or goes on with handing out deliveries of a model.
    pub(super) fn set_paused(&mut self, model: &ModelName, paused: bool) {
        self.models.entry(model.clone()).or_default().paused = paused;
    }

    pub(super) fn is_paused(&self, model: &ModelName) -> bool {
        self.models.get(model).is_some_and(|queue| queue.paused)
    }
}
