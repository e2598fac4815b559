//! `inbox copy`: copies deliveries and their states to another archive.

use std::{
    error::Error,
    ffi::OsString,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method, Uri, Version};
use tokio::task::JoinHandle;
use tower_inbox::{
    archive::{
        Acquire, Append, Appended, Archive, ArchiveError, Archived, DiskArchive, Query, Release,
        RemovedEntry, Work,
    },
    delivery::{Delivery, Head, Outcome, State},
    signature::Proof,
};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    console::{self, Progress, code, deliveries},
    location::{Location, open},
};

/// The largest number of deliveries, and about the most bytes, that are copied at the same time.
const TOGETHER: usize = 64;
const BYTES_TOGETHER: usize = 8 << 20;

/// The length of the lease under which an outcome is copied.
const LEASE: Duration = Duration::from_secs(60);

/// Copy deliveries and their states to another archive
///
/// Ids, heads, bodies, times of receipt and outcomes are copied, in append order. Both archives are directories or
/// PostgreSQL URLs. The target may have other deliveries. Repeat an interrupted copy: deliveries that are in
/// the target already are left out.
///
/// Start no server with the target before the copy has ended, and stop the servers of the source, or repeat the copy
/// after you have stopped them.
///
/// Of removed deliveries, the ledger entries are copied, so that the target recognizes their repeats. The attempts of
/// pending deliveries are counted from zero. The exit status is 1 if a delivery could not be read.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox copy --from /var/lib/inbox --to 'postgres://inbox@db/app?schema=webhooks'
  inbox copy --from postgres://inbox@db/app --to /var/lib/inbox-new

"))]
pub(crate) struct CopyArgs {
    /// The archive to read; default: that of --archive
    #[arg(long, value_name = "DIR|URL", required_unless_present = "to")]
    from: Option<OsString>,
    /// The archive to write, which is created if it is missing; default: that of --archive
    #[arg(long, value_name = "DIR|URL")]
    to: Option<OsString>,
}

pub(crate) async fn run(args: CopyArgs, archive: &OsString) -> CommandResult {
    let from = Location::of(args.from.as_ref().unwrap_or(archive))?;
    let to = Location::of(args.to.as_ref().unwrap_or(archive))?;
    if from == to {
        return Err(Failure::usage("both archives are the same; use --from and --to").into());
    }
    let source = open(&from).await?;
    let (copied, result) = match &to {
        Location::Directory(path) => {
            let target = DiskArchive::builder(path).maintenance_interval(None).open().await?;
            let target = Arc::new(target);
            let result = copy(&*source, &(Arc::clone(&target) as Arc<dyn Archive>)).await;
            target.close().await;
            (target.to_string(), result)
        }
        #[cfg(feature = "postgres")]
        Location::Database(database) => {
            let target = Arc::new(database.builder()?.migrate(true).open().await?);
            let result = copy(&*source, &(Arc::clone(&target) as Arc<dyn Archive>)).await;
            target.close().await;
            (target.to_string(), result)
        }
    };
    let Copied { new, known, repeats, unreadable, removed } = result?;
    if removed > 0 {
        let removed = deliveries(removed);
        console::note(&format!("copied the ledger entries of {removed} without a body"));
    }
    if repeats > 0 {
        let repeats = deliveries(repeats);
        console::note(&format!("{repeats} repeat a delivery of the target, and are left out"));
    }
    let (new, known) = (deliveries(new), deliveries(known));
    console::result(&format!("copied {new} to {copied}; {known} were there before"));
    Ok(code(unreadable == 0))
}

/// The numbers of deliveries by result.
#[derive(Debug, Default, PartialEq, Eq)]
struct Copied {
    new: u64,
    /// Already in the target, in the same state or in a later one.
    known: u64,
    /// The target has another delivery with the same fingerprint.
    repeats: u64,
    unreadable: u64,
    /// Ledger entries of deliveries without a body.
    removed: u64,
}

async fn copy(source: &dyn Archive, target: &Arc<dyn Archive>) -> Result<Copied, Box<dyn Error>> {
    let all = source.counts().await?.iter().map(|(_, _, count)| count).sum();
    let (bar, mut copied, mut done) = (Progress::of_deliveries(), Copied::default(), 0);
    let (mut found, mut together, mut bytes) = (source.scan(Query::all()), Vec::new(), 0);
    while let Some(archived) = found.next().await {
        done += 1;
        match archived {
            Ok(archived) => {
                bytes += archived.delivery.body().len();
                together.push(archived);
            }
            Err(error @ ArchiveError::Damaged { .. }) => {
                console::error(&error.to_string());
                copied.unreadable += 1;
            }
            Err(error) => return Err(error.into()),
        }
        if together.len() >= TOGETHER || bytes >= BYTES_TOGETHER {
            copy_some(std::mem::take(&mut together), target, &mut copied).await?;
            bytes = 0;
            bar.show(done, all);
        }
    }
    copy_some(together, target, &mut copied).await?;
    copied.removed = copy_removed(source, target).await?;
    Ok(copied)
}

