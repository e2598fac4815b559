//! A queue whose jobs are sent to the database in batches: the next batch collects while the last one commits.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_postgres::{Row, error::SqlState};

use super::{
    error::Failure, operations::value, pool::Conflicts, server::Server, session::Session,
    space::check_space,
};
use crate::{
    archive::{ArchiveError, WriteState},
    delivery::DeliveryId,
};

/// A batch is sent beside running ones when this many jobs wait, or this many bytes. Below that, waiting for a running
/// batch makes fewer and larger batches.
const PARALLEL_JOBS: usize = 16;
const PARALLEL_BYTES: usize = 512 << 10;
/// How often it is tested whether the database commits again after a failure.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A statement for several jobs.
pub(super) trait Statement: Send + Sync + 'static {
    type Job: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// The quoted name of the schema of the archive.
    fn schema(&self) -> &str;

    /// The memory that a job takes, in bytes.
    fn size(job: &Self::Job) -> usize;

    /// The delivery of a job. A batch has at most one job for each.
    fn key(job: &Self::Job) -> DeliveryId;

    /// Runs the statement. `resent` is true if the answer to an earlier attempt with the same jobs was lost.
    fn run(
        &self,
        session: &Session,
        jobs: &[Self::Job],
        resent: bool,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, ArchiveError>>, Failure>> + Send;

    /// Takes back an answer that the caller no longer waits for.
    fn untaken(&self, answer: Self::Answer);

    /// Called for a job whose statement failed, and may have taken effect.
    fn is_unsure(&self, job: &Self::Job);
}

/// The limits of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The maximum number of jobs in a batch.
    pub(super) jobs: usize,
    /// The maximum size of a batch, in bytes, unless it has one job.
    pub(super) bytes: usize,
    /// The maximum number of queued jobs.
    pub(super) queued: usize,
    /// The maximum size of the queued jobs, in bytes.
    pub(super) queued_bytes: usize,
    /// How long the statement for a batch is attempted.
    pub(super) deadline: Duration,
    /// The maximum number of batches that run at the same time, each on a connection of its own.
    pub(super) parallel: usize,
}

/// A queue, and the tasks that send its batches.
pub(super) struct Batcher<S: Statement> {
    shared: Arc<Shared<S>>,
    /// Closed when all tasks have ended.
    ended: watch::Receiver<()>,
}

struct Shared<S: Statement> {
    statement: S,
    limits: Limits,
    queue: Mutex<Queue<S>>,
    changed: Notify,
}

struct Queue<S: Statement> {
    jobs: VecDeque<Queued<S>>,
    bytes: usize,
    closed: bool,
    /// When the running statements were started. At most one for each task.
    running_since: Vec<Instant>,
    last: LastStatement,
}

/// The result of the last statement of a queue, or of the last test after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastStatement {
    Succeeded,
    Failed,
    /// A disk is full: that of the tables, or that of the log.
    NoSpace,
}

impl LastStatement {
    fn of<T>(result: &Result<T, Failure>) -> Self {
        match result {
            Ok(_) => Self::Succeeded,
            Err(failure) if failure.is(&SqlState::DISK_FULL) => Self::NoSpace,
            Err(_) => Self::Failed,
        }
    }
}

struct Queued<S: Statement> {
    job: S::Job,
    reply: oneshot::Sender<Result<S::Answer, ArchiveError>>,
}

/// Jobs that are sent together.
struct Batch<S: Statement> {
    jobs: Vec<S::Job>,
    replies: Replies<S>,
    started: Instant,
}

type Reply<S> = oneshot::Receiver<Result<<S as Statement>::Answer, ArchiveError>>;

impl<S: Statement> Batcher<S> {
    /// Starts the tasks. They end after [`close`](Self::close), when everything queued was sent.
    pub(super) fn start(statement: S, limits: Limits, server: Server) -> Self {
        let queue = Queue {
            jobs: VecDeque::new(),
            bytes: 0,
            closed: false,
            running_since: Vec::new(),
            last: LastStatement::Succeeded,
        };
        let (queue, changed) = (Mutex::new(queue), Notify::new());
        let shared = Arc::new(Shared { statement, limits, queue, changed });
        let (running_task, ended) = watch::channel(());
        let running_task = Arc::new((running_task, server));
        for _ in 0..limits.parallel.max(1) {
            let (shared, running_task) = (Arc::clone(&shared), Arc::clone(&running_task));
            tokio::spawn(async move { shared.run(&running_task.1).await });
        }
        Self { shared, ended }
    }

