//! Values as text for people.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

/// The last second that has four digits for its year.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// The nearest time that can be printed: a clock may be wrong, and printing a time before 1970 panics.
fn printable(time: SystemTime) -> SystemTime {
    let last = SystemTime::UNIX_EPOCH.checked_add(LAST).unwrap_or(SystemTime::UNIX_EPOCH);
    time.clamp(SystemTime::UNIX_EPOCH, last)
}

/// A time in UTC with whole seconds: `2026-01-31 12:00:00`.
pub(super) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(printable(time))
        .to_string()
        .replace('T', " ")
        .replace('Z', "")
}

/// A time in UTC with milliseconds, in the form that a filter accepts: `2026-01-31T12:00:00.000Z`.
pub(super) fn exact_time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(printable(time)).to_string()
}

/// A duration in its largest unit: `4 min`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A duration with two significant digits: `250 µs`, `2.5 ms`, `31 s`; from a minute on in its largest unit.
pub(super) fn latency(latency: Duration) -> String {
    let micros = latency.as_micros();
    let (unit, name) = match micros {
        0..1000 => return format!("{micros} µs"),
        1000..1_000_000 => (1000, "ms"),
        1_000_000..60_000_000 => (1_000_000, "s"),
        _ => return duration(latency),
    };
    match micros * 10 / unit {
        tenths @ 0..100 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        tenths => format!("{} {name}", tenths / 10),
    }
}

/// A number of bytes: `1.5 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

/// A number with thin spaces between its thousands: `12 345`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Text that a sender chose. Characters that are invisible, or that reorder the text around them, are shown as escapes.
pub(super) fn foreign(text: &str) -> Markup {
    let mut rest = text;
    html! {
        @while let Some((before, odd, after)) = next_odd(rest) {
            (before)
            span.escape { (escaped(odd)) }
            ({ rest = after; "" })
        }
        (rest)
    }
}

/// The text before the first odd character, the character, and the text after it.
fn next_odd(text: &str) -> Option<(&str, char, &str)> {
    let (at, odd) = text.char_indices().find(|(_, c)| is_odd(*c))?;
    Some((text.get(..at)?, odd, text.get(at + odd.len_utf8()..)?))
}

/// True for control characters other than white space, and for characters that are invisible or change the direction
/// of text (Unicode Standard Annex 9).
pub(super) fn is_odd(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    is_format || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn escaped(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_after_9999_do_not_panic() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(exact_time(early), "1970-01-01T00:00:00.000Z");
        let late = SystemTime::UNIX_EPOCH + LAST * 2;
        assert_eq!(time(late), "9999-12-31 23:59:59");
    }

    #[test]
    fn values_are_printed_in_their_largest_unit() {
        assert_eq!(time(SystemTime::UNIX_EPOCH), "1970-01-01 00:00:00");
        let seconds = [0, 59, 60, 7200, 172_799, 172_800].map(Duration::from_secs).map(duration);
        assert_eq!(seconds, ["0 s", "59 s", "1 min", "2 h", "47 h", "2 d"]);
        let latencies = [0, 999, 1000, 2500, 99_000, 9_900_000, 31_000_000, 60_000_000];
        let latencies = latencies.map(Duration::from_micros).map(latency);
        let wanted = ["0 µs", "999 µs", "1.0 ms", "2.5 ms", "99 ms", "9.9 s", "31 s", "1 min"];
        assert_eq!(latencies, wanted);
        let sizes = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777215.9 TiB"]);
        let numbers = [0, 999, 1000, 1_234_567].map(|n| number(n).replace('\u{202f}', " "));
        assert_eq!(numbers, ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn right_to_left_override_and_control_characters_are_shown_as_escapes() {
        let html = foreign("a\u{202e}b\0<c>\n").into_string();
        assert_eq!(
            html,
            "a<span class=\"escape\">\\u{202e}</span>b<span class=\"escape\">\\u{0}</span>&lt;c&gt;\n"
        );
    }
}
