//! Backups of an archive that changes its files at any point during the backup.

use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use tokio::runtime::Runtime;

use super::{append, delivery, segments};
use crate::{
    archive::{
        Acquire, Archive, Archived, DiskArchive, Query,
        disk::{
            backup::{self, Backup},
            format::name::SegmentName,
            fs::{
                file_io::write_all,
                file_system::{DiskFile, FileSystem},
                real_disk::RealDisk,
            },
            read::listing::Listing,
            recovery,
        },
    },
    delivery::{Delivery, DeliveryId, Outcome, StateKind},
    testing::{Fault, FaultyDisk},
};

/// Runs once, in the middle of a backup.
type Event<'e> = Box<dyn FnOnce() + Send + 'e>;

/// Counts the calls of a backup, and runs an event before one of them.
struct Moment {
    calls: AtomicUsize,
    at: usize,
    event: Mutex<Option<Event<'static>>>,
}

/// The real disk, with an event at one call that accesses a given file, or a directory and its files.
#[derive(Clone)]
struct EventfulDisk {
    watched: PathBuf,
    moment: Arc<Moment>,
}

impl std::fmt::Debug for EventfulDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventfulDisk")
    }
}

impl EventfulDisk {
    /// Counts the calls that access this file or directory, or a file in it.
    fn new(watched: &Path, at: usize, event: impl FnOnce() + Send + 'static) -> Self {
        let event: Event<'static> = Box::new(event);
        let moment = Moment { calls: AtomicUsize::new(0), at, event: Mutex::new(Some(event)) };
        Self { watched: watched.to_owned(), moment: Arc::new(moment) }
    }

    /// Counts a call. Returns true if the event ran at it.
    fn call(&self) -> bool {
        let Moment { calls, at, event } = &*self.moment;
        let is_now = calls.fetch_add(1, Ordering::Relaxed) == *at;
        let event = if is_now { event.lock().unwrap().take() } else { None };
        event.map(|event| event()).is_some()
    }

    fn is_over(&self) -> bool {
        self.moment.event.lock().unwrap().is_none()
    }
}

