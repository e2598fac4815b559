//! The suite that every archive passes.

mod appending;
mod ask;
mod removing;
mod settling;
mod suite;

pub use suite::conformance;
