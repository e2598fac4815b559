//! One function for each event. The names and their meaning are in `docs/metrics.md`.

use std::time::{Duration, SystemTime};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::{
    archive::{ArchiveHealth, StorageUsage, WriteState},
    delivery::{ModelName, StateKind},
};

/// Whether metrics are recorded.
pub(crate) const ENABLED: bool = true;

const RECEIVED: &str = "inbox_deliveries_received_total";
const REJECTED: &str = "inbox_deliveries_rejected_total";
const QUARANTINED: &str = "inbox_quarantined_total";
const ARCHIVED: &str = "inbox_archived_bytes_total";
const APPEND_WAIT: &str = "inbox_append_wait_seconds";
const REPEATS: &str = "inbox_repeats_total";
const UNDECODABLE: &str = "inbox_decode_errors_total";
const UNKNOWN: &str = "inbox_unknown_members_total";
const TOLERATED: &str = "inbox_tolerated_members_total";
const RUNS: &str = "inbox_runs_total";
const ATTEMPTS: &str = "inbox_attempts";
const IN_FLIGHT: &str = "inbox_in_flight_bytes";
const UNSETTLED: &str = "inbox_unsettled_deliveries";
const OLDEST: &str = "inbox_oldest_unsettled_age_seconds";
const DEAD: &str = "inbox_dead_deliveries";
const UNDECODABLE_DELIVERIES: &str = "inbox_undecodable_deliveries";
const ARCHIVE_SIZE: &str = "inbox_archive_size_bytes";
const ARCHIVE_FREE: &str = "inbox_archive_free_bytes";
const ARCHIVE_WRITABLE: &str = "inbox_archive_writable";
const ARCHIVE_DAMAGED: &str = "inbox_archive_damaged_places";
const ARCHIVE_MISSING: &str = "inbox_archive_missing_segments";
const MAINTENANCE_FAILED: &str = "inbox_archive_maintenance_failed";
const MAINTENANCE_TIME: &str = "inbox_archive_maintenance_timestamp_seconds";
const PANICS: &str = "inbox_task_panics_total";
const LEASES_LOST: &str = "inbox_leases_lost_total";
const FETCHED: &str = "inbox_fetched_results_total";
const OVERDUE: &str = "inbox_overdue_results";

/// Describes each metric to the exporter.
pub(crate) fn describe() {
    describe_counter!(RECEIVED, Unit::Count, "requests routed to a model");
    describe_counter!(REJECTED, Unit::Count, "requests that were rejected, by model and reason");
    describe_counter!(
        QUARANTINED,
        Unit::Count,
        "rejected deliveries for the quarantine, kept or not"
    );
    describe_counter!(ARCHIVED, Unit::Bytes, "bytes of archived bodies");
    describe_histogram!(APPEND_WAIT, Unit::Seconds, "time until a delivery was durable");
    describe_counter!(REPEATS, Unit::Count, "deliveries that were answered as a repeat");
    describe_counter!(UNDECODABLE, Unit::Count, "bodies that could not be decoded");
    describe_counter!(UNKNOWN, Unit::Count, "unknown members and words that were detected");
    describe_counter!(
        TOLERATED,
        Unit::Count,
        "members of decoded bodies that did not have the expected form"
    );
    describe_counter!(RUNS, Unit::Count, "outcomes that were recorded, by outcome");
    describe_histogram!(ATTEMPTS, Unit::Count, "attempts until the outcome");
    describe_gauge!(IN_FLIGHT, Unit::Bytes, "bytes in flight");
    describe_gauge!(UNSETTLED, Unit::Count, "deliveries that are pending, leased or failed");
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "age of the oldest unsettled delivery, 0 if there is none"
    );
    describe_gauge!(DEAD, Unit::Count, "deliveries that are dead");
    describe_gauge!(UNDECODABLE_DELIVERIES, Unit::Count, "deliveries that are undecodable");
    describe_gauge!(ARCHIVE_SIZE, Unit::Bytes, "bytes that the archive uses");
    describe_gauge!(ARCHIVE_FREE, Unit::Bytes, "bytes that are free for the archive");
    describe_gauge!(ARCHIVE_WRITABLE, Unit::Count, "1 if deliveries can be archived, otherwise 0");
    describe_gauge!(
        ARCHIVE_DAMAGED,
        Unit::Count,
        "damaged places found since the archive was opened"
    );
    describe_gauge!(ARCHIVE_MISSING, Unit::Count, "segments that are missing");
    describe_gauge!(
        MAINTENANCE_FAILED,
        Unit::Count,
        "1 if the last maintenance failed, otherwise 0"
    );
    describe_gauge!(MAINTENANCE_TIME, Unit::Seconds, "Unix time at which maintenance last ended");
    describe_counter!(PANICS, Unit::Count, "panics in background tasks, which were restarted");
    describe_counter!(LEASES_LOST, Unit::Count, "leases that were lost during processing");
    describe_counter!(FETCHED, Unit::Count, "overdue results that were fetched from a provider");
    describe_gauge!(OVERDUE, Unit::Count, "expected results that are overdue");
}

