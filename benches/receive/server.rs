use std::{
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{Response, StatusCode},
    routing::post,
};
use tower::{ServiceBuilder, service_fn};
use tower_inbox::{
    Archive, DiskArchive, Inbox, Inference, MemoryArchive, Secret,
    layer::{ArchiveLayer, Budget, BufferLayer, Custody, Models, RouteLayer, VerifyLayer},
    provider::{Payload as _, mindee},
    signature::{HmacBody, Scheme},
    testing::SlowDisk,
};

use super::extraction::{Invoice, Payload};
use crate::support::{file_each::FileEach, slow_sync::SlowSync};

pub(crate) const PATH: &str = "/hooks/invoices";

/// The servers that are compared, and what each does with a delivery.
pub(crate) const SERVERS: [(&str, &str); 6] = [
    ("bare", "reads, checks the signature, decodes; keeps nothing"),
    ("file-each", "the same, and a file for each delivery"),
    ("inbox-disk", "the inbox on the disk archive"),
    ("inbox-memory", "the inbox on the archive in memory"),
    ("early-disk", "answers once the receipt is there; decodes nothing"),
    ("early-memory", "the same in memory"),
];

pub(crate) fn scheme() -> HmacBody {
    mindee::signature(Secret::new("the signing secret of the endpoint"))
}

/// A server, and what it has to be told when it ends.
pub(crate) struct Server {
    pub(crate) app: Router,
    pub(crate) end: Option<DiskArchive>,
}

pub(crate) async fn server(name: &str, dir: &Path, delay: Duration) -> Server {
    let disk = match name {
        "inbox-disk" | "early-disk" => Some(open(dir, delay).await),
        _ => None,
    };
    let app = match (name, disk.clone()) {
        ("bare", _) => bare(None),
        ("file-each", _) => {
            let slow = Arc::new(SlowSync::new(delay, false));
            bare(Some(FileEach { dir: dir.to_owned(), slow }))
        }
        ("inbox-disk", Some(disk)) => inbox(disk),
        ("early-disk", Some(disk)) => early(disk),
        ("inbox-memory", _) => inbox(MemoryArchive::new()),
        ("early-memory", _) => early(MemoryArchive::new()),
        (other, _) => panic!("there is no server {other}"),
    };
    Server { app, end: disk }
}

async fn open(dir: &Path, delay: Duration) -> DiskArchive {
    let builder = DiskArchive::builder(dir);
    let opened = match delay {
        Duration::ZERO => builder.open().await,
        delay => SlowDisk::new(delay).open(builder).await,
    };
    opened.unwrap()
}

/// What one writes by hand.
fn bare(files: Option<FileEach>) -> Router {
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

fn inbox(archive: impl Archive) -> Router {
    let model = mindee::extraction::<Invoice>().verified_by(scheme());
    let inbox = Inbox::builder(archive).model(PATH, model).build().unwrap();
    let handler = async |invoice: Inference<Payload>| on_extraction(&invoice);
    Router::new().route(PATH, post(handler)).layer(inbox.layer())
}

fn on_extraction(extraction: &Payload) -> StatusCode {
    match extraction.fields() {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn early(archive: impl Archive) -> Router {
    let models = Models::new();
    models.add(PATH, mindee::extraction::<Invoice>().verified_by(scheme())).unwrap();
    let accepted = service_fn(async |_| {
        let mut response = Response::new(Body::from(Bytes::new()));
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok::<_, Infallible>(response)
    });
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(models))
        .layer(BufferLayer::new(Budget::default()))
        .layer(VerifyLayer::new())
        .layer(ArchiveLayer::new(Custody::new(archive)))
        .service(accepted);
    Router::new().fallback_service(service)
}
