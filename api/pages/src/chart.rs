//! Charts as SVG: marks only. Labels are HTML beside it, so text never scales, and each chart stands with a table.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

/// The most marks of a chart.
pub(crate) const MOST_MARKS: usize = 400;

/// A bar: its label, and the values stacked in it, from below.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// What its title says, as plain text.
    pub(crate) title: String,
    /// Values, each with the class of its colour.
    pub(crate) parts: Vec<(&'static str, Decimal)>,
}

/// Bars of equal width, from zero. Returns the drawing, and the labels of its axis from above.
pub(crate) fn bars(bars: &[Bar], labelled_by: &str) -> (String, Vec<Decimal>) {
    let bars = &bars[..bars.len().min(MOST_MARKS)];
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, value)| *value).sum::<Decimal>();
    let most = bars.iter().map(sum).max().unwrap_or_default();
    let top = ceiling(most);
    let width = bars.len().max(1) * 10;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} 100\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{labelled_by}\" \
         shape-rendering=\"crispEdges\">"
    );
    for (at, class) in [("100", "axis"), ("66.67", "grid"), ("33.33", "grid"), ("0", "grid")] {
        let _ = write!(svg, "<line class=\"{class}\" x1=\"0\" x2=\"{width}\" y1=\"{at}\" y2=\"{at}\"/>");
    }
    for (at, bar) in bars.iter().enumerate() {
        let _ = write!(svg, "<g><title>{}</title>", crate::format::escape(&bar.title));
        let mut below = Decimal::ZERO;
        for (class, value) in &bar.parts {
            let share = |value: Decimal| {
                if top.is_zero() { Decimal::ZERO } else { value * Decimal::ONE_HUNDRED / top }
            };
            let height = share(*value).round_dp(2);
            below += height;
            if height.is_sign_positive() && !height.is_zero() {
                let (x, y) = (at * 10 + 1, Decimal::ONE_HUNDRED - below);
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x}.5\" y=\"{y}\" width=\"7\" height=\"{height}\"/>"
                );
            }
        }
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    let third = |n: u32| top * Decimal::from(n) / Decimal::from(3);
    (svg, [3, 2, 1, 0].map(|n| third(n).normalize()).to_vec())
}

/// A number of one digit that three divides, not below this one: 3, 6, 9, 12 or 15 times a power of ten.
fn ceiling(most: Decimal) -> Decimal {
    let mut unit = Decimal::ONE;
    while unit * Decimal::from(15) < most {
        let Some(next) = unit.checked_mul(Decimal::TEN) else { return most };
        unit = next;
    }
    while unit.scale() < 9 && !most.is_zero() && most * Decimal::TEN <= unit * Decimal::from(15) {
        unit /= Decimal::TEN;
    }
    let fits = |times: u32| Some(unit * Decimal::from(times)).filter(|top| *top >= most);
    [3, 6, 9, 12, 15].into_iter().find_map(fits).unwrap_or(most)
}

/// Cells in a row, of which the first are filled.
pub(crate) fn cells(filled: usize, all: usize) -> String {
    let width = (all * 16).saturating_sub(2);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\" \
         shape-rendering=\"crispEdges\">"
    );
    for at in 0..all {
        let class = if at < filled { "b-hi" } else { "b2" };
        let _ = write!(svg, "<rect class=\"{class}\" x=\"{}\" width=\"14\" height=\"10\"/>", at * 16);
    }
    svg.push_str("</svg>");
    svg
}

/// A bar of a share, in a hundred.
pub(crate) fn share(part: Decimal, whole: Decimal) -> String {
    let of = if whole.is_zero() { Decimal::ZERO } else { part * Decimal::ONE_HUNDRED / whole };
    let width = of.round().to_i64().unwrap_or(0).clamp(0, 100);
    format!(
        "<svg class=\"share\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"b\" width=\"{width}\" height=\"8\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_that_three_divides() {
        let top = |text: &str| ceiling(text.parse().expect("a decimal")).normalize().to_string();
        assert_eq!(
            ["0", "1", "1102.3", "0.07", "12.15", "9", "1600"].map(top),
            ["3", "1.2", "1200", "0.09", "15", "9", "3000"]
        );
    }

    #[test]
    fn titles_are_escaped_and_zero_has_no_mark() {
        let bar = |title: &str, value: u32| Bar { title: title.to_owned(), parts: vec![("b", value.into())] };
        let (svg, labels) = bars(&[bar("<b>", 3), bar("none", 0)], "c1");
        assert!(svg.contains("&lt;b&gt;") && svg.matches("<rect").count() == 1, "{svg}");
        assert_eq!(labels.len(), 4);
    }
}
