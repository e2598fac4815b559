use tokio::sync::oneshot;

use super::{keeper::Keeper, plan::Command};
use crate::{
    archive::{ArchiveError, Query},
    delivery::Outcome,
};

impl Keeper {
    /// Makes pending again what `query` selects of what was not taken, and says of how many. Waits for the writer.
    pub(super) fn retry(&self, query: &Query) -> Result<u64, ArchiveError> {
        let mut answers = Vec::new();
        for (id, outcome) in self.outcomes(query) {
            if let Some(again) = outcome.as_ref().and_then(Outcome::again) {
                let (reply, answer) = oneshot::channel();
                self.queue.push(Command::Settle(id, again, reply))?;
                answers.push(answer);
            }
        }
        let mut retried = 0;
        for answer in answers {
            answer.blocking_recv().unwrap_or(Err(ArchiveError::Closed))?;
            retried += 1;
        }
        Ok(retried)
    }
}
