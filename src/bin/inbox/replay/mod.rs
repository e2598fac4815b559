//! `inbox replay`: posts archived deliveries to another server.

mod request;

use std::{
    error::Error,
    io::{self, Write},
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep_until,
};
use tower_inbox::{
    Delivery,
    archive::{Archive, Query},
};

pub(crate) use self::request::{Replacements, at_server, end_to_end, mark, replayed};
use self::request::{original, parse_parameter};
use crate::{
    CommandResult, Failure,
    cli::after_help,
    client::{self, PostError, Poster, ResponseCounts},
    console::{self, Progress, code, deliveries},
    format::{self, Table},
    location::{Location, open},
    select::{Selection, entries, missing, narrow, resolve_ids},
    send::{SigningArgs, parse_header},
};

/// Post archived deliveries to another server, such as a developer's
///
/// Posts them in the order in which they were archived, with their method, path, query, headers and exact bytes. The
/// archive is not changed. Each request has the headers inbox-replay, with the id, and inbox-received-at, with the time
/// of receipt. Prints the number of responses by status. The exit status is 1 if one is not 2xx.
///
/// Tokens and passwords are never archived: the placeholder REDACTED replaces them. Signatures are archived, but those
/// with a timestamp have expired. Either the other server accepts unsigned requests, or --as, --set-header and
/// --set-query replace what it checks.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox replay --to http://127.0.0.1:3000 --last 1
  inbox replay --to http://127.0.0.1:3000 01890a5d-ac96
  inbox replay --to http://127.0.0.1:3000 --since 1d --as mindee --secret S
  inbox replay --to http://127.0.0.1:3000/staging --state dead --dry-run

"))]
pub(crate) struct ReplayArgs {
    /// The ids of the deliveries, or unique prefixes of them; default: all
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only the latest N of the deliveries selected
    #[arg(
        short = 'n',
        long,
        visible_alias = "limit",
        value_name = "N",
        conflicts_with = "ids",
        help_heading = "Selection"
    )]
    last: Option<usize>,
    /// The server, optionally with a path prefix
    #[arg(long, value_name = "URL")]
    to: String,
    /// Print the requests, and post nothing
    #[arg(long)]
    dry_run: bool,
    /// Set this header; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    set_header: Vec<(HeaderName, HeaderValue)>,
    /// Set this query parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    set_query: Vec<(String, String)>,
    #[command(flatten)]
    signing: SigningArgs,
    /// The maximum number of concurrent requests; 1 keeps the order
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Load")]
    concurrency: NonZeroU32,
    /// The maximum number of requests per second (default: unlimited)
    #[arg(long, value_name = "N", help_heading = "Load")]
    rate: Option<NonZeroU32>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(args: ReplayArgs, at: &Location) -> CommandResult {
    let to = client::url(&args.to)?;
    let scheme = args.signing.scheme()?;
    let replacements =
        Replacements { headers: args.set_header, parameters: args.set_query, scheme };
    let archive = open(at).await?;
    let ids = resolve_ids(&archive, &args.ids).await?;
    let has_ids = !ids.is_empty();
    let inference = args.selection.scope.inference.as_deref();
    let query = args.selection.query();
    let query = narrow(&archive, query, has_ids.then(|| ids.clone()), inference).await?;
    if has_ids && let Some(id) = missing(&ids, &entries(&archive, query.clone()).await?).first() {
        let message = format!("no delivery {id} in {archive} that the options select");
        return Err(Failure::not_found(message).into());
    }
    let query = match args.last {
        Some(last) => {
            let latest = archive.latest(query.clone(), last).await?;
            query.ids(latest.into_iter().map(|entry| entry.id))
        }
        None => query,
    };
    if args.dry_run {
        return print_requests(&archive, query, &to).await;
    }
    let poster = Poster::new(&to).map_err(|error| -> Box<dyn Error> { error })?;
    let replayer = Arc::new(Replayer { to, replacements, poster });
    let start = Instant::now();
    let counts = replay(&archive, query, &replayer, args.concurrency, args.rate).await?;
    io::stdout().write_all(counts.page(start.elapsed()).as_bytes())?;
    Ok(code(counts.all_succeeded()))
}

/// Prints ids, lengths, methods and URLs. Replacements are left out, because they may be secret.
async fn print_requests(archive: &dyn Archive, query: Query, to: &Uri) -> CommandResult {
    let (mut out, mut table) = (console::stdout(), Table::new(["ID", "BYTES", "REQUEST"]));
    let (mut count, mut code, mut found) = (0, ExitCode::SUCCESS, archive.scan(query));
    while let Some(archived) = found.next().await {
        let delivery = match archived {
            Ok(archived) => archived.delivery,
            Err(error) => {
                console::error(&error.to_string());
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let request = original(to, &delivery).map_err(|error: PostError| error.to_string())?;
        let (id, bytes) = (delivery.id().to_string(), delivery.body().len().to_string());
        let line = format!("{} {}", request.method(), request.uri());
        table.row(&mut out, [id, bytes, line], format::PLAIN)?;
        count += 1;
    }
    table.flush(&mut out)?;
    console::result(&format!("would post {}", deliveries(count)));
    Ok(code)
}

async fn replay(
    archive: &dyn Archive,
    query: Query,
    replayer: &Arc<Replayer>,
    concurrency: NonZeroU32,
    rate: Option<NonZeroU32>,
) -> Result<ResponseCounts, Box<dyn Error>> {
    let all = entries(archive, query.clone()).await?.len() as u64;
    let (bar, mut counts) = (Progress::of_deliveries(), ResponseCounts::default());
    let (mut posting, mut found) = (JoinSet::new(), archive.scan(query));
    let (start, mut number, mut done) = (tokio::time::Instant::now(), 0_u32, 0_u64);
    while let Some(archived) = found.next().await {
        let archived = match archived {
            Ok(archived) => archived,
            Err(error) => {
                counts.count(Err(console::with_sources(&error)));
                done += 1;
                continue;
            }
        };
        while posting.len() >= usize::try_from(concurrency.get())? {
            done += u64::from(count_response(posting.join_next().await, &mut counts)?);
            bar.show(done, all);
        }
        let due = rate.map_or(Duration::ZERO, |rate| number * Duration::from_secs(1) / rate.get());
        sleep_until(start + due).await;
        number = number.saturating_add(1);
        let replayer = Arc::clone(replayer);
        posting.spawn(async move { replayer.post(&archived.delivery).await });
    }
    while !posting.is_empty() {
        done += u64::from(count_response(posting.join_next().await, &mut counts)?);
        bar.show(done, all);
    }
    Ok(counts)
}

/// Returns true if a task has ended.
fn count_response(
    posted: Option<Result<Result<StatusCode, PostError>, JoinError>>,
    counts: &mut ResponseCounts,
) -> Result<bool, JoinError> {
    let Some(posted) = posted else { return Ok(false) };
    counts.count(posted?.map_err(|error| console::with_sources(&*error)));
    Ok(true)
}

/// Posts archived deliveries to one server.
struct Replayer {
    to: Uri,
    replacements: Replacements,
    poster: Poster,
}

impl Replayer {
    async fn post(&self, delivery: &Delivery) -> Result<StatusCode, PostError> {
        let request = replayed(&self.to, delivery, &self.replacements, None)?;
        Ok(self.poster.post(request).await?.status())
    }
}
