//! A disk in memory that stores written and synced data separately.
//!
//! `content` and `names` say what a crash may leave of one file and of the directory, `image` puts them together,
//! `choice` picks among what may be left: everything in turn, or by the dice.

mod call;
mod choice;
mod content;
mod crash;
mod dice;
mod disk;
mod gate;
mod image;
mod medium;
mod names;

pub use crash::Crash;
pub use dice::Dice;
pub use disk::ModelDisk;