/// Copies the ledger entries of deliveries without a body: appends each without head and body, records its outcome, and
/// removes it. Returns their number. Entries that the target has already are left out.
async fn copy_removed(
    source: &dyn Archive,
    target: &Arc<dyn Archive>,
) -> Result<u64, Box<dyn Error>> {
    let (mut entries, mut together, mut to_remove) = (source.removed(), Vec::new(), Vec::new());
    loop {
        let entry = entries.next().await.transpose()?;
        let is_last = entry.is_none();
        together.extend(entry.map(placeholder));
        if together.len() >= TOGETHER || is_last {
            let ids: Vec<_> = together.iter().map(|one: &Archived| one.delivery.id()).collect();
            copy_some(std::mem::take(&mut together), target, &mut Copied::default()).await?;
            for id in ids {
                let copied = target.get(id).await?;
                if copied.is_some_and(|copied| copied.delivery.proof().scheme() == PLACEHOLDER) {
                    to_remove.push(id);
                }
            }
        }
        if is_last {
            break;
        }
    }
    if to_remove.is_empty() {
        return Ok(0);
    }
    Ok(target.remove(Query::all().ids(to_remove)).await?)
}

/// The scheme in the proof of a delivery that is appended to be removed. Recognizes those of an interrupted copy.
const PLACEHOLDER: &str = "inbox-copy";

/// The delivery of a ledger entry, without its head and body.
fn placeholder(removed: RemovedEntry) -> Archived {
    let RemovedEntry { entry, fingerprint, .. } = removed;
    let (method, uri) = (Method::POST, Uri::from_static("/"));
    let head = Head::from_archive(method, uri, Version::HTTP_11, HeaderMap::new(), None, None);
    let proof = Proof::new(PLACEHOLDER, "none", "removed");
    let (id, model, received_at) = (entry.id, entry.model, entry.received_at);
    let body = Bytes::new();
    let delivery = Delivery::from_archive(id, model, head, body, received_at, proof, fingerprint);
    Archived::new(delivery, entry.state)
}

/// Copies some deliveries at the same time, so that the target writes them in one batch.
async fn copy_some(
    some: Vec<Archived>,
    target: &Arc<dyn Archive>,
    copied: &mut Copied,
) -> Result<(), Box<dyn Error>> {
    let state = |archived: &Archived| start(target.state(archived.delivery.id()));
    let states: Vec<_> = some.iter().map(state).collect();
    let mut running: Vec<JoinHandle<_>> = Vec::new();
    for (archived, state) in some.into_iter().zip(states) {
        let known = state.await??;
        // Appended in this order.
        let append = known.is_none().then(|| target.append(append(&archived)));
        running.push(tokio::spawn(copy_one(archived, known, append, Arc::clone(target))));
    }
    for copy in running {
        match copy.await?? {
            CopiedOne::New => copied.new += 1,
            CopiedOne::Known => copied.known += 1,
            CopiedOne::Repeat => copied.repeats += 1,
        }
    }
    Ok(())
}

/// The result for one delivery.
enum CopiedOne {
    New,
    Known,
    Repeat,
}

async fn copy_one(
    archived: Archived,
    known: Option<State>,
    append: Option<Work<Appended>>,
    target: Arc<dyn Archive>,
) -> Result<CopiedOne, ArchiveError> {
    let id = archived.delivery.id();
    let outcome = archived.state.outcome();
    let (lease, result) = match (append, known) {
        (Some(append), _) => {
            let appended = append.await?;
            if appended.receipt.id() != id {
                if let Some(lease) = appended.lease {
                    target.release(lease, Release::After(Duration::ZERO)).await?;
                }
                return Ok(CopiedOne::Repeat);
            }
            (appended.lease, CopiedOne::New)
        }
        // The copy was interrupted in between, or the outcome was recorded after an earlier copy.
        (None, Some(known)) if known.outcome().is_none() && outcome.is_some() => {
            (target.acquire(Acquire::new(id)).await?.lease, CopiedOne::Known)
        }
        (None, _) => return Ok(CopiedOne::Known),
    };
    if let (Some(lease), Some(outcome)) = (lease, outcome) {
        target.settle(lease, outcome.clone(), retry_in(outcome)).await?;
    }
    Ok(result)
}

/// The time until the next attempt.
fn retry_in(outcome: &Outcome) -> Duration {
    let Outcome::Failed { due: Some(due), .. } = outcome else { return Duration::ZERO };
    due.duration_since(SystemTime::now()).unwrap_or_default()
}

fn start<T: Send + 'static>(work: Work<T>) -> JoinHandle<Result<T, ArchiveError>> {
    tokio::spawn(work)
}

/// Leased at once if an outcome follows, so that no server handles the delivery in between.
fn append(archived: &Archived) -> Append {
    let append = Append::new(archived.delivery.clone());
    if archived.state.outcome().is_some() { append.leased_for(LEASE) } else { append }
}
