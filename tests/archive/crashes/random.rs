use std::time::{Duration, Instant};

use tower_inbox::{
    Delivery, DiskArchive, Outcome,
    testing::{Crash, Dice, ModelDisk, Sample},
};

use super::{
    driver::Driver,
    promises::{Promises, What},
    tally::Tally,
    verify::Verifier,
};
use crate::long_tests;

const HISTORIES: u64 = 150;
/// The number of histories without `INBOX_LONG_TESTS`. A smaller number does not cover all kinds of crashes.
const LEAST: u64 = 30;
const CRASHES: usize = 5;

/// A failure prints its seed. `INBOX_SEED` runs only the history with that seed.
#[test]
fn acknowledged_operations_survive_random_crashes_of_long_histories() {
    if let Ok(seed) = std::env::var("INBOX_SEED") {
        println!("{:?}", one_history(seed.parse().unwrap(), Tally::default()));
        return;
    }
    let (begun, mut tally, mut histories) = (Instant::now(), Tally::default(), 0);
    let wanted = if long_tests() { HISTORIES } else { LEAST };
    // A machine under load runs fewer histories.
    while histories < wanted && begun.elapsed() < Duration::from_secs(60) {
        let history = || one_history(histories, tally);
        let failed = |_| panic!("repeat with INBOX_SEED={histories}");
        tally = std::panic::catch_unwind(history).unwrap_or_else(failed);
        histories += 1;
    }
    println!("{histories} histories: {tally:?}");
    assert!(histories >= LEAST, "only {histories} histories in {:?}", begun.elapsed());
    tally.assert_that_all_kinds_were_tried();
}

/// Crashes one disk repeatedly.
fn one_history(seed: u64, tally: Tally) -> Tally {
    let mut history = History::new(seed, tally);
    for _ in 0..CRASHES {
        history.live_and_crash();
    }
    let History { mut verifier, disk, promises, .. } = history;
    verifier.check(&disk, promises);
    verifier.tally
}

struct History {
    dice: Dice,
    verifier: Verifier,
    disk: ModelDisk,
    /// The promises for the disk.
    promises: Promises,
}

impl History {
    fn new(seed: u64, tally: Tally) -> Self {
        let mut dice = Dice::new(seed);
        let disk = ModelDisk::new([256, 512, 4096][dice.below(3)]);
        let mut verifier = Verifier::new([2000, 20_000, 1 << 20][dice.below(3)]);
        verifier.forgets = dice.below(4) == 0;
        verifier.tally = tally;
        Self { dice, verifier, disk, promises: Promises::default() }
    }

    fn live_and_crash(&mut self) {
        let mut shown = self.promises.clone();
        let archive = self.verifier.reopen(&self.disk, &mut shown);
        let opened_at = self.disk.calls();
        let mut driver = Driver::new(self.disk.clone());
        for _ in 0..=self.dice.below(6) {
            let until_now = shown.until(usize::MAX, &driver.asked);
            self.ask_something(&mut driver, &archive, &until_now);
        }
        drop(archive);
        let calls = self.moment(&driver);
        self.verifier.tally.note(&driver.asked, calls);
        // No state was returned before the archive was open.
        let owed = if calls >= opened_at { &shown } else { &self.promises };
        self.promises = owed.until(calls, &driver.asked);
        self.disk = self.left_by(self.disk.crash_after(calls));
    }

    fn ask_something(&mut self, driver: &mut Driver, archive: &DiskArchive, until_now: &Promises) {
        match self.dice.below(9) {
            0 => driver.ask(archive, What::Upkeep),
            1 | 2 => driver.ask(archive, self.removal(until_now)),
            3 => driver.ask(archive, What::Claim),
            4 => {
                let known: Vec<_> = until_now.sent.keys().copied().collect();
                if !known.is_empty() {
                    let id = known[self.dice.below(known.len())];
                    let all = [What::Acquire(id), What::Retry(id), What::Release(id)];
                    driver.ask(archive, all[self.dice.below(3)].clone());
                }
            }
            _ => {
                let mut batch = self.batch(until_now);
                let rest = batch.split_off(1);
                driver.ask_together(archive, batch.remove(0), rest);
            }
        }
    }

    /// Removes one existing delivery, or the oldest ones. Appends one if none exists.
    fn removal(&mut self, until_now: &Promises) -> What {
        let here: Vec<_> = until_now.here().collect();
        if here.is_empty() {
            return What::Append(new_delivery(&mut self.dice));
        }
        if self.dice.below(3) == 0 {
            let one = here[self.dice.below(here.len().div_ceil(3))];
            What::RemoveBefore(until_now.sent[&one].received_at())
        } else {
            What::Remove(here[self.dice.below(here.len())])
        }
    }

    /// Returns a batch of appends, repeats and settles, including those of removed deliveries.
    fn batch(&mut self, until_now: &Promises) -> Vec<What> {
        let dice = &mut self.dice;
        let mut known: Vec<Delivery> = until_now.sent.values().cloned().collect();
        let gone = until_now.gone();
        // The first request is being written while the others wait.
        let mut batch = vec![What::Append(new_delivery(dice))];
        for _ in 0..=dice.below(8) {
            let what = match dice.below(4) {
                0 if !known.is_empty() => {
                    let body = known[dice.below(known.len())].body().clone();
                    let again = Sample::of("/m").body(body).delivery();
                    if dice.below(2) == 0 { What::Append(again) } else { What::AppendLeased(again) }
                }
                1 if !batch.is_empty() && !known.is_empty() => {
                    let id = known[dice.below(known.len())].id();
                    // A removed delivery cannot be retried.
                    let processed = gone.contains(&id).then(|| Outcome::processed(200));
                    What::Settle(id, processed.unwrap_or_else(|| an_outcome(dice)))
                }
                2 => What::AppendLeased(new_delivery(dice)),
                _ => What::Append(new_delivery(dice)),
            };
            if let What::Append(delivery) | What::AppendLeased(delivery) = &what {
                known.push(delivery.clone());
            }
            batch.push(what);
        }
        batch
    }

    /// Picks the time of the crash: mostly during a removal or maintenance, which make many calls.
    fn moment(&mut self, driver: &Driver) -> usize {
        let long: Vec<_> = driver.asked.iter().filter(|one| one.what.is_of_the_keeper()).collect();
        if long.is_empty() || self.dice.below(3) == 0 {
            return self.dice.below(self.disk.calls() + 1);
        }
        let one = long[self.dice.below(long.len())];
        one.at + self.dice.below(one.answered_at - one.at + 1)
    }

    fn left_by(&mut self, crash: Crash) -> ModelDisk {
        match self.dice.below(4) {
            0 => crash.of_the_program(),
            1 => crash.barest(),
            _ => crash.any(&mut self.dice),
        }
    }
}

fn an_outcome(dice: &mut Dice) -> Outcome {
    let reason = dice.roll().to_string();
    match dice.below(3) {
        0 => Outcome::failed(reason),
        1 => Outcome::dead(reason),
        _ => Outcome::processed(200),
    }
}

/// Returns a delivery with a body of random size, which may contain text that looks like records.
fn new_delivery(dice: &mut Dice) -> Delivery {
    let size = [0, 50, 700, 5000, 20_000][dice.below(5)];
    let text = ["x", "\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\n", "\0"][dice.below(3)];
    let body = format!("{} {}", dice.roll(), text.repeat(size / text.len()));
    Sample::of("/m").body(body).delivery()
}
