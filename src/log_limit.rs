//! Limits how often a log line is written, and counts the suppressed lines.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Admits a number of log lines in each period, and counts the others. For lines that a client, or a disk that fails,
/// could otherwise write without bound. Put one in a `static` for each kind of line.
///
/// A period starts with the first line after the end of the last one, so that an event which happens rarely is always
/// logged. The number of suppressed lines is returned with the next line that is admitted.
#[derive(Debug)]
pub(crate) struct LogLimit {
    per_period: u32,
    period: Duration,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// None before the first line.
    started: Option<Instant>,
    /// Lines of this period, up to the limit.
    admitted: u32,
    /// Lines since the last one that was admitted.
    suppressed: u64,
}

impl LogLimit {
    /// Admits the first `per_period` lines of each `period`.
    pub(crate) const fn new(per_period: u32, period: Duration) -> Self {
        let current = Current { started: None, admitted: 0, suppressed: 0 };
        Self { per_period, period, current: Mutex::new(current) }
    }

    /// Returns the number of lines that were suppressed since the last one that was admitted, if this line may be
    /// written. None: do not write it; it was counted.
    pub(crate) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over =
            current.started.is_none_or(|start| now.saturating_duration_since(start) >= self.period);
        if is_over {
            current.started = Some(now);
            current.admitted = 0;
        }
        if current.admitted >= self.per_period {
            current.suppressed = current.suppressed.saturating_add(1);
            return None;
        }
        current.admitted += 1;
        Some(std::mem::take(&mut current.suppressed))
    }
}

/// A [`LogLimit`] for each kind of line.
#[derive(Debug)]
pub(crate) struct LogLimits {
    per_period: u32,
    period: Duration,
    by_kind: Mutex<BTreeMap<&'static str, LogLimit>>,
}

impl LogLimits {
    /// Admits the first `per_period` lines of each kind in each `period`.
    pub(crate) const fn new(per_period: u32, period: Duration) -> Self {
        Self { per_period, period, by_kind: Mutex::new(BTreeMap::new()) }
    }

    /// As [`LogLimit::admit`], for this kind of line.
    pub(crate) fn admit(&self, kind: &'static str) -> Option<u64> {
        let mut by_kind = self.by_kind.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = || LogLimit::new(self.per_period, self.period);
        by_kind.entry(kind).or_insert_with(limit).admit()
    }
}

/// Ten lines of each kind in ten seconds.
impl Default for LogLimits {
    fn default() -> Self {
        Self::new(10, Duration::from_secs(10))
    }
}

/// Runs `work` and returns what it logs at `INFO` and above, for unit tests.
#[cfg(test)]
pub(crate) fn collect_log(work: impl FnOnce()) -> String {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn log_limit_admits_some_lines_of_a_period_and_counts_the_suppressed_ones() {
        let (limit, start) = (LogLimit::new(2, SECOND), Instant::now());
        let admitted: Vec<_> = (0..5).map(|_| limit.admit_at(start)).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None]);
        assert_eq!(limit.admit_at(start + SECOND / 2), None);
        assert_eq!(limit.admit_at(start + SECOND), Some(4));
        assert_eq!(limit.admit_at(start + SECOND), Some(0));
        assert_eq!(limit.admit_at(start + SECOND), None);
    }

    #[test]
    fn log_limit_never_suppresses_a_rare_line() {
        let (limit, start) = (LogLimit::new(1, SECOND), Instant::now());
        let admitted = (0..5).map(|second| limit.admit_at(start + SECOND * second));
        assert!(admitted.into_iter().all(|suppressed| suppressed == Some(0)));
    }

    #[test]
    fn log_limits_of_two_kinds_are_independent() {
        let limits = LogLimits::new(1, Duration::from_secs(60 * 60));
        assert_eq!((limits.admit("a"), limits.admit("a")), (Some(0), None));
        assert_eq!((limits.admit("b"), limits.admit("b")), (Some(0), None));
    }

    #[test]
    fn log_limit_of_zero_suppresses_everything() {
        let limit = LogLimit::new(0, SECOND);
        assert_eq!((limit.admit(), limit.admit()), (None, None));
    }
}