    /// Queues a job, or rejects it at once.
    pub(super) fn push(&self, job: S::Job) -> Result<Reply<S>, ArchiveError> {
        let size = S::size(&job);
        let (reply, receiver) = oneshot::channel();
        let mut queue = self.shared.queue();
        if queue.closed {
            return Err(ArchiveError::Closed);
        }
        let limits = self.shared.limits;
        let is_full = queue.jobs.len() >= limits.queued
            || (!queue.jobs.is_empty() && queue.bytes + size > limits.queued_bytes);
        if is_full {
            return Err(ArchiveError::Overloaded);
        }
        queue.bytes += size;
        queue.jobs.push_back(Queued { job, reply });
        let is_due = queue.is_due();
        drop(queue);
        if is_due {
            self.shared.changed.notify_one();
        }
        Ok(receiver)
    }

    /// Rejects further jobs. Queued ones are still sent.
    pub(super) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_waiters();
    }

    /// Waits until everything that was queued before [`close`](Self::close) is sent.
    pub(super) async fn wait(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    pub(super) fn write_state(&self) -> WriteState {
        let queue = self.shared.queue();
        let deadline = self.shared.limits.deadline;
        let stalled = queue.running_since.iter().any(|since| since.elapsed() > deadline);
        match (stalled, queue.last, queue.closed) {
            (_, _, true) => WriteState::Stopped,
            (true, _, _) => WriteState::Stalled,
            (_, LastStatement::Succeeded, _) => WriteState::Working,
            (_, LastStatement::Failed | LastStatement::NoSpace, _) => WriteState::Failing,
        }
    }

    /// Returns true if the last statement, or the last test since, was rejected because a disk is full.
    pub(super) fn lacks_space(&self) -> bool {
        self.shared.queue().last == LastStatement::NoSpace
    }
}

impl<S: Statement> Drop for Batcher<S> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S: Statement> fmt::Debug for Batcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("queued", &self.shared.queue().jobs.len())
            .finish_non_exhaustive()
    }
}

