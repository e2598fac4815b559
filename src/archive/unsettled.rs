//! The unsettled deliveries of an archive that keeps leases in memory: due times, lease holders, and inferences in
//! flight. Without I/O, locks or clocks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    time::Duration,
};

use tokio::time::Instant;

use super::{Claim, LeaseToken};
use crate::delivery::{DeliveryId, InferenceId, ModelName};

/// Every delivery with a body that is pending or failed, and every delivery that is leased.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    items: BTreeMap<DeliveryId, Item>,
    queues: HashMap<ModelName, Queue>,
    flights: HashMap<InferenceId, Flight>,
    /// The leases that expire, ordered by expiry.
    expiring: BTreeSet<(Instant, DeliveryId)>,
    inserted: u64,
    paused: BTreeSet<ModelName>,
}

#[derive(Debug)]
struct Item {
    model: ModelName,
    place: Place,
    /// The flight that this delivery is next to enter.
    next_in: Option<InferenceId>,
}

#[derive(Debug)]
enum Place {
    /// In the queue of its model.
    Queued {
        ticket: Ticket,
        suspect: bool,
    },
    /// Waiting for the end of a flight.
    Blocked {
        on: InferenceId,
        suspect: bool,
    },
    Leased {
        token: LeaseToken,
        until: Option<Instant>,
        flight: Option<InferenceId>,
    },
}

/// The position in a queue: ordered by due time, then by insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    due: Instant,
    number: u64,
    id: DeliveryId,
}

/// The deliveries of one model that can be leased.
#[derive(Debug, Default)]
struct Queue {
    ready: BTreeSet<Ticket>,
    /// Deliveries whose last attempt crashed. Stored separately, because callers claim them one at a time.
    suspects: BTreeSet<Ticket>,
}

/// An inference that is being processed, or that a delivery is queued for. When the holder ends, one blocked delivery
/// is queued, and the others stay blocked until that one ends or enters another flight. Otherwise each of them would be
/// leased and read only to find that another delivery was faster.
#[derive(Debug, Default)]
struct Flight {
    holder: Option<DeliveryId>,
    next: Option<DeliveryId>,
    blocked: BTreeSet<DeliveryId>,
}

/// Whether a lease may process an inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightEntry {
    Entered,
    Busy,
    /// The lease has ended.
    Lost,
}

/// The result of [`Unsettled::select`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) ids: Vec<DeliveryId>,
    /// The time until the next delivery of a requested model is due.
    pub(crate) next_due: Option<Duration>,
}

impl Unsettled {
    /// Queues or requeues a delivery, ending any lease of it. `suspect` is true if its last attempt crashed.
    pub(crate) fn queue(&mut self, id: DeliveryId, model: &ModelName, due: Instant, suspect: bool) {
        self.remove(id);
        self.insert(id, model.clone(), due, suspect);
    }

    /// Marks a delivery as leased, and ends any other lease of it. A lease without an expiry never expires.
    pub(crate) fn lease(
        &mut self,
        id: DeliveryId,
        model: &ModelName,
        token: LeaseToken,
        until: Option<Instant>,
    ) {
        let next_in = self.items.get_mut(&id).and_then(|item| item.next_in.take());
        self.remove(id);
        self.expiring.extend(until.map(|until| (until, id)));
        let place = Place::Leased { token, until, flight: None };
        self.items.insert(id, Item { model: model.clone(), place, next_in });
    }

    /// Removes a delivery that was settled, or that was removed from the archive while it was not leased.
    pub(crate) fn remove(&mut self, id: DeliveryId) {
        let Some(Item { model, place, next_in }) = self.items.remove(&id) else { return };
        match place {
            Place::Queued { ticket, suspect } => {
                if let Entry::Occupied(mut queue) = self.queues.entry(model) {
                    queue.get_mut().tickets(suspect).remove(&ticket);
                    if queue.get().ready.is_empty() && queue.get().suspects.is_empty() {
                        queue.remove();
                    }
                }
            }
            Place::Blocked { on, .. } => {
                if let Some(flight) = self.flights.get_mut(&on) {
                    flight.blocked.remove(&id);
                }
            }
            Place::Leased { until, flight, .. } => {
                if let Some(until) = until {
                    self.expiring.remove(&(until, id));
                }
                self.leave_flight(flight);
            }
        }
        self.is_not_next_in(next_in);
    }

