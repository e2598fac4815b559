use tower_inbox::{
    DiskArchive, Outcome,
    testing::{Fault, ModelDisk},
};

use super::{
    driver::Driver,
    exhaustive::{a_history, sample},
    maintenance::filled,
    promises::{Answer, Promises, What},
    verify::Verifier,
};
use crate::stride;

/// `EINTR`, `EIO` and `ENOSPC` on Linux.
const ERRORS: [i32; 3] = [4, 5, 28];

fn faults(after: usize) -> Vec<Fault> {
    let errors = ERRORS.iter().map(|errno| Fault::OneError { after, errno: *errno });
    errors.chain([Fault::OneShortWrite { after }]).collect()
}

/// Opens the archive, and retries once if that fails.
fn open(verifier: &Verifier, disk: &ModelDisk) -> DiskArchive {
    verifier.open(disk).or_else(|_| verifier.open(disk)).unwrap()
}

fn work_through(verifier: &Verifier, disk: &ModelDisk) -> Driver {
    let mut driver = Driver::new(disk.clone());
    for round in 0..2 {
        let archive = open(verifier, disk);
        for number in 0..3 {
            let one = sample(&format!("{round} {number}"));
            driver.ask(&archive, What::Append(one.clone()));
            driver.ask(&archive, What::Append(sample("each time")));
            driver.ask(&archive, What::Settle(one.id(), Outcome::processed(200)));
        }
    }
    driver
}

#[test]
fn acknowledged_operations_survive_a_power_failure_after_every_failing_call() {
    let mut verifier = Verifier::new(1500);
    for after in (0..).step_by(stride(7)) {
        let mut happened = false;
        for fault in faults(after) {
            let disk = ModelDisk::new(512);
            disk.fail(Some(fault));
            let driver = work_through(&verifier, &disk);
            happened |= disk.fault_now().is_none();
            for calls in (0..=disk.calls()).step_by(stride(3)) {
                verifier.tally.crash_points += 1;
                let promises = Promises::default().until(calls, &driver.asked);
                verifier.check(&disk.crash_after(calls).barest(), promises);
            }
            let promises = Promises::default().until(usize::MAX, &driver.asked);
            verifier.check(&disk.crash_after(disk.calls()).of_the_program(), promises);
        }
        if !happened {
            println!("{after} calls, {:?}", verifier.tally);
            assert!(after > 30, "only {after} calls");
            break;
        }
    }
}

#[test]
fn repeats_never_refer_to_lost_deliveries_if_a_call_fails_during_recovery() {
    let mut verifier = Verifier::new(1500);
    let disk = ModelDisk::new(512);
    let driver = a_history(&disk, &verifier);
    for calls in (0..=disk.calls()).step_by(stride(3)) {
        let owed = Promises::default().until(calls, &driver.asked);
        for after in 0.. {
            let left = disk.crash_after(calls).of_the_program();
            left.fail(Some(Fault::OneError { after, errno: 5 }));
            // Only opening may fail. It is retried.
            let first = verifier.open(&left);
            let failed = first.is_err();
            drop(first);
            let happened = left.fault_now().is_none();
            left.fail(None);
            let mut shown = owed.clone();
            let driver = verifier.go_on(&left, &mut shown);
            let promises = shown.until(usize::MAX, &driver.asked);
            verifier.check(&left.crash_after(left.calls()).barest(), promises);
            verifier.tally.crash_points += 1;
            if !happened {
                assert!(!failed && after > 2, "call {after}");
                break;
            }
        }
    }
    println!("{:?}", verifier.tally);
}

/// The requests during a disk fault, and the same requests after it.
struct Lived {
    driver: Driver,
    /// The number of disk calls before the fault was set.
    begun: usize,
    /// True if the faulty call happened.
    failed: bool,
}

/// Seals, indexes, compresses, removes and forgets during a disk fault, and repeats all of it after the fault.
fn live_through(verifier: &Verifier, disk: &ModelDisk, fault: Fault) -> Lived {
    let mut driver = Driver::new(disk.clone());
    let archive = open(verifier, disk);
    let all = filled(&mut driver, &archive);
    let begun = disk.calls();
    disk.fail(Some(fault));
    let mut work = || {
        let remove = |at: usize| What::Remove(all[at].id());
        for what in [remove(1), What::Upkeep, remove(0), remove(2), What::Upkeep] {
            driver.ask(&archive, what);
        }
    };
    work();
    let failed = matches!(disk.fault_now(), None | Some(Fault::From { after: 0 }));
    disk.fail(None);
    work();
    for asked in driver.asked.iter().rev().take(5) {
        assert!(!matches!(asked.answer, Answer::Failed), "{fault:?}: {asked:?}");
    }
    Lived { driver, begun, failed }
}

/// Runs `live_through` with a fault at each call, and crashes at each later call. Returns the number of calls.
fn fail_everywhere(segment_size: u64, forgets: bool, fault: impl Fn(usize) -> Fault) -> usize {
    let mut verifier = Verifier::new(segment_size);
    verifier.forgets = forgets;
    for after in (0..).step_by(stride(13)) {
        let disk = ModelDisk::new(4096);
        let Lived { driver, begun, failed } = live_through(&verifier, &disk, fault(after));
        let promises = |calls| Promises::default().until(calls, &driver.asked);
        Verifier::check_erased(&disk, &promises(usize::MAX));
        // Before the fault, the history is the same as without it. Not every call that can fail changes the disk.
        let moments = begun + after.saturating_sub(20)..=disk.calls();
        for calls in moments.step_by(stride(5)) {
            verifier.tally.crash_points += 1;
            verifier.check(&disk.crash_after(calls).barest(), promises(calls));
        }
        verifier.check(&disk.crash_after(disk.calls()).of_the_program(), promises(usize::MAX));
        if !failed {
            println!("{after} calls, {:?}", verifier.tally);
            return after;
        }
    }
    0
}

#[test]
fn removed_deliveries_stay_removed_if_any_call_of_a_rewrite_fails() {
    for (segment_size, forgets) in [(3000, false), (1500, true)] {
        let once = |after| Fault::OneError { after, errno: 5 };
        let calls = fail_everywhere(segment_size, forgets, once);
        assert!(calls > 20, "{calls} calls");
    }
}

#[test]
fn removed_deliveries_stay_removed_from_every_failing_disk_call_on() {
    for (segment_size, forgets) in [(3000, false), (1500, true)] {
        let calls = fail_everywhere(segment_size, forgets, |after| Fault::From { after });
        assert!(calls > 20, "{calls} calls");
    }
}
