use std::time::Duration;

use serde::Serialize;

use crate::{
    archive::{ArchiveHealth, DatabaseHealth, Maintenance, SchemaState, WriteState},
    process::Renewals,
    worker::PoolState,
};

/// Why an inbox is not live, not ready, or degraded.
///
/// | reason | live | ready | meaning |
/// |---|---|---|---|
/// | [`ArchiveStopped`](Self::ArchiveStopped) | 503 | 503 | nothing is archived until the process is restarted |
/// | [`WorkersEnded`](Self::WorkersEnded) | 503 | 200 | no worker runs until the process is restarted |
/// | [`ArchiveFailing`](Self::ArchiveFailing) | 200 | 503 | the last write failed |
/// | [`ArchiveStalled`](Self::ArchiveStalled) | 200 | 503 | a write does not end |
/// | [`ArchiveUnknown`](Self::ArchiveUnknown) | 200 | 503 | the archive does not answer |
/// | [`DatabaseUnreachable`](Self::DatabaseUnreachable) | 200 | 503 | the database of the archive does not answer |
/// | [`SchemaOutdated`](Self::SchemaOutdated) | 200 | 503 | the database lacks migrations |
/// | [`SchemaTooNew`](Self::SchemaTooNew) | 200 | 503 | the database was migrated for a later version of this program |
/// | [`NoSpace`](Self::NoSpace) | 200 | 503 | new deliveries are rejected |
/// | [`WorkersNotStarted`](Self::WorkersNotStarted) | 200 | 503 | background mode without workers |
/// | [`ShuttingDown`](Self::ShuttingDown) | 200 | 503 | [`Inbox::shutdown`](crate::Inbox::shutdown) was called |
/// | [`WorkersRestarting`](Self::WorkersRestarting) | 200 | 200 | the worker pool panicked, and is about to restart |
/// | [`OldestUnsettled`](Self::OldestUnsettled) | 200 | 200 | a delivery has not been settled for too long |
/// | [`BacklogUnknown`](Self::BacklogUnknown) | 200 | 200 | the unsettled deliveries cannot be counted |
/// | [`Damaged`](Self::Damaged) | 200 | 200 | parts of the archive cannot be read |
/// | [`Missing`](Self::Missing) | 200 | 200 | parts of the archive are missing |
/// | [`MaintenanceFailed`](Self::MaintenanceFailed) | 200 | 200 | the last maintenance of the archive failed |
/// | [`StandbyMissing`](Self::StandbyMissing) | 200 | 200 | a required synchronous standby is not configured or not connected |
/// | [`LeasesNotRenewed`](Self::LeasesNotRenewed) | 200 | 200 | the leases of running deliveries cannot be renewed |
///
/// An inbox is not live only if nothing but a restart helps, and not ready only if it rejects deliveries. A backlog or
/// damage needs a person; an orchestrator that stopped sending requests because of it would make it worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HealthReason {
    /// The archive was closed, its writer panicked, or its lock file was deleted. Only a restart helps.
    ArchiveStopped,
    /// The runtime on which the workers were started has ended. Only a restart helps.
    WorkersEnded,
    /// The last write of the archive failed, and so did each test since.
    ArchiveFailing,
    /// A write of the archive does not end.
    ArchiveStalled,
    /// The archive did not report its condition, or not in time.
    ArchiveUnknown,
    /// The database of the archive refuses connections, or has not answered for 2 s.
    DatabaseUnreachable,
    /// The schema in the database is missing, or lacks versions that this program needs. Migrate it.
    SchemaOutdated,
    /// The schema in the database was migrated to a version that is not compatible with this program. Update it.
    SchemaTooNew,
    /// Too little space is free for new deliveries.
    NoSpace,
    /// The inbox accepts deliveries in the background, and [`Inbox::start_workers`](crate::Inbox::start_workers) was
    /// not called yet.
    WorkersNotStarted,
    /// [`Inbox::shutdown`](crate::Inbox::shutdown) was called.
    ShuttingDown,
    /// The worker pool panicked, and restarts after a pause.
    WorkersRestarting,
    /// The oldest unsettled delivery is older than [`Health::oldest_unsettled`](super::Health::oldest_unsettled)
    /// allows.
    OldestUnsettled,
    /// The archive did not report its unsettled deliveries, or not in time.
    BacklogUnknown,
    /// A part of the archive was found damaged since it was opened.
    Damaged,
    /// A part of the archive is missing.
    Missing,
    /// The last round of the archive's maintenance failed.
    MaintenanceFailed,
    /// A synchronous standby is required, and none is configured or none is connected. If one is configured, commits
    /// wait for it, and deliveries are rejected when they have waited for too long.
    StandbyMissing,
    /// The last successful renewal of leases was sent more than two thirds of their length ago: since one that was due
    /// after a third, they have failed. Handlers are stopped when their leases end.
    LeasesNotRenewed,
}

