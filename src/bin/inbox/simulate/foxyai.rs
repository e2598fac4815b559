//! `inbox simulate foxyai`.

use std::{iter, net::SocketAddr, num::NonZeroU32, time::Duration};

use clap::{ArgGroup, Args};
use tower_inbox::{
    signature::Unsigned,
    simulate::{FoxyAi, Payloads, Sender},
};

use super::{
    no_mode,
    post::{self, PostArgs},
    secret_parser, serve,
};
use crate::{CommandResult, cli::after_help, client, console::code, send::SecretArgument};

/// Post snapshots of an image group of FoxyAI to a receiver, with faults or retries; or serve its API
///
/// With --to, posts the snapshots of one group, from the first to the completed one; with --count or --faults, those of
/// as many groups as are needed. Prints a line for each request: fault, response, time, and `unexpected` if a correct
/// receiver answers otherwise. The exit status is 1 if a response is unexpected, or if a snapshot is not accepted. Posts
/// are not signed: put the token of the receiver into the URL.
///
/// With --listen, serves image groups, images and results, and posts a snapshot of an image and of its groups to their
/// webhookUrl after each update. The first line is `listening on http://ADDRESS`. Webhooks must be http:// URLs on the
/// loopback interface, or on a host of --webhook-host.
///
/// https:// URLs of receivers require a build with the feature cli-tls. Certificates are verified against the root
/// certificates of the system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
///
/// FoxyAI publishes neither the body of its posts nor numbers of retries: both are assumptions.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("mode").required(true).args(["to", "listen"]),
    after_long_help = after_help!("\
Examples:
  inbox simulate foxyai --to 'http://127.0.0.1:3000/hooks/foxyai?token=T'
  inbox simulate foxyai --to 'http://127.0.0.1:3000/hooks/foxyai?token=T' --faults late-older-state
  inbox simulate foxyai --listen 127.0.0.1:8080 --processing-time 2s

")
)]
pub(super) struct FoxyAiArgs {
    /// Post snapshots to this URL
    #[arg(long, value_name = "URL", conflicts_with = "ServeArgs")]
    to: Option<String>,
    /// Serve the API on this address; port 0 is a free port
    #[arg(long, value_name = "ADDRESS", conflicts_with = "PostArgs")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    post: PostArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Options for `--listen`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --listen")]
struct ServeArgs {
    /// Require this API key after the word Bearer (default: requests need no key)
    #[arg(long, value_name = "KEY", value_parser = secret_parser())]
    api_key: Option<SecretArgument>,
    /// The time of each model run, such as 2s (default: 0)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    processing_time: Option<Duration>,
    /// Allow webhooks on this host, without a port; may be repeated
    #[arg(long, value_name = "HOST")]
    webhook_host: Vec<String>,
    /// Give up a server after this number of failed posts in a row (default: 100)
    #[arg(long, value_name = "N")]
    max_failures: Option<NonZeroU32>,
}

pub(super) async fn run(args: FoxyAiArgs) -> CommandResult {
    match (args.to, args.listen) {
        (Some(url), _) => post(&url, &args.post).await,
        (None, Some(address)) => listen(address, args.serve).await,
        (None, None) => Err(no_mode().into()),
    }
}

async fn post(url: &str, args: &PostArgs) -> CommandResult {
    let sender = Sender::new(client::target(url)?, Unsigned);
    let snapshots = iter::repeat_with(Payloads::of_foxyai).flatten().map(Ok);
    post::run(sender, snapshots, Payloads::of_foxyai().len(), args).await
}

async fn listen(address: SocketAddr, args: ServeArgs) -> CommandResult {
    let mut foxyai = FoxyAi::builder();
    if let Some(key) = args.api_key {
        foxyai = foxyai.api_key(key.secret());
    }
    if let Some(time) = args.processing_time {
        foxyai = foxyai.processing_time(time);
    }
    for host in args.webhook_host {
        foxyai = foxyai.webhook_host(host);
    }
    if let Some(failures) = args.max_failures {
        foxyai = foxyai.max_failures(failures);
    }
    foxyai.build().serve(serve::listener(address).await?).await;
    Ok(code(true))
}
