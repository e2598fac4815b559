//! A bounded number of connections.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tokio_postgres::Row;

use super::{
    error::Failure,
    server::Server,
    session::{Params, Session},
};

/// How often a statement is sent again after a deadlock.
const CONFLICTS: u32 = 5;

/// Connections that are opened when they are needed, and kept.
#[derive(Debug)]
pub(super) struct Pool {
    server: Server,
    idle: Mutex<Vec<Session>>,
    free: Arc<Semaphore>,
    deadline: Duration,
}

impl Pool {
    pub(super) fn new(server: Server, connections: usize, deadline: Duration) -> Self {
        let free = Arc::new(Semaphore::new(connections.max(1)));
        Self { server, idle: Mutex::default(), free, deadline }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection, and waits for one at most until the deadline.
    pub(super) async fn take(&self) -> Result<Taken<'_>, Failure> {
        let deadline = Instant::now() + self.deadline;
        let busy = || Failure::NoConnection("all connections of this process are busy".to_owned());
        let permit = timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let idle = loop {
            match self.idle().pop() {
                Some(session) if !self.server.is_usable(&session) => {}
                other => break other,
            }
        };
        let session = match idle {
            Some(session) => session,
            None => self.server.session(deadline).await?,
        };
        Ok(Taken { pool: self, session: Some(session), _permit: permit })
    }

    /// Runs a statement that may be sent again if the connection is lost before it is answered: it only reads, or has
    /// the same effect twice.
    pub(super) async fn query_again(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let mut left = 2;
        loop {
            match self.query(sql, params).await {
                // An idle connection may have been closed since its last statement.
                Err(Failure::Lost(_)) if left > 0 => left -= 1,
                result => return result,
            }
        }
    }

    /// Runs a statement once, and again if it was rolled back by a deadlock.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        self.run(sql, params, false).await
    }

    /// Runs a statement whose effect has to be durable, see [`Session::query_durably`].
    pub(super) async fn query_durably(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.run(sql, params, true).await
    }

    async fn run(&self, sql: &str, params: Params<'_>, durably: bool) -> Result<Vec<Row>, Failure> {
        let mut taken = self.take().await?;
        let mut conflicts = Conflicts::new();
        loop {
            let session = taken.session()?;
            let statement = async {
                if durably {
                    session.query_durably(sql, params).await
                } else {
                    session.query(sql, params).await
                }
            };
            match self.server.unless_replaced(session, self.deadline / 2, statement).await {
                Err(failure) if conflicts.allow_retry(&failure).await => {}
                result => return taken.returned(result),
            }
        }
    }

    /// Closes idle connections, and lets no operation take another one.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle().clear();
    }
}

/// Decides whether a statement is sent again that was rolled back because of others that ran at the same time.
#[derive(Debug)]
pub(super) struct Conflicts {
    left: u32,
}

impl Conflicts {
    pub(super) fn new() -> Self {
        Self { left: CONFLICTS }
    }

    /// Waits a moment and returns true if the statement should be sent again.
    pub(super) async fn allow_retry(&mut self, failure: &Failure) -> bool {
        if !failure.is_conflict() || self.left == 0 {
            return false;
        }
        self.left -= 1;
        sleep(Duration::from_millis(fastrand::u64(1..20))).await;
        true
    }
}

/// A connection that no other operation uses. Returns to the pool when dropped.
#[derive(Debug)]
pub(super) struct Taken<'p> {
    pool: &'p Pool,
    session: Option<Session>,
    _permit: OwnedSemaphorePermit,
}

impl Taken<'_> {
    pub(super) fn session(&self) -> Result<&Session, Failure> {
        let closed = || Failure::NoConnection("the connection was closed".to_owned());
        self.session.as_ref().ok_or_else(closed)
    }

    /// Returns the result. A connection that was lost does not return to the pool.
    fn returned<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(result, Err(Failure::Lost(_))) {
            self.session = None;
        }
        result
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|session| !session.is_closed())
            && !self.pool.free.is_closed()
        {
            self.pool.idle().push(session);
        }
    }
}
