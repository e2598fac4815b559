//! Support for tests of handlers and archives.
//!
//! | to | see |
//! |---|---|
//! | post a signed payload to a service in process | [`post_signed`] |
//! | create a delivery | [`Sample`]; with [`Inference::load`](crate::Inference::load) it becomes an inference |
//! | create the other arguments of a handler | [`Attempt::new`](crate::layer::Attempt::new), [`Captures`](crate::Captures) from pairs |
//! | test an archive of your own | [`conformance`] |
//!
//! ```
//! use tower_inbox::{Inference, layer::Attempt, provider::foxyai::ImageGroup, testing::Sample};
//!
//! fn handler(group: &Inference<ImageGroup>, attempt: Attempt) -> bool {
//!     attempt.number() > 1 || group.images.is_empty()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = r#"{"_id": "3f6c", "name": "12 Elm Street", "status": "completed",
//!     "createdAt": "2026-11-01T10:00:00.000Z", "updatedAt": "2026-11-01T10:00:09.000Z",
//!     "images": [], "metaData": {}, "computedMetrics": {}}"#;
//! let group = Inference::load(Sample::of("/hooks/group").body(body).delivery())?;
//! assert!(handler(&group, Attempt::new(1)));
//! # Ok(())
//! # }
//! ```

mod conformance;
#[cfg(feature = "disk")]
mod faulty_disk;
#[cfg(feature = "disk")]
mod model_disk;
mod post;
mod sample;
#[cfg(feature = "disk")]
mod slow_disk;

pub use conformance::{conformance, conformance_of_expiring_leases, conformance_of_pairs};
pub use post::post_signed;
pub use sample::Sample;
// Simulators of disks for this crate's own tests. They have no stability promise.
#[cfg(feature = "disk")]
#[doc(hidden)]
pub use {
    faulty_disk::{Fault, FaultyDisk},
    model_disk::{Crash, Dice, ModelDisk},
    slow_disk::SlowDisk,
};
