use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::time::Instant;

use super::histogram::Histogram;
use crate::delivery::ModelName;

/// The length of a window. Summaries cover the current window and the one before.
const WINDOW: Duration = Duration::from_secs(30 * 60);

/// The number of models that are recorded, so that an inbox whose models change all the time does not fill memory.
const MAX_MODELS: usize = 1000;

/// How long deliveries waited and ran in this process, by model, over the last 30 to 60 minutes.
#[derive(Debug, Default)]
pub(crate) struct Latencies(RwLock<BTreeMap<ModelName, Arc<Mutex<Windows>>>>);

/// The wait and the handling time of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The number of attempts.
    pub(crate) attempts: u64,
    /// From the receipt of a delivery to its first attempt; `None` if there were only later attempts.
    pub(crate) wait: Option<Quantiles>,
    /// From the start of an attempt to its end.
    pub(crate) handling: Option<Quantiles>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Latencies {
    /// Records an attempt. `wait` is the time from the receipt of the delivery to its first attempt, `None` in a later
    /// one.
    pub(crate) fn record(&self, model: &ModelName, wait: Option<Duration>, handling: Duration) {
        let Some(windows) = self.of(model) else { return };
        let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.advance(Instant::now());
        windows.current.record(wait, handling);
    }

    /// The models with attempts, sorted by name.
    pub(crate) fn summaries(&self) -> Vec<(ModelName, Summary)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let both = |windows: Arc<Mutex<Windows>>| {
            let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.advance(Instant::now());
            windows.both()
        };
        let summaries = all.into_iter().map(|(model, windows)| (model, both(windows).summary()));
        summaries.filter(|(_, summary)| summary.attempts > 0).collect()
    }

    fn of(&self, model: &ModelName) -> Option<Arc<Mutex<Windows>>> {
        if let Some(found) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Some(Arc::clone(found));
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(model) && all.len() >= MAX_MODELS {
            return None;
        }
        let new = || Arc::new(Mutex::new(Windows::starting(Instant::now())));
        Some(Arc::clone(all.entry(model.clone()).or_insert_with(new)))
    }
}

/// The current window and the one before.
#[derive(Debug)]
struct Windows {
    started: Instant,
    current: Window,
    previous: Window,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    wait: Histogram,
    handling: Histogram,
}

impl Windows {
    fn starting(now: Instant) -> Self {
        Self { started: now, current: Window::default(), previous: Window::default() }
    }

    /// Starts the next window when the current one has ended. Both are empty after a pause of two windows.
    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.started);
        if elapsed >= 2 * WINDOW {
            *self = Self::starting(now);
        } else if elapsed >= WINDOW {
            self.previous = mem::take(&mut self.current);
            self.started += WINDOW;
        }
    }

    fn both(&self) -> Window {
        let mut both = self.current.clone();
        both.wait.add(&self.previous.wait);
        both.handling.add(&self.previous.handling);
        both
    }
}

impl Window {
    fn record(&mut self, wait: Option<Duration>, handling: Duration) {
        if let Some(wait) = wait {
            self.wait.record(wait);
        }
        self.handling.record(handling);
    }

    fn summary(&self) -> Summary {
        Summary {
            attempts: self.handling.count(),
            wait: Quantiles::of(&self.wait),
            handling: Quantiles::of(&self.handling),
        }
    }
}

impl Quantiles {
    fn of(histogram: &Histogram) -> Option<Self> {
        Some(Self { p50: histogram.quantile(50)?, p99: histogram.quantile(99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn attempts_are_summarized_for_30_to_60_minutes() {
        let latencies = Latencies::default();
        let model: ModelName = "/a".parse().unwrap();
        let attempts =
            || -> u64 { latencies.summaries().iter().map(|(_, one)| one.attempts).sum() };
        let record = || latencies.record(&model, None, MINUTE);
        record();
        tokio::time::advance(29 * MINUTE).await;
        record();
        assert_eq!(attempts(), 2);
        tokio::time::advance(30 * MINUTE).await;
        assert_eq!(attempts(), 2, "the window before the current one counts");
        tokio::time::advance(MINUTE).await;
        record();
        assert_eq!(attempts(), 1);
        tokio::time::advance(60 * MINUTE).await;
        assert_eq!(latencies.summaries(), [], "a model without attempts is left out");
    }

    #[test]
    fn wait_counts_only_where_it_is_given() {
        let latencies = Latencies::default();
        let model: ModelName = "/a".parse().unwrap();
        latencies.record(&model, None, 3 * MINUTE);
        let both = |duration| Some(Quantiles { p50: duration, p99: duration });
        let of =
            |attempts, wait, handling| vec![(model.clone(), Summary { attempts, wait, handling })];
        assert_eq!(latencies.summaries(), of(1, None, both(3 * MINUTE)));
        latencies.record(&model, Some(MINUTE), 3 * MINUTE);
        assert_eq!(latencies.summaries(), of(2, both(MINUTE), both(3 * MINUTE)));
    }

    #[test]
    fn number_of_models_is_bounded() {
        let latencies = Latencies::default();
        for number in 0..=MAX_MODELS {
            latencies.record(&format!("/{number}").parse().unwrap(), None, MINUTE);
        }
        assert_eq!(latencies.summaries().len(), MAX_MODELS);
        latencies.record(&"/0".parse().unwrap(), None, MINUTE);
        let attempts: u64 = latencies.summaries().iter().map(|(_, one)| one.attempts).sum();
        assert_eq!(attempts, MAX_MODELS as u64 + 1);
    }
}
