//! `inbox quarantine`: rejected deliveries that were kept.

use std::{error::Error, ffi::OsString, io::Write};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Response, StatusCode, Uri};
use serde_json::{Value, json};
use tower_inbox::{
    Delivery, DeliveryId,
    archive::{Archive, Query},
    layer::DELIVERY_ID,
};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    client::{self, Poster},
    console::{self, RED, code},
    doctor::{Diagnosis, parts},
    format::{self, Table, json_help},
    list::{self, ListArgs},
    location::{Location, open},
    remove::remove,
    replay::{Replacements, replayed},
    select::{Scope, entries, missing, narrow, resolve_ids},
    send::SigningArgs,
    show::{self, ShowArgs},
};

/// List, show, release or remove rejected deliveries that were kept
///
/// A quarantine is an archive of its own, with the deliveries whose signature was rejected.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox quarantine list --since 1d
  inbox quarantine release --all --to http://127.0.0.1:3000 --as mindee --secret S

"))]
pub(crate) struct QuarantineArgs {
    /// The directory of the quarantine, or a PostgreSQL URL as in --archive
    #[arg(
        long,
        global = true,
        value_name = "DIR|URL",
        env = "INBOX_QUARANTINE",
        hide_env_values = true,
        default_value = "inbox-quarantine",
        help_heading = "Global options"
    )]
    quarantine: OsString,
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List rejected deliveries, oldest first
    #[command(after_long_help = after_help!(json_help!(), "\
Examples:
  inbox quarantine list --since 1d
  inbox quarantine list --follow

"))]
    List(ListArgs),
    /// Show rejected deliveries: head, or exact body
    #[command(after_long_help = after_help!("\
Examples:
  inbox quarantine show 01890a5d-ac96
  inbox quarantine show --last 1 --body

"))]
    Show(ShowArgs),
    Release(ReleaseArgs),
    Clear(ClearArgs),
}

/// Verify deliveries with a repaired secret, and post them to the server
///
/// Verifies each delivery as of its time of receipt. Deliveries that pass are posted to the server, with a new
/// signature and the message id of the original. They are removed from the quarantine if an inbox responds 2xx, with
/// the header inbox-delivery-id. For the others, the reason is printed as by `inbox doctor`, and they stay. The exit
/// status is 1 if one was not released.
///
/// Deliveries that were rejected for a token cannot be released, because tokens are never stored. In the process of the
/// server, `Inbox::release` keeps id, headers and time of receipt.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
JSON members, one object per delivery:
  id            string, a UUID
  released      boolean
  status        number, the HTTP status of the server, or null if it was not posted
  error         string, or null
  verification  object, as `inbox doctor --json` prints it

Examples:
  inbox quarantine release 01890a5d-ac96 --to http://127.0.0.1:3000 --as mindee --secret S
  inbox quarantine release --all --to http://127.0.0.1:3000 --as mindee --secret S

"))]
struct ReleaseArgs {
    #[command(flatten)]
    which: Which,
    /// The server, optionally with a path prefix
    #[arg(long, value_name = "URL")]
    to: String,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    signing: SigningArgs,
}

/// Remove deliveries from the quarantine
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox quarantine clear --all
  inbox quarantine clear --before 7d --dry-run

