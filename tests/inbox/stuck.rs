//! An archive whose disk hangs.

use tower_inbox::{
    Archive, MemoryArchive,
    archive::{Append, Appended, Work},
};

use crate::wrapper::{Overridden, Overrides};

/// Appends never complete.
#[derive(Debug, Default)]
pub(crate) struct StuckAppends(MemoryArchive);

impl StuckAppends {
    pub(crate) fn archive() -> Overridden<Self> {
        Overridden(Self::default())
    }
}

impl Overrides for StuckAppends {
    fn inner(&self) -> &dyn Archive {
        &self.0
    }

    fn append(&self, _: Append) -> Work<Appended> {
        Box::pin(std::future::pending())
    }
}
