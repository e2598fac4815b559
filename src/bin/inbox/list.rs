//! `inbox list` and `inbox dead`: one line for each delivery.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    ffi::OsString,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime},
};

#[cfg(feature = "postgres")]
use std::collections::VecDeque;

use clap::Args;
#[cfg(feature = "postgres")]
use tower_inbox::archive::{LedgerFollower, PostgresArchive, StateFilter};
use tower_inbox::{
    DeliveryId,
    archive::{Archive, ArchiveError, Archived, LedgerEntry, Query},
    delivery::StateKind,
};

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, code},
    format::{self, Table, json_help},
    location::{Location, open},
    select::{Scope, Selection, entries, narrow, state_parser},
};

/// The time between two looks at the archive with `--follow`.
const POLL: Duration = Duration::from_millis(500);

/// The longest time from the receipt of a delivery until it is archived, as far as `--follow` is concerned.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(60);

/// The number of deliveries of a database that `--follow` with a state waits for at most: the latest ones.
#[cfg(feature = "postgres")]
const WAITING: usize = 2_000;

/// List the latest deliveries, oldest first
#[derive(Args, Debug)]
#[command(after_long_help = after_help!(json_help!(), "\
Examples:
  inbox list --last 10
  inbox list --since 2h --model /hooks/invoices --state failed
  inbox list --inference inv_1
  inbox list --follow --json | jq .id

"))]
pub(crate) struct ListArgs {
    /// List at most the latest N deliveries; 0 lists all (default: 50)
    #[arg(short = 'n', long, visible_alias = "last", value_name = "N")]
    limit: Option<usize>,
    /// Keep running, and list deliveries as they are archived
    ///
    /// With --state, --pending or --settled, a delivery is listed when it first has the state.
    #[arg(short, long, conflicts_with_all = ["before", "inference"])]
    follow: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// The number of deliveries that are listed without `--limit`.
const LIMIT: usize = 50;

pub(crate) async fn run(args: ListArgs, at: &Location) -> CommandResult {
    let start = SystemTime::now();
    let archive = open(at).await?;
    let mut list = List::new(args.json);
    let query = args.selection.query();
    if args.follow {
        let recent = start.checked_sub(ARCHIVED_WITHIN).unwrap_or(SystemTime::UNIX_EPOCH);
        let recent = recent.max(query.received_since().unwrap_or(SystemTime::UNIX_EPOCH));
        let recent = query.clone().since(recent);
        return match at {
            Location::Directory(path) => {
                let seen = entries(&archive, recent.clone()).await?;
                let mut seen: HashSet<_> = seen.into_iter().map(|entry| entry.id).collect();
                seen.extend(list_latest(&archive, query, &args, &mut list).await?);
                follow_directory(at, path, &recent, seen, &mut list).await
            }
            #[cfg(feature = "postgres")]
            Location::Database(database) => {
                let archive = database.open().await?;
                let mut following = Following::new(&archive, recent).await?;
                following.listed = list_latest(&archive, query, &args, &mut list).await?;
                following.follow(&mut list).await
            }
        };
    }
    let query = narrow(&archive, query, None, args.selection.scope.inference.as_deref()).await?;
    list_latest(&archive, query, &args, &mut list).await?;
    list.finish()
}

/// Returns the deliveries that it listed.
async fn list_latest(
    archive: &dyn Archive,
    query: Query,
    args: &ListArgs,
    list: &mut List,
) -> Result<HashSet<DeliveryId>, Box<dyn Error>> {
    let (limit, mut listed) = (args.limit.unwrap_or(LIMIT), HashSet::new());
    if limit == 0 {
        let mut found = archive.scan(query);
        while let Some(archived) = found.next().await {
            if args.follow
                && let Ok(archived) = &archived
            {
                listed.insert(archived.delivery.id());
            }
            list.write(archived)?;
        }
        return Ok(listed);
    }
    let mut latest = archive.latest(query, limit.saturating_add(1)).await?;
    if latest.len() > limit {
        latest.truncate(limit);
        if !args.follow && args.limit.is_none() {
            console::note(&format!("these are the latest {limit}; '--limit 0' lists all"));
        }
    }
    for entry in latest.into_iter().rev() {
        list.write_entry(archive, &entry).await?;
        listed.insert(entry.id);
    }
    Ok(listed)
}

/// Lists what `recent` selects and is not in `seen`, again and again, until the command is interrupted.
async fn follow_directory(
    at: &Location,
    path: &Path,
    recent: &Query,
    mut seen: HashSet<DeliveryId>,
    list: &mut List,
) -> CommandResult {
    let mut before = None;
    loop {
        list.flush()?;
        tokio::time::sleep(POLL).await;
        let now = lengths(path)?;
        if before.replace(now.clone()) == Some(now) {
            continue;
        }
        // A directory is read as of its opening.
        let archive = open(at).await?;
        for entry in entries(&archive, recent.clone()).await? {
            if seen.insert(entry.id) {
                list.write_entry(&archive, &entry).await?;
            }
        }
    }
}

/// Lists the deliveries of a database as they are appended, or first have a state.
#[cfg(feature = "postgres")]
struct Following<'a> {
    archive: &'a PostgresArchive,
    new: LedgerFollower,
    recent: Query,
    /// Deliveries without the selected state, in append order.
    waiting: VecDeque<DeliveryId>,
    /// Deliveries that were listed at the start, and may be found again.
    listed: HashSet<DeliveryId>,
}

