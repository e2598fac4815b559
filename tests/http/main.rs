//! An inbox behind the HTTP/1 servers of axum and hyper: what senders get that behave oddly, and what is archived.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod closing;
mod limits;
mod server;
