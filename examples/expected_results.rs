//! Enqueues a file at the simulated Mindee, and expects its result within five seconds: by webhook, or else from the API.
//!
//! ```text
//! inbox simulate mindee --listen 127.0.0.1:8080 --secret S --webhook invoices=http://127.0.0.1:3000/hooks/invoices
//! INBOX_SECRET=S cargo run --example expected_results --features axum
//! ```

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::post,
};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower_inbox::{
    Delivery, DiskArchive, Expectations, Inbox, Inference, Secret, Workers,
    provider::mindee::{self, Extraction, Fields, JobResponse},
};

const API: &str = "http://127.0.0.1:8080";
const PATH: &str = "/hooks/invoices";

type HttpClient = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let recovery = mindee::Recovery::new(client.clone(), Secret::new("md_key")).api(API);
    let expectations = Expectations::new(DiskArchive::open("data/expected").await?)
        .recover(PATH.parse()?, recovery)
        .on_overdue(|overdue| println!("overdue: {}", overdue.id));
    let inbox = Inbox::builder(DiskArchive::open("data/inbox").await?)
        .model(PATH, mindee::extraction::<Fields>().signed_with(Secret::from_env("INBOX_SECRET")?))
        .workers(Workers::new(1))
        .expectations(expectations)
        .build()?;
    let handlers = Router::new().route(PATH, post(on_invoice));
    inbox.start_workers::<Body>(handlers.clone())?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let server = axum::serve(listener, handlers.layer(inbox.layer()));

    let job = enqueue(&client).await?;
    inbox.expect(PATH, &job, Duration::from_secs(5)).await?;
    println!("expected: {job}");
    Ok(server.await?)
}

async fn on_invoice(invoice: Inference<Extraction<Fields>>, delivery: Delivery) {
    println!("{} by {:?}", invoice.key(), delivery.provenance());
}

/// Enqueues a file, and returns the id of the job.
async fn enqueue(client: &HttpClient) -> Result<String, Box<dyn Error>> {
    let form = "model_id=m1&webhook_ids=invoices&url=https://example.com/tea.pdf";
    let request = Request::post(format!("{API}/v2/products/extraction/enqueue"))
        .header(header::AUTHORIZATION, "md_key")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))?;
    let response = client.request(request).await?.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice::<JobResponse>(&response)?.job.id.to_string())
}
