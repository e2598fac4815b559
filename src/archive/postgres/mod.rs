//! The archive of several nodes, on PostgreSQL.
//!
//! | file | contents |
//! |---|---|
//! | `archive.rs`, `builder.rs` | the archive and its options |
//! | `url.rs`, `password.rs` | a URL with its environment; `PGPASSWORD` and the password file |
//! | `tls.rs`, `rustls.rs` | `sslmode` and `sslrootcert`; connections encrypted by rustls |
//! | `session.rs`, `pool.rs` | one connection with its warnings; a bounded number of connections |
//! | `server.rs`, `timeline.rs` | where connections are opened; recognizes a primary that was replaced |
//! | `hosts.rs` | the first of several hosts that accepts writes |
//! | `batch.rs` | a queue whose jobs are sent in batches |
//! | `append.rs`, `settle.rs` | the batches of appends and of outcomes |
//! | `claim.rs` | claims, and from where each of them searches |
//! | `operations.rs` | the other operations of the contract |
//! | `read.rs`, `scan.rs` | single deliveries, and pages of the ledger |
//! | `follow.rs` | new entries of the ledger |
//! | `head.rs` | the stored form of a request head |
//! | `schema.rs`, `sql/` | tables, functions, and their versions |
//! | `maintenance.rs` | partitions, retention, counts |
//! | `nodes.rs` | the processes that have the archive open |
//! | `health.rs` | whether the database answers, its schema, and its standby |
//! | `space.rs` | whether the disks of the tables have room again |
//!
//! Every transition of a delivery is a function in the database, which checks its precondition under a row lock. No
//! session state is used: no `LISTEN`, no session locks, and no named statements unless the builder enables them. So
//! pgbouncer in transaction mode works.

mod append;
mod archive;
mod batch;
mod builder;
mod claim;
mod error;
mod follow;
mod head;
mod health;
mod hosts;
mod maintenance;
mod nodes;
mod operations;
mod password;
mod pool;
mod read;
#[cfg(feature = "postgres-rustls")]
mod rustls;
mod scan;
mod schema;
mod server;
mod session;
mod settle;
mod space;
mod timeline;
mod tls;
mod url;

pub use archive::PostgresArchive;
pub use builder::PostgresArchiveBuilder;
pub use follow::LedgerFollower;
pub use read::DatabaseSize;
pub use schema::SchemaStatus;
pub use url::PostgresUrl;
