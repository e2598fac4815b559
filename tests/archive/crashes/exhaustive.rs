use tower_inbox::{
    Delivery, Outcome,
    testing::{ModelDisk, Sample},
};

use super::{
    driver::Driver,
    promises::{Promises, What},
    verify::Verifier,
};
use crate::stride;

pub(super) fn sample(body: &str) -> Delivery {
    Sample::of("/m").body(body.to_owned()).delivery()
}

/// A history with appends, a batch of all kinds of entries, a repeat, a restart, and more than one segment.
pub(super) fn a_history(disk: &ModelDisk, verifier: &Verifier) -> Driver {
    let mut driver = Driver::new(disk.clone());
    let (a, b, c, d) = (sample("a"), sample("b"), sample(&"c".repeat(700)), sample("d"));
    let processed = Outcome::processed(200);
    let archive = verifier.open(disk).unwrap();
    driver.ask(&archive, What::AppendLeased(a.clone()));
    let rest = vec![
        What::Settle(a.id(), Outcome::failed("once")),
        What::Append(sample("a")),
        What::Append(c.clone()),
        What::Append(sample("b")),
    ];
    driver.ask_together(&archive, What::Append(b.clone()), rest);
    driver.ask(&archive, What::Settle(a.id(), processed.clone()));
    driver.ask(&archive, What::Claim);
    driver.ask(&archive, What::Release(b.id()));
    drop(archive);
    driver.leases.clear();
    let archive = verifier.open(disk).unwrap();
    driver.ask_together(
        &archive,
        What::Append(d.clone()),
        vec![What::Settle(c.id(), Outcome::dead("404")), What::AppendLeased(sample("d"))],
    );
    driver.ask(&archive, What::Retry(c.id()));
    driver
}

#[test]
fn acknowledged_operations_survive_every_crash_of_a_short_history() {
    for (block, segment_size) in
        [(256, 1500), (512, 1500), (512, 1 << 20), (4096, 1500), (4096, 1 << 20)]
    {
        let mut verifier = Verifier::new(segment_size);
        let driver = a_history(&ModelDisk::new(block), &verifier);
        verifier.crash_everywhere(&driver, &Promises::default(), 1);
        println!("blocks of {block}, segments of {segment_size}: {:?}", verifier.tally);
        assert!(verifier.tally.crash_points > 15 / stride(4), "{:?}", verifier.tally);
        assert!(verifier.tally.disks > 100 / stride(4), "{:?}", verifier.tally);
    }
}

#[test]
fn a_crash_while_a_crash_is_repaired_loses_nothing_either() {
    for (block, segment_size) in [(512, 1500), (512, 1 << 20), (4096, 1500)] {
        let mut verifier = Verifier::new(segment_size);
        let disk = ModelDisk::new(block);
        let mut driver = Driver::new(disk.clone());
        let archive = verifier.open(&disk).unwrap();
        let a = sample("a");
        driver.ask(&archive, What::Append(a.clone()));
        let settle = What::Settle(a.id(), Outcome::failed("once"));
        driver.ask_together(&archive, settle, vec![What::Append(sample("b"))]);
        drop(archive);
        verifier.crash_everywhere(&driver, &Promises::default(), 2);
        println!("blocks of {block}, segments of {segment_size}: {:?}", verifier.tally);
        assert!(verifier.tally.disks > 1000 / stride(16), "{:?}", verifier.tally);
    }
}
