use std::io;

use super::{
    medium::MediumFile,
    name::{Form, SegmentName},
    packed::PackedWalk,
    walk::{Step, Walk},
};

/// Goes through a segment of any form.
#[derive(Debug)]
pub(super) enum Steps<'f> {
    AsItIs(Walk<'f>),
    Packed(PackedWalk<'f>),
}

impl<'f> Steps<'f> {
    pub(super) fn of(file: &'f dyn MediumFile, name: SegmentName, form: Form) -> io::Result<Self> {
        Ok(match form {
            Form::Open | Form::Sealed => Self::AsItIs(Walk::new(file, name.salt)?),
            Form::Packed => Self::Packed(PackedWalk::new(file, name.salt)?),
        })
    }

    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        match self {
            Self::AsItIs(walk) => walk.step(),
            Self::Packed(walk) => walk.step(),
        }
    }
}
