use std::{borrow::Cow, collections::HashMap};

use super::record::Record;
use crate::delivery::Outcome;

/// What became of a delivery, as far as it fits into its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brief {
    None,
    Processed(u16),
    /// As the inference of the record.
    ProcessedAs(u16),
    /// Kept under its position.
    Detailed,
    /// The delivery is not remembered any more.
    Forgotten,
}

/// Outcomes that do not fit into a record, by position.
#[derive(Debug, Default)]
pub(super) struct Outcomes(HashMap<u32, Outcome>);

impl Outcomes {
    /// Takes in what became of the delivery at `position`.
    pub(super) fn note(&mut self, position: u32, outcome: Outcome, record: &mut Record) {
        self.0.remove(&position);
        record.outcome = match outcome {
            Outcome::Processed { status, inference: None } => Brief::Processed(status),
            Outcome::Processed { status, inference: Some(inference) } => {
                record.inference = inference;
                Brief::ProcessedAs(status)
            }
            outcome => {
                self.0.insert(position, outcome);
                Brief::Detailed
            }
        };
    }

    pub(super) fn of(&self, position: u32, record: &Record) -> Option<Cow<'_, Outcome>> {
        let owned = |status, inference| Cow::Owned(Outcome::Processed { status, inference });
        match record.outcome {
            Brief::None | Brief::Forgotten => None,
            Brief::Processed(status) => Some(owned(status, None)),
            Brief::ProcessedAs(status) => Some(owned(status, Some(record.inference))),
            Brief::Detailed => self.0.get(&position).map(Cow::Borrowed),
        }
    }

    /// Forgets what became of the delivery at `position`.
    pub(super) fn forget(&mut self, position: u32, record: &mut Record) {
        self.0.remove(&position);
        record.outcome = Brief::Forgotten;
    }
}