    fn insert(&mut self, id: DeliveryId, model: ModelName, due: Instant, suspect: bool) {
        self.inserted += 1;
        let ticket = Ticket { due, number: self.inserted, id };
        self.queues.entry(model.clone()).or_default().tickets(suspect).insert(ticket);
        let place = Place::Queued { ticket, suspect };
        self.items.insert(id, Item { model, place, next_in: None });
    }

    /// Clears the holder of a flight after its lease has ended.
    fn leave_flight(&mut self, flight: Option<InferenceId>) {
        let Some(inference) = flight else { return };
        if let Some(flight) = self.flights.get_mut(&inference) {
            flight.holder = None;
        }
        self.advance(inference);
    }

    /// Clears the next delivery of a flight, because it has entered a flight or will not enter this one soon.
    fn is_not_next_in(&mut self, flight: Option<InferenceId>) {
        let Some(inference) = flight else { return };
        if let Some(flight) = self.flights.get_mut(&inference) {
            flight.next = None;
        }
        self.advance(inference);
    }

    /// Queues the oldest delivery blocked on a flight, due now, if no other delivery is about to enter the flight.
    fn advance(&mut self, inference: InferenceId) {
        let Entry::Occupied(mut entry) = self.flights.entry(inference) else { return };
        let flight = entry.get_mut();
        if flight.holder.is_some() || flight.next.is_some() {
            return;
        }
        let Some(id) = flight.blocked.pop_first() else {
            entry.remove();
            return;
        };
        flight.next = Some(id);
        if let Some(Item { model, place: Place::Blocked { suspect, .. }, .. }) =
            self.items.remove(&id)
        {
            self.insert(id, model, Instant::now(), suspect);
        }
        if let Some(item) = self.items.get_mut(&id) {
            item.next_in = Some(inference);
        }
    }

    /// Queues a delivery once no lease is processing this inference; immediately, if none is now.
    pub(crate) fn block(
        &mut self,
        id: DeliveryId,
        model: &ModelName,
        on: InferenceId,
        now: Instant,
        suspect: bool,
    ) {
        self.remove(id);
        match self.flights.get_mut(&on).filter(|flight| flight.holder.is_some()) {
            Some(flight) => {
                flight.blocked.insert(id);
                let place = Place::Blocked { on, suspect };
                self.items.insert(id, Item { model: model.clone(), place, next_in: None });
            }
            None => self.insert(id, model.clone(), now, suspect),
        }
    }

    /// Enters the single flight of an inference under a lease.
    pub(crate) fn begin(
        &mut self,
        id: DeliveryId,
        token: LeaseToken,
        inference: InferenceId,
    ) -> FlightEntry {
        let Some(Item { place: Place::Leased { token: held, flight, .. }, next_in, .. }) =
            self.items.get_mut(&id)
        else {
            return FlightEntry::Lost;
        };
        if *held != token {
            return FlightEntry::Lost;
        }
        let entered = self.flights.entry(inference).or_default();
        match entered.holder {
            Some(holder) if holder != id => return FlightEntry::Busy,
            Some(_) => return FlightEntry::Entered,
            None => entered.holder = Some(id),
        }
        let (before, next_in) = (flight.replace(inference), next_in.take());
        self.leave_flight(before);
        self.is_not_next_in(next_in);
        FlightEntry::Entered
    }

    /// Returns the token of the current lease, if any.
    pub(crate) fn token(&self, id: DeliveryId) -> Option<LeaseToken> {
        match self.items.get(&id)?.place {
            Place::Leased { token, .. } => Some(token),
            Place::Queued { .. } | Place::Blocked { .. } => None,
        }
    }

