//! `inbox simulate`: posts the results of a provider to a receiver, or serves the API of a provider.

mod post;
mod serve;

pub(crate) use self::post::restart;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroU32};

use clap::{
    ArgGroup, Args, Subcommand,
    builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};
use tower_inbox::{
    provider::mindee,
    signature::Scheme,
    simulate::{Fault, Product},
};

use crate::{CommandResult, cli::after_help, send::SecretArgument};

/// Simulate a provider, to test a receiver in any language
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    Mindee(Box<MindeeArgs>),
}

/// Post signed results of Mindee V2 to a receiver, with faults; or serve its API
///
/// With --to, prints a line for each request: fault, response, time, and `unexpected` if a correct receiver answers
/// otherwise. The exit status is 1 if a response is unexpected. https:// URLs are not supported: use the http:// URL of
/// the server behind the proxy.
///
/// With --listen, serves enqueuing, jobs and results, and posts each result to the webhooks of the request. The first
/// line is `listening on http://ADDRESS`. Any API key is accepted. Mindee's Python client uses this server if
/// `MINDEE_V2_BASE_URL` is set to that URL.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("mode").required(true).args(["to", "listen"]),
    after_long_help = after_help!("\
Examples:
  inbox simulate mindee --to http://127.0.0.1:3000/hooks/invoices --secret S
  inbox simulate mindee --to http://127.0.0.1:3000/hooks/invoices --secret S --faults all
  inbox simulate mindee --to http://127.0.0.1:3000/hooks/invoices --secret S \\
      --faults hang-up,restart --restart 'systemctl restart receiver' --count 100 --rate 5
  inbox simulate mindee --listen 127.0.0.1:8080 --secret S \\
      --webhook invoices=http://127.0.0.1:3000/hooks/invoices

")
)]
struct MindeeArgs {
    /// Post results to this URL
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Serve the API on this address; port 0 is a free port
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The signing secret of the webhooks
    ///
    /// The environment variable `INBOX_SECRET` is used without this option. Unlike arguments, it is not shown in
    /// process lists.
    #[arg(long, value_name = "SECRET", value_parser = secret_parser())]
    secret: Option<SecretArgument>,
    /// The result is that in this file; `-` is standard input
    ///
    /// Each post gets new values of inference.id and inference.job.id. Default: a sample of the product.
    #[arg(long, value_name = "FILE")]
    file: Option<OsString>,
    #[command(flatten)]
    post: PostArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Options for `--to`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --to")]
struct PostArgs {
    /// The product whose result is posted
    #[arg(
        long,
        value_name = "PRODUCT",
        default_value = "extraction",
        conflicts_with_all = ["listen", "file"],
        value_parser = product_parser()
    )]
    product: Product,
    /// The faults, separated by commas, or `all` (default: none)
    ///
    /// They are run one after the other, each with a new result. A fault that is not applicable is named, and is no
    /// failure.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "listen",
        value_parser = fault_parser()
    )]
    faults: Vec<String>,
    /// The number of results; the faults are repeated or cut accordingly (default: one for each fault)
    #[arg(long, value_name = "N", conflicts_with = "listen")]
    count: Option<NonZeroU32>,
    /// The maximum number of results per second (default: unlimited)
    #[arg(long, value_name = "N", conflicts_with = "listen")]
    rate: Option<NonZeroU32>,
    /// A second secret that the receiver accepts, for rotated-signature
    #[arg(
        long,
        value_name = "SECRET",
        conflicts_with = "listen",
        value_parser = secret_parser()
    )]
    second_secret: Option<SecretArgument>,
    /// A shell command that restarts the receiver, for restart
    ///
    /// It has to end. The next request is sent as soon as the receiver accepts connections, within 30 s.
    #[arg(long, value_name = "COMMAND", conflicts_with = "listen")]
    restart: Option<String>,
    /// The length of the body of oversized-body, in bytes (default: 33 MiB)
    #[arg(long, value_name = "BYTES", conflicts_with = "listen")]
    oversized: Option<usize>,
}

/// Options for `--listen`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --listen")]
struct ServeArgs {
    /// A webhook endpoint, whose id requests name in `webhook_ids`; may be repeated
    #[arg(long, value_name = "ID=URL", conflicts_with = "to", value_parser = serve::parse_webhook)]
    webhook: Vec<serve::WebhookArgument>,
    /// The time from enqueuing to the result, such as 2s (default: 0)
    #[arg(
        long,
        value_name = "DURATION",
        conflicts_with = "to",
        value_parser = humantime::parse_duration
    )]
    processing_time: Option<std::time::Duration>,
    /// The time for which results are stored, such as 1h (default: 12h)
    #[arg(
        long,
        value_name = "DURATION",
        conflicts_with = "to",
        value_parser = humantime::parse_duration
    )]
    storage: Option<std::time::Duration>,
    /// Delete a result when it is fetched or accepted by a webhook
    #[arg(long, conflicts_with = "to")]
    delete_when_fetched: bool,
}

fn secret_parser() -> impl TypedValueParser<Value = SecretArgument> {
    OsStringValueParser::new().map(SecretArgument::from)
}

fn product_parser() -> impl TypedValueParser<Value = Product> {
    let names = Product::ALL.iter().map(|product| product.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Product>())
}

/// The name of the list of all faults.
const ALL: &str = "all";

fn fault_parser() -> PossibleValuesParser {
    let fault = |fault: &Fault| PossibleValue::new(fault.name()).help(fault.description());
    let all = PossibleValue::new(ALL).help("each fault once");
    PossibleValuesParser::new(Fault::ALL.iter().map(fault).chain([all]))
}

pub(crate) async fn run(args: SimulateArgs) -> CommandResult {
    let Provider::Mindee(args) = args.provider;
    let secret = SecretArgument::or_environment(args.secret)?;
    mindee::signature(secret.secret()).check()?;
    match (args.to, args.listen) {
        (Some(url), _) => post::run(&url, &secret, args.file.as_deref(), &args.post).await,
        (None, Some(address)) => {
            serve::run(address, &secret, args.file.as_deref(), args.serve).await
        }
        (None, None) => Err(crate::Failure::usage("missing --to URL or --listen ADDRESS").into()),
    }
}
