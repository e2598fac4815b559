//! A server to play with, and to test against from outside.
//!
//! ```text
//! cargo run --example receiver --features axum -- --secret S
//! ```
//!
//! Its handlers answer the decoded inference in the provider's own form. Send it SIGTERM to stop it: what was begun is
//! answered, archived and settled first; what is not done within 20 s is left for the next start.

mod conduct;
mod fal;
mod hooks;
mod options;
mod senders;
mod serve;

use std::{error::Error, time::Duration};

use axum::{Router, body::Body, middleware::from_fn_with_state};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower_inbox::{DiskArchive, Inbox, Workers};
use tracing_subscriber::EnvFilter;

use options::Options;

/// How long handlers may take after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();

    let mut inbox =
        Inbox::builder(DiskArchive::open(&options.archive).await?).reserve_prefix("/hooks");
    let mut app = Router::new();
    for hook in hooks::all(options.senders.as_ref()) {
        if let Some(reason) = hook.cannot_read_its_secret() {
            eprintln!("{} is left out: {reason}", hook.path);
            continue;
        }
        inbox = inbox.model(hook.path, hook.model);
        app = app.route(hook.path, hook.handler);
    }
    if let Some(workers) = options.background {
        inbox = inbox.background(Workers::new(workers));
    }
    let inbox = inbox.build()?;
    let conductor = options.conduct.conductor()?;
    let handlers = app.layer(from_fn_with_state(conductor, conduct::conduct));
    inbox.start_workers::<Body>(handlers.clone())?;
    let app = handlers.layer(inbox.layer());

    let mut stop = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(&options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stopped = async move {
        stop.recv().await;
    };
    serve::serve(listener, app, stopped).await;
    inbox.shutdown(STOP_WITHIN).await;
    Ok(())
}
