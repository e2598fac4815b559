use std::time::{Duration, SystemTime};

use super::{Place, SignError, SignatureError};

/// The maximum difference between a signed timestamp and the time of receipt. Default: 300 s in both directions.
///
/// Limits the time in which a recorded request can be replayed by an attacker.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::signature::Tolerance;
///
/// assert_eq!(Tolerance::default(), Tolerance::both(Duration::from_secs(300)));
/// let elevenlabs = Tolerance::past(Duration::from_secs(30 * 60));
/// let extend = Tolerance::default().future(Duration::from_secs(60));
/// # let _ = (elevenlabs, extend);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    past: Option<Duration>,
    future: Option<Duration>,
}

impl Tolerance {
    /// Tolerates timestamps up to `time` in the past and in the future.
    pub fn both(time: Duration) -> Self {
        Self { past: Some(time), future: Some(time) }
    }

    /// Tolerates timestamps up to `time` in the past, and any in the future.
    pub fn past(time: Duration) -> Self {
        Self { past: Some(time), future: None }
    }

    /// Tolerates timestamps up to `time` in the future. Does not change the tolerance in the past.
    pub fn future(self, time: Duration) -> Self {
        Self { future: Some(time), ..self }
    }

    /// Tolerates any timestamp. An attacker can replay a recorded request at any time.
    pub fn unlimited() -> Self {
        Self { past: None, future: None }
    }

    /// Checks the text of the timestamp in `place`.
    pub(super) fn check(
        self,
        text: &[u8],
        unit: TimeUnit,
        at: SystemTime,
        place: &Place,
    ) -> Result<(), SignatureError> {
        let sent = parse(text).ok_or_else(|| place.malformed(unit.expected()))?;
        let age = unit.ticks(at) - sent;
        let exceeds =
            |limit: Option<Duration>, age| limit.is_some_and(|limit| age > unit.of(limit));
        if exceeds(self.past, age) {
            Err(SignatureError::TooOld { place: place.clone() })
        } else if exceeds(self.future, -age) {
            Err(SignatureError::TooNew { place: place.clone() })
        } else {
            Ok(())
        }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::both(Duration::from_secs(5 * 60))
    }
}

/// The unit of a timestamp since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Millis,
}

impl TimeUnit {
    /// Formats a timestamp.
    pub(super) fn write(self, at: SystemTime) -> Result<String, SignError> {
        match self.ticks(at) {
            ticks if ticks >= 0 => Ok(ticks.to_string()),
            _ => Err(SignError::Time),
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Seconds => Self::Millis,
            Self::Millis => Self::Seconds,
        }
    }

    /// Returns whole ticks, as senders count them: 300.9 s after a timestamp are 300.
    fn ticks(self, at: SystemTime) -> i128 {
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => self.of(since),
            Err(before) => -self.of(before.duration()),
        }
    }

    fn of(self, time: Duration) -> i128 {
        match self {
            Self::Seconds => time.as_secs().into(),
            Self::Millis => i128::try_from(time.as_millis()).unwrap_or(i128::MAX),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Seconds => "a timestamp in seconds since 1970",
            Self::Millis => "a timestamp in milliseconds since 1970",
        }
    }
}

/// Accepts digits only: `str::parse` would accept a sign.
fn parse(text: &[u8]) -> Option<i128> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let ticks: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(ticks.into())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const SENT: u64 = 1_614_265_330;

    fn place() -> Place {
        Place::Header(HeaderName::from_static("webhook-timestamp"))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn check(tolerance: Tolerance, at: SystemTime) -> Result<(), SignatureError> {
        tolerance.check(SENT.to_string().as_bytes(), TimeUnit::Seconds, at, &place())
    }

    #[test]
    fn tolerance_applies_to_past_and_future_to_the_second() {
        let tolerance = Tolerance::default();
        let (old, new) = (
            Err(SignatureError::TooOld { place: place() }),
            Err(SignatureError::TooNew { place: place() }),
        );
        assert_eq!(check(tolerance, at(SENT + 300) + Duration::from_millis(999)), Ok(()));
        assert_eq!(check(tolerance, at(SENT + 301)), old);
        assert_eq!(check(tolerance, at(SENT - 300)), Ok(()));
        assert_eq!(check(tolerance, at(SENT - 301)), new);
    }

    #[test]
    fn tolerance_can_be_unlimited_on_one_side() {
        let tolerance = Tolerance::past(Duration::from_secs(30 * 60));
        assert_eq!(check(tolerance, at(0)), Ok(()));
        assert_eq!(check(tolerance, at(SENT + 1800)), Ok(()));
        assert!(check(tolerance, at(SENT + 1801)).is_err());
        assert_eq!(check(Tolerance::unlimited(), at(2 * SENT)), Ok(()));
    }

    #[test]
    fn tolerance_in_milliseconds() {
        let check = |at| {
            let sent = (SENT * 1000).to_string();
            Tolerance::default().check(sent.as_bytes(), TimeUnit::Millis, at, &place())
        };
        assert_eq!(check(at(SENT + 300)), Ok(()));
        assert!(check(at(SENT + 300) + Duration::from_millis(1)).is_err());
    }

    #[test]
    fn timestamp_that_is_not_a_number_is_rejected() {
        for text in ["", "+1", "-1", "1.5", " 1", "1e9", "0x1", "99999999999999999999999999"] {
            let checked =
                Tolerance::unlimited().check(text.as_bytes(), TimeUnit::Seconds, at(1), &place());
            assert!(matches!(checked, Err(SignatureError::Malformed { .. })), "{text:?}");
        }
    }
}
