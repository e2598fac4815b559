//! Standard input, output and error.

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    io::{self, ErrorKind, IsTerminal, Read, Write},
    path::Path,
    process::ExitCode,
};

use bytes::Bytes;

use crate::{CommandResult, escape::escape};

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

/// Writes one line.
pub(crate) fn line(text: &str) -> CommandResult {
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one line to standard error, with what is unsafe on a terminal escaped.
pub(crate) fn report(text: &str) {
    eprintln!("inbox: {}", escape(text));
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
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// `1 delivery`, `2 deliveries`.
pub(crate) fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

/// A progress bar, shown only on a terminal.
pub(crate) struct ProgressBar {
    unit: &'static str,
    is_shown: bool,
    percent: Option<u64>,
}

impl ProgressBar {
    /// A bar that counts `unit`, such as `bytes`.
    pub(crate) fn of(unit: &'static str) -> Self {
        Self { unit, is_shown: io::stderr().is_terminal(), percent: None }
    }

    pub(crate) fn show(&mut self, done: u64, of: u64) {
        let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
        if self.is_shown && self.percent != Some(percent) {
            self.percent = Some(percent);
            let end = if percent == 100 { "\n" } else { "" };
            let filled = "#".repeat(usize::try_from(percent / 2).unwrap_or(0));
            let unit = self.unit;
            // A terminal that cannot be written to does not stop the command.
            let _ = write!(io::stderr(), "\r[{filled:50}] {percent:3} % of {of} {unit}{end}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_one_is_singular() {
        assert_eq!([0, 1, 2].map(deliveries), ["0 deliveries", "1 delivery", "2 deliveries"]);
    }
}
