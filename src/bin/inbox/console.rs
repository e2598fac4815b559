//! Standard input, output and error; failures; progress bars.

use std::{
    error::Error,
    ffi::OsStr,
    fmt, fs,
    io::{self, BufWriter, ErrorKind, Read, Write},
    path::Path,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::escape::{escape, json_text};

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
}