impl HealthReason {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArchiveStopped => "archive_stopped",
            Self::WorkersEnded => "workers_ended",
            Self::ArchiveFailing => "archive_failing",
            Self::ArchiveStalled => "archive_stalled",
            Self::ArchiveUnknown => "archive_unknown",
            Self::DatabaseUnreachable => "database_unreachable",
            Self::SchemaOutdated => "schema_outdated",
            Self::SchemaTooNew => "schema_too_new",
            Self::NoSpace => "no_space",
            Self::WorkersNotStarted => "workers_not_started",
            Self::ShuttingDown => "shutting_down",
            Self::WorkersRestarting => "workers_restarting",
            Self::OldestUnsettled => "oldest_unsettled",
            Self::BacklogUnknown => "backlog_unknown",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::MaintenanceFailed => "maintenance_failed",
            Self::StandbyMissing => "standby_missing",
            Self::LeasesNotRenewed => "leases_not_renewed",
        }
    }

    /// Whether the inbox should be restarted.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::ArchiveStopped | Self::WorkersEnded)
    }

    /// Whether the inbox rejects deliveries.
    pub fn prevents_receiving(self) -> bool {
        matches!(
            self,
            Self::ArchiveStopped
                | Self::ArchiveFailing
                | Self::ArchiveStalled
                | Self::ArchiveUnknown
                | Self::DatabaseUnreachable
                | Self::SchemaOutdated
                | Self::SchemaTooNew
                | Self::NoSpace
                | Self::WorkersNotStarted
                | Self::ShuttingDown
        )
    }
}

/// The condition of an inbox. Made by [`Health::report`](super::Health::report).
#[derive(Clone, Debug)]
pub struct HealthReport {
    facts: Facts,
    reasons: Vec<HealthReason>,
}

/// The data of a report.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// None if the archive did not answer.
    pub(super) archive: Option<ArchiveHealth>,
    /// None if the archive did not answer.
    pub(super) backlog: Option<Backlog>,
    pub(super) workers: PoolState,
    /// None if no lease is held.
    pub(super) renewals: Option<Renewals>,
    /// Whether deliveries are accepted in the background.
    pub(super) needs_workers: bool,
}

/// The deliveries that are not settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    pub(super) unsettled: u64,
    /// The age of the oldest.
    pub(super) oldest: Option<Duration>,
}

impl HealthReport {
    pub(super) fn new(facts: Facts, oldest_limit: Option<Duration>) -> Self {
        let mut reasons = facts.reasons(oldest_limit);
        reasons.sort_unstable();
        Self { facts, reasons }
    }

    /// False if only a restart of the process helps.
    pub fn is_live(&self) -> bool {
        !self.reasons.iter().any(|reason| reason.is_fatal())
    }

    /// Whether deliveries are received.
    pub fn is_ready(&self) -> bool {
        !self.reasons.iter().any(|reason| reason.prevents_receiving())
    }

    /// Why the inbox is not live, not ready, or degraded. Empty if it is healthy.
    pub fn reasons(&self) -> &[HealthReason] {
        &self.reasons
    }

