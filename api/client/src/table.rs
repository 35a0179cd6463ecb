//! Tables: one style for all of them, and one renderer. With `--output csv` every table is CSV (RFC 4180) on standard
//! output, and whatever else a command says goes to standard error.

use std::fmt;
use std::io::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use unicode_width::UnicodeWidthStr;

use crate::print::{is_csv, shown};

/// How many columns of a terminal a document takes.
pub const PAGE_COLUMNS: u16 = 100;

/// Rows under headings.
pub struct TextTable {
    /// As CSV names the columns.
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    layout: Table,
}

/// A table with these headings. Columns named in `right` are aligned at their right, as numbers are. A heading that
/// begins with a bar is for CSV alone: its column speaks for itself.
pub fn table(headings: &[&str], right: &[usize]) -> TextTable {
    let mut layout = Table::new();
    layout.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    layout.remove_style(TableComponent::HorizontalLines);
    layout.remove_style(TableComponent::MiddleIntersections);
    layout.set_content_arrangement(ContentArrangement::Disabled);
    layout.set_header(headings.iter().map(|heading| if heading.starts_with('|') { "" } else { heading }));
    for &column in right {
        if let Some(column) = layout.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let names = headings.iter().map(|heading| heading.trim_start_matches('|').to_owned()).collect();
    TextTable { names, rows: Vec::new(), layout }
}

impl TextTable {
    /// Adds a row.
    pub fn add_row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        // Before it is laid out: an escape is wider than what it stands for.
        self.layout.add_row(cells.iter().map(|cell| shown(cell).into_owned()));
        self.rows.push(cells);
    }

    /// Wraps long cells, so that the table takes no more than [`PAGE_COLUMNS`].
    #[must_use]
    pub fn fitted(mut self) -> Self {
        self.layout.set_content_arrangement(ContentArrangement::Dynamic).set_width(PAGE_COLUMNS);
        self
    }

    /// Prints it in the form that the command line asks for.
    pub fn print(&self) {
        let text = if is_csv() { self.csv() } else { format!("{}\n", shown(&self.to_string())) };
        // Nobody has to read it.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// The rows as CSV, the names of the columns first.
    fn csv(&self) -> String {
        let mut text = String::new();
        for row in std::iter::once(&self.names).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout.fmt(f)
    }
}

/// A cell of CSV. Texts come from others: what a spreadsheet would take for a formula gets an apostrophe before it.
fn csv_cell(cell: &str) -> String {
    let is_number = cell.parse::<rust_decimal::Decimal>().is_ok();
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// A text after a label, wrapped at [`PAGE_COLUMNS`]: further lines begin below the first.
pub fn labelled(label: &str, text: &str) -> String {
    let text = shown(text);
    let (indent, width) = (label.width(), usize::from(PAGE_COLUMNS));
    let mut lines = vec![label.to_owned()];
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        for piece in pieces(word, width.saturating_sub(indent).max(1)) {
            let last = lines.last_mut().map_or(0, |line| line.width());
            let gap = usize::from(!is_fresh);
            if !is_fresh && last + gap + piece.width() > width {
                lines.push(" ".repeat(indent));
                is_fresh = true;
            }
            if let Some(line) = lines.last_mut() {
                if !is_fresh {
                    line.push(' ');
                }
                line.push_str(&piece);
            }
            is_fresh = false;
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// A word in pieces that each fit.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        let mut buffer = [0; 4];
        let c: &str = c.encode_utf8(&mut buffer);
        if pieces.last().is_some_and(|last| !last.is_empty() && last.width() + c.width() > width) {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut() {
            last.push_str(c);
        }
    }
    pieces
}

/// Names and values, a line each; of a value of several lines the others stand below the first.
pub fn pair_lines(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(40);
    let line = |(name, value): &(String, String)| {
        let value = value.trim_end().replace('\n', &format!("\n  {:width$}  ", ""));
        format!("  {name:width$}  {value}").trim_end().to_owned()
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_csv_with_a_name_for_each_column() {
        let mut table = table(&["customer", "|currency", "net"], &[2]);
        table.add_row(["Ada, Inc.", "EUR", "-1.50"]);
        table.add_row(["say \"hi\"\nthere", "EUR", "+2"]);
        table.add_row(["=1+1", "@x", "-sum(A1)"]);
        let expected = "customer,currency,net\r\n\"Ada, Inc.\",EUR,-1.50\r\n\"say \"\"hi\"\"\nthere\",EUR,+2\r\n\
            '=1+1,'@x,'-sum(A1)\r\n";
        assert_eq!(table.csv(), expected);
        let text = table.to_string();
        assert!(text.contains(" customer ") && !text.contains("currency"), "{text}");
    }

    #[test]
    fn a_fitted_table_takes_no_more_than_a_page() {
        let mut table = table(&["what", "amount"], &[1]).fitted();
        table.add_row(["word ".repeat(60), "10.00".to_owned()]);
        table.add_row(["x".repeat(300), "1234567.89".to_owned()]);
        table.add_row(["\u{202e}漢".repeat(90), "0.00".to_owned()]);
        let text = table.to_string();
        let widest = text.lines().map(UnicodeWidthStr::width).max();
        assert!(widest <= Some(100), "{widest:?}: {text}");
        assert!(text.contains("1234567.89"), "{text}");
    }

    #[test]
    fn a_label_is_followed_by_lines_that_fit() {
        assert_eq!(labelled("from    ", "Ada"), "from    Ada");
        assert_eq!(labelled("from    ", ""), "from");
        for text in ["word ".repeat(60), "x".repeat(300), "漢".repeat(150)] {
            let lines = labelled("from    ", &text);
            assert!(lines.lines().all(|line| line.width() <= 100), "{lines}");
            assert!(lines.lines().skip(1).all(|line| line.starts_with("        ")), "{lines}");
            let read: String = lines.trim_start_matches("from").split_whitespace().collect();
            assert_eq!(read, text.split_whitespace().collect::<String>());
        }
    }
}
