//! What tests of an inbox need: the suite that every archive passes, a disk that fails when it is told to, and a disk
//! that crashes.

mod conformance;
#[cfg(feature = "disk")]
mod fault;
#[cfg(feature = "disk")]
mod faulty_disk;
#[cfg(feature = "disk")]
mod faulty_medium;
#[cfg(feature = "disk")]
mod model_disk;
mod post;
mod sample;
#[cfg(feature = "disk")]
mod slow_disk;

pub use conformance::{conformance, conformance_of_expiring_leases, conformance_of_pairs};
pub use post::post_signed;
pub use sample::Sample;
#[cfg(feature = "disk")]
pub use {
    fault::Fault,
    faulty_disk::FaultyDisk,
    model_disk::{Crash, Dice, ModelDisk},
    slow_disk::SlowDisk,
};