/// Starts the counters of a model at 0: an increase from nothing to 1 is none to Prometheus, and a model without
/// deliveries would have no series.
pub(crate) fn model_added(model: &ModelName, provider: &'static str) {
    counter!(RECEIVED, "model" => model.to_string(), "provider" => provider).increment(0);
    for counter in [UNDECODABLE, UNKNOWN, TOLERATED] {
        counter!(counter, "model" => model.to_string()).increment(0);
    }
}

pub(crate) fn received(model: &ModelName, provider: &'static str) {
    counter!(RECEIVED, "model" => model.to_string(), "provider" => provider).increment(1);
}

/// Without the label `model` if no model was found for the request.
pub(crate) fn rejected(model: Option<&ModelName>, reason: &'static str) {
    match model {
        Some(model) => {
            counter!(REJECTED, "model" => model.to_string(), "reason" => reason).increment(1);
        }
        None => counter!(REJECTED, "reason" => reason).increment(1),
    }
}

pub(crate) fn quarantined(kept: bool) {
    counter!(QUARANTINED, "kept" => if kept { "yes" } else { "no" }).increment(1);
}

pub(crate) fn archived(model: &ModelName, bytes: usize, wait: Duration) {
    counter!(ARCHIVED, "model" => model.to_string()).increment(bytes as u64);
    histogram!(APPEND_WAIT).record(wait);
}

pub(crate) fn repeated(model: &ModelName) {
    counter!(REPEATS, "model" => model.to_string()).increment(1);
}

pub(crate) fn undecodable(model: &ModelName) {
    counter!(UNDECODABLE, "model" => model.to_string()).increment(1);
}

pub(crate) fn tolerated(model: &ModelName, members: usize) {
    counter!(TOLERATED, "model" => model.to_string()).increment(members as u64);
}

pub(crate) fn unknown(model: &ModelName) {
    counter!(UNKNOWN, "model" => model.to_string()).increment(1);
}

pub(crate) fn settled(model: &ModelName, outcome: StateKind, attempt: u32) {
    counter!(RUNS, "model" => model.to_string(), "outcome" => outcome.as_str()).increment(1);
    histogram!(ATTEMPTS).record(f64::from(attempt));
}

/// Records a difference: with absolute values, the older of two concurrent updates could win.
pub(crate) fn add_in_flight(bytes: usize) {
    gauge!(IN_FLIGHT).increment(of(bytes as u64));
}

pub(crate) fn subtract_in_flight(bytes: usize) {
    gauge!(IN_FLIGHT).decrement(of(bytes as u64));
}

pub(crate) fn unsettled(model: &ModelName, deliveries: Option<u64>) {
    gauge!(UNSETTLED, "model" => model.to_string()).set(or_unknown(deliveries));
}

pub(crate) fn dead(model: &ModelName, deliveries: Option<u64>) {
    gauge!(DEAD, "model" => model.to_string()).set(or_unknown(deliveries));
}

pub(crate) fn undecodable_deliveries(model: &ModelName, deliveries: Option<u64>) {
    gauge!(UNDECODABLE_DELIVERIES, "model" => model.to_string()).set(or_unknown(deliveries));
}

pub(crate) fn oldest_unsettled(age: Option<Duration>) {
    gauge!(OLDEST).set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
}

pub(crate) fn storage_usage(usage: Option<StorageUsage>) {
    gauge!(ARCHIVE_SIZE).set(or_unknown(usage.map(|usage| usage.used)));
    gauge!(ARCHIVE_FREE).set(or_unknown(usage.and_then(|usage| usage.free)));
}

pub(crate) fn archive_health(health: ArchiveHealth) {
    let is_reachable = health.database.is_none_or(|database| database.reachable);
    let writable =
        |state| state == WriteState::Working && health.has_space != Some(false) && is_reachable;
    gauge!(ARCHIVE_WRITABLE).set(or_unknown(health.writes.map(writable).map(u64::from)));
    gauge!(ARCHIVE_DAMAGED).set(or_unknown(health.damaged));
    gauge!(ARCHIVE_MISSING).set(or_unknown(health.missing));
    let failed = health.maintenance.map(|maintenance| maintenance.failed);
    gauge!(MAINTENANCE_FAILED).set(or_unknown(failed.map(u64::from)));
    let finished_at = health.maintenance.map(|maintenance| maintenance.finished_at);
    let unix_time = finished_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    gauge!(MAINTENANCE_TIME).set(unix_time.map_or(f64::NAN, |time| time.as_secs_f64()));
}

pub(crate) fn task_panicked(task: &'static str) {
    counter!(PANICS, "task" => task).increment(1);
}

pub(crate) fn result_fetched(model: &str) {
    counter!(FETCHED, "model" => model.to_owned()).increment(1);
}

/// `None`: unknown.
pub(crate) fn overdue_results(results: Option<u32>) {
    gauge!(OVERDUE).set(results.map_or(f64::NAN, f64::from));
}

pub(crate) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

/// NaN, the unknown value of Prometheus, if there is none. It is in no alert's range.
fn or_unknown(number: Option<u64>) -> f64 {
    number.map_or(f64::NAN, of)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge has no more digits")]
fn of(number: u64) -> f64 {
    number as f64
}
