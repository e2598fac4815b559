//! The inbox from outside: through its layers, over sockets, and across processes.

mod composition;
mod crash;
mod floors;
mod process;
mod receiver;
mod refusals;
mod repeats;
mod support;
