//! Appends records: the queue of commands, the thread that writes, its plan of a batch, and the open segment.

pub(super) mod command;
pub(super) mod log;
pub(super) mod plan;
pub(super) mod queue;
pub(super) mod segment;
pub(super) mod writer;
