use tower_inbox::{
    DiskArchive, Outcome,
    testing::{Fault, ModelDisk},
};

use super::{
    driver::Driver,
    exhaustive::{a_history, sample},
    promises::{Promises, What},
    verify::Verifier,
};

/// `EINTR`, `EIO` and `ENOSPC` on Linux.
const ERRORS: [i32; 3] = [4, 5, 28];

fn faults(after: usize) -> Vec<Fault> {
    let errors = ERRORS.iter().map(|errno| Fault::OneError { after, errno: *errno });
    errors.chain([Fault::OneShortWrite { after }]).collect()
}

/// Opens, and once more if that failed.
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
fn whatever_call_fails_what_was_answered_survives_a_power_failure_at_every_later_moment() {
    let mut verifier = Verifier::new(1500);
    for after in 0.. {
        let mut happened = false;
        for fault in faults(after) {
            let disk = ModelDisk::new(512);
            disk.fail(Some(fault));
            let driver = work_through(&verifier, &disk);
            happened |= disk.fault_now().is_none();
            for calls in 0..=disk.calls() {
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
fn whatever_call_fails_while_a_kill_is_repaired_no_repeat_rests_on_what_is_lost() {
    let mut verifier = Verifier::new(1500);
    let disk = ModelDisk::new(512);
    let driver = a_history(&disk, &verifier);
    for calls in 0..=disk.calls() {
        let owed = Promises::default().until(calls, &driver.asked);
        for after in 0.. {
            let left = disk.crash_after(calls).of_the_program();
            left.fail(Some(Fault::OneError { after, errno: 5 }));
            // At most the opening fails, and is tried again.
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
