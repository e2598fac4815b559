//! One connection. The type does not depend on the TLS implementation.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Row, Socket,
    error::Severity,
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
}

impl Session {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement as a transaction of its own. Unnamed and with types, so that it takes one round trip.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
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
            Ok(Session { client, warned, timeline: None })
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