impl FileSystem for EventfulDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    /// Lists name by name, in an order that is not alphabetical: an event during the listing is visible only in the
    /// names that follow. A segment that was being written is missed if it is sealed and compressed after the listing
    /// has passed the name of an index file.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let order = |name: &OsString| -> Vec<u8> {
            name.as_encoded_bytes().iter().rev().map(|byte| u8::MAX - byte).collect()
        };
        let mut names = RealDisk.list(dir)?;
        names.sort_by_key(order);
        if dir != self.watched {
            return Ok(names);
        }
        for passed in 0..=names.len() {
            if self.call() {
                let mut now = RealDisk.list(dir)?;
                now.sort_by_key(order);
                names.truncate(passed);
                now.retain(|name| names.last().is_none_or(|last| order(name) > order(last)));
                names.extend(now);
                return Ok(names);
            }
        }
        Ok(names)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        RealDisk.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_append(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if !path.starts_with(&self.watched) {
            return RealDisk.open_read(path);
        }
        self.call();
        Ok(Box::new(EventfulFile { disk: self.clone(), file: RealDisk.open_read(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct EventfulFile {
    disk: EventfulDisk,
    file: Box<dyn DiskFile>,
}

impl DiskFile for EventfulFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call();
        self.file.read_at(buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(slices)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn version(&self) -> Option<String> {
        self.file.version()
    }
}

/// An archive in which each segment is sealed, compressed and forgotten as soon as maintenance runs.
struct Restless {
    runtime: Arc<Runtime>,
    archive: DiskArchive,
    staying: Vec<Delivery>,
    leaving: Vec<Delivery>,
}

impl Restless {
    fn new(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let builder =
            DiskArchive::builder(path).segment_size(2600).maintenance_interval(None).probe(false);
        let builder = builder.segment_age(Duration::ZERO).compress_after(Duration::ZERO);
        let archive = runtime.block_on(builder.ledger_retention(Duration::ZERO).open()).unwrap();
        let runtime = Arc::new(runtime);
        let mut restless = Self { runtime, archive, staying: Vec::new(), leaving: Vec::new() };
        // Some segments contain only deliveries that are removed, and one is being written.
        for number in 0..4 {
            let left = restless.processed(&format!("leaving {number}"));
            restless.leaving.push(left);
            if number == 0 {
                restless.runtime.block_on(restless.archive.maintain_now()).unwrap();
            }
        }
        for number in 0..3 {
            let stays = restless.processed(&format!("staying {number}"));
            restless.staying.push(stays);
        }
        let segments = segments(path);
        assert!(segments.len() > 3, "segments of about two deliveries each: {segments:?}");
        assert_eq!(segments.last().unwrap().extension().unwrap(), "open");
        restless
    }

    fn processed(&self, body: &str) -> Delivery {
        let one = delivery("/m", body.as_bytes());
        self.runtime.block_on(async {
            let _ = append(&self.archive, &one).await.unwrap();
            let lease = self.archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap();
            self.archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
        });
        one
    }

    /// Removes the leaving deliveries, appends, and runs all pending maintenance.
    fn event(&self) -> impl FnOnce() + Send + use<> {
        let (runtime, archive) = (Arc::clone(&self.runtime), self.archive.clone());
        let leaving = Query::all().ids(self.leaving.iter().map(Delivery::id));
        move || {
            runtime.block_on(async {
                assert_eq!(archive.remove(leaving).await.unwrap(), 4);
                let one = delivery("/m", b"received during the backup");
                let _ = append(&archive, &one).await.unwrap();
                for _ in 0..2 {
                    archive.maintain_now().await.unwrap();
                }
            });
        }
    }
}

fn found(path: &Path, id: DeliveryId) -> (Option<Archived>, Option<StateKind>) {
    tokio_test::block_on(async {
        let archive = DiskArchive::read_only(path).await.unwrap();
        let state = archive.state(id).await.unwrap().map(|state| state.kind());
        (archive.get(id).await.unwrap(), state)
    })
}

/// Returns true if any file of a directory contains this text, including in compressed form.
fn holds(path: &Path, needle: &str) -> bool {
    std::fs::read_dir(path).unwrap().any(|file| {
        let mut bytes = std::fs::read(file.unwrap().path()).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
            bytes = unpacked;
        }
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

fn back_up(fs: &dyn FileSystem, from: &Path, to: &Path) -> Backup {
    backup::backup(fs, from, to, &mut |_, _| {}).unwrap()
}

/// Checks the contents of a backup during which an event occurred.
fn assert_consistent(restless: &Restless, to: &Path, what: &str) {
    for one in &restless.staying {
        let (archived, state) = found(to, one.id());
        let archived = archived.unwrap_or_else(|| panic!("{what}: a delivery is missing"));
        assert_eq!(archived.delivery.body(), one.body(), "{what}");
        assert_eq!(state, Some(StateKind::Processed), "{what}");
    }
    for one in &restless.leaving {
        let (_, state) = found(to, one.id());
        assert!(matches!(state, None | Some(StateKind::Processed)), "{what}: {state:?}");
    }
    // They would include records that the backup does not have.
    assert!(Listing::of_dir(&RealDisk, to).unwrap().indexed.is_empty(), "{what}: an index file");
}

#[test]
fn backup_is_consistent_beside_removals_and_forgetting_at_every_call() {
    // Testing every call takes minutes.
    for at in (0..).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let restless = Restless::new(&from);
        let disk = EventfulDisk::new(&from, at, restless.event());
        let done = back_up(&disk, &from, &to);
        assert!(done.is_sound(), "call {at}: {done:?}");
        assert_consistent(&restless, &to, &format!("call {at}"));
        if !disk.is_over() {
            assert!(at > 40, "{at}");
            return;
        }
        let again = back_up(&RealDisk, &from, &to);
        assert!(again.is_sound(), "call {at}: {again:?}");
        assert!(!holds(&to, "leaving"), "call {at}: the next backup holds what was removed");
        assert!(holds(&to, "staying 0") && holds(&to, "received during"), "call {at}");
    }
}

#[test]
fn backup_misses_no_segment_that_is_sealed_and_compressed_while_the_directory_is_listed() {
    // The calls of the first listings.
    for at in 0..24 {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let restless = Restless::new(&from);
        let (runtime, archive) = (Arc::clone(&restless.runtime), restless.archive.clone());
        let disk = EventfulDisk::new(&from, at, move || {
            runtime.block_on(archive.maintain_now()).unwrap();
        });
        let done = back_up(&disk, &from, &to);
        assert!(done.is_sound() && disk.is_over(), "call {at}: {done:?}");
        assert_consistent(&restless, &to, &format!("call {at}"));
        for one in &restless.leaving {
            assert!(found(&to, one.id()).0.is_some(), "call {at}");
        }
    }
}

#[test]
fn backup_that_is_interrupted_before_any_of_its_calls_can_be_read_and_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (from, first) = (dir.path().join("from"), dir.path().join("first"));
    let mut restless = Restless::new(&from);
    back_up(&RealDisk, &from, &first);
    let before: Vec<_> = restless.staying.iter().map(Delivery::id).collect();
    restless.event()();
    restless.staying.push(restless.processed("later"));
    let mut interruptions = 0;
    for after in 0.. {
        let to = dir.path().join(format!("to {after}"));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(&first).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let disk = FaultyDisk::new();
        disk.fail(Fault::From { after });
        let is_over = backup::backup(&disk, &from, &to, &mut |_, _| {}).is_ok();
        for id in &before {
            let (archived, state) = found(&to, *id);
            assert!(archived.is_some(), "call {after}: what an earlier backup had is missing");
            assert_eq!(state, Some(StateKind::Processed), "call {after}");
        }
        let restored = dir.path().join(format!("restored {after}"));
        let interrupted = backup::restore::restore(&RealDisk, &to, &restored, &mut |_, _| {});
        let was_interrupted = interrupted.unwrap().is_interrupted;
        assert!(!(was_interrupted && is_over), "call {after}");
        interruptions += u32::from(was_interrupted);
        let again = back_up(&RealDisk, &from, &to);
        assert!(again.is_sound(), "call {after}: {again:?}");
        for one in &restless.staying {
            assert!(found(&to, one.id()).0.is_some(), "call {after}");
        }
        assert!(!holds(&to, "leaving"), "call {after}");
        if is_over {
            break;
        }
    }
    assert!(interruptions > 10, "{interruptions}");
}

#[test]
fn restore_that_is_interrupted_leaves_no_part_of_an_archive_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (from, backup) = (dir.path().join("from"), dir.path().join("backup"));
    let restless = Restless::new(&from);
    back_up(&RealDisk, &from, &backup);
    // Two segments have been renamed: from here on, missing files reveal an interruption.
    for after in 0..20 {
        let to = dir.path().join(format!("to {after}"));
        let disk = FaultyDisk::new();
        disk.fail(Fault::From { after });
        backup::restore::restore(&disk, &backup, &to, &mut |_, _| {}).unwrap_err();
        if to.exists() && !segments(&to).iter().all(|path| path.extension().unwrap() == "tmp") {
            continue;
        }
        backup::restore::restore(&RealDisk, &backup, &to, &mut |_, _| {}).unwrap();
        assert_eq!(segments(&to).len(), segments(&from).len(), "call {after}");
        assert!(found(&to, restless.staying[0].id()).0.is_some(), "call {after}");
    }
}

/// A failed batch is complete in the file, then it is truncated, and another one replaces it.
#[test]
fn segment_that_is_cut_and_written_on_while_it_is_copied_is_copied_again() {
    for at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let restless = Restless::new(&from);
        restless.runtime.block_on(restless.archive.close());
        let path = segments(&from).pop().unwrap();
        let (name, segment_state) = SegmentName::parse(path.file_name().unwrap()).unwrap();
        let file = RealDisk.open_append(&path).unwrap();
        let good = file.len().unwrap();
        let records = recovery::records(&*file, name, segment_state).unwrap().unwrap();
        let [.., (long, _), (_, _), (short, _)] = &records[..] else { panic!("{records:?}") };
        assert!(long.length != short.length);
        let bytes = std::fs::read(&path).unwrap();
        let [failed, next] = [short, long].map(|place| {
            let start = usize::try_from(place.offset).unwrap();
            bytes[start..start + usize::try_from(place.length).unwrap()].to_vec()
        });
        write_all(&*file, &mut [IoSlice::new(&failed)]).unwrap();
        let disk = EventfulDisk::new(&path, at, move || {
            file.set_len(good).unwrap();
            write_all(&*file, &mut [IoSlice::new(&next)]).unwrap();
        });
        let done = back_up(&disk, &from, &to);
        assert!(done.is_sound() && done.verification.torn == 0, "call {at}: {done:?}");
        for one in restless.staying.iter().chain(&restless.leaving) {
            assert!(found(&to, one.id()).0.is_some(), "call {at}");
        }
        if !disk.is_over() {
            assert!(at > 3, "{at}");
            return;
        }
    }
}