#[cfg(feature = "postgres")]
impl<'a> Following<'a> {
    async fn new(archive: &'a PostgresArchive, recent: Query) -> Result<Self, ArchiveError> {
        let new = archive.follow().await?;
        let mut waiting = VecDeque::new();
        if recent.selected_states() != StateFilter::Any {
            let latest = archive.latest(Query::all(), WAITING).await?;
            let other = latest.into_iter().rev().filter(|entry| {
                recent.selects_meta(entry.id, &entry.model, entry.received_at)
                    && !recent.selects_state(&entry.state)
            });
            waiting.extend(other.map(|entry| entry.id));
        }
        Ok(Self { archive, new, recent, waiting, listed: HashSet::new() })
    }

    async fn follow(mut self, list: &mut List) -> CommandResult {
        loop {
            list.flush()?;
            tokio::time::sleep(POLL).await;
            for entry in self.changed().await? {
                if !self.listed.remove(&entry.id) {
                    list.write_entry(self.archive, &entry).await?;
                }
            }
        }
    }

    /// The deliveries that have the selected state since the last call.
    async fn changed(&mut self) -> Result<Vec<LedgerEntry>, ArchiveError> {
        let mut changed = Vec::new();
        if !self.waiting.is_empty() {
            let waiting = self.recent.clone().ids(self.waiting.iter().copied());
            changed = entries(self.archive, waiting).await?;
            let ids: HashSet<_> = changed.iter().map(|entry| entry.id).collect();
            self.waiting.retain(|id| !ids.contains(id));
        }
        for entry in self.new.next().await? {
            if !self.recent.selects_meta(entry.id, &entry.model, entry.received_at) {
                continue;
            }
            if self.recent.selects_state(&entry.state) {
                changed.push(entry);
            } else {
                self.waiting.push_back(entry.id);
            }
        }
        let excess = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..excess);
        Ok(changed)
    }
}

/// The lengths of the files in a directory, which change with every write to the archive.
pub(crate) fn lengths(path: &Path) -> io::Result<BTreeMap<OsString, u64>> {
    let mut lengths = BTreeMap::new();
    for file in fs::read_dir(path)? {
        let file = file?;
        // A file that was removed or renamed meanwhile is found under its new name the next time.
        let Ok(metadata) = file.metadata() else { continue };
        lengths.insert(file.file_name(), metadata.len());
    }
    Ok(lengths)
}

/// Writes deliveries as a table, or as one JSON object per line.
pub(crate) struct List {
    out: BufWriter<anstream::Stdout>,
    table: Option<Table<5>>,
    code: ExitCode,
}

impl List {
    pub(crate) fn new(json: bool) -> Self {
        let table = (!json).then(|| Table::new(["ID", "RECEIVED", "BYTES", "MODEL", "STATE"]));
        Self { out: console::stdout(), table, code: ExitCode::SUCCESS }
    }

    /// Writes a delivery, or reports to standard error that it cannot be read.
    fn write(&mut self, archived: Result<Archived, ArchiveError>) -> io::Result<()> {
        let archived = match archived {
            Ok(archived) => archived,
            Err(error) => {
                console::error(&error.to_string());
                self.code = ExitCode::FAILURE;
                return Ok(());
            }
        };
        let Archived { delivery, state, .. } = &archived;
        match &mut self.table {
            None => console::json_line(&mut self.out, &format::archived_object(&archived)),
            Some(table) => {
                let cells = [
                    delivery.id().to_string(),
                    format::time(delivery.received_at()),
                    delivery.body().len().to_string(),
                    delivery.model().to_string(),
                    format::state(state),
                ];
                table.row(&mut self.out, cells, format::style(state))
            }
        }
    }

    /// The same for an entry. Nothing is written if the delivery was removed meanwhile.
    async fn write_entry(&mut self, archive: &dyn Archive, entry: &LedgerEntry) -> io::Result<()> {
        match archive.get(entry.id).await.transpose() {
            Some(archived) => self.write(archived),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.table {
            Some(table) => table.flush(&mut self.out),
            None => self.out.flush(),
        }
    }

    /// Fails if any delivery could not be read.
    fn finish(mut self) -> CommandResult {
        self.flush()?;
        Ok(self.code)
    }
}

/// List dead and undecodable deliveries with the reason
#[derive(Args, Debug)]
#[command(after_long_help = after_help!(json_help!(), "\
Examples:
  inbox dead --since 1d
  inbox dead --state undecodable --json | jq .reason

"))]
pub(crate) struct DeadArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Only deliveries in this state
    #[arg(long, value_name = "STATE", help_heading = "Selection", value_parser = state_parser(&DEAD))]
    state: Option<StateKind>,
    #[command(flatten)]
    scope: Scope,
}

/// The states that `inbox dead` lists.
const DEAD: [StateKind; 2] = [StateKind::Dead, StateKind::Undecodable];

pub(crate) async fn dead(args: DeadArgs, at: &Location) -> CommandResult {
    let archive = open(at).await?;
    let query = args.scope.query();
    let query = args.state.into_iter().fold(query, Query::state);
    let query = narrow(&archive, query, None, args.scope.inference.as_deref()).await?;
    let mut out = console::stdout();
    let mut table = Table::new(["ID", "RECEIVED", "MODEL", "INFERENCE", "STATE"]);
    let mut entries = archive.ledger(query);
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        if !DEAD.contains(&entry.state.kind()) {
            continue;
        }
        if args.json {
            console::json_line(&mut out, &format::ledger_object(&entry))?;
            continue;
        }
        let LedgerEntry { id, model, received_at, state, .. } = &entry;
        let cells = [
            id.to_string(),
            format::time(*received_at),
            model.to_string(),
            format::inference(state).unwrap_or_else(|| "-".to_owned()),
            format::state(state),
        ];
        table.row(&mut out, cells, format::style(state))?;
    }
    if !args.json {
        table.flush(&mut out)?;
    }
    out.flush()?;
    Ok(code(true))
}
