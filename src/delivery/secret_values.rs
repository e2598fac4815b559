//! Finds the secret values of a request in a text, literally or percent-encoded.

use std::{borrow::Cow, ops::Range};

use memchr::memmem;
use zeroize::Zeroizing;

/// The placeholder for a secret.
pub(super) const REDACTED: &str = "REDACTED";

/// The maximum number of distinct values that are searched. A request with more is treated as if all of it were secret.
const MAX_VALUES: usize = 16;

/// The maximum number of percent-decodings: a URL in a parameter of a URL is encoded twice.
const MAX_DECODINGS: usize = 3;

/// Values of at least this many bytes are replaced wherever they occur; shorter ones only between separators.
pub(super) const LONG: usize = 8;

/// Values of fewer bytes are replaced only as the value of a parameter: `7` occurs everywhere.
const SHORT: usize = 4;

/// The secret values of a request.
#[derive(Default)]
pub(super) struct SecretValues {
    values: Vec<Zeroizing<Vec<u8>>>,
    too_many: bool,
}

impl SecretValues {
    /// Adds a decoded value. Placeholders are not secrets.
    pub(super) fn add(&mut self, value: &[u8]) {
        if value.is_empty() || value == REDACTED.as_bytes() {
            return;
        }
        if self.values.iter().any(|known| known.as_slice() == value) {
            return;
        }
        if self.values.len() == MAX_VALUES {
            self.too_many = true;
            return;
        }
        self.values.push(Zeroizing::new(value.to_vec()));
    }

    /// Returns true if there are more values than are searched.
    pub(super) fn too_many(&self) -> bool {
        self.too_many
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of at least [`LONG`] bytes.
    pub(super) fn long(&self) -> Self {
        let values = self.values.iter().filter(|value| value.len() >= LONG).cloned().collect();
        Self { values, too_many: self.too_many }
    }
}

/// Returns `text` with a placeholder for each of `values`, and for the value of each parameter whose name `hides`
/// accepts; None if nothing is replaced. A parameter ends at one of `ends`.
///
/// The work is linear in the length of `text`.
pub(super) fn redact(
    text: &[u8],
    values: &SecretValues,
    hides: impl Fn(&[u8]) -> bool,
    ends: &[u8],
) -> Option<Vec<u8>> {
    let mut ranges = Vec::new();
    let mut decoded = Some(Decoded::of(text));
    for _ in 0..=MAX_DECODINGS {
        let Some(view) = decoded else { break };
        for value in &values.values {
            view.find_value(value, &mut ranges);
        }
        view.find_parameters(&hides, ends, &mut ranges);
        decoded = view.decode();
    }
    (!ranges.is_empty()).then(|| replace(text, ranges))
}

/// A text after a number of decodings, with the place in the original where each byte ends.
struct Decoded<'t> {
    bytes: Cow<'t, [u8]>,
    /// None for the original.
    ends: Option<Vec<usize>>,
}

impl<'t> Decoded<'t> {
    fn of(text: &'t [u8]) -> Self {
        Self { bytes: Cow::Borrowed(text), ends: None }
    }

    /// Decodes each `%` with two hexadecimal digits; None if there are none.
    fn decode(self) -> Option<Self> {
        memchr::memchr(b'%', &self.bytes)?;
        let (mut bytes, mut ends) = (Vec::with_capacity(self.bytes.len()), Vec::new());
        let mut rest = &*self.bytes;
        while let Some((first, others)) = rest.split_first() {
            let (byte, behind) = escaped(rest).unwrap_or((*first, others));
            rest = behind;
            bytes.push(byte);
            ends.push(self.end_of(self.bytes.len() - rest.len()));
        }
        let is_changed = bytes.len() < self.bytes.len();
        is_changed.then_some(Self { bytes: Cow::Owned(bytes), ends: Some(ends) })
    }

    /// The place in the original behind the first `length` bytes.
    fn end_of(&self, length: usize) -> usize {
        match (&self.ends, length.checked_sub(1)) {
            (Some(ends), Some(last)) => ends.get(last).copied().unwrap_or(length),
            _ => length,
        }
    }

    fn original(&self, range: Range<usize>) -> Range<usize> {
        self.end_of(range.start)..self.end_of(range.end)
    }

    fn find_value(&self, value: &[u8], ranges: &mut Vec<Range<usize>>) {
        // In a query, a space is written as `+`.
        let in_query: Vec<_> =
            value.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
        let in_query = Zeroizing::new(in_query);
        let others = (in_query.as_slice() != value).then_some(in_query.as_slice());
        for needle in std::iter::once(value).chain(others) {
            for start in memmem::find_iter(&self.bytes, needle) {
                let found = start..start + needle.len();
                if self.is_whole(&found) {
                    ranges.push(self.original(found));
                }
            }
        }
    }

