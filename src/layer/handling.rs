use std::{fmt, time::Duration};

use super::{
    Custody, Verdict,
    attempt::Cause,
    dedup::{Thing, Turn},
};
use crate::delivery::{DeliveryId, InferenceDigest, ModelName, Outcome};

/// After how long a delivery that was given back is taken again, if we are not being stopped.
const GIVEN_BACK: Duration = Duration::from_secs(1);

/// A delivery that is being handled, from when its turn came until its outcome is durable.
///
/// If it is dropped before the end, as when we are stopped, nothing is said against the delivery.
pub(super) struct Handling {
    /// `None` once it has ended.
    open: Option<Open>,
}

pub(super) struct Open {
    pub(super) custody: Custody,
    pub(super) id: DeliveryId,
    pub(super) model: ModelName,
    pub(super) received_at: std::time::SystemTime,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) cause: Cause,
    /// Whether it was settled before, and stays as it was unless a replay processes it.
    pub(super) stays_settled: bool,
    pub(super) turns: Vec<Turn>,
    pub(super) inference: Option<InferenceDigest>,
    /// What somebody else is at, so that it is given back.
    pub(super) wants: Option<Thing>,
}

impl Handling {
    pub(super) fn new(open: Open) -> Self {
        Self { open: Some(open) }
    }

    /// Records that the handler is begun, so that a crash is seen as one.
    pub(super) async fn mark(&self) {
        let Some(open) = &self.open else { return };
        let (attempts, crashes) = (open.attempt, open.crashes);
        let running = Outcome::Pending { attempts, crashes, running: true };
        if let Err(error) = open.custody.archive().settle(open.id, running).await {
            // It is handled all the same: what is lost is only that a crash would be counted.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot record that it is begun"
            );
        }
    }

    /// Nobody handles the inference at the same time, either.
    pub(super) fn add_turn(&mut self, turn: Turn, inference: InferenceDigest) {
        if let Some(open) = &mut self.open {
            open.turns.push(turn);
            open.inference = Some(inference);
        }
    }

    /// Gives it back until nobody else is at this any more.
    pub(super) fn wait_for(mut self, thing: Thing) {
        if let Some(open) = &mut self.open {
            open.wants = Some(thing);
        }
    }

    /// Records what the handler has made of it.
    pub(super) fn end(mut self, verdict: Verdict) {
        if let Some(open) = self.open.take() {
            open.custody.clone().judge(open, verdict);
        }
    }

    /// Records what became of it without its handler.
    pub(super) fn settle(mut self, outcome: Outcome) {
        if let Some(open) = self.open.take() {
            open.custody.clone().settle(open, outcome, None);
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        // A replay has changed nothing yet.
        if open.cause != Cause::Replayed {
            let attempts = open.attempt.saturating_sub(1);
            let crashes = open.crashes;
            let back = Outcome::Pending { attempts, crashes, running: false };
            open.custody.clone().settle(open, back, Some(GIVEN_BACK));
        }
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.open.as_ref().map(|open| open.id);
        f.debug_struct("Handling").field("id", &id).finish_non_exhaustive()
    }
}