    /// Sets the expiry of a lease. Returns false if the lease was lost.
    pub(crate) fn renew(&mut self, id: DeliveryId, token: LeaseToken, until: Instant) -> bool {
        let Some(Item { place: Place::Leased { token: held, until: end, .. }, .. }) =
            self.items.get_mut(&id)
        else {
            return false;
        };
        if *held != token {
            return false;
        }
        if let Some(end) = end {
            self.expiring.remove(&(*end, id));
            self.expiring.insert((until, id));
            *end = until;
        }
        true
    }

    /// Returns the deliveries whose leases have expired.
    pub(crate) fn expired(&self, now: Instant) -> Vec<DeliveryId> {
        let expired = self.expiring.iter().take_while(|(until, _)| *until <= now);
        expired.map(|(_, id)| *id).collect()
    }

    /// Pauses or resumes a model, see [`Archive::set_paused`](super::Archive::set_paused).
    pub(crate) fn set_paused(&mut self, model: ModelName, paused: bool) {
        if paused {
            self.paused.insert(model);
        } else {
            self.paused.remove(&model);
        }
    }

    pub(crate) fn paused(&self) -> Vec<ModelName> {
        self.paused.iter().cloned().collect()
    }

    /// Selects due deliveries, round-robin over the models that are not paused. Excludes those for which `skip` returns
    /// true.
    pub(crate) fn select(
        &self,
        claim: &Claim,
        now: Instant,
        skip: impl Fn(DeliveryId) -> bool,
    ) -> Selection {
        let mut selection = Selection::default();
        let mut suspects = claim.suspects;
        let mut models: Vec<_> = claim
            .wants
            .iter()
            .filter(|(model, _)| !self.paused.contains(model))
            .filter_map(|(model, limit)| Some((self.queues.get(model)?.in_order(), *limit)))
            .map(|(queue, limit)| (queue.peekable(), limit))
            .collect();
        let mut took_one = true;
        while took_one {
            took_one = false;
            for (queue, left) in &mut models {
                let full = selection.ids.len() >= claim.limit || *left == 0;
                if full {
                    continue;
                }
                while let Some((ticket, suspect)) = queue.peek().copied() {
                    if (suspect && suspects == 0) || skip(ticket.id) {
                        queue.next();
                        continue;
                    }
                    if ticket.due <= now {
                        queue.next();
                        suspects -= usize::from(suspect);
                        *left -= 1;
                        selection.ids.push(ticket.id);
                        took_one = true;
                    } else {
                        let wait = ticket.due - now;
                        selection.next_due =
                            Some(selection.next_due.map_or(wait, |next| next.min(wait)));
                        *left = 0;
                    }
                    break;
                }
            }
        }
        selection
    }

    /// Returns the delivery with the oldest id.
    pub(crate) fn oldest(&self) -> Option<DeliveryId> {
        self.items.first_key_value().map(|(id, _)| *id)
    }

    /// The number of deliveries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

impl Queue {
    fn tickets(&mut self, suspect: bool) -> &mut BTreeSet<Ticket> {
        if suspect { &mut self.suspects } else { &mut self.ready }
    }

    /// Returns all tickets in order, each with whether it is a suspect.
    fn in_order(&self) -> impl Iterator<Item = (Ticket, bool)> {
        let mut ready = self.ready.iter().peekable();
        let mut suspects = self.suspects.iter().peekable();
        std::iter::from_fn(move || {
            let suspect_first = match (ready.peek(), suspects.peek()) {
                (Some(ready), Some(suspect)) => suspect < ready,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if suspect_first {
                suspects.next().map(|ticket| (*ticket, true))
            } else {
                ready.next().map(|ticket| (*ticket, false))
            }
        })
    }
}

/// Returns the instant `wait` after `now`, or 30 years from now if the clock cannot represent it. Handlers may request
/// any delay.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn model(name: &str) -> ModelName {
        name.parse().unwrap()
    }

    fn claim(models: &[&str], limit: usize) -> Claim {
        Claim::new(models.iter().map(|name| (model(name), 9)).collect(), limit)
    }

    fn select(unsettled: &Unsettled, claim: &Claim, now: Instant) -> Vec<DeliveryId> {
        unsettled.select(claim, now, |_| false).ids
    }

