use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Response, StatusCode},
    routing::post,
};
use tower::{ServiceBuilder, service_fn};
use tower_inbox::{
    Archive, Inbox, Inference, MemoryArchive,
    layer::{ArchiveLayer, Budget, BufferLayer, Models, Processor, RouteLayer, VerifyLayer},
    provider::mindee,
};

use crate::support::{
    file_each::FileEach,
    http::{
        bare::{bare, ceiling, on_extraction, open},
        extraction::{Invoice, Payload},
        rounds::{Bench, PATH, Server, scheme},
    },
    slow_sync::SlowSync,
};

/// The servers that are compared, and what each does with a delivery.
const SERVERS: [(&str, &str); 7] = [
    ("bare", "reads, checks the signature, decodes; keeps nothing"),
    ("ceiling", "reads, answers; nothing else"),
    ("file-each", "the same, and a file for each delivery"),
    ("inbox-disk", "the inbox on the disk archive"),
    ("inbox-memory", "the inbox on the archive in memory"),
    ("early-disk", "answers once the receipt is there; decodes nothing"),
    ("early-memory", "the same in memory"),
];

pub(crate) const BENCH: Bench =
    Bench { servers: &SERVERS, server: |name, dir, delay| Box::pin(server(name, dir, delay)) };

async fn server(name: &str, dir: &Path, delay: Duration) -> Server {
    let disk = match name {
        "inbox-disk" | "early-disk" => Some(open(dir, delay).await),
        _ => None,
    };
    let app = match (name, disk.clone()) {
        ("bare", _) => bare(None),
        ("ceiling", _) => ceiling(),
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
    Server { app, end: disk, inbox: None }
}

fn inbox(archive: impl Archive) -> Router {
    let model = mindee::extraction::<Invoice>().verified_by(scheme());
    let inbox = Inbox::builder(archive).model(PATH, model).build().unwrap();
    let handler = async |invoice: Inference<Payload>| on_extraction(&invoice);
    Router::new().route(PATH, post(handler)).layer(inbox.layer())
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
        .layer(ArchiveLayer::inline(&Processor::new(archive)))
        .service(accepted);
    Router::new().fallback_service(service)
}
