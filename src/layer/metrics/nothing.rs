//! The functions of `facade`, without what they do.

use std::time::Duration;

use crate::{
    archive::Room,
    delivery::{ModelName, OutcomeKind},
};

pub(crate) const ARE_TAKEN: bool = false;

pub(crate) fn describe() {}

pub(in crate::layer) fn received(_: &ModelName, _: &'static str) {}

pub(in crate::layer) fn refused(_: &'static str) {}

pub(in crate::layer) fn quarantined(_: bool) {}

pub(in crate::layer) fn archived(_: &ModelName, _: usize, _: Duration) {}

pub(in crate::layer) fn repeated(_: &ModelName) {}

pub(in crate::layer) fn undecodable(_: &ModelName) {}

pub(in crate::layer) fn unknown(_: &ModelName) {}

pub(in crate::layer) fn settled(_: &ModelName, _: OutcomeKind, _: u32) {}

pub(in crate::layer) fn took_flight(_: usize) {}

pub(in crate::layer) fn landed(_: usize) {}

pub(crate) fn unsettled(_: &ModelName, _: u64) {}

pub(crate) fn dead(_: &ModelName, _: u64) {}

pub(crate) fn oldest_unsettled(_: Duration) {}

pub(crate) fn room(_: Room) {}
