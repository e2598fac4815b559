//! What tests of an inbox need: the suite that every archive passes, and a disk that fails when it is told to.

mod conformance;
#[cfg(feature = "disk")]
mod faulty_disk;
#[cfg(feature = "disk")]
mod faulty_medium;
mod sample;
#[cfg(feature = "disk")]
mod slow_disk;

pub use conformance::conformance;
#[cfg(feature = "disk")]
pub use faulty_disk::{Fault, FaultyDisk};
pub use sample::Sample;
#[cfg(feature = "disk")]
pub use slow_disk::SlowDisk;
