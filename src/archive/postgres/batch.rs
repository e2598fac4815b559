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
use tokio_postgres::Row;

use super::{
    error::Failure,
    operations::value,
    pool::{Conflicts, Server},
    session::Session,
};
use crate::{
    archive::{ArchiveError, WriteState},
    delivery::DeliveryId,
};

/// How often it is tested whether the database commits again after a failure.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A statement for several jobs.
pub(super) trait Statement: Send + Sync + 'static {
    type Job: Send + Sync + 'static;
    type Answer: Send + 'static;

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
}

/// A queue, and the task that sends its batches.
pub(super) struct Batcher<S: Statement> {
    shared: Arc<Shared<S>>,
    /// Closed when the task has ended.
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
    /// When the running statement was started.
    running_since: Option<Instant>,
    /// Whether the last statement failed.
    failed: bool,
}

struct Queued<S: Statement> {
    job: S::Job,
    reply: oneshot::Sender<Result<S::Answer, ArchiveError>>,
}

type Reply<S> = oneshot::Receiver<Result<<S as Statement>::Answer, ArchiveError>>;

impl<S: Statement> Batcher<S> {
    /// Starts the task. It ends after [`close`](Self::close), when everything queued was sent.
    pub(super) fn start(statement: S, limits: Limits, server: Server) -> Self {
        let queue = Queue {
            jobs: VecDeque::new(),
            bytes: 0,
            closed: false,
            running_since: None,
            failed: false,
        };
        let (queue, changed) = (Mutex::new(queue), Notify::new());
        let shared = Arc::new(Shared { statement, limits, queue, changed });
        let running = Arc::clone(&shared);
        let (running_task, ended) = watch::channel(());
        tokio::spawn(async move {
            running.run(&server).await;
            drop(running_task);
        });
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
        drop(queue);
        self.shared.changed.notify_one();
        Ok(receiver)
    }

    /// Rejects further jobs. Queued ones are still sent.
    pub(super) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_one();
    }

    /// Waits until everything that was queued before [`close`](Self::close) is sent.
    pub(super) async fn wait(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    pub(super) fn write_state(&self) -> WriteState {
        let queue = self.shared.queue();
        let stalled =
            queue.running_since.is_some_and(|since| since.elapsed() > self.shared.limits.deadline);
        match (stalled, queue.failed, queue.closed) {
            (_, _, true) => WriteState::Stopped,
            (true, _, _) => WriteState::Stalled,
            (_, true, _) => WriteState::Failing,
            _ => WriteState::Working,
        }
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
        while let Some((jobs, replies)) = self.next(server, &mut session).await {
            self.queue().running_since = Some(Instant::now());
            let result = self.attempt(server, &mut session, &jobs).await;
            let failed = result.is_err();
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
            let mut queue = self.queue();
            (queue.running_since, queue.failed) = (None, failed);
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
            match self.statement.run(&open, jobs, resent).await {
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
    async fn next(
        &self,
        server: &Server,
        session: &mut Option<Session>,
    ) -> Option<(Vec<S::Job>, Replies<S>)> {
        loop {
            let failed = {
                let mut queue = self.queue();
                if let Some(batch) = queue.take(self.limits) {
                    return Some(batch);
                }
                if queue.closed {
                    return None;
                }
                queue.failed
            };
            if !failed {
                self.changed.notified().await;
            } else if timeout(PROBE_INTERVAL, self.changed.notified()).await.is_err() {
                let recovered = self.probe(server, session).await.is_ok();
                self.queue().failed = !recovered;
            }
        }
    }

    /// Commits a record of the log that has no other effect. Without it, a node that gets no deliveries because it is
    /// not ready would never be ready again.
    async fn probe(&self, server: &Server, session: &mut Option<Session>) -> Result<(), Failure> {
        let open = server.kept_or_new(session, Instant::now() + self.limits.deadline).await?;
        let written =
            open.query_durably("SELECT pg_logical_emit_message(true, 'inbox', '')", &[]).await;
        *session = Some(open);
        written.map(drop)
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
    fn take(&mut self, limits: Limits) -> Option<(Vec<S::Job>, Replies<S>)> {
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
        (!jobs.is_empty()).then_some((jobs, replies))
    }
}
