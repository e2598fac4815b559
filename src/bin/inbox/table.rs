//! Tables with aligned columns.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table as Layout, Width, presets::NOTHING,
};

use crate::{console::BOLD, escape::escape};

/// The number of rows that are aligned together. A longer table is written in parts, so that memory is bounded.
const ROWS: usize = 1000;

/// Writes rows in aligned columns, below a header. Columns never become narrower from one part to the next.
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<([String; N], Style)>,
    widths: [u16; N],
    is_begun: bool,
}

impl<const N: usize> Table<N> {
    /// A table with this header. Columns named in [`RIGHT`] are aligned to the right.
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self { header, rows: Vec::new(), widths: [0; N], is_begun: false }
    }

    /// Adds a row, with characters that are unsafe on a terminal escaped. `style` applies to the last cell.
    pub(crate) fn row(
        &mut self,
        out: &mut impl Write,
        cells: [String; N],
        style: Style,
    ) -> io::Result<()> {
        self.rows.push((cells.map(|cell| escape(&cell)), style));
        if self.rows.len() < ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Writes the rows that were added, and flushes `out`.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut layout = Layout::new();
        layout.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.is_begun {
            layout.add_row(self.header);
        }
        layout.add_rows(self.rows.iter().map(|(cells, _)| cells));
        for ((column, width), name) in layout.column_iter_mut().zip(self.widths).zip(self.header) {
            column.set_padding((0, 2)).set_constraint(ColumnConstraint::LowerBoundary(
                // With the padding, which the constraint includes.
                Width::Fixed(if width == 0 { 0 } else { width.saturating_add(2) }),
            ));
            if RIGHT.contains(&name) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (known, now) in self.widths.iter_mut().zip(layout.column_max_content_widths()) {
            *known = (*known).max(now);
        }
        let mut lines = layout.lines();
        if !self.is_begun {
            let header = lines.next().unwrap_or_default();
            writeln!(out, "{BOLD}{}{BOLD:#}", header.trim_end())?;
            self.is_begun = true;
        }
        for (line, (cells, style)) in lines.zip(self.rows.drain(..)) {
            write_line(out, line.trim_end(), cells.last().map_or("", String::as_str), style)?;
        }
        out.flush()
    }
}

/// The columns with numbers.
const RIGHT: [&str; 2] = ["BYTES", "STATUS"];

fn write_line(out: &mut impl Write, line: &str, last: &str, style: Style) -> io::Result<()> {
    match line.strip_suffix(last.trim_end()) {
        Some(start) => writeln!(out, "{start}{style}{}{style:#}", last.trim_end()),
        None => writeln!(out, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::RED;

    #[test]
    fn columns_are_aligned_and_stay_at_least_as_wide() {
        let (mut table, mut out) = (Table::new(["ID", "BYTES", "STATE"]), Vec::new());
        let cells = |cells: [&str; 3]| cells.map(str::to_owned);
        table.row(&mut out, cells(["a long id", "1", "dead"]), RED).unwrap();
        table.row(&mut out, cells(["b", "12345678", "\u{1b}é"]), Style::new()).unwrap();
        table.flush(&mut out).unwrap();
        table.row(&mut out, cells(["c", "2", ""]), Style::new()).unwrap();
        table.flush(&mut out).unwrap();
        let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        let wanted = "\
ID            BYTES  STATE
a long id         1  dead
b          12345678  \\u{1b}é
c                 2
";
        assert_eq!(text, wanted);
        assert!(String::from_utf8(out).unwrap().contains("\u{1b}[31mdead\u{1b}[0m"));
    }
}
