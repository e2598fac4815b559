//! Where and how connections are opened, and whether a standby was promoted in place of the server of a connection.

use std::{fmt, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::Config;

use super::{
    error::Failure,
    hosts::{connect_to_any, single_hosts},
    session::{Connect, Session},
    timeline::{LatestTimeline, Timeline},
};

/// How often a promoted standby is searched for while a statement is not answered, and how long that may take.
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);

/// The hosts of the URL. Clones share what they have seen of them.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    connect: Arc<dyn Connect>,
    /// Whether connections prepare their statements.
    prepares: bool,
    latest: Arc<LatestTimeline>,
    /// When the last search for a promoted standby ended. Locked during a search: one for all statements.
    searched: Arc<Mutex<Option<Instant>>>,
}

impl Server {
    pub(super) fn new(config: Config, connect: Arc<dyn Connect>, prepares: bool) -> Self {
        Self { config, connect, prepares, latest: Arc::default(), searched: Arc::default() }
    }

    /// Takes the session that is kept from an earlier statement, or opens one.
    pub(super) async fn kept_or_new(
        &self,
        kept: &mut Option<Session>,
        deadline: Instant,
    ) -> Result<Session, Failure> {
        match kept.take().filter(|session| self.is_usable(session)) {
            Some(session) => Ok(session),
            None => self.session(deadline).await,
        }
    }

    /// Opens a connection. Attempts it until `deadline`.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Session, Failure> {
        connect_to_any(self, deadline).await
    }

    /// Opens a connection to one of the hosts. An old primary is refused.
    pub(super) async fn connect(&self, host: Config) -> Result<Session, Failure> {
        let mut session = self.connect.connect(host).await?;
        let timeline = Timeline::read(&session).await;
        session.timeline =
            timeline.map_err(|failure| Failure::NoConnection(failure.to_string()))?;
        self.latest.record(session.timeline)?;
        Ok(session.preparing(self.prepares))
    }

    /// Returns true if the session is open, and no standby was promoted in place of its server.
    pub(super) fn is_usable(&self, session: &Session) -> bool {
        !session.is_closed() && !self.latest.is_after(session.timeline)
    }

    /// Waits for the answer to a statement. If there is none after `patience`, searches for a server that was promoted in
    /// place of that of the session, and fails with [`Failure::Lost`] when there is one. The system does not notice that
    /// a server hangs while its host acknowledges packets.
    ///
    /// Otherwise the statement goes on: it may wait for a lock or a standby, and is not sent twice.
    pub(super) async fn unless_replaced<T>(
        &self,
        session: &Session,
        patience: Duration,
        statement: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut statement = pin!(statement);
        if let Ok(answer) = timeout(patience, &mut statement).await {
            return answer;
        }
        let mut replaced = pin!(self.replaced(session));
        poll_fn(|context| match statement.as_mut().poll(context) {
            Poll::Pending => replaced.as_mut().poll(context).map(|()| Err(given_up())),
            answer @ Poll::Ready(_) => answer,
        })
        .await
    }

    /// Waits until a server was promoted in place of that of the session.
    async fn replaced(&self, session: &Session) {
        let is_replaced = || self.latest.is_after(session.timeline);
        while !is_replaced() {
            let mut searched = self.searched.lock().await;
            if searched.is_none_or(|at| at.elapsed() >= SEARCH_INTERVAL) && !is_replaced() {
                self.search(is_replaced).await;
                *searched = Some(Instant::now());
            }
            drop(searched);
            if !is_replaced() {
                sleep(SEARCH_INTERVAL).await;
            }
        }
    }

    /// Connects to all hosts, which records their timelines, until one is found or all have answered.
    async fn search(&self, is_found: impl Fn() -> bool) {
        let mut attempts = JoinSet::new();
        for host in single_hosts(&self.config) {
            let server = self.clone();
            attempts.spawn(async move { server.connect(host).await });
        }
        let answers = async { while !is_found() && attempts.join_next().await.is_some() {} };
        // A host that hangs does not answer.
        drop(timeout(SEARCH_INTERVAL, answers).await);
    }
}

fn given_up() -> Failure {
    tracing::warn!(
        "a server does not answer, and a standby was promoted in its place; the statement is given up"
    );
    Failure::Lost("a standby was promoted in place of the server".to_owned())
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.to_string()).finish_non_exhaustive()
    }
}

/// Host, port and database.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        let hosts = self.config.get_hosts();
        for (place, host) in hosts.iter().enumerate() {
            let separator = if place == 0 { "" } else { "," };
            match host {
                Host::Tcp(host) => write!(f, "{separator}{host}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{separator}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(place).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        let database = self.config.get_dbname().or(self.config.get_user());
        write!(f, "/{}", database.unwrap_or_default())
    }
}
