//! The archive on PostgreSQL. The tests need a server: see `support.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test states what it expects by panicking"
)]

#[cfg(feature = "cli")]
mod cli;
mod clock_skew;
mod conformance;
mod disk_full;
mod durability;
mod exactly_once;
mod failover;
mod follow;
mod hang;
mod health;
mod history;
mod kills;
mod links;
mod node;
mod node_list;
#[path = "../conformance_memory/nodes.rs"]
mod nodes;
mod old_snapshot;
mod prepared;
mod proxy;
mod quarantine;
mod receivers;
mod results;
mod retention;
mod schema;
mod support;
#[cfg(feature = "postgres-rustls")]
mod tls;
mod virtual_time;
