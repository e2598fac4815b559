use std::time::{Duration, SystemTime};

/// The last second of the year 9999: RFC 3339 does not support later years.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Formats a `WARC-Date`: UTC, with nine fractional digits of a second.
pub(super) fn print(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(printable(time)).to_string()
}

/// Returns the nearest time that RFC 3339 can represent: not before 1970, not after the year 9999. Other times cannot
/// be formatted.
pub(in crate::archive::disk) fn printable(time: SystemTime) -> SystemTime {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LATEST);
    SystemTime::UNIX_EPOCH + since_epoch
}

/// Parses the time of a `WARC-Date`.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_to_the_nanosecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(print(time), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(parse(&print(time)), Some(time));
    }

    #[test]
    fn times_beyond_the_format_become_the_nearest() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(print(before), "1970-01-01T00:00:00.000000000Z");
        let after = SystemTime::UNIX_EPOCH + LATEST + Duration::from_secs(9);
        assert_eq!(print(after), "9999-12-31T23:59:59.000000000Z");
    }
}
