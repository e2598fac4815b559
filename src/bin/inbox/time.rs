use std::time::{Duration, SystemTime};

/// Parses a date, a date and time, or an age.
pub(crate) fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let date = format!("{text}T00:00:00Z");
    humantime::parse_rfc3339(&date)
        .or_else(|_| humantime::parse_rfc3339_weak(text))
        .or_else(|_| before_now(text, now))
        .map_err(|_| {
            format!(
                "invalid time '{text}'; use 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 30d"
            )
        })
}

/// Parses an age, and subtracts it from `now`.
pub(crate) fn before_now(age: &str, now: SystemTime) -> Result<SystemTime, String> {
    let duration = humantime::parse_duration(age)
        .map_err(|_| format!("invalid age '{age}'; use 90m, 12h or 30d"))?;
    now.checked_sub(duration).ok_or_else(|| format!("age '{age}' is too long"))
}

/// The last second of the year 9999: RFC 3339 has no later years.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Prints a time; one before 1970 or after the year 9999 as the nearest that can be printed.
pub(crate) fn print(time: SystemTime) -> String {
    let latest = SystemTime::UNIX_EPOCH + LATEST;
    humantime::format_rfc3339_millis(time.clamp(SystemTime::UNIX_EPOCH, latest)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn dates_times_and_ages_are_parsed() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let day = Duration::from_hours(24);
        for (text, wanted) in [
            ("1970-01-03", UNIX_EPOCH + day * 2),
            ("1970-01-03T00:00:01Z", UNIX_EPOCH + day * 2 + Duration::from_secs(1)),
            ("2d", now - day * 2),
        ] {
            assert_eq!(moment(text, now).unwrap(), wanted, "{text}");
        }
        for text in ["", "soon", "1970-13-01", "-3d"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
        assert!(before_now("1970-01-03", now).is_err());
    }

    #[test]
    fn times_that_rfc_3339_cannot_say_are_printed_as_the_nearest() {
        let far = UNIX_EPOCH + Duration::from_hours(90_000_000);
        assert_eq!(print(far), "9999-12-31T23:59:59.000Z");
        assert_eq!(print(UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01T00:00:00.000Z");
    }
}
