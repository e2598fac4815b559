//! Shared tokens, for providers that sign nothing: in a header, in the query, or as user and password.

mod basic;
mod compare;
mod header;
mod query;

pub use basic::BasicAuth;
pub use header::HeaderToken;
pub use query::QueryToken;
