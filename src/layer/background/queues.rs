use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::{
    Job,
    limits::{Limits, Load},
    queue::{Queue, Ticket},
};
use crate::delivery::{DeliveryId, ModelName};

/// Which delivery is handled next: fair among models, in each of them by the time at which they are due. Without I/O,
/// tasks and locks.
///
/// Takes some 200 bytes for each delivery that waits, of which there are at most [`Limits::waiting`] of each model.
#[derive(Debug)]
pub(super) struct Queues {
    limits: Limits,
    models: BTreeMap<ModelName, Queue>,
    known: HashMap<DeliveryId, Known>,
    tickets: u64,
    served: u64,
    running: usize,
    suspect_running: bool,
}

/// A delivery that waits or is being handled.
#[derive(Debug)]
struct Known {
    job: Job,
    /// The last ticket that it was given; those before it do not count.
    ticket: Ticket,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    InItsQueue,
    /// A worker has it.
    Taken,
    /// Until somebody else is done with what it is about.
    Parked,
}

/// What a worker is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This, which it was given a ticket of this number for.
    Job(Job, u64),
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

    /// Has a delivery handled at this time; what was known of it before does not count any more. If there is no room, what
    /// is due last of its model is not known any more: the archive has it.
    pub(super) fn push(&mut self, job: Job, due: Instant) {
        let (model, suspect) = (job.model.clone(), job.suspect);
        let ticket = self.know(job, due, Place::InItsQueue);
        let queue = self.models.entry(model).or_default();
        queue.insert(ticket, suspect);
        if queue.len() <= self.limits.waiting {
            return;
        }
        queue.spilled = true;
        if let Some(last) = queue.last() {
            self.forget(last.id);
        }
    }

    /// Keeps a delivery until it is [woken](Self::wake).
    pub(super) fn park(&mut self, job: Job, now: Instant) {
        self.know(job, now, Place::Parked);
    }

    /// Has a delivery handled that is parked still.
    pub(super) fn wake(&mut self, job: Job, now: Instant) {
        if self.known.get(&job.id).is_some_and(|known| known.place == Place::Parked) {
            self.push(job, now);
        }
    }

    fn know(&mut self, job: Job, due: Instant, place: Place) -> Ticket {
        self.forget(job.id);
        self.tickets += 1;
        let ticket = Ticket { due, number: self.tickets, id: job.id };
        self.known.insert(job.id, Known { job, ticket, place });
        ticket
    }

    /// The delivery is settled.
    pub(super) fn forget(&mut self, id: DeliveryId) {
        let Some(known) = self.known.remove(&id) else { return };
        if let Some(queue) = self.models.get_mut(&known.job.model) {
            queue.remove(&known.ticket, known.job.suspect);
        }
        // What was a burst does not hold its memory for ever.
        if self.known.len() < self.known.capacity() / 8 {
            self.known.shrink_to(self.known.len() * 2);
        }
    }

    pub(super) fn knows(&self, id: DeliveryId) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether the delivery was given no other ticket since, and is not settled.
    pub(super) fn counts(&self, id: DeliveryId, number: u64) -> bool {
        self.known.get(&id).is_some_and(|known| known.ticket.number == number)
    }

    /// When the delivery is due; what is being handled was due before. `None` if it is not known.
    pub(super) fn due(&self, id: DeliveryId) -> Option<Instant> {
        self.known.get(&id).map(|known| known.ticket.due)
    }

    /// How many deliveries wait or are being handled.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether the archive has more of some model than there was room for.
    pub(super) fn has_spilled(&self) -> bool {
        self.models.values().any(|queue| queue.spilled)
    }

    /// Whether there is room again for much of what the archive has.
    pub(super) fn wants_more(&self) -> bool {
        let room = |queue: &Queue| queue.len() <= self.limits.waiting / 2;
        self.models.values().any(|queue| queue.spilled && room(queue))
    }

    /// From now on the archive is asked for what there was no room for.
    pub(super) fn refill(&mut self) {
        self.models.values_mut().for_each(|queue| queue.spilled = false);
    }

    /// Takes the next that is due. So many `models` there are, whether or not they have something to do now.
    pub(super) fn take(&mut self, now: Instant, models: usize) -> Next {
        if self.running >= self.limits.all {
            return Next::Wait(None);
        }
        let load = |own| Load { all: self.running, own, idle_models: self.idle(models) };
        let is_free = |queue: &Queue| !queue.paused && self.limits.allow(load(queue.running));
        let firsts = self.models.values().filter(|queue| is_free(queue)).filter_map(|queue| {
            let first = queue.first(!self.suspect_running)?;
            Some((first, queue.served))
        });
        let firsts: Vec<_> = firsts.collect();
        let due = firsts.iter().filter(|(first, _)| first.due <= now);
        let next = due.min_by_key(|(first, served)| (*served, first.due));
        match next.and_then(|(first, _)| self.begin(*first)) {
            Some(next) => next,
            None => Next::Wait(firsts.iter().map(|(first, _)| first.due).min()),
        }
    }

    /// Of how many models nothing is handled, and might be.
    fn idle(&self, models: usize) -> usize {
        let counted = |queue: &&Queue| queue.running > 0 || queue.paused;
        models.saturating_sub(self.models.values().filter(counted).count())
    }

    fn begin(&mut self, ticket: Ticket) -> Option<Next> {
        let known = self.known.get_mut(&ticket.id)?;
        known.place = Place::Taken;
        self.served += 1;
        self.running += 1;
        self.suspect_running |= known.job.suspect;
        let queue = self.models.get_mut(&known.job.model)?;
        queue.remove(&ticket, known.job.suspect);
        queue.running += 1;
        queue.served = self.served;
        Some(Next::Job(known.job.clone(), ticket.number))
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
