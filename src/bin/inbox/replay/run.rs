use std::{
    error::Error,
    io::{self, Write},
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

use super::{
    changes::{self, Changes},
    dry, target,
};
use crate::{
    Done,
    bar::Bar,
    options::Options,
    output,
    poster::{self, Failed, Poster},
    send,
    tally::Tally,
};

/// One who posts archived deliveries.
struct Replayer {
    to: Uri,
    changes: Changes,
    poster: Poster,
}

pub(crate) async fn run(options: Options) -> Done {
    let to = poster::url(options.value("to").ok_or("to whom? Say --to http://127.0.0.1:3000")?)?;
    let query = selected(&options);
    let changes = changes(&options).map_err(|error| -> Box<dyn Error> { error })?;
    let concurrency = send::count(&options, "concurrency")?.unwrap_or(NonZeroU32::MIN);
    let rate = send::count(&options, "rate")?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    if let Some(id) = options.ids.first()
        && count(&archive, query.clone()).await? == 0
    {
        return Err(format!("{id} is no delivery that is archived and selected").into());
    }
    if options.has("dry-run") {
        return dry::would(&archive, query, &to).await;
    }
    let replayer = Arc::new(Replayer { to, changes, poster: Poster::new() });
    let start = Instant::now();
    let tally = replay(&archive, query, &replayer, concurrency, rate).await?;
    io::stdout().write_all(tally.page(start.elapsed()).as_bytes())?;
    Ok(if tally.all_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn selected(options: &Options) -> Query {
    let query = options.selection.query();
    match options.ids.first() {
        Some(id) => query.id(*id),
        None => query,
    }
}

fn changes(options: &Options) -> Result<Changes, Failed> {
    let signs = options.secret.is_some() || options.value("token-name").is_some();
    if signs && options.value("as").is_none() {
        return Err("who signs anew? Say --as mindee beside --secret".into());
    }
    let scheme = options.value("as").map(|provider| send::scheme(provider, options)).transpose();
    Ok(Changes {
        headers: options.values("header").map(changes::header).collect::<Result<_, _>>()?,
        parameters: options.values("query").map(changes::parameter).collect::<Result<_, _>>()?,
        scheme: scheme.map_err(|error| error.to_string())?,
    })
}

async fn replay(
    archive: &DiskArchive,
    query: Query,
    replayer: &Arc<Replayer>,
    concurrency: NonZeroU32,
    rate: Option<NonZeroU32>,
) -> Result<Tally, Box<dyn Error>> {
    let all = count(archive, query.clone()).await?;
    let (mut bar, mut tally) = (Bar::of("deliveries"), Tally::default());
    let (mut posting, mut found) = (JoinSet::new(), archive.scan(query));
    let (start, mut number, mut done) = (tokio::time::Instant::now(), 0_u32, 0_u64);
    while let Some(archived) = found.next().await {
        let archived = match archived {
            Ok(archived) => archived,
            Err(error) => {
                tally.count(Err(output::with_sources(&error)));
                done += 1;
                continue;
            }
        };
        while posting.len() >= usize::try_from(concurrency.get())? {
            done += u64::from(take(posting.join_next().await, &mut tally)?);
            bar.show(done, all);
        }
        let due = rate.map_or(Duration::ZERO, |rate| number * Duration::from_secs(1) / rate.get());
        sleep_until(start + due).await;
        number = number.saturating_add(1);
        let replayer = Arc::clone(replayer);
        posting.spawn(async move { replayer.post(&archived.delivery).await });
    }
    while !posting.is_empty() {
        done += u64::from(take(posting.join_next().await, &mut tally)?);
        bar.show(done, all);
    }
    Ok(tally)
}

fn take(
    posted: Option<Result<Result<StatusCode, Failed>, JoinError>>,
    tally: &mut Tally,
) -> Result<bool, JoinError> {
    let Some(posted) = posted else { return Ok(false) };
    tally.count(posted?.map_err(|error| output::with_sources(&*error)));
    Ok(true)
}

async fn count(archive: &DiskArchive, query: Query) -> Result<u64, Box<dyn Error>> {
    let mut lines = archive.ledger(query);
    let mut count = 0;
    while let Some(line) = lines.next().await {
        line?;
        count += 1;
    }
    Ok(count)
}

impl Replayer {
    async fn post(&self, delivery: &Delivery) -> Result<StatusCode, Failed> {
        let (mut head, ()) = target::request(&self.to, delivery)?.into_parts();
        self.changes.apply(&mut head, delivery.body())?;
        let request = Request::from_parts(head, Full::new(delivery.body().clone()));
        Ok(self.poster.post(request).await?.0)
    }
}
