use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

/// Parses a time in RFC 3339 format, with any precision and time zone. `None` for other strings, and for times before
/// 1970.
pub(super) fn of(text: &str) -> Option<SystemTime> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let (time, rest) = (rest.strip_prefix(['T', 't', ' '])?.get(..8)?, rest.get(9..)?);
    let (nanos, zone) = fraction(rest)?;
    let seconds = days(date)? * 86_400 + seconds(time)? - offset(zone)?;
    let since = Duration::new(u64::try_from(seconds).ok()?, nanos);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Returns whether the first of two states is newer. States with an invalid time are newer unless both times are equal.
pub(super) fn is_newer(this: Option<SystemTime>, other: Option<SystemTime>, same: bool) -> bool {
    match (this, other) {
        (Some(this), Some(other)) => this > other,
        _ => !same,
    }
}

/// Returns the days since 1970. Counts years from March, so that a leap day is the last day of its year.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    within(month, 1..=12)?;
    within(day, 1..=days_of(year, month))?;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the seconds since midnight. A leap second counts as the next second.
fn seconds(time: &str) -> Option<i64> {
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    within(hour, 0..=23)?;
    within(minute, 0..=59)?;
    within(second, 0..=60)?;
    Some(3600 * hour + 60 * minute + second)
}

/// Returns the nanoseconds of a fraction and the rest of the string. Ignores digits beyond nanoseconds.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, zone) = text.split_at_checked(end)?;
    let nine = format!("{digits:0<9}");
    let nanos = nine.get(..9)?.parse().ok()?;
    (!digits.is_empty()).then_some((nanos, zone))
}

/// Returns the offset of a time zone in seconds.
fn offset(zone: &str) -> Option<i64> {
    if let "Z" | "z" = zone {
        return Some(0);
    }
    let sign = if zone.starts_with('+') { 1 } else { -1 };
    let [hours, minutes] = numbers(zone.strip_prefix(['+', '-'])?, ':', [2, 2])?;
    within(hours, 0..=23)?;
    within(minutes, 0..=59)?;
    Some(sign * (3600 * hours + 60 * minutes))
}

/// Parses numbers with the given numbers of digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

fn within(number: i64, range: RangeInclusive<i64>) -> Option<()> {
    range.contains(&number).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        Some(of(text)?.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64())
    }

    #[test]
    fn timestamp_is_parsed_in_any_precision_and_time_zone() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00Z", 951_825_600.0),
            ("2026-03-01T09:00:07Z", 1_772_355_607.0),
            ("2026-03-01T09:00:07.25Z", 1_772_355_607.25),
            ("2026-03-01T09:00:07.250000000999Z", 1_772_355_607.25),
            ("2026-03-01t11:30:07.250+02:30", 1_772_355_607.25),
            ("2026-02-28 23:00:07-10:00", 1_772_355_607.0),
            ("2016-12-31T23:59:60Z", 1_483_228_800.0),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn invalid_timestamp_is_none() {
        for text in [
            "",
            "t",
            "2026-03-01",
            "2026-03-01T09:00:07",
            "2026-03-01T09:00:07.Z",
            "2026-03-01T09:00:07.5",
            "2026-03-01T09:00:07ZZ",
            "2026-02-29T09:00:07Z",
            "2026-13-01T09:00:07Z",
            "2026-03-01T24:00:07Z",
            "2026-03-01T09:00:07+2:00",
            "2026-3-001T09:00:07Z",
            "1969-12-31T23:59:59Z",
            "２026-03-01T09:00:07Z",
            "+026-03-01T09:00:07Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
