use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{engine::Engine, load::Load};
use crate::support::{cpu, stats::quantile};

/// One engine in one round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Acknowledgements per second.
    pub(crate) rate: f64,
    /// How long one waits, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// How long the threads of this process worked for an acknowledgement, in microseconds.
    pub(crate) cpu: f64,
    /// Bytes that went to the device for each byte of a body.
    pub(crate) amplification: f64,
    /// Bytes of the files beyond those of the bodies, for each body.
    pub(crate) framing: f64,
}

/// A closed group of clients: each waits for its receipt, then appends the next.
///
/// Counts acknowledged appends until the first client runs out of work.
pub(crate) async fn measure(
    engine: Box<dyn Engine>,
    load: &Arc<Load>,
    in_flight: usize,
    time: Duration,
    dir: &Path,
) -> Measured {
    let engine: Arc<dyn Engine> = Arc::from(engine);
    let (next, written) = (Arc::new(AtomicUsize::new(0)), written_by_this_process());
    let (began, worked) = (Instant::now(), cpu::micros(""));
    let clients: Vec<_> = (0..in_flight)
        .map(|_| {
            let (engine, load, next) = (Arc::clone(&engine), Arc::clone(load), Arc::clone(&next));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while began.elapsed() < time {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= load.bodies.len() {
                        break;
                    }
                    let sent = Instant::now();
                    engine.append(&load, n).await;
                    acknowledged.push((sent.elapsed(), began.elapsed()));
                }
                engine.finish();
                (acknowledged, began.elapsed())
            })
        })
        .collect();
    let mut ends = Vec::new();
    for client in clients {
        ends.push(client.await.unwrap());
    }
    let worked = cpu::micros("") - worked;
    drop(engine);
    let written = written_by_this_process() - written;
    summary(&ends, load.bodies[0].len(), worked, written, dir)
}

fn summary(
    clients: &[(Vec<(Duration, Duration)>, Duration)],
    size: usize,
    worked: f64,
    written: u64,
    dir: &Path,
) -> Measured {
    let all = clients.iter().map(|(acknowledged, _)| acknowledged.len()).sum::<usize>() as f64;
    let end = clients.iter().map(|(_, end)| *end).min().unwrap();
    let mut waits: Vec<_> = clients
        .iter()
        .flat_map(|(acknowledged, _)| acknowledged)
        .filter(|(_, at)| *at <= end)
        .map(|(wait, _)| wait.as_secs_f64() * 1e6)
        .collect();
    Measured {
        rate: waits.len() as f64 / end.as_secs_f64(),
        p50: quantile(&mut waits, 0.5),
        p99: quantile(&mut waits, 0.99),
        cpu: worked / all,
        amplification: written as f64 / (all * size as f64),
        framing: length_of_files(dir) as f64 / all - size as f64,
    }
}

fn length_of_files(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Bytes that this process has made the system write to a device; none where the system does not tell.
fn written_by_this_process() -> u64 {
    let told = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}