    /// The JSON for a probe that succeeds or fails. Holds names and numbers only: no paths, models or messages.
    pub(super) fn json(&self, succeeds: bool, now: std::time::SystemTime) -> String {
        let Facts { archive, backlog, workers, renewals, .. } = &self.facts;
        let status = match (succeeds, self.reasons.is_empty()) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ok",
        };
        let maintenance = |Maintenance { finished_at, failed }| MaintenanceJson {
            finished_seconds_ago: now.duration_since(finished_at).unwrap_or_default().as_secs(),
            failed,
        };
        let json = Json {
            status,
            reasons: self.reasons.iter().map(|reason| reason.as_str()).collect(),
            archive: archive.map(|archive| ArchiveJson {
                writes: archive.writes.map(write_state),
                has_space: archive.has_space,
                damaged: archive.damaged,
                missing: archive.missing,
                maintenance: archive.maintenance.map(maintenance),
                database: archive.database.map(database_json),
            }),
            workers: workers.as_str(),
            unsettled: backlog.map(|backlog| backlog.unsettled),
            oldest_unsettled_seconds: backlog.and_then(|backlog| Some(backlog.oldest?.as_secs())),
            leases_renewed_seconds_ago: renewals.map(|renewals| renewals.age.as_secs()),
        };
        // Names, numbers and booleans can always be written.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

impl Facts {
    fn reasons(&self, oldest_limit: Option<Duration>) -> Vec<HealthReason> {
        let mut reasons = Vec::new();
        match &self.archive {
            Some(archive) => archive_reasons(archive, &mut reasons),
            None => reasons.push(HealthReason::ArchiveUnknown),
        }
        match (self.backlog, oldest_limit) {
            (None, _) => reasons.push(HealthReason::BacklogUnknown),
            (Some(Backlog { oldest: Some(age), .. }), Some(limit)) if age > limit => {
                reasons.push(HealthReason::OldestUnsettled);
            }
            _ => {}
        }
        reasons.extend(match self.workers {
            PoolState::NotStarted => self.needs_workers.then_some(HealthReason::WorkersNotStarted),
            PoolState::Running => None,
            PoolState::Restarting => Some(HealthReason::WorkersRestarting),
            PoolState::Stopping => Some(HealthReason::ShuttingDown),
            PoolState::Ended => Some(HealthReason::WorkersEnded),
        });
        if self.renewals.is_some_and(|renewals| renewals.failed) {
            reasons.push(HealthReason::LeasesNotRenewed);
        }
        reasons
    }
}

fn archive_reasons(archive: &ArchiveHealth, reasons: &mut Vec<HealthReason>) {
    let is_some = |number: Option<u64>| number.is_some_and(|number| number > 0);
    reasons.extend(match archive.writes {
        None | Some(WriteState::Working) => None,
        Some(WriteState::Stalled) => Some(HealthReason::ArchiveStalled),
        Some(WriteState::Failing) => Some(HealthReason::ArchiveFailing),
        Some(WriteState::Stopped) => Some(HealthReason::ArchiveStopped),
    });
    let failed = archive.maintenance.is_some_and(|maintenance| maintenance.failed);
    for (holds, reason) in [
        (archive.has_space == Some(false), HealthReason::NoSpace),
        (is_some(archive.damaged), HealthReason::Damaged),
        (is_some(archive.missing), HealthReason::Missing),
        (failed, HealthReason::MaintenanceFailed),
    ] {
        reasons.extend(holds.then_some(reason));
    }
    if let Some(database) = &archive.database {
        database_reasons(*database, reasons);
    }
}

fn database_reasons(database: DatabaseHealth, reasons: &mut Vec<HealthReason>) {
    let DatabaseHealth { reachable, schema, has_standby } = database;
    if !reachable {
        // The rest is as old as the last answer.
        reasons.push(HealthReason::DatabaseUnreachable);
        return;
    }
    reasons.extend(match schema {
        None | Some(SchemaState::Usable) => None,
        Some(SchemaState::Missing | SchemaState::Outdated) => Some(HealthReason::SchemaOutdated),
        Some(SchemaState::TooNew) => Some(HealthReason::SchemaTooNew),
    });
    reasons.extend((has_standby == Some(false)).then_some(HealthReason::StandbyMissing));
}

fn database_json(database: DatabaseHealth) -> DatabaseJson {
    let schema = database.schema.map(|schema| match schema {
        SchemaState::Usable => "usable",
        SchemaState::Missing => "missing",
        SchemaState::Outdated => "outdated",
        SchemaState::TooNew => "too_new",
    });
    DatabaseJson { reachable: database.reachable, schema, has_standby: database.has_standby }
}

fn write_state(state: WriteState) -> &'static str {
    match state {
        WriteState::Working => "working",
        WriteState::Stalled => "stalled",
        WriteState::Failing => "failing",
        WriteState::Stopped => "stopped",
    }
}

