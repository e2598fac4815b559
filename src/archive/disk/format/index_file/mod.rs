//! Index files: the contents of a segment in sorted rows of fixed width that are searched in place, so that neither the
//! time to open the archive nor its memory use grows with the number of settled deliveries. An index file may be
//! deleted at any time, and is ignored unless it matches its segment.

mod build;
mod file;
mod layout;
mod row;

pub(in crate::archive::disk) use build::{Builder, Coverage};
pub(in crate::archive::disk) use file::{Foreign, IndexFile, IndexMismatch, missing};
