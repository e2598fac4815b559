//! What one writes by hand, and what every server does with an extraction.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    routing::post,
};
use tower_inbox::{DiskArchive, provider::Payload as _, signature::Scheme, testing::SlowDisk};

use super::{
    extraction::Payload,
    rounds::{PATH, scheme},
};
use crate::support::file_each::FileEach;

pub(crate) async fn open(dir: &Path, delay: Duration) -> DiskArchive {
    let builder = DiskArchive::builder(dir);
    let opened = match delay {
        Duration::ZERO => builder.open().await,
        delay => SlowDisk::new(delay).open(builder).await,
    };
    opened.unwrap()
}

/// As much as the client and HTTP allow on this machine.
pub(crate) fn ceiling() -> Router {
    let handler = async |_: axum::body::Bytes| StatusCode::ACCEPTED;
    Router::new().route(PATH, post(handler)).layer(DefaultBodyLimit::disable())
}

/// What one writes by hand.
pub(crate) fn bare(files: Option<FileEach>) -> Router {
    let count = Arc::new(AtomicUsize::new(0));
    let scheme = Arc::new(scheme());
    let handler = async move |request: Request| {
        let (head, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, 32 << 20).await else {
            return StatusCode::BAD_REQUEST;
        };
        if scheme.verify(&head, &body, SystemTime::now()).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        if let Some(files) = &files {
            files.store(count.fetch_add(1, Ordering::Relaxed), body.clone()).await;
        }
        match Payload::decode(&body) {
            Ok(extraction) => on_extraction(&extraction),
            Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    };
    Router::new().route(PATH, post(handler)).layer(DefaultBodyLimit::disable())
}

pub(crate) fn on_extraction(extraction: &Payload) -> StatusCode {
    match extraction.fields() {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
