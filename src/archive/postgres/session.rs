//! One connection. The type does not depend on the TLS implementation.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, Row, Socket, Statement,
    error::{Severity, SqlState},
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};

use super::{error::Failure, timeline::Timeline};

/// The parameters of a statement, with their types.
pub(super) type Params<'p> = &'p [(&'p (dyn ToSql + Sync), Type)];

/// A connection. Runs one statement at a time, so that a warning belongs to the statement that is running.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    warned: Arc<AtomicBool>,
    /// The timeline of the server when the connection was opened; None if it is unknown.
    pub(super) timeline: Option<Timeline>,
    /// `None` if no statement is prepared.
    prepared: Option<Prepared>,
}

/// The most statements that a connection keeps prepared. Those of the contract are about 20, and queries have few forms.
const MOST_PREPARED: usize = 100;

/// The statements of a connection that the server has parsed, by their text.
#[derive(Default)]
struct Prepared(Mutex<HashMap<String, Statement>>);

impl Prepared {
    fn statements(&self) -> MutexGuard<'_, HashMap<String, Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the statement, and prepares it if it is new. `None` if there are too many.
    async fn get(
        &self,
        client: &Client,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Statement>, Error> {
        let (known, number) = {
            let statements = self.statements();
            (statements.get(sql).cloned(), statements.len())
        };
        if known.is_some() || number >= MOST_PREPARED {
            return Ok(known);
        }
        let types: Vec<Type> = params.iter().map(|(_, kind)| kind.clone()).collect();
        let statement = client.prepare_typed(sql, &types).await?;
        self.statements().insert(sql.to_owned(), statement.clone());
        Ok(Some(statement))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.statements().len()).finish()
    }
}

impl Session {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Prepares each statement once, if `prepares` is true.
    pub(super) fn preparing(mut self, prepares: bool) -> Self {
        self.prepared = prepares.then(Prepared::default);
        self
    }

    /// Runs a statement as a transaction of its own, in one round trip once it is prepared.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let Some(prepared) = &self.prepared else { return self.query_unnamed(sql, params).await };
        let failed = |error| Failure::of(&error);
        let statement = prepared.get(&self.client, sql, params).await.map_err(failed)?;
        let Some(statement) = statement else { return self.query_unnamed(sql, params).await };
        let values: Vec<_> = params.iter().map(|(value, _)| *value).collect();
        match self.client.query(&statement, &values).await {
            Err(error) if is_outdated(&error) => {
                prepared.statements().remove(sql);
                self.query_unnamed(sql, params).await
            }
            result => result.map_err(failed),
        }
    }

    /// Runs a statement that has no name and comes with its types, so that it takes one round trip.
    async fn query_unnamed(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        self.client.query_typed(sql, params).await.map_err(|error| Failure::of(&error))
    }

    /// Runs a statement whose effect has to be durable. Fails with [`Failure::Warned`] if the server sent a warning
    /// before its answer: a cancelled wait for a synchronous standby is reported as a success with a warning.
    pub(super) async fn query_durably(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.warned.store(false, Ordering::Release);
        let rows = self.query(sql, params).await?;
        if self.warned.load(Ordering::Acquire) { Err(Failure::Warned) } else { Ok(rows) }
    }

    /// Runs several statements without parameters, by the simple protocol.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        self.client.batch_execute(sql).await.map_err(|error| Failure::of(&error))
    }
}

/// Returns true if the result of a prepared statement has other columns since the schema was migrated. The statement had
/// no effect.
fn is_outdated(error: &Error) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
}

pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Session, Failure>> + Send>>;

/// Opens connections.
pub(super) trait Connect: Send + Sync {
    fn connect(&self, config: Config) -> Connecting;
}

/// Opens connections with this TLS.
#[derive(Clone)]
pub(super) struct Connector<T>(pub(super) T);

impl<T> Connect for Connector<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self, config: Config) -> Connecting {
        let tls = self.0.clone();
        Box::pin(async move {
            let connected = config.connect(tls).await;
            let (client, connection) = connected.map_err(|error| Failure::connecting(&error))?;
            let warned = Arc::new(AtomicBool::new(false));
            tokio::spawn(drive(connection, Arc::clone(&warned)));
            Ok(Session { client, warned, prepared: None, timeline: None })
        })
    }
}

impl fmt::Debug for dyn Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connect")
    }
}

/// Drives a connection until it is closed. A statement that was sent is never cancelled: the connection ends after its
/// answer, even if the session was dropped.
async fn drive<S, T>(mut connection: Connection<S, T>, warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                if notice.parsed_severity() == Some(Severity::Warning) {
                    warned.store(true, Ordering::Release);
                    let code = notice.code().code();
                    tracing::warn!(code, message = notice.message(), "warning of the database");
                }
            }
            Ok(_) => {}
            // Statements that wait for an answer report it.
            Err(_) => return,
        }
    }
}
