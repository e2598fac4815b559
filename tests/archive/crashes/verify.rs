//! Opens the disk after a crash, checks the promises, continues, and crashes again.

use std::collections::HashSet;

use tower_inbox::{
    DeliveryId, DiskArchive, Outcome,
    archive::{Append, Archive, ArchiveError, Archived, Query},
    testing::{ModelDisk, Sample},
};

use super::{
    driver::Driver,
    options,
    promises::{Answer, Promises, What, is_final},
    tally::Tally,
};
use crate::stride;

pub(crate) struct Verifier {
    pub(crate) segment_size: u64,
    /// Whether maintenance drops ledger entries of removed deliveries.
    pub(crate) forgets: bool,
    pub(crate) tally: Tally,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Verifier {
    pub(crate) fn new(segment_size: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { segment_size, forgets: false, tally: Tally::default(), runtime }
    }

    pub(crate) fn open(&self, disk: &ModelDisk) -> Result<DiskArchive, ArchiveError> {
        let options = options(self.segment_size);
        let forgets = options.clone().ledger_retention(std::time::Duration::ZERO);
        self.runtime.block_on(disk.open(if self.forgets { forgets } else { options }))
    }

    pub(crate) fn scan(&mut self, archive: &DiskArchive) -> Vec<Archived> {
        self.runtime.block_on(async {
            let (mut scan, mut found) = (archive.scan(Query::all()), Vec::new());
            while let Some(entry) = scan.next().await {
                match entry {
                    Ok(archived) => found.push(archived),
                    Err(ArchiveError::Damaged { .. }) => self.tally.damages += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            found
        })
    }

    /// Checks that bodies of removed deliveries are in no file.
    pub(crate) fn check_erased(disk: &ModelDisk, promises: &Promises) {
        // Searching text is much faster than searching bytes in a debug build.
        let erased = promises.erased();
        let erased: Vec<_> = erased.iter().map(|body| std::str::from_utf8(body).unwrap()).collect();
        for path in disk.files() {
            let bytes = disk.read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let found = erased.iter().find(|body| text.contains(**body));
            assert_eq!(found, None, "a removed body is in {}", path.display());
        }
    }

    /// Checks that bodies of removed deliveries are in no file. Unless the ledger entry was dropped, the state must be
    /// stored, and repeats must be recognized if it is final.
    fn check_gone(&mut self, disk: &ModelDisk, archive: &DiskArchive, promises: &mut Promises) {
        // The next removal, or maintenance, completes an interrupted removal.
        let nothing = Query::all().id(DeliveryId::new());
        assert_eq!(self.runtime.block_on(archive.remove(nothing)).unwrap(), 0);
        Self::check_erased(disk, promises);
        for id in promises.gone() {
            assert!(self.runtime.block_on(archive.get(id)).unwrap().is_none(), "it was removed");
            let state = self.runtime.block_on(archive.state(id)).unwrap();
            if self.forgets && state.is_none() {
                continue;
            }
            let Some(state) = state else { panic!("the ledger entry of {id} is lost") };
            promises.check_state(id, &state);
            let settled = is_final(&state);
            let body = promises.sent[&id].body().clone();
            if settled && promises.sent.values().filter(|one| *one.body() == body).count() == 1 {
                let again = Sample::of("/m").body(body).delivery();
                let appended = self.runtime.block_on(archive.append(Append::new(again))).unwrap();
                let receipt = appended.receipt;
                assert!(receipt.is_repeat() && receipt.id() == id, "its bytes are not known");
                self.tally.repeats_of_removed += 1;
            }
        }
    }

    /// Checks the promises on this disk, then sends all deliveries again and a new one, as a history for further
    /// crashes.
    pub(crate) fn go_on(&mut self, disk: &ModelDisk, promises: &mut Promises) -> Driver {
        self.tally.disks += 1;
        let mut driver = Driver::new(disk.clone());
        let archive = self.open(disk).unwrap();
        let found = self.scan(&archive);
        Self::check_erased(disk, promises);
        let mut shown = promises.clone();
        shown.check(&found);
        self.check_gone(disk, &archive, &mut shown);
        let gone = shown.gone();
        for delivery in promises.sent.clone().into_values() {
            let known = found.iter().find(|one| one.delivery.body() == delivery.body());
            if known.is_none() && gone.contains(&delivery.id()) {
                continue;
            }
            let again = Sample::of(delivery.model().as_str()).body(delivery.body().clone());
            driver.ask(&archive, What::Append(again.delivery()));
            let Answer::Appended(appended) = &driver.asked.last().unwrap().answer else {
                panic!("appending does not go on: {:?}", driver.asked.last());
            };
            if let Some(known) = known {
                let receipt = appended.receipt;
                assert!(receipt.is_repeat() && receipt.id() == known.delivery.id());
            }
        }
        let new = Sample::of("/m").body("behind the crash").delivery();
        driver.ask(&archive, What::Append(new.clone()));
        driver.ask(&archive, What::Settle(new.id(), Outcome::dead("behind the crash")));
        assert!(matches!(driver.asked.last().unwrap().answer, Answer::Changed(_)));
        let kept = self.runtime.block_on(archive.get(new.id())).unwrap().unwrap();
        assert_eq!(kept.delivery, new, "it lies elsewhere than where it was written");
        // Results from the open archive must hold from then on. A crash before that keeps the earlier promises.
        *promises = shown;
        driver
    }

    /// Opens this disk and checks the promises.
    pub(crate) fn reopen(&mut self, disk: &ModelDisk, promises: &mut Promises) -> DiskArchive {
        self.tally.disks += 1;
        let archive = self.open(disk).unwrap();
        Self::check_erased(disk, promises);
        promises.check(&self.scan(&archive));
        self.check_gone(disk, &archive, promises);
        archive
    }

    /// Checks the promises on this disk, and that appending succeeds.
    pub(crate) fn check(&mut self, disk: &ModelDisk, mut promises: Promises) {
        let archive = self.reopen(disk, &mut promises);
        let new = Sample::of("/m").body("the last").delivery();
        let appended = self.runtime.block_on(archive.append(Append::new(new.clone()))).unwrap();
        assert!(!appended.receipt.is_repeat());
        let kept = self.runtime.block_on(archive.get(new.id())).unwrap().unwrap();
        assert_eq!(kept.delivery, new, "it lies elsewhere than where it was written");
    }

    /// Crashes after each disk call of a history, in every way, and checks the resulting disks, up to `depth` crashes
    /// deep.
    pub(crate) fn crash_everywhere(&mut self, driver: &Driver, owed: &Promises, depth: usize) {
        for calls in (0..=driver.disk.calls()).step_by(stride(4)) {
            self.tally.crash_points += 1;
            let promises = owed.until(calls, &driver.asked);
            let mut seen = HashSet::new();
            let crash = driver.disk.crash_after(calls);
            let left = crash.clone().each().filter(|disk| seen.insert(disk.fingerprint()));
            for disk in left.chain([crash.of_the_program()]) {
                self.crash_again(&disk, &promises, depth);
            }
        }
    }

    fn crash_again(&mut self, disk: &ModelDisk, promises: &Promises, depth: usize) {
        if depth == 0 {
            self.check(disk, promises.clone());
            return;
        }
        let mut shown = promises.clone();
        let driver = self.go_on(disk, &mut shown);
        if depth == 1 {
            let end = driver.disk.crash_after(driver.disk.calls()).barest();
            self.check(&end, shown.until(usize::MAX, &driver.asked));
        } else {
            self.crash_everywhere(&driver, promises, depth - 2);
            self.crash_everywhere_shown(&driver, &shown);
        }
    }

    /// Checks that everything the open archive returned holds at the end.
    fn crash_everywhere_shown(&mut self, driver: &Driver, shown: &Promises) {
        let end = driver.disk.calls();
        let promises = shown.until(end, &driver.asked);
        self.check(&driver.disk.crash_after(end).barest(), promises);
    }
}
