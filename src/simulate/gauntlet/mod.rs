//! The test of a receiver: scenarios with a verdict each.

mod runner;
mod scenario;

pub use runner::{Gauntlet, Verdict, VerdictKind};
pub use scenario::Scenario;
