//! A disk in memory that stores written and synced data separately.
//!
//! `content` and `names` model the effect of a crash on one file and on a directory. `choice` selects the changes that
//! survive: all combinations in turn, or at random.

mod choice;
mod content;
mod crash;
mod disk;
mod file_system;
mod gate;
mod names;

pub use choice::Dice;
pub use crash::Crash;
pub use disk::ModelDisk;
