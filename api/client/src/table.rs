//! Tables for people: one style for all of them.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

/// A table with these headings. Columns named in `right` are aligned at their right, as numbers are.
pub fn table(headings: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.remove_style(TableComponent::HorizontalLines);
    table.remove_style(TableComponent::MiddleIntersections);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
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
