//! `inbox replay`: posts archived deliveries to another server.

mod request;

use std::{
    error::Error,
    io::{self, BufWriter, Write},
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep_until,
};
use tower_inbox::{
    Delivery,
    archive::{Archive, DiskArchive, Query},
};

use self::request::{Replacements, header, parameter, request};
use crate::{
    CommandResult,
    console::{self, ProgressBar, deliveries},
    escape::escape,
    options::Options,
    post::{self, PostError, Poster, ResponseCounts},
    send,
};

pub(crate) async fn run(options: Options) -> CommandResult {
    let to = options.value("to").ok_or("missing --to URL, such as --to http://127.0.0.1:3000")?;
    let to = post::url(to)?;
    let query = query(&options);
    let replacements = replacements(&options).map_err(|error| -> Box<dyn Error> { error })?;
    let concurrency = send::count(&options, "concurrency")?.unwrap_or(NonZeroU32::MIN);
    let rate = send::count(&options, "rate")?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    if let Some(id) = options.ids.first()
        && count(&archive, query.clone()).await? == 0
    {
        return Err(format!("no delivery {id} in {archive} that the options select").into());
    }
    if options.has("dry-run") {
        return print_requests(&archive, query, &to).await;
    }
    let replayer = Arc::new(Replayer { to, replacements, poster: Poster::new() });
    let start = Instant::now();
    let counts = replay(&archive, query, &replayer, concurrency, rate).await?;
    io::stdout().write_all(counts.page(start.elapsed()).as_bytes())?;
    Ok(if counts.all_succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn query(options: &Options) -> Query {
    let query = options.selection.query();
    match options.ids.first() {
        Some(id) => query.id(*id),
        None => query,
    }
}

fn replacements(options: &Options) -> Result<Replacements, PostError> {
    let signs = options.secret.is_some() || options.value("token-name").is_some();
    if signs && options.value("as").is_none() {
        return Err("missing --as NAME beside --secret, such as --as mindee".into());
    }
    let scheme = options.value("as").map(|provider| send::scheme(provider, options)).transpose();
    Ok(Replacements {
        headers: options.values("header").map(header).collect::<Result<_, _>>()?,
        parameters: options.values("query").map(parameter).collect::<Result<_, _>>()?,
        scheme: scheme.map_err(|error| error.to_string())?,
    })
}

async fn count(archive: &DiskArchive, query: Query) -> Result<u64, Box<dyn Error>> {
    let mut entries = archive.ledger(query);
    let mut count = 0;
    while let Some(entry) = entries.next().await {
        entry?;
        count += 1;
    }
    Ok(count)
}

/// Prints ids, lengths, methods and URLs for `--dry-run`. Replacements are left out, because they may be secret.
async fn print_requests(archive: &DiskArchive, query: Query, to: &Uri) -> CommandResult {
    let mut out = BufWriter::new(io::stdout());
    let (mut count, mut code, mut found) = (0, ExitCode::SUCCESS, archive.scan(query));
    while let Some(archived) = found.next().await {
        let delivery = match archived {
            Ok(archived) => archived.delivery,
            Err(error) => {
                console::report(&error.to_string());
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let request = request(to, &delivery).map_err(|error: PostError| error.to_string())?;
        let (id, bytes) = (delivery.id(), delivery.body().len());
        let uri = escape(&request.uri().to_string());
        writeln!(out, "{id}  {bytes:>10}  {} {uri}", request.method())?;
        count += 1;
    }
    out.flush()?;
    eprintln!("would post {}", deliveries(count));
    Ok(code)
}

async fn replay(
    archive: &DiskArchive,
    query: Query,
    replayer: &Arc<Replayer>,
    concurrency: NonZeroU32,
    rate: Option<NonZeroU32>,
) -> Result<ResponseCounts, Box<dyn Error>> {
    let all = count(archive, query.clone()).await?;
    let (mut bar, mut counts) = (ProgressBar::of("deliveries"), ResponseCounts::default());
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
        let (mut head, ()) = request(&self.to, delivery)?.into_parts();
        self.replacements.apply(&mut head, delivery.body())?;
        let request = Request::from_parts(head, Full::new(delivery.body().clone()));
        Ok(self.poster.post(request).await?.0)
    }
}
