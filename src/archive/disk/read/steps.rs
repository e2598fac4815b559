use std::io;

use super::walk::{Step, Walk};
use crate::archive::disk::{
    format::{
        name::{Form, SegmentName},
        packed::PackedWalk,
    },
    fs::medium::MediumFile,
};

/// Reads a segment in any form.
///
/// Only the end of a segment that was being written can be torn. A sealed segment was complete when it was renamed, so
/// that invalid bytes at its end are damage, as anywhere else.
#[derive(Debug)]
pub(in crate::archive::disk) enum Steps<'f> {
    Open(Walk<'f>),
    Sealed(Walk<'f>),
    Packed(PackedWalk<'f>),
}

impl<'f> Steps<'f> {
    pub(in crate::archive::disk) fn of(
        file: &'f dyn MediumFile,
        name: SegmentName,
        form: Form,
    ) -> io::Result<Self> {
        Self::starting_at(file, name, form, 0)
    }

    /// Starts at the end of a record. A compressed segment is always read from its beginning.
    pub(in crate::archive::disk) fn starting_at(
        file: &'f dyn MediumFile,
        name: SegmentName,
        form: Form,
        offset: u64,
    ) -> io::Result<Self> {
        Ok(match form {
            Form::Open => Self::Open(Walk::starting_at(file, name.salt, offset)?),
            Form::Sealed => Self::Sealed(Walk::starting_at(file, name.salt, offset)?),
            Form::Packed => Self::Packed(PackedWalk::new(file, name.salt)?),
        })
    }

    pub(in crate::archive::disk) fn step(&mut self) -> io::Result<Option<Step>> {
        match self {
            Self::Open(walk) => walk.step(),
            Self::Sealed(walk) => {
                let length = walk.length();
                Ok(walk.step()?.map(|step| not_torn(step, length)))
            }
            Self::Packed(walk) => walk.step(),
        }
    }
}

fn not_torn(step: Step, end: u64) -> Step {
    match step {
        Step::Torn { offset } => {
            Step::Damage { offset, length: end.saturating_sub(offset), meta: None }
        }
        step => step,
    }
}
