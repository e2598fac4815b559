use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crate::{
    archive::Line,
    delivery::ModelName,
    layer::{Custody, metrics},
};

/// What is not settled, for metrics.
#[derive(Default)]
pub(super) struct Backlog {
    models: BTreeMap<ModelName, u64>,
    oldest: Option<SystemTime>,
}

impl Backlog {
    pub(super) fn add(&mut self, line: &Line) {
        let oldest = self.oldest.get_or_insert(line.received_at);
        *oldest = line.received_at.min(*oldest);
        match self.models.get_mut(&line.model) {
            Some(count) => *count += 1,
            None => drop(self.models.insert(line.model.clone(), 1)),
        }
    }

    /// Models of which nothing is left are measured as well, once they had something.
    pub(super) fn measure(mut self, custody: &Custody) {
        for model in custody.schedule().models() {
            self.models.entry(model).or_default();
        }
        for (model, count) in &self.models {
            metrics::unsettled(model, *count);
        }
        let age = |oldest| SystemTime::now().duration_since(oldest).unwrap_or_default();
        metrics::oldest_unsettled(self.oldest.map_or(Duration::ZERO, age));
    }
}
