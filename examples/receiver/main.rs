//! A server for experiments, and for tests from outside.
//!
//! ```text
//! cargo run --example receiver --features axum -- --secret S
//! ```
//!
//! Its handlers respond with the decoded inference in the provider's form. On SIGTERM or ctrl-c, it finishes the
//! started requests within 20 s and leaves the rest for the next start. It exits within 25 s, even if clients, handlers
//! or the disk hang.

mod archive;
mod conduct;
mod fal;
mod hooks;
mod options;
mod page;
mod senders;
mod serve;

use std::{
    error::Error,
    io::{IsTerminal, stderr},
    time::Duration,
};

use axum::{Router, body::Body, middleware::from_fn_with_state};
use tokio::{net::TcpListener, runtime::Runtime, time::timeout};
use tower_inbox::{Inbox, Workers};
use tracing_subscriber::EnvFilter;

use options::Options;

/// How long requests and handlers may take after SIGTERM.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// How long responses may take to be written after that.
const LAST_RESPONSES: Duration = Duration::from_secs(1);

/// How long threads may be blocked after that, by a handler or by the disk.
const BLOCKED_THREADS: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let served = runtime.block_on(run());
    runtime.shutdown_timeout(BLOCKED_THREADS);
    served
}

async fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(stderr);
    // On a terminal the default is right, which obeys NO_COLOR.
    if stderr().is_terminal() {
        log.init();
    } else {
        log.with_ansi(false).init();
    }

    let mut inbox = Inbox::builder(archive::open(&options.archive).await?)
        .reserve_prefix("/hooks")
        .peer_address(serve::peer_address);
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
    let mut app = handlers.layer(inbox.layer());
    if options.page {
        // Outside the layer: the page is no webhook.
        app = page::mount(app, &inbox)?;
    }

    let listener = TcpListener::bind(&options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = tokio::spawn(serve::serve(listener, app, inbox.shutdown_started()));
    serve::stop_signal().await?;
    inbox.shutdown(SHUTDOWN).await;
    // Connections that have sent half of a request head are not waited for.
    drop(timeout(LAST_RESPONSES, server).await);
    Ok(())
}