/// Returns the answer of each job, in the order of the jobs. The first column of a row is the place of its job, from 1.
pub(super) fn answers<J, A>(
    rows: &[Row],
    jobs: &[J],
    answer: impl Fn(&Row, &J) -> Result<A, Failure>,
) -> Result<Vec<A>, Failure> {
    let mut answers: Vec<(i32, A)> = Vec::with_capacity(rows.len());
    for row in rows {
        let place: i32 = value(row, 0)?;
        let job = usize::try_from(place - 1).ok().and_then(|place| jobs.get(place));
        let job = job.ok_or_else(|| Failure::Answer(format!("place {place}")))?;
        answers.push((place, answer(row, job)?));
    }
    answers.sort_by_key(|(place, _)| *place);
    if answers.len() != jobs.len() {
        return Err(Failure::Answer(format!("{} rows for {}", answers.len(), jobs.len())));
    }
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

type Replies<S> = Vec<oneshot::Sender<Result<<S as Statement>::Answer, ArchiveError>>>;

impl<S: Statement> Shared<S> {
    fn queue(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, server: &Server) {
        let mut session = None;
        while let Some(Batch { jobs, replies, started }) = self.next(server, &mut session).await {
            let result = self.attempt(server, &mut session, &jobs).await;
            let last = LastStatement::of(&result);
            if let Err(failure) = &result {
                let error = failure as &dyn std::error::Error;
                tracing::error!(
                    error,
                    jobs = jobs.len(),
                    "a batch could not be written to the database"
                );
            }
            match result {
                Ok(answers) => self.reply(replies, answers),
                Err(Failure::Rejected { .. }) if jobs.len() > 1 => {
                    self.one_by_one(server, &mut session, jobs, replies).await;
                }
                Err(failure) => {
                    self.failed(&jobs, &failure);
                    let all = replies.iter().map(|_| Err(failure.clone().into())).collect();
                    self.reply(replies, all);
                }
            }
            self.queue().ended(started, last);
        }
    }

    /// Sends each job on its own, so that one that the database rejects does not fail the others.
    async fn one_by_one(
        &self,
        server: &Server,
        session: &mut Option<Session>,
        jobs: Vec<S::Job>,
        replies: Replies<S>,
    ) {
        for (job, reply) in jobs.into_iter().zip(replies) {
            let answers = match self.attempt(server, session, std::slice::from_ref(&job)).await {
                Ok(answers) => answers,
                Err(failure) => {
                    self.failed(std::slice::from_ref(&job), &failure);
                    vec![Err(failure.into())]
                }
            };
            self.reply(vec![reply], answers);
        }
    }

    /// Reports jobs whose statement may have taken effect.
    fn failed(&self, jobs: &[S::Job], failure: &Failure) {
        if matches!(failure, Failure::Lost(_) | Failure::Warned) {
            for job in jobs {
                self.statement.is_unsure(job);
            }
        }
    }

    /// Runs the statement. If the connection is lost, it is sent again over another one: the jobs have the same ids and
    /// tokens, by which the database recognizes its own rows.
    async fn attempt(
        &self,
        server: &Server,
        session: &mut Option<Session>,
        jobs: &[S::Job],
    ) -> Result<Vec<Result<S::Answer, ArchiveError>>, Failure> {
        let deadline = Instant::now() + self.limits.deadline;
        let (mut lost, mut conflicts) = (None, Conflicts::new());
        loop {
            let open = match server.kept_or_new(session, deadline).await {
                Ok(open) => open,
                Err(failure) => return Err(lost.unwrap_or(failure)),
            };
            let resent = lost.is_some();
            let statement = self.statement.run(&open, jobs, resent);
            match server.unless_replaced(&open, self.limits.deadline / 2, statement).await {
                Err(failure @ Failure::Lost(_)) if Instant::now() < deadline => {
                    lost = Some(failure);
                }
                Err(failure) if conflicts.allow_retry(&failure).await => *session = Some(open),
                result => {
                    *session = Some(open);
                    return result;
                }
            }
        }
    }

    /// Waits for jobs, and takes as many as fit into a batch. None when the queue is closed and empty. After a failure,
    /// tests once a second whether the database commits again.
    async fn next(&self, server: &Server, session: &mut Option<Session>) -> Option<Batch<S>> {
        loop {
            // Before the queue is looked at, so that no change is missed.
            let changed = self.changed.notified();
            let last = {
                let mut queue = self.queue();
                if queue.is_due() {
                    let batch = queue.take(self.limits);
                    if queue.is_due() {
                        self.changed.notify_one();
                    }
                    return Some(batch);
                }
                if queue.closed {
                    return None;
                }
                queue.last
            };
            if last == LastStatement::Succeeded {
                changed.await;
            } else if timeout(PROBE_INTERVAL, changed).await.is_err() {
                let result = self.probe(server, session, last).await;
                self.queue().last = LastStatement::of(&result);
            }
        }
    }

    /// Commits a record of the log that has no other effect. Without it, a node that gets no deliveries because it is
    /// not ready would never be ready again. The disk of the tables may be another one: if a disk was full, tests whether
    /// it has room.
    async fn probe(
        &self,
        server: &Server,
        session: &mut Option<Session>,
        last: LastStatement,
    ) -> Result<(), Failure> {
        let open = server.kept_or_new(session, Instant::now() + self.limits.deadline).await?;
        let test = async {
            if last == LastStatement::NoSpace {
                check_space(&open, self.statement.schema()).await?;
            }
            open.query_durably("SELECT pg_logical_emit_message(true, 'inbox', '')", &[]).await
        };
        let tested = server.unless_replaced(&open, self.limits.deadline / 2, test).await;
        *session = Some(open);
        tested.map(drop)
    }

    fn reply(&self, replies: Replies<S>, answers: Vec<Result<S::Answer, ArchiveError>>) {
        let mut answers = answers.into_iter();
        for reply in replies {
            let missing = || Err(Failure::Answer("a row is missing".to_owned()).into());
            if let Err(Ok(untaken)) = reply.send(answers.next().unwrap_or_else(missing)) {
                self.statement.untaken(untaken);
            }
        }
    }
}

impl<S: Statement> Queue<S> {
    /// Whether a batch should be sent now.
    fn is_due(&self) -> bool {
        let is_idle = self.running_since.is_empty() || self.closed;
        let is_large = self.jobs.len() >= PARALLEL_JOBS || self.bytes >= PARALLEL_BYTES;
        !self.jobs.is_empty() && (is_idle || is_large)
    }

    /// Removes as many jobs as fit into a batch.
    fn take(&mut self, limits: Limits) -> Batch<S> {
        let (mut jobs, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut keys = std::collections::HashSet::new();
        while let Some(next) = self.jobs.front() {
            let size = S::size(&next.job);
            let fits =
                jobs.is_empty() || (jobs.len() < limits.jobs && bytes + size <= limits.bytes);
            if !fits || !keys.insert(S::key(&next.job)) {
                break;
            }
            let Some(Queued { job, reply }) = self.jobs.pop_front() else { break };
            bytes += size;
            jobs.push(job);
            replies.push(reply);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        let started = Instant::now();
        self.running_since.push(started);
        Batch { jobs, replies, started }
    }

    fn ended(&mut self, started: Instant, last: LastStatement) {
        if let Some(place) = self.running_since.iter().position(|since| *since == started) {
            self.running_since.swap_remove(place);
        }
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never run.
    struct Nothing;

    impl Statement for Nothing {
        type Job = usize;
        type Answer = ();

        fn schema(&self) -> &'static str {
            ""
        }

        fn size(bytes: &usize) -> usize {
            *bytes
        }

        fn key(_: &usize) -> DeliveryId {
            DeliveryId::new()
        }

        async fn run(
            &self,
            _: &Session,
            _: &[usize],
            _: bool,
        ) -> Result<Vec<Result<(), ArchiveError>>, Failure> {
            Ok(Vec::new())
        }

        fn untaken(&self, (): ()) {}

        fn is_unsure(&self, _: &usize) {}
    }

    const LIMITS: Limits = Limits {
        jobs: 256,
        bytes: 8 << 20,
        queued: 4096,
        queued_bytes: 128 << 20,
        deadline: Duration::from_secs(10),
        parallel: 2,
    };

    fn queue(jobs: usize, bytes: usize) -> Queue<Nothing> {
        let queued = |_| Queued { job: bytes, reply: oneshot::channel().0 };
        Queue {
            jobs: (0..jobs).map(queued).collect(),
            bytes: jobs * bytes,
            closed: false,
            running_since: Vec::new(),
            last: LastStatement::Succeeded,
        }
    }

    #[test]
    fn idle_queue_sends_one_job_at_once() {
        assert!(queue(1, 10).is_due());
        assert!(!queue(0, 0).is_due());
    }

    #[tokio::test]
    async fn batch_is_sent_beside_a_running_one_when_many_jobs_or_bytes_wait() {
        let due_beside_a_batch = |jobs, bytes| {
            let mut queue = queue(jobs, bytes);
            queue.running_since.push(Instant::now());
            queue.is_due()
        };
        assert!(!due_beside_a_batch(PARALLEL_JOBS - 1, 10));
        assert!(due_beside_a_batch(PARALLEL_JOBS, 10));
        assert!(!due_beside_a_batch(1, PARALLEL_BYTES - 1));
        assert!(due_beside_a_batch(1, PARALLEL_BYTES));
    }

    #[tokio::test]
    async fn closed_queue_sends_what_is_left_beside_a_running_batch() {
        let mut queue = queue(1, 10);
        queue.running_since.push(Instant::now());
        queue.closed = true;
        assert!(queue.is_due());
    }

    #[tokio::test]
    async fn batch_that_ended_no_longer_runs() {
        let mut queue = queue(2, 10);
        let batch = queue.take(LIMITS);
        assert_eq!((batch.jobs.len(), queue.bytes), (2, 0));
        queue.jobs.push_back(Queued { job: 10, reply: oneshot::channel().0 });
        assert!(!queue.is_due());
        queue.ended(batch.started, LastStatement::Failed);
        assert!(queue.is_due() && queue.last == LastStatement::Failed);
    }
}
