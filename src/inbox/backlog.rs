use std::time::{Duration, SystemTime};

use super::tally::Tally;
use crate::{
    archive::{ArchiveError, Line, Query},
    delivery::OutcomeKind,
    layer::{Custody, metrics},
};

/// What an archive holds that is not as it should be, and what it takes: for metrics.
#[derive(Default)]
pub(super) struct Backlog {
    unsettled: Tally,
    oldest: Option<SystemTime>,
    dead: Tally,
}

impl Backlog {
    /// Counts those anew that are not settled.
    pub(super) fn restart(&mut self) {
        self.unsettled.restart();
        self.oldest = None;
    }

    pub(super) fn add(&mut self, line: &Line) {
        let oldest = self.oldest.get_or_insert(line.received_at);
        *oldest = line.received_at.min(*oldest);
        self.unsettled.add(&line.model);
    }

    pub(super) fn measure(&self) {
        self.unsettled.tell(metrics::unsettled);
        let age = |oldest| SystemTime::now().duration_since(oldest).unwrap_or_default();
        metrics::oldest_unsettled(self.oldest.map_or(Duration::ZERO, age));
    }

    /// Asks the archive for what a sweep does not look at.
    pub(super) async fn measure_the_rest(&mut self, custody: &Custody) -> Result<(), ArchiveError> {
        // Without metrics nobody wants to know.
        if !metrics::ARE_TAKEN {
            return Ok(());
        }
        self.dead.restart();
        let mut lines = custody.archive().ledger(Query::all().outcome(OutcomeKind::Dead));
        while let Some(line) = lines.next().await {
            self.dead.add(&line?.model);
        }
        self.dead.tell(metrics::dead);
        if let Some(room) = custody.archive().room().await? {
            metrics::room(room);
        }
        Ok(())
    }
}