    #[test]
    fn models_are_claimed_in_rounds_and_each_by_due_time() {
        let (mut unsettled, now) = (Unsettled::default(), Instant::now());
        let [a1, a2, a3, b1] = [(); 4].map(|()| DeliveryId::new());
        for (id, name, due) in [(a2, "/a", 2), (a1, "/a", 1), (a3, "/a", 3), (b1, "/b", 9)] {
            unsettled.queue(id, &model(name), now + due * SECOND, false);
        }
        let later = now + 10 * SECOND;
        assert_eq!(select(&unsettled, &claim(&["/a", "/b"], 3), later), [a1, b1, a2]);
        let one_of_a = Claim::new(vec![(model("/a"), 1), (model("/b"), 9)], 9);
        assert_eq!(select(&unsettled, &one_of_a, later), [a1, b1]);
        assert_eq!(select(&unsettled, &claim(&["/b"], 9), later), [b1]);
        let soon = unsettled.select(&claim(&["/a", "/b"], 9), now + SECOND, |id| id == a1);
        assert_eq!(soon, Selection { ids: vec![], next_due: Some(SECOND) });
    }

    #[test]
    fn suspects_are_limited_and_do_not_hold_up_others() {
        let (mut unsettled, now) = (Unsettled::default(), Instant::now());
        let ids = [(); 4].map(|()| DeliveryId::new());
        for (number, id) in ids.into_iter().enumerate() {
            unsettled.queue(id, &model("/a"), now, number < 3);
        }
        assert_eq!(select(&unsettled, &claim(&["/a"], 9), now), [ids[0], ids[3]]);
        assert_eq!(select(&unsettled, &claim(&["/a"], 9).suspects(0), now), [ids[3]]);
    }

    #[test]
    fn lease_is_not_claimed_and_ends_with_its_token() {
        let (mut unsettled, now) = (Unsettled::default(), Instant::now());
        let (id, token) = (DeliveryId::new(), LeaseToken::new());
        unsettled.lease(id, &model("/a"), token, Some(now + SECOND));
        assert!(select(&unsettled, &claim(&["/a"], 9), now).is_empty());
        assert_eq!(unsettled.token(id), Some(token));
        assert!(unsettled.expired(now).is_empty());
        assert!(!unsettled.renew(id, LeaseToken::new(), now + 9 * SECOND));
        assert_eq!(unsettled.expired(now + SECOND), [id]);
        assert!(unsettled.renew(id, token, now + 2 * SECOND));
        assert!(unsettled.expired(now + SECOND).is_empty());
        unsettled.queue(id, &model("/a"), now, false);
        assert_eq!((unsettled.token(id), unsettled.expired(now + 9 * SECOND)), (None, vec![]));
        assert_eq!(select(&unsettled, &claim(&["/a"], 9), now), [id]);
        unsettled.remove(id);
        assert_eq!((unsettled.len(), unsettled.queues.len()), (0, 0));
    }

    #[test]
    fn one_flight_per_inference_and_the_blocked_are_due_at_its_end() {
        let (mut unsettled, now) = (Unsettled::default(), Instant::now());
        let inference = InferenceId::of(&model("/a"), "key");
        let [first, second] = [(); 2].map(|()| (DeliveryId::new(), LeaseToken::new()));
        for (id, token) in [first, second] {
            unsettled.lease(id, &model("/a"), token, None);
        }
        let begin = |unsettled: &mut Unsettled, (id, token)| unsettled.begin(id, token, inference);
        assert_eq!(begin(&mut unsettled, first), FlightEntry::Entered);
        assert_eq!(begin(&mut unsettled, first), FlightEntry::Entered);
        assert_eq!(begin(&mut unsettled, second), FlightEntry::Busy);
        assert_eq!(begin(&mut unsettled, (second.0, LeaseToken::new())), FlightEntry::Lost);
        unsettled.block(second.0, &model("/a"), inference, now, false);
        let later = now + 3600 * SECOND;
        assert!(select(&unsettled, &claim(&["/a"], 9), later).is_empty(), "it is blocked");
        unsettled.remove(first.0);
        assert_eq!(select(&unsettled, &claim(&["/a"], 9), later), [second.0]);
        unsettled.lease(second.0, &model("/a"), second.1, None);
        unsettled.block(second.0, &model("/a"), inference, now, false);
        assert_eq!(select(&unsettled, &claim(&["/a"], 9), now), [second.0], "nobody is in flight");
        assert!(unsettled.flights.is_empty());
    }

