//! The functions of `facade`, without effect.

use std::time::Duration;

use crate::{
    archive::{ArchiveHealth, StorageUsage},
    delivery::{ModelName, StateKind},
};

pub(crate) const ENABLED: bool = false;

pub(crate) fn describe() {}

pub(crate) fn model_added(_: &ModelName, _: &'static str) {}

pub(crate) fn received(_: &ModelName, _: &'static str) {}

pub(crate) fn rejected(_: Option<&ModelName>, _: &'static str) {}

pub(crate) fn quarantined(_: bool) {}

pub(crate) fn archived(_: &ModelName, _: usize, _: Duration) {}

pub(crate) fn repeated(_: &ModelName) {}

pub(crate) fn undecodable(_: &ModelName) {}

pub(crate) fn tolerated(_: &ModelName, _: usize) {}
pub(crate) fn unknown(_: &ModelName) {}

pub(crate) fn settled(_: &ModelName, _: StateKind, _: u32) {}

pub(crate) fn add_in_flight(_: usize) {}

pub(crate) fn subtract_in_flight(_: usize) {}

pub(crate) fn unsettled(_: &ModelName, _: Option<u64>) {}

pub(crate) fn dead(_: &ModelName, _: Option<u64>) {}
pub(crate) fn undecodable_deliveries(_: &ModelName, _: Option<u64>) {}

pub(crate) fn oldest_unsettled(_: Option<Duration>) {}

pub(crate) fn storage_usage(_: Option<StorageUsage>) {}

pub(crate) fn archive_health(_: ArchiveHealth) {}

pub(crate) fn task_panicked(_: &'static str) {}

pub(crate) fn lease_lost() {}

pub(crate) fn result_fetched(_: &str) {}

pub(crate) fn overdue_results(_: Option<u32>) {}
