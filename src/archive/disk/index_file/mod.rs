//! Index files: what a segment holds, in sorted rows of fixed width that are searched where they lie, so that neither
//! opening the archive nor its memory is in proportion to what is settled. An index file may be deleted at any time, and
//! does not count unless it fits its segment.

mod build;
mod file;
mod filter;
mod layout;
mod row;

pub(super) use build::{Builder, Coverage};
pub(super) use file::{IndexFile, Unfit, missing};
