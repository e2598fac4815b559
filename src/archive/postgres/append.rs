//! Appends, in batches.

use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    batch::{Statement, answers},
    error::Failure,
    head,
    operations::{Operations, bytes_of, lease, micros, only, state, token_uuid, uuid, value},
    session::{Params, Session},
};
use crate::{
    archive::{Append, Appended, ArchiveError, LeaseToken},
    delivery::{Delivery, DeliveryId, to_nanos},
};

/// The size of a job, in bytes, from which the statement for many takes less time also for one: measured with 24 KB, for
/// which both take the same, and with 223 KB.
const LARGE: usize = 32 << 10;

/// An append, and the token of the lease that it requests. The token is made here, so that a batch that is sent again
/// finds its own leases.
pub(super) struct AppendJob {
    append: Append,
    head: Vec<u8>,
    token: Option<LeaseToken>,
}

impl AppendJob {
    pub(super) fn new(append: Append) -> Self {
        let delivery = append.delivery();
        let head = head::write(delivery.head(), delivery.proof());
        let token = append.lease_length().map(|_| LeaseToken::new());
        Self { append, head, token }
    }

    fn id(&self) -> DeliveryId {
        self.append.delivery().id()
    }

    fn lease_micros(&self) -> i64 {
        self.append.lease_length().map_or(0, micros)
    }

    /// The answer if no other delivery has the fingerprint.
    fn stored(&self) -> Appended {
        self.append.stored(self.token.map(|token| lease(self.id(), token, 1, 0)))
    }

    /// The answer in a row.
    fn answer(&self, row: &Row) -> Result<Appended, Failure> {
        let id = bytes_of(value(row, 1)?);
        let is_leased: bool = value(row, 4)?;
        let lease = match self.token.filter(|_| is_leased) {
            Some(token) => Some(lease(id, token, value(row, 5)?, value(row, 6)?)),
            None => None,
        };
        if value(row, 2)? {
            return Ok(self.append.stored(lease));
        }
        Ok(self.append.repeats(id, state(value(row, 3)?)?, lease))
    }
}

/// The statement that appends a batch, durably.
pub(super) struct AppendStatement(pub(super) Operations);

impl Statement for AppendStatement {
    type Job = AppendJob;
    type Answer = Appended;

    fn schema(&self) -> &str {
        &self.0.sql.schema
    }

    fn size(job: &AppendJob) -> usize {
        job.append.delivery().body().len() + job.head.len() + 512
    }

    fn key(job: &AppendJob) -> DeliveryId {
        job.id()
    }

    async fn run(
        &self,
        session: &Session,
        jobs: &[AppendJob],
        resent: bool,
    ) -> Result<Vec<Result<Appended, ArchiveError>>, Failure> {
        let answers = match self.append(session, jobs, resent).await {
            // The database has entered a day without a partition.
            Err(Failure::Rejected { code, .. })
                if code == tokio_postgres::error::SqlState::CHECK_VIOLATION =>
            {
                session.query(&self.0.sql.create_partitions, &[(&0_i32, Type::INT4)]).await?;
                self.append(session, jobs, resent).await?
            }
            result => result?,
        };
        Ok(answers.into_iter().map(Ok).collect())
    }

    fn untaken(&self, answer: Appended) {
        self.0.release_untaken(answer.lease);
    }

    /// The caller gets an error and no lease. A lease that was taken is released, and does not expire as a crash.
    fn is_unsure(&self, job: &AppendJob) {
        self.0.release_untaken(job.token.map(|token| lease(job.id(), token, 1, 0)));
    }
}

impl AppendStatement {
    async fn append(
        &self,
        session: &Session,
        jobs: &[AppendJob],
        resent: bool,
    ) -> Result<Vec<Appended>, Failure> {
        if let ([job], false) = (jobs, resent)
            && Self::size(job) < LARGE
            && self.store(session, job).await?
        {
            return Ok(vec![job.stored()]);
        }
        self.append_all(session, jobs, resent).await
    }

    /// Stores a delivery. Returns false if another one has its fingerprint or its id. Takes less time than the statement for
    /// many if the job is not large.
    async fn store(&self, session: &Session, job: &AppendJob) -> Result<bool, Failure> {
        let delivery = job.append.delivery();
        let (fingerprint, digest) = (delivery.fingerprint(), delivery.digest());
        let params: Params<'_> = &[
            (&uuid(delivery.id()), Type::UUID),
            (&&fingerprint.as_bytes()[..], Type::BYTEA),
            (&delivery.model().as_str(), Type::TEXT),
            (&to_nanos(delivery.received_at()), Type::INT8),
            (&&digest.as_bytes()[..], Type::BYTEA),
            (&job.head, Type::BYTEA),
            (&&**delivery.body(), Type::BYTEA),
            (&job.token.map(token_uuid), Type::UUID),
            (&job.lease_micros(), Type::INT8),
        ];
        only(&session.query_durably(&self.0.sql.append_one, params).await?)
    }

    /// Appends all deliveries by one statement.
    async fn append_all(
        &self,
        session: &Session,
        jobs: &[AppendJob],
        resent: bool,
    ) -> Result<Vec<Appended>, Failure> {
        let deliveries = || jobs.iter().map(|job| job.append.delivery());
        let ids: Vec<Uuid> = deliveries().map(|delivery| uuid(delivery.id())).collect();
        let fingerprints: Vec<_> = deliveries().map(Delivery::fingerprint).collect();
        let fingerprints: Vec<&[u8]> = fingerprints.iter().map(|one| &one.as_bytes()[..]).collect();
        let models: Vec<&str> = deliveries().map(|delivery| delivery.model().as_str()).collect();
        let received: Vec<i64> = deliveries().map(|d| to_nanos(d.received_at())).collect();
        let digests: Vec<_> = deliveries().map(Delivery::digest).collect();
        let digests: Vec<&[u8]> = digests.iter().map(|one| &one.as_bytes()[..]).collect();
        let heads: Vec<&[u8]> = jobs.iter().map(|job| job.head.as_slice()).collect();
        let bodies: Vec<&[u8]> = deliveries().map(|delivery| &**delivery.body()).collect();
        let tokens: Vec<Option<Uuid>> = jobs.iter().map(|job| job.token.map(token_uuid)).collect();
        let lengths: Vec<i64> = jobs.iter().map(AppendJob::lease_micros).collect();
        let params: Params<'_> = &[
            (&ids, Type::UUID_ARRAY),
            (&fingerprints, Type::BYTEA_ARRAY),
            (&models, Type::TEXT_ARRAY),
            (&received, Type::INT8_ARRAY),
            (&digests, Type::BYTEA_ARRAY),
            (&heads, Type::BYTEA_ARRAY),
            (&bodies, Type::BYTEA_ARRAY),
            (&tokens, Type::UUID_ARRAY),
            (&lengths, Type::INT8_ARRAY),
            (&resent, Type::BOOL),
        ];
        let rows = session.query_durably(&self.0.sql.append, params).await?;
        answers(&rows, jobs, |row, job| job.answer(row))
    }
}
