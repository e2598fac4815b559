//! The measured decoders, their payloads, and the measurement.

mod compare;
pub(crate) mod payloads;
pub(crate) mod plain;

pub(crate) use compare::{Contender, compare};
