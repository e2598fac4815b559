//! Crashes during maintenance: sealing, writing index files, compression, removal.

use tower_inbox::{Outcome, testing::ModelDisk};

use super::{
    driver::Driver,
    exhaustive::sample,
    promises::{Promises, What},
    verify::Verifier,
};
use crate::stride;

/// A long body that differs from other bodies in its middle, too.
fn body(name: &str) -> String {
    format!("<{name}>").repeat(150)
}

pub(super) fn filled(
    driver: &mut Driver,
    archive: &tower_inbox::DiskArchive,
) -> Vec<tower_inbox::Delivery> {
    let all: Vec<_> = ["a", "b", "c"].map(|name| sample(&body(name))).into();
    for one in &all {
        driver.ask(archive, What::Append(one.clone()));
    }
    // The first delivery is settled, the second dead, the third pending.
    driver.ask(archive, What::Settle(all[0].id(), Outcome::processed(200)));
    driver.ask(archive, What::Settle(all[1].id(), Outcome::dead("by the test")));
    all
}

/// Removes two deliveries and appends the pending one again. With `upkeep`, maintenance runs before and after.
fn a_history(verifier: &Verifier, disk: &ModelDisk, upkeep: bool) -> Driver {
    let mut driver = Driver::new(disk.clone());
    let archive = verifier.open(disk).unwrap();
    let all = filled(&mut driver, &archive);
    if upkeep {
        driver.ask(&archive, What::Upkeep);
    }
    driver.ask(&archive, What::Remove(all[0].id()));
    driver.ask(&archive, What::Remove(all[2].id()));
    driver.ask(&archive, What::Append(sample(&body("c"))));
    if upkeep {
        driver.ask(&archive, What::Upkeep);
    }
    drop(archive);
    driver.leases.clear();
    // Opening repairs segments and reads index files.
    let archive = verifier.open(disk).unwrap();
    driver.ask(&archive, What::Append(sample(&body("d"))));
    drop(archive);
    driver
}

#[test]
fn a_crash_while_something_is_removed_loses_nothing_else_and_brings_nothing_back() {
    for (block, segment_size) in [(4096, 1500), (1024, 3000), (4096, 1 << 20)] {
        let mut verifier = Verifier::new(segment_size);
        let driver = a_history(&verifier, &ModelDisk::new(block), false);
        verifier.crash_everywhere(&driver, &Promises::default(), 1);
        println!("blocks of {block}, segments of {segment_size}: {:?}", verifier.tally);
        assert!(verifier.tally.disks > 100 / stride(4), "{:?}", verifier.tally);
    }
}

#[test]
fn a_crash_while_segments_are_indexed_and_compressed_loses_nothing_and_brings_nothing_back() {
    for (block, segment_size) in [(4096, 1500), (4096, 3000)] {
        let mut verifier = Verifier::new(segment_size);
        let driver = a_history(&verifier, &ModelDisk::new(block), true);
        verifier.crash_everywhere(&driver, &Promises::default(), 1);
        println!("blocks of {block}, segments of {segment_size}: {:?}", verifier.tally);
        assert!(verifier.tally.disks > 100 / stride(4), "{:?}", verifier.tally);
    }
}

#[test]
fn a_crash_while_something_is_forgotten_loses_nothing_else_and_brings_nothing_back() {
    for (block, segment_size) in [(4096, 1500), (1024, 1500)] {
        let mut verifier = Verifier::new(segment_size);
        verifier.forgets = true;
        let disk = ModelDisk::new(block);
        let driver = a_history(&verifier, &disk, true);
        let archive = verifier.open(&disk).unwrap();
        let removed = verifier.runtime.block_on(archive.stats()).unwrap().removed;
        assert!(removed < 2, "nothing was forgotten");
        drop(archive);
        verifier.crash_everywhere(&driver, &Promises::default(), 1);
        println!("blocks of {block}, segments of {segment_size}: {:?}", verifier.tally);
        assert!(verifier.tally.disks > 100 / stride(4), "{:?}", verifier.tally);
    }
}

/// A damaged segment gets no index file, so no later write makes the removal durable implicitly.
#[test]
fn removal_from_a_damaged_segment_survives_a_power_failure() {
    let mut verifier = Verifier::new(1 << 20);
    let disk = ModelDisk::new(512);
    let mut driver = Driver::new(disk.clone());
    let archive = verifier.open(&disk).unwrap();
    let all = filled(&mut driver, &archive);
    drop(archive);
    let disk = with_damage(&disk, &body("b"));
    let archive = verifier.open(&disk).unwrap();
    Driver::new(disk.clone()).ask(&archive, What::Remove(all[0].id()));
    assert_eq!(verifier.scan(&archive).len(), 1);
    assert!(verifier.tally.damages > 0, "the rest of the damage was not kept");
    let left = disk.crash_after(disk.calls()).barest();
    let found = verifier.open(&left).map(|archive| verifier.scan(&archive)).unwrap();
    let ids: Vec<_> = found.iter().map(|one| one.delivery.id()).collect();
    assert_eq!(ids, [all[2].id()]);
}

/// Copies the files to a new disk, with one byte of this body changed.
fn with_damage(disk: &ModelDisk, body: &str) -> ModelDisk {
    let damaged = ModelDisk::new(512);
    for path in disk.files() {
        let mut bytes = disk.read(&path).unwrap();
        let text = bytes.windows(body.len());
        if let Some(start) = text.into_iter().position(|window| window == body.as_bytes()) {
            bytes[start] ^= 1;
        }
        damaged.put(&path, bytes);
    }
    damaged
}
