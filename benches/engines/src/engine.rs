use std::{
    fs::{self, File, OpenOptions},
    io::{IoSlice, Write},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use rusqlite::{Connection, params};
use tower_inbox::{Archive, DiskArchive, archive::Append, testing::SlowDisk};

use super::{
    group::{Group, Handed},
    load::{Load, delivery},
    options::Options,
};
use crate::support::{file_each::FileEach, slow_sync::SlowSync};

pub(crate) type Appending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes bodies durable, and has an end when all clients have left.
pub(crate) trait Engine: Send + Sync {
    /// Ends when the `n`th body of the load is durable.
    fn append(&self, load: &Load, n: usize) -> Appending;

    /// A client leaves: no batch may wait for it.
    fn finish(&self) {}
}

pub(crate) async fn open(
    name: &str,
    dir: &Path,
    in_flight: usize,
    options: &Options,
) -> Box<dyn Engine> {
    let slow = Arc::new(SlowSync::new(options.sync_delay, options.shared_syncs));
    match name {
        "limit" => Box::new(Bare(bare(dir, 1, slow))),
        "lockstep" => Box::new(Bare(bare(dir, in_flight, slow))),
        "inbox" => Box::new(Inbox { archive: inbox(dir, options).await, hashing: false }),
        "inbox+sha" => Box::new(Inbox { archive: inbox(dir, options).await, hashing: true }),
        "file-each" => Box::new(FileEach { dir: dir.to_owned(), slow }),
        "sqlite" => Box::new(Bare(sqlite(dir, slow))),
        other => panic!("there is no engine {other}"),
    }
}

/// Truncates the files, which frees their blocks, and keeps their names. Deleting them would distort the measurement: a
/// file system may search long among freed inodes.
pub(crate) fn empty(name: &str, dir: &Path) {
    // Too many to open them all.
    if name == "file-each" {
        return;
    }
    for entry in fs::read_dir(dir).unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_len(0).unwrap();
    }
}

struct Bare(Group);

impl Engine for Bare {
    fn append(&self, load: &Load, n: usize) -> Appending {
        let receipt = self.0.push(n, load.bodies[n].clone());
        Box::pin(async { receipt.await.unwrap() })
    }

    fn finish(&self) {
        self.0.finish();
    }
}

/// The limit: the same bytes, without framing, checksums or an index.
fn bare(dir: &Path, least: usize, slow: Arc<SlowSync>) -> Group {
    let path = dir.join("bare");
    let mut file = OpenOptions::new().append(true).create_new(true).open(path).unwrap();
    Group::start(least, move |batch| {
        let mut slices: Vec<_> = batch.iter().map(|(_, body, _)| IoSlice::new(body)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let group = rest.len().min(1024);
            let written = file.write_vectored(&rest[..group]).unwrap();
            IoSlice::advance_slices(&mut rest, written);
        }
        file.sync_data().unwrap();
        slow.wait();
    })
}

struct Inbox {
    archive: DiskArchive,
    hashing: bool,
}

async fn inbox(dir: &Path, options: &Options) -> DiskArchive {
    let builder = DiskArchive::builder(dir);
    let opened = match options.sync_delay {
        delay if delay.is_zero() => builder.open().await,
        delay => SlowDisk::new(delay).open(builder).await,
    };
    opened.unwrap()
}

impl Engine for Inbox {
    fn append(&self, load: &Load, n: usize) -> Appending {
        let delivery = if self.hashing {
            delivery(load.bodies[n].clone())
        } else {
            load.deliveries[n].clone()
        };
        let appended = self.archive.append(Append::new(delivery));
        Box::pin(async { assert!(!appended.await.unwrap().receipt.is_repeat()) })
    }
}

impl Engine for FileEach {
    fn append(&self, load: &Load, n: usize) -> Appending {
        let (this, body) = (self.clone(), load.bodies[n].clone());
        Box::pin(async move { this.store(n, body).await })
    }
}

/// One transaction a batch. The delay is added to each commit, not to the syncs of checkpoints.
fn sqlite(dir: &Path, slow: Arc<SlowSync>) -> Group {
    let mut database = database(dir.join("sqlite.db"));
    Group::start(1, move |batch: &[Handed]| {
        let transaction = database.transaction().unwrap();
        let mut insert = transaction.prepare_cached("INSERT INTO delivery VALUES (?, ?)").unwrap();
        for (n, body, _) in batch {
            insert.execute(params![*n as i64, &body[..]]).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
        slow.wait();
    })
}

fn database(path: PathBuf) -> Connection {
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.pragma_update(None, "synchronous", "FULL").unwrap();
    database
        .execute_batch("CREATE TABLE delivery (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        .unwrap();
    database
}
