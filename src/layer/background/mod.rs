//! What is handled when, by workers that no sender waits for.

mod job;
mod limits;
mod queue;
mod queues;
#[cfg(test)]
mod queues_tests;
mod retries;
mod retry_after;
mod schedule;

pub(crate) use job::Job;
pub(crate) use limits::{Limits, MOST_WAITING};
pub use retries::Retries;
pub(super) use retry_after::retry_after;
pub(crate) use schedule::{Schedule, Taken};
