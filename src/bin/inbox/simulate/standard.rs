//! `inbox simulate standard`.

use std::{ffi::OsString, iter};

use clap::Args;
use tower_inbox::{
    signature::{Scheme, StandardWebhooks},
    simulate::{Payloads, Sender},
};

use super::{
    post::{self, PostArgs},
    secret_parser,
};
use crate::{CommandResult, cli::after_help, client, console, send::SecretArgument};

/// Post signed events of Standard Webhooks to a receiver, with faults or retries
///
/// Prints a line for each request: fault, response, time, and `unexpected` if a correct receiver answers otherwise. The
/// exit status is 1 if a response is unexpected, or if an event is not accepted.
///
/// https:// URLs require a build with the feature cli-tls. Certificates are verified against the root certificates of the
/// system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
///
/// With --retries, an event is posted until the receiver answers 2xx, with the same webhook-id and a new signature.
/// Redirects are not followed. Nothing is posted after 410. After 429, 502 and 504 the wait is four times as long.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox simulate standard --to http://127.0.0.1:3000/hooks/events --secret whsec_S
  inbox simulate standard --to http://127.0.0.1:3000/hooks/events --secret whsec_S --faults all
  inbox simulate standard --to http://127.0.0.1:3000/hooks/events --secret whsec_S \\
      --count 100 --rate 5 --retries 9

"))]
pub(super) struct StandardArgs {
    /// Post events to this URL
    #[arg(long, value_name = "URL")]
    to: String,
    /// The signing secret: `whsec_` and base64
    ///
    /// The environment variable `INBOX_SECRET` is used without this option. Unlike arguments, it is not shown in
    /// process lists.
    #[arg(long, value_name = "SECRET", value_parser = secret_parser())]
    secret: Option<SecretArgument>,
    /// The event is that in this file; `-` is standard input
    ///
    /// Each event gets a new timestamp. Default: a sample.
    #[arg(long, value_name = "FILE")]
    file: Option<OsString>,
    #[command(flatten)]
    post: PostArgs,
    /// A second secret that the receiver accepts, for rotated-signature
    #[arg(long, value_name = "SECRET", value_parser = secret_parser(), help_heading = "With --to")]
    second_secret: Option<SecretArgument>,
}

pub(super) async fn run(args: StandardArgs) -> CommandResult {
    let secret = SecretArgument::or_environment(args.secret)?;
    let mut sender = Sender::new(client::target(&args.to)?, scheme(&secret)?);
    if let Some(second) = &args.second_secret {
        sender = sender.second_scheme(scheme(second)?);
    }
    let template = args.file.as_deref().map(console::read).transpose()?;
    let payloads = iter::repeat_with(|| match &template {
        Some(template) => Payloads::from_standard_event(template),
        None => Ok(Payloads::of_standard()),
    });
    post::run(sender, payloads, 1, &args.post).await
}

fn scheme(
    secret: &SecretArgument,
) -> Result<StandardWebhooks, tower_inbox::signature::SchemeError> {
    let scheme = StandardWebhooks::new(secret.secret());
    scheme.check()?;
    Ok(scheme)
}
