//! One function for each thing that happens. The names, and what they mean, are in `docs/metrics.md`.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::{
    archive::Room,
    delivery::{ModelName, OutcomeKind},
};

/// Whether it is worth asking for what is only measured.
pub(crate) const ARE_TAKEN: bool = true;

const RECEIVED: &str = "inbox_deliveries_received_total";
const REFUSED: &str = "inbox_deliveries_refused_total";
const QUARANTINED: &str = "inbox_quarantined_total";
const ARCHIVED: &str = "inbox_archived_bytes_total";
const APPEND_WAIT: &str = "inbox_append_wait_seconds";
const REPEATS: &str = "inbox_repeats_total";
const UNDECODABLE: &str = "inbox_decode_errors_total";
const UNKNOWN: &str = "inbox_unknown_members_total";
const RUNS: &str = "inbox_runs_total";
const ATTEMPTS: &str = "inbox_attempts";
const IN_FLIGHT: &str = "inbox_in_flight_bytes";
const UNSETTLED: &str = "inbox_unsettled_deliveries";
const OLDEST: &str = "inbox_oldest_unsettled_age_seconds";
const DEAD: &str = "inbox_dead_deliveries";
const ARCHIVE_SIZE: &str = "inbox_archive_size_bytes";
const ARCHIVE_FREE: &str = "inbox_archive_free_bytes";

/// Tells the exporter what each means.
pub(crate) fn describe() {
    crate::supervise::describe();
    describe_counter!(RECEIVED, Unit::Count, "requests that a model has claimed");
    describe_counter!(REFUSED, Unit::Count, "requests that the inbox answered itself, by reason");
    describe_counter!(
        QUARANTINED,
        Unit::Count,
        "refused deliveries for the quarantine, kept or not"
    );
    describe_counter!(ARCHIVED, Unit::Bytes, "bodies that were made durable");
    describe_histogram!(APPEND_WAIT, Unit::Seconds, "how long a delivery waited for its receipt");
    describe_counter!(REPEATS, Unit::Count, "deliveries that were answered as the first was");
    describe_counter!(UNDECODABLE, Unit::Count, "bodies that are not of their model's type");
    describe_counter!(UNKNOWN, Unit::Count, "places that a watched type does not know");
    describe_counter!(RUNS, Unit::Count, "deliveries that were settled, or failed, by outcome");
    describe_histogram!(ATTEMPTS, Unit::Count, "how often the handler was begun by then");
    describe_gauge!(IN_FLIGHT, Unit::Bytes, "what is in flight, as the budget counts it");
    describe_gauge!(UNSETTLED, Unit::Count, "deliveries that are pending or failed");
    describe_gauge!(OLDEST, Unit::Seconds, "the age of the oldest of them, 0 if there is none");
    describe_gauge!(DEAD, Unit::Count, "deliveries that are dead, until somebody retries them");
    describe_gauge!(ARCHIVE_SIZE, Unit::Bytes, "what the archive takes");
    describe_gauge!(ARCHIVE_FREE, Unit::Bytes, "what is free for it");
}

pub(in crate::layer) fn received(model: &ModelName, provider: &'static str) {
    counter!(RECEIVED, "model" => model.to_string(), "provider" => provider).increment(1);
}

pub(in crate::layer) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(in crate::layer) fn quarantined(kept: bool) {
    counter!(QUARANTINED, "kept" => if kept { "yes" } else { "no" }).increment(1);
}

pub(in crate::layer) fn archived(model: &ModelName, bytes: usize, wait: Duration) {
    counter!(ARCHIVED, "model" => model.to_string()).increment(bytes as u64);
    histogram!(APPEND_WAIT).record(wait);
}

pub(in crate::layer) fn repeated(model: &ModelName) {
    counter!(REPEATS, "model" => model.to_string()).increment(1);
}

pub(in crate::layer) fn undecodable(model: &ModelName) {
    counter!(UNDECODABLE, "model" => model.to_string()).increment(1);
}

pub(in crate::layer) fn unknown(model: &ModelName) {
    counter!(UNKNOWN, "model" => model.to_string()).increment(1);
}

pub(in crate::layer) fn settled(model: &ModelName, outcome: OutcomeKind, attempt: u32) {
    counter!(RUNS, "model" => model.to_string(), "outcome" => outcome.as_str()).increment(1);
    histogram!(ATTEMPTS).record(f64::from(attempt));
}

/// A difference, not the sum: of two threads that tell a sum, the one that comes second may tell the older one.
pub(in crate::layer) fn took_flight(bytes: usize) {
    gauge!(IN_FLIGHT).increment(of(bytes as u64));
}

pub(in crate::layer) fn landed(bytes: usize) {
    gauge!(IN_FLIGHT).decrement(of(bytes as u64));
}

pub(crate) fn unsettled(model: &ModelName, deliveries: u64) {
    gauge!(UNSETTLED, "model" => model.to_string()).set(of(deliveries));
}

pub(crate) fn dead(model: &ModelName, deliveries: u64) {
    gauge!(DEAD, "model" => model.to_string()).set(of(deliveries));
}

pub(crate) fn oldest_unsettled(age: Duration) {
    gauge!(OLDEST).set(age.as_secs_f64());
}

pub(crate) fn room(room: Room) {
    gauge!(ARCHIVE_SIZE).set(of(room.used));
    gauge!(ARCHIVE_FREE).set(of(room.free));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge has no more digits")]
fn of(number: u64) -> f64 {
    number as f64
}
