//! A disk in memory that stores written and synced data separately.
//!
//! `content` and `names` model the effect of a crash on one file and on a directory. `image` combines them. `choice`
//! selects the changes that survive: all combinations in turn, or at random with `dice`.

mod choice;
mod content;
mod crash;
mod dice;
mod disk;
mod file_system;
mod gate;
mod image;
mod names;

pub use crash::Crash;
pub use dice::Dice;
pub use disk::ModelDisk;
