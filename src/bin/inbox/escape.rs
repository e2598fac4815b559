//! Text of senders on a terminal: control characters could move the cursor, change the title or hide what follows, and
//! bidirectional controls could reorder it.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use serde_json::Value;

/// One line of text. Control and bidirectional characters are written as `\u{9b}`.
pub(crate) fn escape(text: &str) -> String {
    text.chars().map(|char| if is_unsafe(char) { escaped(char) } else { char.into() }).collect()
}

/// The same for bytes that may not be UTF-8: others are written as `\x9b`.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    escape_except(bytes, "")
}

/// A JSON value, in which no character is unsafe on a terminal. Parses to the same value.
pub(crate) fn json_text(value: &Value) -> String {
    let mut safe = String::new();
    // Outside of strings, JSON is ASCII without control characters.
    for char in value.to_string().chars() {
        if is_unsafe(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(char);
        }
    }
    safe
}

/// Writes a body as it is, or, if standard output is a terminal, with unsafe characters escaped.
pub(crate) fn write_body(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    out.write_all(&body_for(body, io::stdout().is_terminal()))
}

fn body_for(body: &[u8], is_terminal: bool) -> Cow<'_, [u8]> {
    if is_terminal {
        Cow::Owned(escape_except(body, "\n\t").into_bytes())
    } else {
        Cow::Borrowed(body)
    }
}

fn escape_except(bytes: &[u8], kept: &str) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if is_unsafe(char) && !kept.contains(char) {
                text.push_str(&escaped(char));
            } else {
                text.push(char);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn escaped(char: char) -> String {
    char.escape_unicode().to_string()
}

/// Control characters (C0, DEL, C1), bidirectional controls, and separators of lines and paragraphs.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\u{7}\r\u{202e}\u{2066}\u{2028}\u{7f}ü";

    #[test]
    fn escape_sequences_c1_controls_and_bidi_overrides_are_escaped() {
        let expected = r"a\u{1b}[31m\u{9b}2J\u{7}\u{d}\u{202e}\u{2066}\u{2028}\u{7f}ü";
        assert_eq!(escape(HOSTILE), expected);
        assert_eq!(escape_bytes(HOSTILE.as_bytes()), expected);
        assert_eq!(escape_bytes(b"a\x9b2J\n\xff"), r"a\x9b2J\u{a}\xff");
    }

    #[test]
    fn json_is_escaped_and_parses_to_the_same_value() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "\u{1f600}", "\\u"] });
        let text = json_text(&value);
        assert!(!text.chars().any(is_unsafe), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn body_is_escaped_only_on_a_terminal() {
        let body = b"{\n\t\"a\": \"\x1b]0;title\x07\xc2\x9b\x9b\"}";
        assert_eq!(body_for(body, false), body.as_slice());
        let shown = b"{\n\t\"a\": \"\\u{1b}]0;title\\u{7}\\u{9b}\\x9b\"}";
        assert_eq!(body_for(body, true), shown.as_slice());
    }
}
