use std::{collections::BTreeMap, time::SystemTime};

use crate::{
    archive::Line,
    delivery::{ModelName, Outcome, OutcomeKind},
};

/// How many deliveries there are, by model and outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: BTreeMap<(ModelName, OutcomeKind), u64>,
    oldest_unsettled: Option<SystemTime>,
}

impl Counts {
    pub(super) fn add(&mut self, line: Line) {
        let outcome = line.outcome.as_ref();
        let kind = outcome.map_or(OutcomeKind::Pending, Outcome::kind);
        *self.counts.entry((line.model, kind)).or_default() += 1;
        if !outcome.is_some_and(Outcome::is_settled) {
            let oldest = self.oldest_unsettled.get_or_insert(line.received_at);
            *oldest = line.received_at.min(*oldest);
        }
    }

    /// Of one model with one kind of outcome.
    pub fn of(&self, model: &ModelName, kind: OutcomeKind) -> u64 {
        self.counts.get(&(model.clone(), kind)).copied().unwrap_or_default()
    }

    /// Of all models with one kind of outcome.
    pub fn of_all(&self, kind: OutcomeKind) -> u64 {
        self.iter().filter(|(_, other, _)| *other == kind).map(|(_, _, count)| count).sum()
    }

    /// Model, kind of outcome and number, in the order of the models' names.
    pub fn iter(&self) -> impl Iterator<Item = (&ModelName, OutcomeKind, u64)> {
        self.counts.iter().map(|((model, kind), count)| (model, *kind, *count))
    }

    /// When the oldest was received that is pending or failed.
    pub fn oldest_unsettled(&self) -> Option<SystemTime> {
        self.oldest_unsettled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::DeliveryId;

    #[test]
    fn each_is_counted_once_and_the_oldest_unsettled_is_known() {
        let mut counts = Counts::default();
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut add = |model: &str, seconds, outcome| {
            let model = model.parse().unwrap();
            counts.add(Line::new(DeliveryId::new(), model, time(seconds), outcome));
        };
        add("/a", 5, None);
        add("/a", 4, Some(Outcome::failed("x")));
        add("/a", 1, Some(Outcome::processed(200)));
        add("/b", 6, None);
        let a = "/a".parse().unwrap();
        assert_eq!(counts.of(&a, OutcomeKind::Pending), 1);
        assert_eq!(counts.of_all(OutcomeKind::Pending), 2);
        assert_eq!(counts.of_all(OutcomeKind::Dead), 0);
        assert_eq!(counts.oldest_unsettled(), Some(time(4)));
    }
}
