//! The inbox from outside: through its layers, over sockets, and across processes.

mod composition;
mod floors;
mod refusals;
mod repeats;
mod support;
