use std::{path::Path, time::Duration};

use axum::{Router, body::Body, http::StatusCode, routing::post};
use tower_inbox::{Archive, Inbox, Inference, MemoryArchive, Workers, provider::mindee};

use crate::support::http::{
    bare::{bare, ceiling, on_extraction, open},
    extraction::{Invoice, Payload},
    rounds::{Bench, PATH, Server, scheme},
};

pub(crate) const BENCH: Bench =
    Bench { servers: &SERVERS, server: |name, dir, delay| Box::pin(server(name, dir, delay)) };

/// The servers that are compared, and what each does with a delivery.
const SERVERS: [(&str, &str); 8] = [
    ("bare", "reads, checks the signature, decodes; keeps nothing"),
    ("ceiling", "reads, answers; nothing else"),
    ("idle-disk", "archives on disk, answers; nobody handles"),
    ("idle-memory", "the same in memory"),
    ("busy-disk", "archives on disk, answers; workers decode and handle"),
    ("busy-memory", "the same in memory"),
    ("failing-disk", "the same on disk; every handler fails"),
    ("failing-memory", "the same in memory"),
];

async fn server(name: &str, dir: &Path, delay: Duration) -> Server {
    let Some((conduct, archive)) = name.split_once('-') else {
        let app = if name == "ceiling" { ceiling() } else { bare(None) };
        return Server { app, end: None, inbox: None };
    };
    if archive == "disk" {
        let disk = open(dir, delay).await;
        let (app, inbox) = background(disk.clone(), conduct).await;
        return Server { app, end: Some(disk), inbox: Some(inbox) };
    }
    let (app, inbox) = background(MemoryArchive::new(), conduct).await;
    Server { app, end: None, inbox: Some(inbox) }
}

async fn background(archive: impl Archive, conduct: &str) -> (Router, Inbox) {
    let model = mindee::extraction::<Invoice>().verified_by(scheme());
    let builder = Inbox::builder(archive).model(PATH, model).background(Workers::new(4));
    let inbox = builder.build().unwrap();
    if conduct == "idle" {
        inbox.pause(&PATH.parse().unwrap()).await.unwrap();
    }
    let fails = conduct == "failing";
    let handler = async move |invoice: Inference<Payload>| {
        if fails { StatusCode::SERVICE_UNAVAILABLE } else { on_extraction(&invoice) }
    };
    let routes = Router::new().route(PATH, post(handler));
    inbox.start_workers::<Body>(routes.clone()).unwrap();
    (routes.layer(inbox.layer()), inbox)
}
