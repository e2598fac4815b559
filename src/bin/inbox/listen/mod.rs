//! `inbox listen`: archives what a tunnel brings, and forwards it to an app.

mod forward;
mod receive;

use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Args;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::sleep,
};
use tower_inbox::archive::DiskArchive;

use self::{forward::App, receive::Receiver};
use crate::{CommandResult, cli::after_help, client::PostError, console, location::Location};

/// The timeout of a request head and of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The delay after a connection could not be accepted, for example because too many files are open.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// Archive the requests that a tunnel brings, and forward them to an app under development
///
/// Accepts POST at any path, without verification: start it for development only. Each request is archived before it
/// is forwarded, with its exact body and its headers. The sender gets the status and the retry-after of the app, without
/// its body, or 502 if the app does not respond within 30 s. Prints a line for each forwarded request: id, status,
/// duration and path.
///
/// The app gets the same body and headers, without those of the connection and with its own host. If the URL of
/// --forward has a path, every request is sent to that path, because the sender's URL is that of the tunnel; without a
/// path, each request keeps its own. The query is that of the request, because it may contain the token that the app
/// checks.
///
/// Type r and Enter to replay the last request. A replay has the headers inbox-replay, with the id, and
/// inbox-received-at, and does not change the archive. Tokens and passwords in headers are never archived: a replay of a
/// request from an earlier run has the placeholder REDACTED. Parameters of the query are archived. Ctrl-C stops the
/// command.
///
/// --forward to an https:// URL requires a build with the feature cli-tls. Certificates are verified against the root
/// certificates of the system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox listen --forward http://127.0.0.1:3000/hooks/invoices
  inbox listen --forward http://127.0.0.1:3000 --archive dev-inbox --listen 127.0.0.1:8080
  inbox listen --forward http://127.0.0.1:3000/hooks/invoices --replay-last

"))]
pub(crate) struct ListenArgs {
    /// The URL of the app; without a path, requests keep their own
    #[arg(long, value_name = "URL", value_parser = App::parse)]
    forward: http::Uri,
    /// The address to listen on; port 0 selects a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Replay the last archived request at the start
    #[arg(long)]
    replay_last: bool,
    /// The maximum length of a body; longer ones are answered 413 and not archived
    #[arg(long, value_name = "BYTES", default_value = "33554432")]
    body_limit: usize,
}

pub(crate) async fn run(args: ListenArgs, at: &Location) -> CommandResult {
    let app = App::new(args.forward).map_err(|error: PostError| -> Box<dyn Error> { error })?;
    let directory = at.directory("use --archive DIR with a directory for development")?;
    let receiver = Arc::new(receiver(directory, app, args.body_limit).await?);
    let unbound = |error| format!("cannot listen on {}: {error}", args.listen);
    let listener = TcpListener::bind(args.listen).await.map_err(unbound)?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;
    tokio::spawn(replay_on_request(Arc::clone(&receiver), args.replay_last));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(serve(stream, peer, Arc::clone(&receiver)))),
            Err(error) => {
                console::warn(&format!("cannot accept a connection: {error}"));
                sleep(ACCEPT_DELAY).await;
            }
        }
    }
}

async fn receiver(path: &Path, app: App, body_limit: usize) -> Result<Receiver, Box<dyn Error>> {
    Ok(Receiver::new(DiskArchive::open(path).await?, app, body_limit))
}

async fn serve(stream: TcpStream, peer: SocketAddr, receiver: Arc<Receiver>) {
    let service = service_fn(move |request| Arc::clone(&receiver).respond(request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // A sender that has hung up may have sent a whole request: it is still forwarded.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // The error of one connection concerns its client only.
    drop(connection.await);
}

/// Replays the last request for each line `r` on standard input. Returns when standard input is closed.
async fn replay_on_request(receiver: Arc<Receiver>, at_start: bool) {
    if at_start {
        receiver.replay_last().await;
    }
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        match line.trim() {
            "r" => receiver.replay_last().await,
            "" => {}
            _ => console::note("r and Enter replay the last request; Ctrl-C stops"),
        }
    }
}

/// Reads standard input on a thread of its own, because the process would wait for a task that reads it.
fn lines_of_stdin() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
