//! `inbox simulate mindee`.

use std::{ffi::OsString, iter, net::SocketAddr, time::Duration};

use clap::{
    ArgGroup, Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::Value;
use tower_inbox::{
    provider::mindee,
    signature::Scheme,
    simulate::{Mindee, Payloads, Product, Sender, Target, UnknownProduct, Webhook},
};

use super::{
    no_mode,
    post::{self, PostArgs},
    secret_parser, serve,
};
use crate::{
    CommandResult,
    cli::after_help,
    client,
    console::{self, code},
    send::SecretArgument,
};

/// Post signed results of Mindee V2 to a receiver, with faults; or serve its API
///
/// With --to, prints a line for each request: fault, response, time, and `unexpected` if a correct receiver answers
/// otherwise. The exit status is 1 if a response is unexpected.
///
/// With --listen, serves enqueuing, jobs, results and the search of models, and posts each result to the webhooks of the request. The first
/// line is `listening on http://ADDRESS`. Any API key is accepted. Mindee's Python client uses this server if
/// `MINDEE_V2_BASE_URL` is set to that URL.
///
/// https:// URLs of receivers require a build with the feature cli-tls. Certificates are verified against the root
/// certificates of the system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
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
pub(super) struct MindeeArgs {
    /// Post results to this URL
    #[arg(long, value_name = "URL", conflicts_with = "ServeArgs")]
    to: Option<String>,
    /// Serve the API on this address; port 0 is a free port
    #[arg(long, value_name = "ADDRESS", conflicts_with = "PostArgs")]
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
    /// The product whose result is posted
    #[arg(
        long,
        value_name = "PRODUCT",
        default_value = "extraction",
        conflicts_with_all = ["listen", "file"],
        value_parser = product_parser(),
        help_heading = "With --to"
    )]
    product: Product,
    #[command(flatten)]
    post: PostArgs,
    /// A second secret that the receiver accepts, for rotated-signature
    #[arg(
        long,
        value_name = "SECRET",
        conflicts_with = "listen",
        value_parser = secret_parser(),
        help_heading = "With --to"
    )]
    second_secret: Option<SecretArgument>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Options for `--listen`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --listen")]
struct ServeArgs {
    /// A webhook endpoint, whose id requests name in `webhook_ids`; may be repeated
    #[arg(long, value_name = "ID=URL", value_parser = parse_webhook)]
    webhook: Vec<WebhookArgument>,
    /// A model for the search, whose name is its id; may be repeated. Jobs of other models are accepted too
    #[arg(long, value_name = "ID=PRODUCT", value_parser = parse_model)]
    model: Vec<ModelArgument>,
    /// The time from enqueuing to the result, such as 2s (default: 0)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    processing_time: Option<Duration>,
    /// The time for which results are stored, such as 1h (default: 12h)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    storage: Option<Duration>,
    /// Delete a result when it is fetched or accepted by a webhook
    #[arg(long)]
    delete_when_fetched: bool,
}

fn product_parser() -> impl TypedValueParser<Value = Product> {
    let names = Product::ALL.iter().map(|product| product.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Product>())
}

/// The id and the receiver of a webhook.
#[derive(Clone, Debug)]
struct WebhookArgument {
    id: String,
    target: Target,
}

/// Parses `ID=URL`.
fn parse_webhook(text: &str) -> Result<WebhookArgument, String> {
    let (id, url) = text.split_once('=').ok_or("use ID=URL")?;
    if id.is_empty() || id.contains(',') {
        return Err("the id is empty or has a comma; use ID=URL".to_owned());
    }
    let target = client::target(url).map_err(|error| console::with_sources(&*error))?;
    Ok(WebhookArgument { id: id.to_owned(), target })
}

/// The id and the product of a model.
#[derive(Clone, Debug)]
struct ModelArgument {
    id: String,
    product: Product,
}

/// Parses `ID=PRODUCT`.
fn parse_model(text: &str) -> Result<ModelArgument, String> {
    let (id, product) = text.rsplit_once('=').ok_or("use ID=PRODUCT")?;
    if id.is_empty() {
        return Err("the id is empty; use ID=PRODUCT".to_owned());
    }
    let product: Product = product.parse().map_err(|error: UnknownProduct| error.to_string())?;
    Ok(ModelArgument { id: id.to_owned(), product })
}

pub(super) async fn run(args: MindeeArgs) -> CommandResult {
    let secret = SecretArgument::or_environment(args.secret.clone())?;
    mindee::signature(secret.secret()).check()?;
    match (&args.to, args.listen) {
        (Some(url), _) => post(url, &secret, &args).await,
        (None, Some(address)) => listen(address, &secret, args).await,
        (None, None) => Err(no_mode().into()),
    }
}

async fn post(url: &str, secret: &SecretArgument, args: &MindeeArgs) -> CommandResult {
    let mut sender = Sender::new(client::target(url)?, mindee::signature(secret.secret()));
    if let Some(second) = &args.second_secret {
        let second = mindee::signature(second.secret());
        second.check()?;
        sender = sender.second_scheme(second);
    }
    let template = args.file.as_deref().map(console::read).transpose()?;
    let payloads = iter::repeat_with(|| match &template {
        Some(template) => Payloads::from_mindee_result(template),
        None => Ok(Payloads::of_mindee(args.product)),
    });
    post::run(sender, payloads, 1, &args.post).await
}

async fn listen(address: SocketAddr, secret: &SecretArgument, args: MindeeArgs) -> CommandResult {
    let mut mindee = Mindee::builder();
    for WebhookArgument { id, target } in args.serve.webhook {
        mindee = mindee.webhook(Webhook::new(id, target, secret.secret()));
    }
    for ModelArgument { id, product } in args.serve.model {
        mindee = mindee.model(id.clone(), id, product);
    }
    if let Some(file) = args.file {
        let result: Value = serde_json::from_slice(&console::read(&file)?)?;
        mindee = mindee.default_result(result);
    }
    if let Some(time) = args.serve.processing_time {
        mindee = mindee.processing_time(time);
    }
    if let Some(time) = args.serve.storage {
        mindee = mindee.storage(time);
    }
    if args.serve.delete_when_fetched {
        mindee = mindee.delete_when_fetched();
    }
    mindee.build().serve(serve::listener(address).await?).await;
    Ok(code(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_is_parsed_at_the_first_equals_sign() {
        let webhook = parse_webhook("w1=http://127.0.0.1:3000/hooks?a=b").unwrap();
        assert_eq!(webhook.id, "w1");
        for text in ["w1", "=http://a/", "a,b=http://a/", "w1=ftp://a/", "w1=a"] {
            assert!(parse_webhook(text).is_err(), "{text}");
        }
    }

    #[test]
    fn model_is_parsed_with_its_product() {
        let model = parse_model("m=1=crop").unwrap();
        assert_eq!((&*model.id, model.product), ("m=1", Product::Crop));
        for text in ["m1", "=crop", "m1=receipts"] {
            assert!(parse_model(text).is_err(), "{text}");
        }
    }
}
