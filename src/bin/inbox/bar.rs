use std::io::{self, IsTerminal, Write};

/// Shows on a terminal how far it is.
pub(crate) struct Bar {
    unit: &'static str,
    shown: bool,
    percent: Option<u64>,
}

impl Bar {
    /// Of so many `unit`, such as `bytes`.
    pub(crate) fn of(unit: &'static str) -> Self {
        Self { unit, shown: io::stderr().is_terminal(), percent: None }
    }

    pub(crate) fn show(&mut self, done: u64, of: u64) {
        let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
        if self.shown && self.percent != Some(percent) {
            self.percent = Some(percent);
            let end = if percent == 100 { "\n" } else { "" };
            let filled = "#".repeat(usize::try_from(percent / 2).unwrap_or(0));
            // Where nothing can be shown, nothing is.
            let unit = self.unit;
            let _ = write!(io::stderr(), "\r[{filled:50}] {percent:3} % of {of} {unit}{end}");
        }
    }
}
