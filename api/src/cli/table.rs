//! Tables for people: one style for all of them.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

/// A table with these headings. Columns named in `right` are aligned at their right, as numbers are.
pub(super) fn table(headings: &[&str], right: &[usize]) -> Table {
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
