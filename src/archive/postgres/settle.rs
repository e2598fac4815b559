//! Outcomes, in batches.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    batch::{Statement, answers},
    error::Failure,
    operations::{Operations, kind_number, micros, token_uuid, uuid, value},
    session::{Params, Session},
};
use crate::{
    archive::{ArchiveError, Lease, LeaseToken},
    delivery::{DeliveryId, Outcome},
};

/// An outcome to record.
pub(super) struct SettleJob {
    pub(super) lease: Lease,
    pub(super) outcome: Outcome,
    pub(super) retry_in: Duration,
}

/// The most leases with an unsure outcome that are remembered.
const UNSURE: usize = 10_000;

/// The statement that records a batch of outcomes, durably.
pub(super) struct SettleStatement {
    operations: Operations,
    /// The leases whose outcome may be recorded, although an earlier statement failed.
    unsure: Mutex<HashSet<LeaseToken>>,
}

impl SettleStatement {
    pub(super) fn new(operations: Operations) -> Self {
        Self { operations, unsure: Mutex::default() }
    }

    fn unsure(&self) -> MutexGuard<'_, HashSet<LeaseToken>> {
        self.unsure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if an earlier statement for one of the jobs may have taken effect.
    fn is_repeated(&self, jobs: &[SettleJob]) -> bool {
        let unsure = self.unsure();
        !unsure.is_empty() && jobs.iter().any(|job| unsure.contains(&job.lease.token()))
    }
}

impl Statement for SettleStatement {
    type Job = SettleJob;
    type Answer = ();

    fn schema(&self) -> &str {
        &self.operations.sql.schema
    }

    fn size(_: &SettleJob) -> usize {
        1024
    }

    fn key(job: &SettleJob) -> DeliveryId {
        job.lease.id()
    }

    async fn run(
        &self,
        session: &Session,
        jobs: &[SettleJob],
        resent: bool,
    ) -> Result<Vec<Result<(), ArchiveError>>, Failure> {
        let ids: Vec<Uuid> = jobs.iter().map(|job| uuid(job.lease.id())).collect();
        let tokens: Vec<Uuid> = jobs.iter().map(|job| token_uuid(job.lease.token())).collect();
        let kinds: Vec<i16> = jobs.iter().map(|job| kind_number(job.outcome.kind())).collect();
        let outcomes: Vec<String> = jobs.iter().map(|job| job.outcome.to_string()).collect();
        let inferences: Vec<Option<Vec<u8>>> = jobs
            .iter()
            .map(|job| job.outcome.inference().map(|inference| inference.to_bytes().to_vec()))
            .collect();
        let is_poisoned =
            |outcome: &Outcome| matches!(outcome, Outcome::Dead { poisoned: true, .. });
        let poisoned: Vec<bool> = jobs.iter().map(|job| is_poisoned(&job.outcome)).collect();
        let attempts: Vec<i32> = jobs.iter().map(|job| attempts(&job.outcome)).collect();
        let resent = resent || self.is_repeated(jobs);
        let retries: Vec<i64> = jobs.iter().map(|job| micros(job.retry_in)).collect();
        let params: Params<'_> = &[
            (&ids, Type::UUID_ARRAY),
            (&tokens, Type::UUID_ARRAY),
            (&kinds, Type::INT2_ARRAY),
            (&outcomes, Type::TEXT_ARRAY),
            (&inferences, Type::BYTEA_ARRAY),
            (&poisoned, Type::BOOL_ARRAY),
            (&attempts, Type::INT4_ARRAY),
            (&retries, Type::INT8_ARRAY),
            (&resent, Type::BOOL),
        ];
        let rows = session.query_durably(&self.operations.sql.settle, params).await?;
        if resent {
            let mut unsure = self.unsure();
            for job in jobs {
                unsure.remove(&job.lease.token());
            }
        }
        answers(&rows, jobs, |row, job| Ok(result(value(row, 1)?, job.lease.id())))
    }

    fn untaken(&self, (): ()) {}

    fn is_unsure(&self, job: &SettleJob) {
        let mut unsure = self.unsure();
        if unsure.len() < UNSURE {
            unsure.insert(job.lease.token());
        }
    }
}

/// The result of an operation under a lease.
pub(super) fn result(text: &str, id: DeliveryId) -> Result<(), ArchiveError> {
    match text {
        "done" => Ok(()),
        "unknown" => Err(ArchiveError::Unknown { id }),
        _ => Err(ArchiveError::LeaseLost { id }),
    }
}

fn attempts(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Failed { attempts, .. } => i32::try_from(*attempts).unwrap_or(i32::MAX - 1),
        _ => 0,
    }
}
