//! What the benchmarks share. Absolute figures mean little on a machine that others use: every run compares engines in
//! alternating rounds, and prints ratios of medians.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod cpu;
pub(crate) mod file_each;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod slow_sync;
pub(crate) mod stats;
