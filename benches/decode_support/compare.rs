//! Contenders in alternating rounds; medians, ratios and allocations.

use std::{
    alloc::System,
    time::{Duration, Instant},
};

use bytes::Bytes;
use stats_alloc::{Region, StatsAlloc};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

/// One way to decode.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    name: &'static str,
    decode: fn(&Bytes),
}

impl Contender {
    pub(crate) fn new(name: &'static str, decode: fn(&Bytes)) -> Self {
        Self { name, decode }
    }

    fn seconds(&self, body: &Bytes) -> f64 {
        let (start, mut times) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            (self.decode)(body);
            times += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(times)
    }
}

/// Prints a line for each contender: its speed, its allocations, and both as parts of the first one's.
pub(crate) fn compare(
    allocator: &StatsAlloc<System>,
    name: &str,
    body: &Bytes,
    contenders: &[Contender],
) {
    let mut seconds = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, seconds) in contenders.iter().zip(&mut seconds) {
            seconds.push(contender.seconds(body));
        }
    }
    println!("\n{name}, {} bytes", body.len());
    let (mut first, mut first_allocations) = (None, None);
    for (contender, seconds) in contenders.iter().zip(&mut seconds) {
        let median = median(seconds);
        let allocations = allocations(allocator, || (contender.decode)(body));
        let faster = median / *first.get_or_insert(median);
        let more = allocations / *first_allocations.get_or_insert(allocations);
        let speed = megabytes(body) / median;
        println!(
            "  {:<18} {speed:>6.0} MB/s, ours is {faster:.2} times as fast; {allocations:>6} allocations, ours has {:.2} of them",
            contender.name,
            1.0 / more
        );
    }
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn allocations(allocator: &StatsAlloc<System>, decode: impl FnOnce()) -> f64 {
    let region = Region::new(allocator);
    decode();
    let change = region.change();
    count(change.allocations + change.reallocations)
}

fn megabytes(body: &Bytes) -> f64 {
    count(body.len()) / 1e6
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::NAN, f64::from)
}
