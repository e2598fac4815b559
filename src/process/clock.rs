use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The clock of an inbox. Default: the system clock.
///
/// The time of receipt, the timestamps of signatures, the age of a delivery and the due time of a retry are all taken
/// from this clock. Waiting itself, timeouts and leases use the timer of tokio; ids and the retention of an archive use
/// the system clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_inbox::layer::Clock;
///
/// let recorded = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
/// let clock = Clock::new(move || recorded);
/// assert_eq!(clock.now(), recorded);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Creates a clock that returns what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// The time since `time`; zero if that is in the future.
    pub(crate) fn age(&self, time: SystemTime) -> Duration {
        self.now().duration_since(time).unwrap_or_default()
    }
}

/// The system clock.
impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