    /// Returns true if a match of this length and with these neighbours is not a coincidence.
    fn is_whole(&self, found: &Range<usize>) -> bool {
        let before = found.start.checked_sub(1).and_then(|before| self.bytes.get(before));
        let is_apart = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        match found.len() {
            LONG.. => true,
            SHORT..LONG => is_apart(before) && is_apart(self.bytes.get(found.end)),
            _ => before == Some(&b'=') && is_apart(self.bytes.get(found.end)),
        }
    }

    fn find_parameters(
        &self,
        hides: impl Fn(&[u8]) -> bool,
        ends: &[u8],
        ranges: &mut Vec<Range<usize>>,
    ) {
        let mut start = 0;
        for part in self.bytes.split_inclusive(|byte| is_start(*byte) || ends.contains(byte)) {
            let equals = memchr::memchr(b'=', part);
            if let Some((name, equals)) = equals.and_then(|at| Some((part.get(..at)?, at)))
                && hides(name)
            {
                let start = start + equals + 1;
                let rest = self.bytes.get(start..).unwrap_or_default();
                let length = rest.iter().position(|byte| ends.contains(byte));
                let end = start + length.unwrap_or(rest.len());
                if start < end {
                    ranges.push(self.original(start..end));
                }
            }
            start += part.len();
        }
    }
}

/// Returns true for a byte that precedes the name of a parameter.
fn is_start(byte: u8) -> bool {
    matches!(byte, b'?' | b'&' | b';' | b',')
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = text.strip_prefix(b"%")?.split_at_checked(2)?;
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some((byte[0], behind))
}

fn replace(text: &[u8], mut ranges: Vec<Range<usize>>) -> Vec<u8> {
    ranges.sort_by_key(|range| range.start);
    let (mut replaced, mut done) = (Vec::with_capacity(text.len()), 0);
    for range in ranges {
        // Overlapping ranges become one placeholder.
        if range.start >= done {
            replaced.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            replaced.extend_from_slice(REDACTED.as_bytes());
        }
        done = done.max(range.end);
    }
    replaced.extend_from_slice(text.get(done..).unwrap_or_default());
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, values: &[&str]) -> String {
        let mut secrets = SecretValues::default();
        for value in values {
            secrets.add(value.as_bytes());
        }
        let hides = |name: &[u8]| name == b"ticket";
        let redacted = redact(text.as_bytes(), &secrets, hides, b"&#");
        redacted.map_or_else(|| text.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn value_is_found_as_it_is_and_percent_encoded_up_to_three_times() {
        let secret = "pa ss/wörd";
        for text in [
            "pa ss/wörd",
            "pa+ss/wörd",
            "pa%20ss%2Fw%C3%B6rd",
            "pa%20ss%2fw%c3%b6rd",
            "%70a%20ss%2Fw%C3%B6rd",
            "pa%2520ss%252Fw%25C3%25B6rd",
            "pa%252520ss%25252Fw%2525C3%2525B6rd",
        ] {
            assert_eq!(redacted(&format!("x?a={text}&b=1"), &[secret]), "x?a=REDACTED&b=1");
        }
        assert_eq!(redacted("pa%20ss%2Fw%C3%B6", &[secret]), "pa%20ss%2Fw%C3%B6");
    }

    #[test]
    fn short_values_are_found_only_between_separators() {
        assert_eq!(redacted("7 Nov, a=7&b=17&c=7x", &["7"]), "7 Nov, a=REDACTED&b=17&c=7x");
        assert_eq!(redacted("a%3D7%26b", &["7"]), "a%3DREDACTED%26b");
        assert_eq!(redacted("key hunter2; xhunter2", &["hunter2"]), "key REDACTED; xhunter2");
        assert_eq!(redacted("xhunter22", &["hunter22"]), "xREDACTED");
    }

    #[test]
    fn parameter_of_a_hidden_name_is_found_in_any_url() {
        assert_eq!(redacted("/a?ticket=x,y&b=1", &[]), "/a?ticket=REDACTED&b=1");
        assert_eq!(
            redacted("https://h/a?b=1&ticket=x#y", &[]),
            "https://h/a?b=1&ticket=REDACTED#y"
        );
        assert_eq!(redacted("u=%2Fa%3Fticket%3Dx%26b", &[]), "u=%2Fa%3Fticket%3DREDACTED%26b");
        assert_eq!(redacted("tickets=1&my-ticket=1", &[]), "tickets=1&my-ticket=1");
    }

    #[test]
    fn overlapping_values_become_one_placeholder() {
        assert_eq!(
            redacted("a=hunter2:hunter2hunter2", &["hunter2:hunter2", "hunter2hunter2"]),
            "a=REDACTED"
        );
        assert_eq!(redacted("a=b", &["", "REDACTED"]), "a=b");
    }

    #[test]
    fn more_values_than_are_searched_are_reported() {
        let mut values = SecretValues::default();
        for value in 0..MAX_VALUES {
            values.add(value.to_string().as_bytes());
        }
        values.add(b"0");
        assert!(!values.too_many());
        values.add(b"x");
        assert!(values.too_many());
    }
}
