//! How handlers behave: as they should, or badly, for tests from outside.

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

/// What the command line says.
#[derive(Default)]
pub(crate) struct Conduct {
    pub(crate) log: Option<PathBuf>,
    pub(crate) fail: f64,
    pub(crate) slow: Duration,
    pub(crate) abort_on: Option<String>,
}

/// What each run of a handler needs.
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

/// Around every handler: writes down that it runs, and lets it be slow, fail, or take the process down.
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
    // Keys are a sender's text; the columns are ours.
    let key = key.to_string().replace(char::is_whitespace, "_");
    Some(format!("{} {key} {} {}\n", delivery.model(), delivery.id(), attempt.number()))
}

/// One line in one go, so that a crash leaves no half of it between others.
fn append(log: &Mutex<File>, line: &str) -> io::Result<()> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.write_all(line.as_bytes())?;
    log.sync_data()
}
