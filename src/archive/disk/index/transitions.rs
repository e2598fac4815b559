//! State changes, with the resulting changes of queues and leases.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{DeliveryEntry, Index};
use crate::{
    archive::{
        ArchiveError, Begun, Claim, Lease, LeaseToken,
        disk::{
            format::entry::{DeliveryMeta, Place},
            fs::file_system::Failure,
        },
        memory::begun,
        unsettled::{FlightEntry, Selection},
    },
    delivery::{DeliveryId, InferenceDigest, InferenceId, ModelName, Outcome, State},
};

/// The maximum delay that is applied to a failed delivery at open, in case the clock is wrong.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Index {
    /// Adds a new delivery, either leased under a token, or pending and due.
    pub(in crate::archive::disk) fn store(
        &mut self,
        meta: &DeliveryMeta,
        place: Place,
        token: Option<LeaseToken>,
        now: Instant,
    ) -> Result<(), Failure> {
        self.insert(meta, place, token.is_some())?;
        match token {
            Some(token) => self.unsettled.lease(meta.id, &meta.model, token, None),
            None => self.unsettled.queue(meta.id, &meta.model, now, false),
        }
        Ok(())
    }

    /// Sets a state other than leased, and queues the delivery if it still has to be processed.
    pub(in crate::archive::disk) fn put_back(
        &mut self,
        id: DeliveryId,
        state: &State,
        due: Instant,
    ) -> Result<(), Failure> {
        self.set_state(id, state)?;
        match self.model_to_process(id, state) {
            Some(model) => self.unsettled.queue(id, &model, due, state.crashes() > 0),
            None => self.unsettled.remove(id),
        }
        Ok(())
    }

    /// Sets a state other than leased, and queues the delivery for when no lease is processing this inference.
    pub(in crate::archive::disk) fn block(
        &mut self,
        id: DeliveryId,
        state: &State,
        on: InferenceId,
        now: Instant,
    ) -> Result<(), Failure> {
        self.put_back(id, state, now)?;
        if let Some(model) = self.model_to_process(id, state) {
            self.unsettled.block(id, &model, on, now, state.crashes() > 0);
        }
        Ok(())
    }

    /// Sets a leased state.
    pub(in crate::archive::disk) fn lease(
        &mut self,
        id: DeliveryId,
        state: &State,
        token: LeaseToken,
    ) -> Result<(), Failure> {
        self.set_state(id, state)?;
        if let Some(entry) = self.in_memory(id) {
            self.unsettled.lease(id, &entry.model, token, None);
        }
        Ok(())
    }

    /// Selects due deliveries; see [`Unsettled::select`](crate::archive::unsettled::Unsettled::select).
    pub(in crate::archive::disk) fn select(
        &self,
        claim: &Claim,
        now: Instant,
        skip: impl Fn(DeliveryId) -> bool,
    ) -> Selection {
        self.unsettled.select(claim, now, skip)
    }

    /// Pauses or resumes a model.
    pub(in crate::archive::disk) fn set_paused(&mut self, model: ModelName, paused: bool) {
        self.unsettled.set_paused(model, paused);
    }

    pub(in crate::archive::disk) fn paused(&self) -> Vec<ModelName> {
        self.unsettled.paused()
    }

    /// Returns true if this is the current lease of the delivery.
    pub(in crate::archive::disk) fn holds(&self, lease: &Lease) -> bool {
        self.unsettled.token(lease.id()) == Some(lease.token())
    }

    /// Enters the single flight of an inference.
    pub(in crate::archive::disk) fn begin(
        &mut self,
        lease: &Lease,
        inference: InferenceDigest,
    ) -> Result<Begun, ArchiveError> {
        let id = lease.id();
        match self.unsettled.begin(id, lease.token(), inference.id()) {
            FlightEntry::Lost => return Err(ArchiveError::LeaseLost { id }),
            FlightEntry::Busy => return Ok(Begun::Busy),
            FlightEntry::Entered => {}
        }
        let earlier = self.processed_as(inference.id())?;
        let others = earlier.iter().filter(|(other, _)| *other != id);
        Ok(begun(inference, others.map(|(id, state)| (*id, state))))
    }

    fn model_to_process(&self, id: DeliveryId, state: &State) -> Option<ModelName> {
        let is_unsettled = |entry: &DeliveryEntry| entry.place.is_some() && !state.is_settled();
        Some(self.in_memory(id).filter(is_unsettled)?.model)
    }

    /// Queues the unsettled deliveries after opening. A leased delivery was being processed when the process ended,
    /// which counts as a crash. Returns the deliveries that became poisoned by this, to be recorded.
    pub(in crate::archive::disk) fn queue_all(
        &mut self,
        now: Instant,
        time: SystemTime,
    ) -> Result<Vec<(DeliveryId, State)>, Failure> {
        let unsettled = |id: &DeliveryId| {
            let entry = self.in_memory(*id).filter(|entry| !entry.state.is_settled())?;
            Some((entry.position, entry.id, entry.state))
        };
        let mut all: Vec<_> = self.by_id.keys().filter_map(unsettled).collect();
        // In the order of the log, in which deliveries that are due at the same time are processed.
        all.sort_unstable_by_key(|(position, ..)| *position);
        let mut poisoned = Vec::new();
        for (_, id, found) in all {
            let state = if matches!(found, State::Leased { .. }) { found.crashed() } else { found };
            self.put_back(id, &state, now + wait(&state, time))?;
            if state.is_settled() {
                poisoned.push((id, state));
            }
        }
        Ok(poisoned)
    }
}

/// Returns the delay until the next attempt of a delivery after opening.
fn wait(state: &State, time: SystemTime) -> Duration {
    match state {
        State::Pending { crashes: crashes @ 1.., .. } => {
            Duration::from_secs(1 << (crashes - 1).min(10))
        }
        State::Outcome(Outcome::Failed { due: Some(due), .. }) => {
            due.duration_since(time).unwrap_or_default().min(LONGEST_WAIT)
        }
        _ => Duration::ZERO,
    }
}
