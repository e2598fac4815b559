use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tower_inbox::{Delivery, testing::Sample};

/// Bodies that differ: windows on one buffer, so that no copy of them is measured.
pub(crate) struct Bodies {
    buffer: Bytes,
    size: usize,
    next: AtomicUsize,
}

const BUFFER: usize = 16 << 20;

impl Bodies {
    pub(crate) fn new(size: usize, content: Content) -> Self {
        Self { buffer: content.text(BUFFER + size).into(), size, next: AtomicUsize::new(0) }
    }

    /// The next one of the first `count` bodies, over and over.
    pub(crate) fn next_of(&self, count: usize) -> Bytes {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let start = (number * 4161) % BUFFER;
        self.buffer.slice(start..start + self.size)
    }

    /// The next body. No two of the first 16 million are equal.
    pub(crate) fn next(&self) -> Bytes {
        let start = (self.next.fetch_add(1, Ordering::Relaxed) * 4161) % BUFFER;
        self.buffer.slice(start..start + self.size)
    }
}

/// The content of bodies. Without quotes and line breaks, because a job queue may escape them.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// Words with coordinates, indented. LZ4 shrinks it to a sixth, as it does the result of an OCR model.
    Words,
    /// Letters and digits at random, which LZ4 does not shrink.
    Random,
}

impl Content {
    fn text(self, length: usize) -> Vec<u8> {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut text = Vec::with_capacity(length + 1024);
        while text.len() < length {
            match self {
                Self::Words => random.word(&mut text),
                Self::Random => text.push(random.letter()),
            }
        }
        text.truncate(length);
        text
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn letter(&mut self) -> u8 {
        const ALPHABET: &[u8; 64] =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
        ALPHABET[self.next() as usize % 64]
    }

    fn word(&mut self, text: &mut Vec<u8>) {
        text.extend_from_slice(b"            {              content: ");
        text.extend((0..3 + self.next() % 6).map(|_| self.letter()));
        text.extend_from_slice(b",              polygon: [");
        let (x, y) = (self.next() % 1_000_000_000, self.next() % 1_000_000_000);
        for (right, below) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
            let (x, y) = (x + right * 51_344_812, y + below * 12_345_678);
            text.extend_from_slice(
                format!(
                    "                [                  0.{x:016},                  0.{y:016}                ],"
                )
                .as_bytes(),
            );
        }
        text.extend_from_slice(b"              ]            },");
    }
}

pub(crate) const MODEL: &str = "/hooks/invoices";

/// A delivery with a typical head.
pub(crate) fn delivery(body: Bytes) -> Delivery {
    Sample::of(MODEL)
        .uri(MODEL.parse().unwrap())
        .host(Some("inbox.example.com"))
        .header("host", b"inbox.example.com")
        .header("content-type", b"application/json")
        .header("content-length", body.len().to_string().as_bytes())
        .header("user-agent", b"python-requests/2.32.3")
        .header("x-signature", &[b'a'; 64])
        .body(body)
        .delivery()
}

/// Runs a closed group of clients for a while. Returns how often `work` completed, and how long it took.
pub(crate) async fn closed_loop<F>(
    in_flight: usize,
    time: Duration,
    work: impl Fn() -> F,
) -> (usize, Duration)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (began, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        clients.spawn(work());
    }
    while clients.join_next().await.transpose().unwrap().is_some() {
        done.fetch_add(1, Ordering::Relaxed);
        if began.elapsed() < time {
            clients.spawn(work());
        }
    }
    (done.load(Ordering::Relaxed), began.elapsed())
}

pub(crate) fn rate((done, time): (usize, Duration)) -> f64 {
    done as f64 / time.as_secs_f64()
}
