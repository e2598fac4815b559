use std::{collections::BTreeMap, time::SystemTime};

use crate::delivery::{ModelName, StateKind};

/// The number of deliveries in an archive, by model and state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: BTreeMap<ModelName, [u64; StateKind::ALL.len()]>,
    oldest_unsettled: Option<SystemTime>,
}

impl Counts {
    /// For archives: adds deliveries of a model in a state.
    pub fn add(&mut self, model: &ModelName, kind: StateKind, deliveries: u64) {
        if !self.counts.contains_key(model) {
            self.counts.insert(model.clone(), [0; StateKind::ALL.len()]);
        }
        if let Some(count) = self.count(model, kind) {
            *count = count.saturating_add(deliveries);
        }
    }

    /// For archives: subtracts deliveries of a model in a state.
    pub fn subtract(&mut self, model: &ModelName, kind: StateKind, deliveries: u64) {
        if let Some(count) = self.count(model, kind) {
            *count = count.saturating_sub(deliveries);
        }
    }

    /// For archives: sets the time at which the oldest unsettled delivery was received.
    pub fn set_oldest_unsettled(&mut self, received_at: Option<SystemTime>) {
        self.oldest_unsettled = received_at;
    }

    fn count(&mut self, model: &ModelName, kind: StateKind) -> Option<&mut u64> {
        self.counts.get_mut(model)?.get_mut(position(kind))
    }

    /// The number of deliveries of one model in one state.
    pub fn of(&self, model: &ModelName, kind: StateKind) -> u64 {
        self.counts.get(model).and_then(|counts| counts.get(position(kind))).copied().unwrap_or(0)
    }

    /// The number of deliveries of all models in one state.
    pub fn of_all(&self, kind: StateKind) -> u64 {
        self.iter().filter(|(_, other, _)| *other == kind).map(|(_, _, count)| count).sum()
    }

    /// The number of unsettled deliveries of one model: pending, leased or failed.
    pub fn unsettled(&self, model: &ModelName) -> u64 {
        let unsettled = StateKind::ALL.into_iter().filter(|kind| !kind.is_settled());
        unsettled.map(|kind| self.of(model, kind)).sum()
    }

    /// The models in name order, including those that currently have no deliveries.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> {
        self.counts.keys()
    }

    /// Model, state and number of deliveries, in the order of model names. Skips counts of 0.
    pub fn iter(&self) -> impl Iterator<Item = (&ModelName, StateKind, u64)> {
        let of_model = |(model, counts): (_, &[u64; StateKind::ALL.len()])| {
            let counts = *counts;
            StateKind::ALL.into_iter().zip(counts).map(move |(kind, count)| (model, kind, count))
        };
        self.counts.iter().flat_map(of_model).filter(|(_, _, count)| *count > 0)
    }

    /// The time at which the oldest unsettled delivery was received; `None` if all are settled.
    pub fn oldest_unsettled(&self) -> Option<SystemTime> {
        self.oldest_unsettled
    }
}

fn position(kind: StateKind) -> usize {
    StateKind::ALL.iter().position(|other| *other == kind).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_model_and_state() {
        let (a, b): (ModelName, ModelName) = ("/a".parse().unwrap(), "/b".parse().unwrap());
        let mut counts = Counts::default();
        counts.add(&a, StateKind::Pending, 2);
        counts.add(&a, StateKind::Failed, 1);
        counts.add(&b, StateKind::Processed, 5);
        counts.subtract(&a, StateKind::Pending, 1);
        assert_eq!((counts.of(&a, StateKind::Pending), counts.unsettled(&a)), (1, 2));
        assert_eq!(counts.of_all(StateKind::Processed), 5);
        counts.subtract(&b, StateKind::Processed, 5);
        assert_eq!(counts.iter().count(), 2, "zeros are left out");
        assert_eq!(counts.models().count(), 2, "a model without deliveries is still listed");
    }
}
