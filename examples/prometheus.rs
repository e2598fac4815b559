//! An inbox with metrics for Prometheus at `/metrics`, and health probes at `/health/live` and `/health/ready`. Run it
//! with `cargo run --example prometheus --features axum,metrics`, and post to it:
//!
//! ```text
//! curl -d '{"job": "1"}' 'http://127.0.0.1:3000/hooks/jobs?token=T'
//! curl http://127.0.0.1:3000/metrics
//! curl http://127.0.0.1:3000/health/ready
//! ```

#[path = "receiver/serve.rs"]
mod serve;

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::Body,
    http::StatusCode,
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio::net::TcpListener;
use tower_inbox::{DiskArchive, Inbox, Inference, Secret, Workers, provider::runpod};

async fn on_job(job: Inference<runpod::Job<Value>>) -> StatusCode {
    println!("{}", job.key());
    StatusCode::OK
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Install it before the inbox is built, because that describes the metrics.
    let exporter = PrometheusBuilder::new().install_recorder()?;
    let upkeep = exporter.clone();
    // Otherwise it keeps every value of its histograms until the next scrape.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    let token = Secret::new("T");
    let inbox = Inbox::builder(DiskArchive::open("inbox").await?)
        .model("/hooks/jobs", runpod::job::<Value>().token_in_query("token", token))
        .background(Workers::new(4))
        .peer_address(serve::peer_address)
        .build()?;
    let hooks = Router::new().route("/hooks/jobs", post(on_job));
    inbox.start_workers::<Body>(hooks.clone())?;
    let app = hooks
        .layer(inbox.layer())
        .route("/metrics", get(move || std::future::ready(exporter.render())))
        // In production, use a port that strangers cannot reach.
        .route_service("/health/live", inbox.health().live())
        .route_service("/health/ready", inbox.health().ready());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = tokio::spawn(serve::serve(listener, app, inbox.shutdown_started()));
    serve::stop_signal().await?;
    inbox.shutdown(Duration::from_secs(20)).await;
    // Connections that have sent half of a request head are not waited for.
    drop(tokio::time::timeout(Duration::from_secs(2), server).await);
    Ok(())
}
