use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{
    Config, NoTls, Socket,
    config::TargetSessionAttrs,
    tls::{MakeTlsConnect, TlsConnect},
};

use super::{
    PostgresArchive,
    batch::Limits,
    error::OpenError,
    maintenance::Retention,
    nodes,
    schema::{self, Guarantees, Schema, SchemaStatus},
    server::Server,
    session::{Connect, Connector},
};
use crate::archive::ArchiveError;
#[cfg(doc)]
use crate::archive::{DatabaseHealth, PostgresUrl};

/// Options for opening a [`PostgresArchive`].
///
/// The length of leases and the interval at which idle workers poll the database are options of the process that
/// handles deliveries, with any archive: [`Workers::lease_length`](crate::Workers::lease_length) and
/// [`Workers::poll_interval`](crate::Workers::poll_interval).
#[derive(Clone)]
#[must_use = "nothing is opened before `open` is awaited"]
pub struct PostgresArchiveBuilder {
    /// None if the connection string is invalid.
    config: Option<Config>,
    connect: Arc<dyn Connect>,
    schema: String,
    migrates: bool,
    pub(super) requires_standby: bool,
    pub(super) connections: usize,
    pub(super) deadline: Duration,
    pub(super) retention: Retention,
    pub(super) maintenance: Option<Duration>,
    pub(super) node: Option<String>,
    prepares: bool,
    batch_jobs: usize,
    batch_bytes: usize,
    queued: usize,
    queued_bytes: usize,
}

impl PostgresArchiveBuilder {
    pub(super) fn with_config(config: Option<Config>) -> Self {
        Self {
            config,
            connect: Arc::new(Connector(NoTls)),
            schema: "inbox".to_owned(),
            migrates: true,
            requires_standby: false,
            connections: 8,
            deadline: Duration::from_secs(10),
            retention: Retention::default(),
            maintenance: Some(Duration::from_secs(60)),
            node: Some(nodes::default_name()),
            prepares: false,
            batch_jobs: 256,
            batch_bytes: 8 << 20,
            queued: 4096,
            queued_bytes: 128 << 20,
        }
    }

