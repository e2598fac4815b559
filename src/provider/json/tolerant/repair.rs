//! Repairs almost valid JSON.

use std::{borrow::Cow, ops::Range};

use super::{LONGEST_PATH, MOST_LISTED, Tolerated, short};
use crate::provider::json::json_path;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Numbers of Python and JavaScript that JSON does not have.
const NOT_NUMBERS: [(&[u8], &str); 3] =
    [(b"NaN", "NaN"), (b"Infinity", "Infinity"), (b"-Infinity", "-Infinity")];

/// A repaired text and the list of repairs.
pub(in crate::provider) struct Clean<'b> {
    pub(in crate::provider) text: Cow<'b, [u8]>,
    pub(in crate::provider) repairs: Vec<Tolerated>,
}

/// Removes a byte order mark (RFC 8259, section 8.1), and replaces `NaN` and `Infinity` with null, and lone surrogate
/// escapes with U+FFFD. Takes one pass; a body without these is not copied.
pub(in crate::provider) fn clean(body: &[u8]) -> Clean<'_> {
    let mut cleaner = Cleaner::new(body);
    while let Some(byte) = body.get(cleaner.at) {
        cleaner.step(*byte);
    }
    cleaner.end()
}

/// An array or object that is open at the current position.
enum Open {
    /// An array, and the index of the current element.
    List(usize),
    /// An object, and the range of the current member's name, without quotes.
    Object { name: Range<usize>, before_colon: bool },
}

struct Cleaner<'b> {
    body: &'b [u8],
    at: usize,
    open: Vec<Open>,
    /// The output for the input up to `copied`.
    written: Vec<u8>,
    copied: usize,
    repairs: Vec<Tolerated>,
}

impl<'b> Cleaner<'b> {
    fn new(body: &'b [u8]) -> Self {
        let mut cleaner =
            Self { body, at: 0, open: vec![], written: vec![], copied: 0, repairs: vec![] };
        if body.starts_with(BYTE_ORDER_MARK) {
            cleaner.replace(BYTE_ORDER_MARK.len(), b"", "JSON", "a byte order mark");
        }
        cleaner
    }

    fn end(mut self) -> Clean<'b> {
        let rest = self.body.get(self.copied..).unwrap_or_default();
        let text = if self.copied == 0 {
            Cow::Borrowed(rest)
        } else {
            self.written.extend_from_slice(rest);
            Cow::Owned(self.written)
        };
        Clean { text, repairs: self.repairs }
    }

    fn step(&mut self, byte: u8) {
        match byte {
            b'"' => return self.string(),
            b'N' | b'I' | b'-' => return self.not_a_number(),
            b'[' => self.open.push(Open::List(0)),
            b'{' => self.open.push(Open::Object { name: 0..0, before_colon: true }),
            b']' | b'}' => drop(self.open.pop()),
            b',' => match self.open.last_mut() {
                Some(Open::List(index)) => *index += 1,
                Some(Open::Object { before_colon, .. }) => *before_colon = true,
                None => {}
            },
            b':' => {
                if let Some(Open::Object { before_colon, .. }) = self.open.last_mut() {
                    *before_colon = false;
                }
            }
            _ => {}
        }
        self.at += 1;
    }

    fn not_a_number(&mut self) {
        let rest = self.body.get(self.at..).unwrap_or_default();
        match NOT_NUMBERS.iter().find(|(text, _)| rest.starts_with(text)) {
            Some((text, found)) => self.replace(text.len(), b"null", "a number", found),
            None => self.at += 1,
        }
    }

    /// Skips a string, and repairs its escapes.
    fn string(&mut self) {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.escape(),
                _ => self.at += 1,
            }
        }
        if let Some(Open::Object { name, before_colon: true }) = self.open.last_mut() {
            *name = start..self.at;
        }
        self.at += 1;
    }

    fn escape(&mut self) {
        const ESCAPE: usize = r"\u0000".len();
        match (self.code_unit(self.at), self.code_unit(self.at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => self.at += 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                self.replace(ESCAPE, br"\ufffd", "a character", "half of a surrogate pair");
            }
            // The escaped character can be a quote or a backslash.
            _ => self.at += 2,
        }
    }

    /// Returns the escaped code unit at a position.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.body.get(at..at + 6)?.strip_prefix(br"\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
    }

    fn replace(&mut self, length: usize, by: &[u8], expected: &str, found: &'static str) {
        self.written.extend_from_slice(self.body.get(self.copied..self.at).unwrap_or_default());
        self.written.extend_from_slice(by);
        self.at += length;
        self.copied = self.at;
        if self.repairs.len() < MOST_LISTED {
            let (path, expected) = (self.path(), expected.to_owned());
            self.repairs.push(Tolerated { path, expected, found });
        }
    }

    fn path(&self) -> String {
        let mut path = json_path::ROOT.to_owned();
        for open in &self.open {
            if path.len() > LONGEST_PATH {
                break;
            }
            match open {
                Open::List(index) => json_path::push_index(&mut path, *index),
                Open::Object { name, .. } => {
                    let name = self.body.get(name.clone()).unwrap_or_default();
                    json_path::push_name(&mut path, &String::from_utf8_lossy(name));
                }
            }
        }
        short(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(body: &str) -> (String, Vec<String>) {
        let clean = clean(body.as_bytes());
        let text = String::from_utf8(clean.text.into_owned()).unwrap();
        (text, clean.repairs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn valid_json_is_not_copied() {
        for body in [r#"{"a": [1, "NaN \ud83d\ude00 \\ud83d \"", -1, null]}"#, "", "-", "\"\\", "N"]
        {
            let clean = clean(body.as_bytes());
            assert!(matches!(clean.text, Cow::Borrowed(text) if text == body.as_bytes()), "{body}");
            assert!(clean.repairs.is_empty());
        }
    }

    #[test]
    fn byte_order_mark_nan_and_infinity_are_repaired_with_their_paths() {
        let (text, repairs) = cleaned(
            "\u{feff}{\"a\": [1, NaN, {\"b\": -Infinity}], \"c d\":Infinity, \"e\": \"NaN\"}",
        );
        assert_eq!(text, r#"{"a": [1, null, {"b": null}], "c d":null, "e": "NaN"}"#);
        assert_eq!(
            repairs,
            [
                "$: expected JSON, found a byte order mark",
                "$.a[1]: expected a number, found NaN",
                "$.a[2].b: expected a number, found -Infinity",
                "$['c d']: expected a number, found Infinity",
            ]
        );
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_kept() {
        let (text, repairs) =
            cleaned(r#"["\ud83d", "\ud83d\ude00", "\ude00\ud83d", "\\ud83d", "\ud83d\n"]"#);
        assert_eq!(text, r#"["\ufffd", "\ud83d\ude00", "\ufffd\ufffd", "\\ud83d", "\ufffd\n"]"#);
        assert_eq!(repairs[0], "$[0]: expected a character, found half of a surrogate pair");
        let read: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(read[2], "\u{fffd}\u{fffd}");
    }

    #[test]
    fn the_list_of_repairs_and_their_paths_are_bounded() {
        let name = "n".repeat(1000);
        let body = format!("{{\"{name}\": [{}]}}", "NaN,".repeat(1000));
        let clean = clean(body.as_bytes());
        assert_eq!(clean.repairs.len(), MOST_LISTED);
        assert_eq!(clean.repairs[0].path().len(), LONGEST_PATH);
    }
}
