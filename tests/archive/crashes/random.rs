use std::time::{Duration, Instant};

use tower_inbox::{
    Delivery, DiskArchive, Outcome,
    testing::{Dice, ModelDisk, Sample},
};

use super::{
    driver::Driver,
    promises::{Promises, What},
    verify::Verifier,
};

const HISTORIES: u64 = 150;
const CRASHES: usize = 5;

/// A failure prints its seed; `INBOX_SEED` repeats it alone.
#[test]
fn whatever_crashes_leave_of_long_histories_what_was_answered_holds() {
    let seeds: Vec<u64> = match std::env::var("INBOX_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..HISTORIES).collect(),
    };
    let (begun, mut disks, mut damages) = (Instant::now(), 0, 0);
    for seed in seeds {
        // A machine under load tries fewer; CI has seen that all are done in a part of this time.
        if begun.elapsed() > Duration::from_secs(60) {
            println!("stopped before seed {seed}");
            break;
        }
        let failure = std::panic::catch_unwind(|| one_history(seed));
        let (one, skipped) = failure.unwrap_or_else(|_| panic!("repeat with INBOX_SEED={seed}"));
        disks += one;
        damages += skipped;
    }
    println!("{disks} disks were opened after crashes, {damages} damages were reported");
}

/// One disk that crashes again and again: how often it was opened, and how much damage was reported.
fn one_history(seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let block = [256, 512, 4096][dice.below(3)];
    let mut verifier = Verifier::new([2000, 20_000, 1 << 20][dice.below(3)]);
    let (mut disk, mut promises) = (ModelDisk::new(block), Promises::default());
    for _ in 0..CRASHES {
        let mut shown = promises.clone();
        let mut driver = Driver::new(disk.clone());
        let archive = verifier.open(&disk).unwrap();
        shown.check(&verifier.scan(&archive));
        let opened_at = disk.calls();
        for _ in 0..1 + dice.below(6) {
            ask_something(&mut driver, &archive, &promises, &mut dice);
        }
        drop(archive);
        verifier.tally.disks += 1;
        // Mostly in the last calls of it all, where something is unsynced.
        let calls = disk.calls().saturating_sub(dice.below(disk.calls() + 1));
        let owed = if calls >= opened_at { &shown } else { &promises };
        promises = owed.until(calls, &driver.asked);
        let crash = disk.crash_after(calls);
        disk = match dice.below(4) {
            0 => crash.of_the_program(),
            1 => crash.barest(),
            _ => crash.any(&mut dice),
        };
    }
    verifier.check(&disk, promises);
    (verifier.tally.disks, verifier.tally.damages)
}

fn ask_something(driver: &mut Driver, archive: &DiskArchive, old: &Promises, dice: &mut Dice) {
    let mut known: Vec<Delivery> = old.sent.values().cloned().collect();
    let mut batch = Vec::new();
    for _ in 0..1 + dice.below(8) {
        let what = match dice.below(4) {
            0 if !known.is_empty() => {
                let body = known[dice.below(known.len())].body().clone();
                What::Append(Sample::of("/m").body(body).delivery())
            }
            1 if !batch.is_empty() && !known.is_empty() => {
                let of = known[dice.below(known.len())].id();
                What::Settle(of, Outcome::failed(format!("{}", dice.roll())))
            }
            _ => What::Append(new_delivery(dice)),
        };
        if let What::Append(delivery) = &what {
            known.push(delivery.clone());
        }
        batch.push(what);
    }
    let rest = batch.split_off(1);
    driver.ask_together(archive, batch.remove(0), rest);
}

/// Bodies of all sizes, some of them full of what looks like records.
fn new_delivery(dice: &mut Dice) -> Delivery {
    let size = [0, 50, 700, 5000, 20_000][dice.below(5)];
    let text = ["x", "\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\n", "\0"][dice.below(3)];
    let body = format!("{} {}", dice.roll(), text.repeat(size / text.len()));
    Sample::of("/m").body(body).delivery()
}
