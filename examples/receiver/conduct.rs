//! Simulates slow, failing and crashing handlers, for tests from outside.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_inbox::{Delivery, layer::Attempt, provider::InferenceKey};

/// The options of the command line.
#[derive(Default)]
pub(crate) struct Conduct {
    pub(crate) log: Option<PathBuf>,
    pub(crate) fail: f64,
    pub(crate) slow: Duration,
    pub(crate) abort_on: Option<String>,
}

/// The state that the runs of all handlers share.
#[derive(Clone)]
pub(crate) struct Conductor {
    log: Option<Arc<Mutex<File>>>,
    fail: f64,
    slow: Duration,
    abort_on: Option<String>,
}

impl Conduct {
    pub(crate) fn conductor(self) -> io::Result<Conductor> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        let log = self.log.map(open).transpose()?.map(|file| Arc::new(Mutex::new(file)));
        Ok(Conductor { log, fail: self.fail, slow: self.slow, abort_on: self.abort_on })
    }
}

/// Middleware around every handler: logs the run, and delays it, fails it, or aborts the process.
pub(crate) async fn conduct(
    State(conductor): State<Conductor>,
    request: Request,
    next: Next,
) -> Response {
    if let (Some(log), Some(line)) = (conductor.log, line(&request)) {
        let written = tokio::task::spawn_blocking(move || append(&log, &line)).await;
        if let Ok(Err(error)) = written {
            eprintln!("cannot write the log of the handlers: {error}");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    let key: Option<&InferenceKey> = request.extensions().get();
    if key.is_some_and(|key| Some(key.to_string()) == conductor.abort_on) {
        std::process::abort();
    }
    tokio::time::sleep(conductor.slow).await;
    if fastrand::f64() < conductor.fail {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}

fn line(request: &Request) -> Option<String> {
    let extensions = request.extensions();
    let delivery: &Delivery = extensions.get()?;
    let (key, attempt): (&InferenceKey, &Attempt) = (extensions.get()?, extensions.get()?);
    // Keys are chosen by the sender; escape the separators of the columns.
    let key = key.to_string().replace(char::is_whitespace, "_");
    Some(format!("{} {key} {} {}\n", delivery.model(), delivery.id(), attempt.number()))
}

/// Writes the line at once, so that a crash does not leave a part of it.
fn append(log: &Mutex<File>, line: &str) -> io::Result<()> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.write_all(line.as_bytes())?;
    log.sync_data()
}