    /// A flight with a holder and `blocked` other deliveries that wait for its end. The holder comes first.
    fn flight(blocked: usize) -> (Unsettled, InferenceId, Vec<(DeliveryId, LeaseToken)>) {
        let (mut unsettled, now) = (Unsettled::default(), Instant::now());
        let inference = InferenceId::of(&model("/a"), "key");
        let all: Vec<_> = (0..=blocked).map(|_| (DeliveryId::new(), LeaseToken::new())).collect();
        for (number, (id, token)) in all.iter().copied().enumerate() {
            unsettled.lease(id, &model("/a"), token, None);
            let entered = unsettled.begin(id, token, inference);
            assert_eq!(entered == FlightEntry::Entered, number == 0);
            if number > 0 {
                unsettled.block(id, &model("/a"), inference, now, false);
            }
        }
        (unsettled, inference, all)
    }

    fn due(unsettled: &Unsettled) -> Vec<DeliveryId> {
        select(unsettled, &claim(&["/a"], 9), Instant::now() + SECOND)
    }

    #[test]
    fn one_blocked_delivery_at_a_time_is_due() {
        let (mut unsettled, inference, all) = flight(3);
        for pair in all.windows(2) {
            let [(before, _), (id, token)] = *pair else { panic!("not a pair") };
            unsettled.remove(before);
            assert_eq!(due(&unsettled), [id]);
            unsettled.lease(id, &model("/a"), token, None);
            assert!(due(&unsettled).is_empty(), "the next enters the flight");
            assert_eq!(unsettled.begin(id, token, inference), FlightEntry::Entered);
            assert!(due(&unsettled).is_empty());
        }
        unsettled.remove(all[3].0);
        assert_eq!((unsettled.len(), unsettled.flights.len()), (0, 0));
    }

    #[test]
    fn next_blocked_delivery_is_due_when_the_one_before_does_not_enter_the_flight() {
        let (mut unsettled, _, all) = flight(4);
        let ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
        unsettled.remove(ids[0]);
        // Removed.
        unsettled.remove(ids[1]);
        assert_eq!(due(&unsettled), [ids[2]]);
        // Leased, then due again later.
        unsettled.lease(ids[2], &model("/a"), all[2].1, None);
        unsettled.queue(ids[2], &model("/a"), Instant::now() + 9 * SECOND, false);
        assert_eq!(due(&unsettled), [ids[3]]);
        // The delivery turns out to belong to another inference.
        unsettled.lease(ids[3], &model("/a"), all[3].1, None);
        let other = InferenceId::of(&model("/a"), "other");
        assert_eq!(unsettled.begin(ids[3], all[3].1, other), FlightEntry::Entered);
        assert_eq!(due(&unsettled), [ids[4]]);
        for id in ids {
            unsettled.remove(id);
        }
        assert_eq!((unsettled.len(), unsettled.flights.len()), (0, 0));
    }

    #[test]
    fn delivery_that_was_faster_than_the_next_blocked_one_holds_the_flight() {
        let (mut unsettled, inference, all) = flight(2);
        let [(first, _), (second, token), (third, _)] = all[..] else { panic!("not three") };
        unsettled.remove(first);
        let faster = (DeliveryId::new(), LeaseToken::new());
        unsettled.lease(faster.0, &model("/a"), faster.1, None);
        assert_eq!(unsettled.begin(faster.0, faster.1, inference), FlightEntry::Entered);
        unsettled.lease(second, &model("/a"), token, None);
        assert_eq!(unsettled.begin(second, token, inference), FlightEntry::Busy);
        unsettled.block(second, &model("/a"), inference, Instant::now(), false);
        assert!(due(&unsettled).is_empty());
        unsettled.remove(faster.0);
        assert_eq!(due(&unsettled), [second]);
        unsettled.remove(second);
        assert_eq!(due(&unsettled), [third]);
    }
}
