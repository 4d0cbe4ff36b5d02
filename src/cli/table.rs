//! Text tables for a terminal.

use std::fmt::Write as _;

pub(super) use crate::preflight::shorten;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnAlign {
    Left,
    Right,
}

/// A table whose columns are as wide as their widest cell.
pub(super) struct TextTable<const N: usize> {
    header: [&'static str; N],
    align: [ColumnAlign; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// Makes a table without rows.
    pub(super) const fn new(header: [&'static str; N], align: [ColumnAlign; N]) -> Self {
        Self { header, align, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Returns the table as lines, each indented by two spaces.
    pub(super) fn render(&self) -> String {
        let header = self.header.map(str::to_owned);
        let mut widths = header.each_ref().map(|cell| width(cell));
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        let mut text = self.line(&header, &widths);
        let _ = writeln!(text, "  {}", widths.map(|width| "-".repeat(width)).join("  "));
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
        }
        text
    }

    fn line(&self, row: &[String; N], widths: &[usize; N]) -> String {
        let mut line = String::new();
        for ((cell, width_of_column), align) in row.iter().zip(widths).zip(self.align) {
            let padding = " ".repeat(width_of_column - width(cell));
            let _ = match align {
                ColumnAlign::Left => write!(line, "  {cell}{padding}"),
                ColumnAlign::Right => write!(line, "  {padding}{cell}"),
            };
        }
        format!("{}\n", line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(["model", "us"], [ColumnAlign::Left, ColumnAlign::Right]);
        table.push(["small".into(), "12345".into()]);
        table.push(["x".into(), "7".into()]);

        assert_eq!(table.render(), "  model     us\n  -----  -----\n  small  12345\n  x          7\n");
    }

    #[test]
    fn long_text_is_cut_on_one_line() {
        assert_eq!(shorten("a\nb  c", 10), "a b c");
        assert_eq!(shorten("abcdef", 4), "abc…");
    }
}
