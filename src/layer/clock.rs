use std::{fmt, sync::Arc, time::SystemTime};

/// What tells the time at which a request is received: by which signatures are judged, and which the archive records. By
/// default the system's clock.
///
/// Another one is for tests, such as of a recorded request whose signature has a time. Nothing else goes by it: ids,
/// retries, retention and leases go by the system's.
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
    /// A clock that shows what `now` says. It is asked once for each request.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What it shows.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

/// The system's.
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