"))]
struct ClearArgs {
    #[command(flatten)]
    which: Which,
    /// Print the number of deliveries, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The deliveries of the quarantine that a command processes.
#[derive(Args, Debug)]
struct Which {
    /// The ids of the deliveries, or unique prefixes of them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All deliveries
    #[arg(long, help_heading = "Selection", conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    scope: Scope,
}

pub(crate) async fn run(args: QuarantineArgs) -> CommandResult {
    let at = &Location::of(&args.quarantine)?;
    match args.command {
        QuarantineCommand::List(args) => list::run(args, at).await,
        QuarantineCommand::Show(args) => show::run(args, at).await,
        QuarantineCommand::Release(args) => release(args, at).await,
        QuarantineCommand::Clear(args) => clear(args, at).await,
    }
}

impl Which {
    /// The query for these deliveries. Fails if one of the ids is not found.
    async fn query(&self, archive: &dyn Archive) -> Result<Query, Box<dyn Error>> {
        if self.ids.is_empty() && !self.all && !self.scope.is_given() {
            let message = "missing selection; use an ID, --all, --model, --since or --before";
            return Err(Failure::usage(message).into());
        }
        let ids = resolve_ids(archive, &self.ids).await?;
        let given = (!ids.is_empty()).then(|| ids.clone());
        let inference = self.scope.inference.as_deref();
        // `Inbox::release` settles a delivery before it removes it.
        let query = narrow(archive, self.scope.query().unsettled(), given, inference).await?;
        match missing(&ids, &entries(archive, query.clone()).await?).first() {
            Some(id) => Err(Failure::not_found(format!("no delivery {id} in {archive}")).into()),
            None => Ok(query),
        }
    }
}

async fn clear(args: ClearArgs, at: &Location) -> CommandResult {
    let query = args.which.query(&open(at).await?).await?;
    remove(at, vec![query], args.dry_run).await?;
    Ok(code(true))
}

async fn release(args: ReleaseArgs, at: &Location) -> CommandResult {
    let to = client::url(&args.to)?;
    let scheme = Some(args.signing.required_scheme()?);
    let poster = Poster::new(&to).map_err(|error| -> Box<dyn Error> { error })?;
    let replacements = Replacements { scheme, ..Replacements::default() };
    let destination = Destination { to, replacements, poster };
    let archive = open(at).await?;
    let query = args.which.query(&archive).await?;
    let mut output = Output::new(args.json);
    let (mut released, mut found, mut failed) = (Vec::new(), archive.scan(query), 0_u64);
    while let Some(archived) = found.next().await {
        let delivery = match archived {
            Ok(archived) => archived.delivery,
            Err(error) => {
                console::error(&error.to_string());
                failed += 1;
                continue;
            }
        };
        let result = destination.release(&delivery).await?;
        output.write(delivery.id(), &result)?;
        if result.is_released() {
            released.push(delivery.id());
        } else {
            failed += 1;
        }
    }
    output.flush()?;
    if !released.is_empty() {
        remove(at, vec![Query::all().ids(released)], false).await?;
    }
    Ok(code(failed == 0))
}

/// The server to which deliveries are released.
struct Destination {
    to: Uri,
    replacements: Replacements,
    poster: Poster,
}

impl Destination {
    async fn release(&self, delivery: &Delivery) -> Result<Released, Box<dyn Error>> {
        let Some(scheme) = &self.replacements.scheme else {
            return Err(Failure::usage("missing --as PROVIDER").into());
        };
        let (head, at) = (parts(delivery)?, delivery.received_at());
        let diagnosis = Diagnosis::of(&**scheme, &head, delivery.body(), at);
        let Ok(proof) = &diagnosis.result else {
            return Ok(Released { diagnosis, response: None });
        };
        let request = replayed(&self.to, delivery, &self.replacements, proof.message_id());
        let response = match request {
            Ok(request) => self.poster.post(request).await,
            Err(error) => Err(error),
        };
        let response = response.map_err(|error| console::with_sources(&*error));
        Ok(Released { diagnosis, response: Some(response) })
    }
}

/// The result for one delivery.
struct Released {
    diagnosis: Diagnosis,
    /// The response of the server, or why there is none; None if the delivery was not posted.
    response: Option<Result<Response<Bytes>, String>>,
}

impl Released {
    fn is_released(&self) -> bool {
        self.error().is_none()
    }

    fn status(&self) -> Option<StatusCode> {
        self.response.as_ref()?.as_ref().ok().map(Response::status)
    }

    /// Why the delivery was not released.
    fn error(&self) -> Option<String> {
        if let Err(error) = &self.diagnosis.result {
            return Some(error.to_string());
        }
        match &self.response {
            None => Some("the delivery was not posted".to_owned()),
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(response)) if !response.status().is_success() => {
                Some(format!("the server responded {}", response.status()))
            }
            // Without it, something else than an inbox responded, and the delivery would be lost.
            Some(Ok(response)) if !response.headers().contains_key(DELIVERY_ID) => {
                let status = response.status();
                Some(format!(
                    "the server responded {status} without the header {DELIVERY_ID}; check --to"
                ))
            }
            Some(Ok(_)) => None,
        }
    }

    fn object(&self, id: DeliveryId) -> Value {
        json!({
            "id": id.to_string(),
            "released": self.is_released(),
            "status": self.status().map(|status| status.as_u16()),
            "error": self.error(),
            "verification": self.diagnosis.object(),
        })
    }
}

/// Writes the results as a table, or as one JSON object per line.
struct Output {
    out: std::io::BufWriter<anstream::Stdout>,
    table: Option<Table<2>>,
}

impl Output {
    fn new(json: bool) -> Self {
        Self { out: console::stdout(), table: (!json).then(|| Table::new(["ID", "RESULT"])) }
    }

    fn write(&mut self, id: DeliveryId, released: &Released) -> std::io::Result<()> {
        let Some(table) = &mut self.table else {
            return console::json_line(&mut self.out, &released.object(id));
        };
        let (text, style) = match released.error() {
            None => ("released".to_owned(), format::PLAIN),
            Some(error) => {
                let reasons = released.diagnosis.reasons();
                ([vec![error], reasons].concat().join("; "), RED)
            }
        };
        table.row(&mut self.out, [id.to_string(), text], style)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.table {
            Some(table) => table.flush(&mut self.out),
            None => self.out.flush(),
        }
    }
}
