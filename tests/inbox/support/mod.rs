//! Support for tests: a provider with its payload type, handlers, archives, and the example `receiver` as a process.

mod acme;
pub(crate) mod archive_wrapper;
pub(crate) mod hooks;
pub(crate) mod receiver_process;
pub(crate) mod script;

pub(crate) use acme::*;
