//! Standard input, output and error; failures; progress bars.

use std::{
    borrow::Cow,
    error::Error,
    ffi::OsStr,
    fmt::{self, Write as _},
    fs,
    io::{self, BufWriter, ErrorKind, IsTerminal, Read, Write},
    path::Path,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const BOLD: Style = Style::new().bold();

/// The exit code of a command that failed.
const FAILED: u8 = 2;

/// A failure with an exit code of its own, or with details on separate lines.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    details: Vec<String>,
    code: u8,
}

impl Failure {
    /// A failure because an argument is missing or invalid.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), details: Vec::new(), code: FAILED }
    }

    /// A failure because a delivery was not found. Exit status 1.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: 1, ..Self::usage(message) }
    }

    /// Prints these lines after the message.
    pub(crate) fn details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// Prints an error with its sources and details to standard error. Returns the exit code.
pub(crate) fn report(error: &(dyn Error + 'static)) -> ExitCode {
    labelled(RED, "error", &with_sources(error));
    let failure = error.downcast_ref::<Failure>();
    for detail in failure.into_iter().flat_map(|failure| &failure.details) {
        anstream::eprintln!("  {}", escape(detail));
    }
    ExitCode::from(failure.map_or(FAILED, |failure| failure.code))
}

/// Prints an error that does not end the command.
pub(crate) fn error(text: &str) {
    labelled(RED, "error", text);
}

/// Prints a warning to standard error.
pub(crate) fn warn(text: &str) {
    labelled(YELLOW, "warning", text);
}

/// Prints a remark to standard error.
pub(crate) fn note(text: &str) {
    labelled(BOLD, "note", text);
}

/// Prints the result of a command that changed or copied something to standard error.
pub(crate) fn result(text: &str) {
    anstream::eprintln!("{}", escape(text));
}

fn labelled(style: Style, label: &str, text: &str) {
    anstream::eprintln!("{style}{label}:{style:#} {}", escape(text));
}

/// Buffered standard output. Styles are removed unless it is a terminal.
pub(crate) fn stdout() -> BufWriter<anstream::Stdout> {
    BufWriter::new(anstream::stdout())
}

/// Writes one JSON value on a line.
pub(crate) fn json_line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", json_text(value))
}

/// Reads a file, or standard input if it is named `-`.
pub(crate) fn read(file: &OsStr) -> Result<Bytes, String> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let unreadable = |error| format!("cannot read {}: {error}", Path::new(file).display());
    bytes.map(Bytes::from).map_err(unreadable)
}

/// Exit status 0 if `success`, else 1.
pub(crate) fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns true if the reader of the output closed it, as `head` does.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    })
}

/// An error and its sources, on one line.
pub(crate) fn with_sources(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// `1 delivery`, `2 deliveries`.
pub(crate) fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

/// The templates of progress bars.
const BYTES: &str = "[{bar:40}] {percent:>3} % of {total_bytes}, {eta} left";
const DELIVERIES: &str = "[{bar:40}] {pos} of {len} deliveries, {eta} left";

/// The progress of a command, on standard error. Hidden unless that is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Counts bytes.
    pub(crate) fn of_bytes() -> Self {
        Self::with_template(BYTES)
    }

    /// Counts deliveries.
    pub(crate) fn of_deliveries() -> Self {
        Self::with_template(DELIVERIES)
    }

    fn with_template(template: &str) -> Self {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
    }

    pub(crate) fn show(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

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

    #[test]
    fn count_of_one_is_singular() {
        assert_eq!([0, 1, 2].map(deliveries), ["0 deliveries", "1 delivery", "2 deliveries"]);
    }

    #[test]
    fn progress_templates_are_valid() {
        for template in [BYTES, DELIVERIES] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

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
