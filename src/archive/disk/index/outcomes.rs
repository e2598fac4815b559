use std::{borrow::Cow, collections::HashMap};

use super::{chunks::Chunks, table::Table};
use crate::delivery::{InferenceDigest, Outcome};

/// What became of a delivery, as far as it fits into its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brief {
    None,
    Processed(u16),
    /// With the number of its inference.
    ProcessedAs(u16, u32),
    /// Kept under its position.
    Detailed,
    /// The delivery is not remembered any more.
    Forgotten,
}

/// Outcomes that do not fit into a record, and the inferences that were processed.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    details: HashMap<u32, Outcome>,
    /// What was processed, and the position of the delivery.
    inferences: Chunks<(InferenceDigest, u32)>,
    exact: Table,
    latest: Table,
}

impl Outcomes {
    /// Takes in what became of the delivery at `position`, of which `before` was known.
    pub(super) fn note(&mut self, position: u32, outcome: Outcome, before: Brief) -> Brief {
        if before == Brief::Detailed {
            self.details.remove(&position);
        }
        match outcome {
            Outcome::Processed { status, inference: None } => Brief::Processed(status),
            Outcome::Processed { status, inference: Some(inference) } => {
                Brief::ProcessedAs(status, self.note_inference(position, inference, before))
            }
            outcome => {
                self.details.insert(position, outcome);
                Brief::Detailed
            }
        }
    }

    fn note_inference(&mut self, position: u32, inference: InferenceDigest, before: Brief) -> u32 {
        if let Brief::ProcessedAs(_, number) = before
            && self.inference(number) == Some(inference)
        {
            return number;
        }
        let number = u32::try_from(self.inferences.positions().end).unwrap_or(u32::MAX);
        self.inferences.push((inference, position));
        let inferences = &self.inferences;
        let digest = |number| at(inferences, number).map(|(digest, _)| *digest);
        self.exact.set(&inference, number, digest);
        self.latest.set(&inference.key(), number, |number| digest(number).map(|one| one.key()));
        number
    }

    fn inference(&self, number: u32) -> Option<InferenceDigest> {
        at(&self.inferences, number).map(|(digest, _)| *digest)
    }

    pub(super) fn of(&self, position: u32, brief: Brief) -> Option<Cow<'_, Outcome>> {
        let owned = |status, inference| Cow::Owned(Outcome::Processed { status, inference });
        match brief {
            Brief::None | Brief::Forgotten => None,
            Brief::Processed(status) => Some(owned(status, None)),
            Brief::ProcessedAs(status, number) => Some(owned(status, self.inference(number))),
            Brief::Detailed => self.details.get(&position).map(Cow::Borrowed),
        }
    }

    /// Forgets what became of the delivery at `position`.
    pub(super) fn forget(&mut self, position: u32, brief: Brief) {
        match brief {
            Brief::Detailed => drop(self.details.remove(&position)),
            Brief::ProcessedAs(_, number) => self.forget_inference(number),
            Brief::None | Brief::Processed(_) | Brief::Forgotten => {}
        }
    }

    fn forget_inference(&mut self, number: u32) {
        if let Some(inference) = self.inference(number) {
            self.exact.forget(&inference, number);
            self.latest.forget(&inference.key(), number);
        }
    }

    /// Gives back the room of the inferences before the first whose delivery is remembered.
    pub(super) fn give_back(&mut self, is_remembered: impl Fn(u32) -> bool) {
        let mut positions = self.inferences.positions();
        let end = positions.end;
        let remembered = |number: &usize| {
            self.inferences.get(*number).is_some_and(|(_, position)| is_remembered(*position))
        };
        let first = positions.find(remembered).unwrap_or(end);
        for number in
            (self.inferences.positions().start..first).filter_map(|one| one.try_into().ok())
        {
            // One whose delivery was processed as another later.
            self.forget_inference(number);
        }
        self.inferences.forget_before(first);
        let digest = |number| at(&self.inferences, number).map(|(digest, _)| *digest);
        self.exact.shrink(digest);
        self.latest.shrink(|number| digest(number).map(|one| one.key()));
    }

    /// The position of the delivery that was processed as this inference, or else of the last one of its key.
    pub(super) fn processed_as(&self, inference: InferenceDigest) -> Option<u32> {
        let digest = |number| self.inference(number);
        let exactly = self.exact.get(&inference, digest);
        let key = |number| digest(number).map(|one| one.key());
        let number = exactly.or_else(|| self.latest.get(&inference.key(), key))?;
        at(&self.inferences, number).map(|(_, position)| *position)
    }
}

fn at(inferences: &Chunks<(InferenceDigest, u32)>, number: u32) -> Option<&(InferenceDigest, u32)> {
    inferences.get(usize::try_from(number).ok()?)
}