#[derive(Serialize)]
struct Json {
    status: &'static str,
    reasons: Vec<&'static str>,
    archive: Option<ArchiveJson>,
    workers: &'static str,
    unsettled: Option<u64>,
    oldest_unsettled_seconds: Option<u64>,
    /// Only while leases are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    leases_renewed_seconds_ago: Option<u64>,
}

#[derive(Serialize)]
struct ArchiveJson {
    writes: Option<&'static str>,
    has_space: Option<bool>,
    damaged: Option<u64>,
    missing: Option<u64>,
    maintenance: Option<MaintenanceJson>,
    /// Only of archives that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseJson>,
}

#[derive(Serialize)]
struct DatabaseJson {
    reachable: bool,
    schema: Option<&'static str>,
    has_standby: Option<bool>,
}

#[derive(Serialize)]
struct MaintenanceJson {
    finished_seconds_ago: u64,
    failed: bool,
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

    fn well() -> Facts {
        let archive = ArchiveHealth {
            writes: Some(WriteState::Working),
            has_space: Some(true),
            damaged: Some(0),
            missing: Some(0),
            maintenance: Some(Maintenance::new(SystemTime::UNIX_EPOCH, false)),
            database: None,
        };
        let backlog = Backlog { unsettled: 1, oldest: LIMIT };
        Facts {
            archive: Some(archive),
            backlog: Some(backlog),
            workers: PoolState::Running,
            renewals: Some(Renewals { age: Duration::from_secs(40), failed: false }),
            needs_workers: true,
        }
    }

    fn with_archive(change: impl FnOnce(&mut ArchiveHealth)) -> Facts {
        let mut facts = well();
        facts.archive.as_mut().map(change).unwrap();
        facts
    }

