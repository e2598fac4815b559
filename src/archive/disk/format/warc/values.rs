//! The text of dates and fingerprints in header fields. A fingerprint cannot be recomputed, because the head in a record
//! is redacted.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::{archive::disk::format::entry::ShortFingerprint, delivery::Fingerprint};

/// The last second of the year 9999: RFC 3339 does not support later years.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Formats a `WARC-Date`: UTC, with nine fractional digits of a second.
pub(super) fn print_date(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(printable(time)).to_string()
}

/// Returns the nearest time that RFC 3339 can represent: not before 1970, not after the year 9999. Other times cannot
/// be formatted.
pub(in crate::archive::disk) fn printable(time: SystemTime) -> SystemTime {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LATEST);
    SystemTime::UNIX_EPOCH + since_epoch
}

/// Parses the time of a `WARC-Date`.
pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// In base64, as in the index files: every record has it, and hexadecimal would be 50 % longer.
pub(super) fn print_fingerprint(fingerprint: Fingerprint) -> String {
    STANDARD_NO_PAD.encode(fingerprint.as_bytes())
}

pub(super) fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    bytes.try_into().ok().map(Fingerprint::from_bytes)
}

/// Formats the short fingerprint, which is kept for a removed delivery.
pub(super) fn print_short(fingerprint: ShortFingerprint) -> String {
    STANDARD_NO_PAD.encode(fingerprint)
}

pub(super) fn parse_short(text: &str) -> Option<ShortFingerprint> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_to_the_nanosecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(print_date(time), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(parse_date(&print_date(time)), Some(time));
    }

    #[test]
    fn times_beyond_the_format_become_the_nearest() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(print_date(before), "1970-01-01T00:00:00.000000000Z");
        let after = SystemTime::UNIX_EPOCH + LATEST + Duration::from_secs(9);
        assert_eq!(print_date(after), "9999-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn a_fingerprint_reads_back_and_nothing_else_is_one() {
        let fingerprint = Fingerprint::from_bytes([0xa5; 32]);
        let text = print_fingerprint(fingerprint);
        assert_eq!((parse_fingerprint(&text), text.len()), (Some(fingerprint), 43));
        for other in ["", &text[1..], &format!("{text}="), &format!("{text}AAAA")] {
            assert_eq!(parse_fingerprint(other), None, "{other}");
        }
    }
}
