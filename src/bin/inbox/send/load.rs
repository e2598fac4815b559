//! Posts many requests, concurrently and within a rate.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Number, Value};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::Sender;
use crate::{client::ResponseCounts, console};

/// The number of requests, the maximum number of concurrent ones, and the maximum rate per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) repeat: NonZeroU32,
    pub(super) concurrency: NonZeroU32,
    pub(super) rate: Option<NonZeroU32>,
}

impl Load {
    /// The time from the start until the request with this number is due.
    fn due(self, number: u32) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(f64::from(number) / f64::from(rate.get()))
        })
    }
}

/// Posts `load.repeat` requests.
pub(super) async fn post_all(
    sender: Sender,
    load: Load,
) -> Result<ResponseCounts, tokio::task::JoinError> {
    let (sender, next, start) = (Arc::new(sender), Arc::new(AtomicU32::new(0)), Instant::now());
    let mut posters = JoinSet::new();
    for _ in 0..load.concurrency.min(load.repeat).get() {
        posters.spawn(post_some(Arc::clone(&sender), Arc::clone(&next), start, load));
    }
    let mut counts = ResponseCounts::default();
    while let Some(counted) = posters.join_next().await {
        counts.add(counted?);
    }
    Ok(counts)
}

async fn post_some(
    sender: Arc<Sender>,
    next: Arc<AtomicU32>,
    start: Instant,
    load: Load,
) -> ResponseCounts {
    let mut counts = ResponseCounts::default();
    let more = |number: u32| (number < load.repeat.get()).then_some(number + 1);
    while let Ok(number) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        sleep_until(start + load.due(number)).await;
        let response = sender.post(number).await.map(|response| response.status());
        counts.count(response.map_err(|error| console::with_sources(&*error)));
    }
    counts
}

/// A JSON body in which one value is different in each variation.
pub(super) struct Variations {
    body: Value,
    pointer: String,
    original: Original,
}

enum Original {
    Text(String),
    Number(i64),
}

impl Variations {
    /// Varies the value at this JSON pointer.
    ///
    /// # Errors
    ///
    /// If the body is not JSON, or has no string and no integer there.
    pub(super) fn new(body: &[u8], pointer: &str) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| format!("--vary requires a JSON body: {error}"))?;
        let original = match body.pointer(pointer) {
            Some(Value::String(text)) => Some(Original::Text(text.clone())),
            Some(Value::Number(number)) => number.as_i64().map(Original::Number),
            _ => None,
        };
        let original = original.ok_or_else(|| {
            format!(
                "--vary {pointer}: the body has no string or integer there; use a JSON pointer such as /inference/id"
            )
        })?;
        Ok(Self { body, pointer: pointer.to_owned(), original })
    }

    /// The variation with this number.
    pub(super) fn body(&self, number: u32) -> Result<Bytes, serde_json::Error> {
        let mut body = self.body.clone();
        if let Some(value) = body.pointer_mut(&self.pointer) {
            *value = match &self.original {
                Original::Text(text) => Value::String(format!("{text}-{number}")),
                Original::Number(original) => {
                    Value::Number(Number::from(original.wrapping_add(i64::from(number))))
                }
            };
        }
        serde_json::to_vec(&body).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_due_at_even_intervals() {
        let one = NonZeroU32::MIN;
        let load = Load { repeat: one, concurrency: one, rate: NonZeroU32::new(4) };
        assert_eq!([0, 1, 6].map(|number| load.due(number).as_millis()), [0, 250, 1500]);
        assert_eq!(Load { rate: None, ..load }.due(9), Duration::ZERO);
    }

    #[test]
    fn variations_differ_in_one_string_or_number() {
        let body = br#"{"a": {"id": "x", "n": 7}, "b": [1.5]}"#;
        let varied =
            |pointer, number| Variations::new(body, pointer).unwrap().body(number).unwrap();
        assert_eq!(varied("/a/id", 2), r#"{"a":{"id":"x-2","n":7},"b":[1.5]}"#);
        assert_eq!(varied("/a/n", 2), r#"{"a":{"id":"x","n":9},"b":[1.5]}"#);
        for pointer in ["", "/a", "a", "/c", "/b/0"] {
            assert!(Variations::new(body, pointer).is_err(), "{pointer}");
        }
        assert!(Variations::new(b"{", "/a").is_err());
    }
}