    #[test]
    fn each_reason_has_its_effect_on_live_and_ready() {
        let with_writes = |state| with_archive(|archive| archive.writes = Some(state));
        let with_workers = |workers| Facts { workers, ..well() };
        let failed = Maintenance::new(SystemTime::UNIX_EPOCH, true);
        let old = Backlog { unsettled: 1, oldest: Some(Duration::from_secs(61)) };
        let stale = Some(Renewals { age: Duration::from_secs(41), failed: true });
        let with_database = |reachable, schema, has_standby| {
            let database = DatabaseHealth { reachable, schema: Some(schema), has_standby };
            with_archive(|archive| archive.database = Some(database))
        };
        let usable = SchemaState::Usable;
        let unreachable = with_database(false, SchemaState::Missing, Some(false));
        let (missing, outdated, too_new) = (
            with_database(true, SchemaState::Missing, None),
            with_database(true, SchemaState::Outdated, Some(true)),
            with_database(true, SchemaState::TooNew, None),
        );
        let no_standby = with_database(true, usable, Some(false));
        let cases = [
            (with_writes(WriteState::Stopped), HealthReason::ArchiveStopped, false, false),
            (with_workers(PoolState::Ended), HealthReason::WorkersEnded, false, true),
            (with_writes(WriteState::Failing), HealthReason::ArchiveFailing, true, false),
            (with_writes(WriteState::Stalled), HealthReason::ArchiveStalled, true, false),
            (Facts { archive: None, ..well() }, HealthReason::ArchiveUnknown, true, false),
            (with_archive(|a| a.has_space = Some(false)), HealthReason::NoSpace, true, false),
            (unreachable, HealthReason::DatabaseUnreachable, true, false),
            (missing, HealthReason::SchemaOutdated, true, false),
            (outdated, HealthReason::SchemaOutdated, true, false),
            (too_new, HealthReason::SchemaTooNew, true, false),
            (no_standby, HealthReason::StandbyMissing, true, true),
            (Facts { renewals: stale, ..well() }, HealthReason::LeasesNotRenewed, true, true),
            (with_workers(PoolState::NotStarted), HealthReason::WorkersNotStarted, true, false),
            (with_workers(PoolState::Stopping), HealthReason::ShuttingDown, true, false),
            (with_workers(PoolState::Restarting), HealthReason::WorkersRestarting, true, true),
            (Facts { backlog: Some(old), ..well() }, HealthReason::OldestUnsettled, true, true),
            (Facts { backlog: None, ..well() }, HealthReason::BacklogUnknown, true, true),
            (with_archive(|a| a.damaged = Some(1)), HealthReason::Damaged, true, true),
            (with_archive(|a| a.missing = Some(1)), HealthReason::Missing, true, true),
            (
                with_archive(|a| a.maintenance = Some(failed)),
                HealthReason::MaintenanceFailed,
                true,
                true,
            ),
        ];
        let page = include_str!("report.rs");
        for (facts, reason, is_live, is_ready) in cases {
            let report = HealthReport::new(facts, LIMIT);
            assert_eq!(report.reasons(), [reason]);
            assert_eq!((report.is_live(), report.is_ready()), (is_live, is_ready), "{reason:?}");
            let status = |succeeds| if succeeds { 200 } else { 503 };
            let row = format!("Self::{reason:?}) | {} | {} |", status(is_live), status(is_ready));
            assert!(page.contains(&row), "the table has no row {row}");
        }
    }

    #[test]
    fn unknown_facts_and_missing_workers_inline_are_no_reasons() {
        assert_eq!(HealthReport::new(well(), LIMIT).reasons(), []);
        let archive = Some(ArchiveHealth::default());
        let workers = PoolState::NotStarted;
        let facts = Facts { archive, workers, needs_workers: false, ..well() };
        assert_eq!(HealthReport::new(facts, None).reasons(), []);
    }

    #[test]
    fn json_of_a_probe_has_status_reasons_and_known_facts() {
        let mut facts = with_archive(|archive| archive.missing = None);
        facts.archive.as_mut().unwrap().has_space = Some(false);
        let report = HealthReport::new(facts, None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let expected = |status| {
            format!(
                r#"{{"status":"{status}","reasons":["no_space"],"archive":{{"writes":"working","has_space":false,"#
            ) + r#""damaged":0,"missing":null,"maintenance":{"finished_seconds_ago":9,"failed":false}},"#
                + r#""workers":"running","unsettled":1,"oldest_unsettled_seconds":60,"#
                + r#""leases_renewed_seconds_ago":40}"#
        };
        assert_eq!(report.json(false, now), expected("unavailable"));
        assert_eq!(report.json(true, now), expected("degraded"));
        let report = HealthReport::new(well(), None);
        assert!(report.json(true, now).starts_with(r#"{"status":"ok","reasons":[],"#));
        let mut database = DatabaseHealth::new(true);
        database.schema = Some(SchemaState::TooNew);
        let facts = with_archive(|archive| archive.database = Some(database));
        let json = HealthReport::new(Facts { renewals: None, ..facts }, None).json(false, now);
        let database = r#""database":{"reachable":true,"schema":"too_new","has_standby":null}},"#;
        assert!(json.contains(database) && !json.contains("leases"), "{json}");
    }
}
