//! An inbox behind the HTTP/1 servers of axum and hyper, with unusual senders.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod closing;
mod limits;
mod server;