    /// Sets the connector that encrypts connections, such as that of the crate `tokio-postgres-rustls`. Default: no TLS.
    /// Set `sslmode=require` in the URL as well: without it, a server that offers no TLS gets a plain connection.
    /// [`PostgresUrl`] sets one for the `sslmode` of the URL.
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.connect = Arc::new(Connector(tls));
        self
    }

    /// Sets the PostgreSQL schema with the tables of the archive. Several archives can share a database under different
    /// schemas. Default: `inbox`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Sets whether opening creates the schema, and adds missing versions of it. If disabled, a schema that is missing
    /// or old is an error. Default: enabled.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrates = migrate;
        self
    }

    /// Sets whether opening fails unless the server has a synchronous standby configured. Default: false.
    ///
    /// Checks the setting `synchronous_standby_names`, and not whether a standby is connected: while none is, commits
    /// wait, and appends fail after the [statement deadline](Self::statement_deadline). Health probes report both:
    /// see [`DatabaseHealth::has_standby`]. Maintenance checks the setting again, and fails if it was removed.
    /// Deliveries are still acknowledged then.
    ///
    /// Without a synchronous standby, an acknowledged delivery is on the disk of one server, and a failover to an
    /// asynchronous replica loses the deliveries acknowledged last.
    pub fn require_synchronous_standby(mut self, require: bool) -> Self {
        self.requires_standby = require;
        self
    }

    /// Sets the maximum number of connections of this archive. One each is for outcomes and for renewals of leases. Of
    /// the others, half are for appends, rounded down, and the rest for everything else. They are opened when they are
    /// needed. Opening the archive uses one more. Default: 8. Values below 4 are treated as 4.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(4);
        self
    }

    /// Sets whether each connection prepares its statements by name, so that the server parses and plans them once. Saves
    /// the server about a tenth of the processor time of an append. Default: disabled.
    ///
    /// **Leave it disabled behind a pooler that gives the transactions of a client to different connections**, such as
    /// pgbouncer in transaction mode, unless the pooler tracks prepared statements (pgbouncer 1.21 with
    /// `max_prepared_statements`): others would run the statement of another client under the same name.
    pub fn prepared_statements(mut self, prepared: bool) -> Self {
        self.prepares = prepared;
        self
    }

    /// Sets how long an operation waits for the database. A statement that takes longer is not cancelled: it may take
    /// effect after the operation has failed with [`ArchiveError::Unsure`]. Also limits how long [`open`](Self::open)
    /// attempts to connect. Default: 10 s.
    ///
    /// After half of it, a server that was promoted in place of that of the statement is searched for. If there is one, the
    /// statement is sent again there.
    ///
    /// Set it below [`InboxBuilder::archive_timeout`](crate::InboxBuilder::archive_timeout), which limits a request.
    pub fn statement_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the largest batch of appends: the number of deliveries, and the bytes of their heads and bodies. Default:
    /// 256 deliveries and 8 MiB. A delivery that is larger is a batch of its own.
    pub fn batch_size(mut self, deliveries: usize, bytes: usize) -> Self {
        (self.batch_jobs, self.batch_bytes) = (deliveries.max(1), bytes);
        self
    }

    /// Sets how many deliveries and bytes may wait for a batch. Further appends are rejected with
    /// [`ArchiveError::Overloaded`]. Default: 4096 deliveries and 128 MiB.
    pub fn queue_capacity(mut self, deliveries: usize, bytes: usize) -> Self {
        (self.queued, self.queued_bytes) = (deliveries.max(1), bytes);
        self
    }

    /// Sets the age at which the heads and bodies of processed deliveries and repeats are removed, in whole days, rounded
    /// down: the partition of a day (UTC) is dropped. Deliveries in any other state keep theirs. `None` keeps all.
    /// Default: `None`.
    ///
    /// Nodes with different values apply the shortest.
    pub fn retention(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.retention.bodies = age.into();
        self
    }

    /// Sets the age at which the ledger entries of processed deliveries and repeats without a body are removed, in whole
    /// days, rounded down. A repeat that arrives later is a new delivery. `None` keeps all. Default: `None`.
    ///
    /// Without [`retention`](Self::retention), only deliveries that were removed have no body.
    pub fn ledger_retention(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.retention.ledger = age.into();
        self
    }

    /// Sets how often maintenance runs: it creates partitions for the next 7 days, applies retention, and adds up
    /// counts. `None` disables it; then run it on another node, at least daily. Default: 60 s.
    pub fn maintenance_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.maintenance = interval.into();
        self
    }

    /// Sets the name under which [`Archive::nodes`](crate::Archive::nodes) lists this process. `None`: it is not listed.
    /// Default: the name of the host, a slash, and the number of the process.
    pub fn node_name(mut self, name: impl Into<Option<String>>) -> Self {
        self.node = name.into();
        self
    }

    /// Connects, checks the server, and creates or checks the schema.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] if the database cannot be reached within the statement deadline, or accepts no
    /// writes. [`ArchiveError::Other`]
    ///
    /// - if the URL or the name of the schema is invalid;
    /// - if the server is older than PostgreSQL 14, has `fsync` turned off, or has no synchronous standby although one is
    ///   required;
    /// - if the default isolation level of the role is not `read committed`;
    /// - if the schema is missing or has a version that does not work with this crate, or the role may not create it;
    /// - if a table of the schema is unlogged.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the schema is migrated either completely or not at all.
    pub async fn open(self) -> Result<PostgresArchive, ArchiveError> {
        let (server, schema) = (self.server()?, Schema::new(&self.schema)?);
        let session = schema::session(&server, Instant::now() + self.deadline).await?;
        let guarantees = schema::check_server(&session, self.requires_standby).await?;
        let status = if self.migrates {
            schema.migrate(&session).await?
        } else {
            schema.status(&session).await?
        };
        schema.check(status)?;
        schema::check_tables(&session, &schema).await?;
        drop(session);
        log_guarantees(&guarantees);
        let archive = PostgresArchive::start(&self, server, &schema);
        archive.operations().create_partitions().await?;
        Ok(archive)
    }

    /// Creates the schema, or adds its missing versions, in one transaction, and returns the version. Does not change a
    /// schema that is newer. Nodes may have the archive open meanwhile.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or the role may not create tables. Nothing has changed then, unless the
    /// connection was lost during the commit.
    pub async fn migrate_schema(&self) -> Result<SchemaStatus, ArchiveError> {
        let (server, schema) = (self.server()?, Schema::new(&self.schema)?);
        let session = schema::session(&server, Instant::now() + self.deadline).await?;
        schema.migrate(&session).await
    }

    /// Returns the version of the schema in the database, and the version that this crate needs. Changes nothing.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, or the role may not read the schema.
    pub async fn schema_status(&self) -> Result<SchemaStatus, ArchiveError> {
        let (server, schema) = (self.server()?, Schema::new(&self.schema)?);
        let session = schema::session(&server, Instant::now() + self.deadline).await?;
        Ok(schema.status(&session).await?)
    }

    fn server(&self) -> Result<Server, OpenError> {
        let mut config = self.config.clone().ok_or(OpenError::Url)?;
        if config.get_application_name().is_none() {
            config.application_name("tower-inbox");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A connection to a server that is gone without a word fails after about this time.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        // After a failover, a connection to a server that only reads is of no use.
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        Ok(Server::new(config, Arc::clone(&self.connect), self.prepares))
    }

    /// The number of connections for appends. While one waits for its commit, the next batch is sent over another.
    fn append_connections(&self) -> usize {
        self.connections.saturating_sub(2) / 2
    }

    /// The number of connections that are not for appends, outcomes and renewals.
    pub(super) fn other_connections(&self) -> usize {
        self.connections.saturating_sub(2 + self.append_connections())
    }

    pub(super) fn append_limits(&self) -> Limits {
        Limits {
            jobs: self.batch_jobs,
            bytes: self.batch_bytes,
            queued: self.queued,
            queued_bytes: self.queued_bytes,
            deadline: self.deadline,
            parallel: self.append_connections(),
        }
    }

    /// Outcomes are small, and their number is limited by that of running handlers.
    pub(super) fn settle_limits(&self) -> Limits {
        let (jobs, queued) = (self.batch_jobs, 1 << 20);
        let unlimited = usize::MAX >> 1;
        Limits {
            jobs,
            bytes: unlimited,
            queued,
            queued_bytes: unlimited,
            deadline: self.deadline,
            parallel: 1,
        }
    }
}

fn log_guarantees(guarantees: &Guarantees) {
    let Guarantees { version, standbys } = guarantees;
    if standbys.trim().is_empty() {
        tracing::info!(
            version,
            "a delivery is acknowledged when this database server has it on disk; a failover to an asynchronous \
             standby can lose the latest ones"
        );
    } else {
        tracing::info!(
            version,
            standbys,
            "a delivery is acknowledged when the synchronous standbys have it too"
        );
    }
}

/// Without the connection string, which may contain a password.
impl fmt::Debug for PostgresArchiveBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresArchiveBuilder")
            .field("server", &self.server().ok())
            .field("schema", &self.schema)
            .field("migrates", &self.migrates)
            .field("connections", &self.connections)
            .field("deadline", &self.deadline)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
