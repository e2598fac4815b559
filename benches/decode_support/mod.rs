//! What is measured, on what, and how.

mod compare;
pub(crate) mod payloads;
pub(crate) mod plain;

pub(crate) use compare::{Contender, compare};
