//! Workers process deliveries that no sender waits for: a pool of tasks, fed by claims from the archive.

mod backlog_metrics;
mod config;
mod handler;
mod pool;
mod scheduler;

pub use config::{Workers, WorkersError};
pub(crate) use handler::{BoxedHandler, RunResult};
pub use handler::{HandlerService, RouteProbe};
pub use pool::RunningWorkers;
pub(crate) use pool::{PoolState, WorkerPool};
