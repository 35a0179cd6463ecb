//! Commands that ask a running server for invoices.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use slapledger_core::domain::invoice::RunPeriod;

use super::print::say;
use super::server::Server;
use super::table::{TextTable, labelled, table};

/// A path of these parts, each percent-encoded.
pub fn path(parts: &[&str]) -> String {
    let encoded = parts
        .iter()
        .flat_map(|part| std::iter::once("/").chain(form_urlencoded::byte_serialize(part.as_bytes())));
    // A space is a plus in forms alone.
    encoded.collect::<String>().replace('+', "%20")
}

pub fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}

pub fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

pub fn print_json(answer: &Value) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

/// What a list of invoices is filtered by.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceFilter<'a> {
    pub payer: Option<&'a str>,
    pub state: Option<&'a str>,
    pub period: Option<&'a str>,
}

pub fn list_invoices(server: &Server, filter: InvoiceFilter<'_>, json: bool) -> anyhow::Result<()> {
    let InvoiceFilter { payer, state, period } = filter;
    let items = server.list("/v1/invoices", &[("payer", payer), ("state", state), ("period", period)])?;
    if json {
        say!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    invoice_table(&items).print();
    Ok(())
}

/// The state that people ask for: of an invoice that is final, what became of it; of a draft, what was decided of it.
fn state_of(invoice: &Value) -> &str {
    if invoice["state"] == "draft"
        && let Some(decision) = invoice["review"]["decision"].as_str()
    {
        return decision;
    }
    invoice["balance_state"].as_str().unwrap_or_else(|| text_of(&invoice["state"]))
}

fn is_zero(amount: &str) -> bool {
    amount.chars().all(|digit| matches!(digit, '0' | '.'))
}

/// Invoices as the list route gives them, a row each. Amounts of credit notes are below zero.
pub fn invoice_table(items: &[Value]) -> TextTable {
    let headings =
        ["invoice", "state", "buyer", "period", "lines", "net", "tax", "total", "due", "|currency", "about"];
    let mut list = table(&headings, &[4, 5, 6, 7, 8]);
    for invoice in items {
        let buyer = invoice["buyer"]["name"].as_str().or(invoice["buyer"]["party"].as_str());
        let lines = invoice["lines"].as_array().map_or(0, Vec::len);
        let note = invoice["document"] == "credit_note";
        let signed = |amount: &Value| match text_of(amount) {
            zero if is_zero(zero) => zero.to_owned(),
            amount if note => {
                amount.strip_prefix('-').map_or_else(|| format!("-{amount}"), ToOwned::to_owned)
            }
            amount => amount.to_owned(),
        };
        let tax = invoice["tax"].as_array().into_iter().flatten().map(|tax| signed(&tax["amount"]));
        list.add_row([
            text_of(&invoice["id"]).to_owned(),
            state_of(invoice).to_owned(),
            buyer.unwrap_or("").to_owned(),
            period_of(invoice),
            lines.to_string(),
            signed(&invoice["net"]),
            tax.collect::<Vec<_>>().join(" + "),
            signed(&invoice["total"]),
            signed(&invoice["due"]),
            text_of(&invoice["currency"]).to_owned(),
            text_of(&invoice["cites"]["invoice"]).to_owned(),
        ]);
    }
    list
}

/// `2026-10-01/2026-11-01`, or with the times, if it is not about whole days where the buyer is.
fn period_of(invoice: &Value) -> String {
    // A master of an earlier version does not say what it is there.
    if let Some(local) = invoice["local_period"].as_str() {
        return local.to_owned();
    }
    let period = &invoice["period"];
    let bounds = [text_of(&period["start"]), text_of(&period["stop"])];
    let days = bounds.map(|bound| bound.strip_suffix("T00:00:00Z"));
    match days {
        [Some(start), Some(stop)] => format!("{start}/{stop}"),
        _ => bounds.join("/"),
    }
}

/// What one costs; where that depends on how much it is, the steps: `1000 x 0.01 + 500 x 0.005 + 1`.
fn price_of(line: &Value) -> String {
    let Some(price) = line["unit_price"].as_str() else {
        let step = |step: &Value| {
            let priced = format!("{} x {}", text_of(&step["quantity"]), text_of(&step["price"]));
            let flat = text_of(&step["flat"]);
            if flat == "0" { priced } else { format!("{priced} + {flat}") }
        };
        let steps: Vec<String> = line["steps"].as_array().into_iter().flatten().map(step).collect();
        return steps.join(" + ");
    };
    price.to_owned()
}

pub fn show_invoice(server: &Server, id: &str, json: bool) -> anyhow::Result<()> {
    let invoice = server.get(&path(&["v1", "invoices", id]), &[])?;
    if json {
        say!("{}", serde_json::to_string_pretty(&invoice)?);
        return Ok(());
    }
    for line in head_lines(&invoice) {
        say!("{line}");
    }
    line_table(&invoice).print();
    for line in sum_lines(&invoice) {
        say!("{line}");
    }
    Ok(())
}

/// What stands above the lines of an invoice.
fn head_lines(invoice: &Value) -> Vec<String> {
    let name = |party: &Value| party["name"].as_str().or(party["party"].as_str()).unwrap_or("").to_owned();
    let what = if invoice["document"] == "credit_note" { "credit note, " } else { "" };
    let mut head = vec![labelled("", &format!("{}  {what}{}", text_of(&invoice["id"]), state_of(invoice)))];
    if let Some(about) = invoice["cites"]["invoice"].as_str() {
        head.push(labelled("about   ", &format!("{about}: {}", text_of(&invoice["cites"]["reason"]))));
    }
    head.push(labelled("from    ", &name(&invoice["seller"])));
    head.push(labelled("to      ", &name(&invoice["buyer"])));
    head.push(labelled("period  ", &period_of(invoice).replacen('/', " to ", 1)));
    if let Some(decision) = invoice["review"]["decision"].as_str() {
        let [reason, by, at] = ["reason", "by", "at"].map(|name| text_of(&invoice["review"][name]));
        head.push(labelled("review  ", &format!("{decision} by {by} at {at}: {reason}")));
    }
    if let (Some(issued), Some(due)) = (invoice["issued_at"].as_str(), invoice["due_at"].as_str()) {
        head.push(format!("issued  {issued}, due {due}"));
    }
    head
}

/// The lines of an invoice, no wider than a page.
fn line_table(invoice: &Value) -> TextTable {
    let headings = ["|line", "what", "quantity", "unit", "price", "amount", "events"];
    let mut lines = table(&headings, &[0, 2, 4, 5, 6]).fitted();
    for line in invoice["lines"].as_array().into_iter().flatten() {
        lines.add_row([
            line["n"].to_string(),
            text_of(&line["description"]).to_owned(),
            text_of(&line["quantity"]).to_owned(),
            text_of(&line["unit"]).to_owned(),
            price_of(line),
            text_of(&line["amount"]).to_owned(),
            line["events"]["count"].to_string(),
        ]);
    }
    lines
}

/// What stands below them.
fn sum_lines(invoice: &Value) -> Vec<String> {
    let sum = |label: &str, value: &Value| {
        format!("{label:<8} {:>14} {}", text_of(value), text_of(&invoice["currency"]))
    };
    let mut sums = Vec::new();
    let trees = invoice["subtotals"].as_array().map_or(&[][..], Vec::as_slice);
    // One tree is all of the net.
    if trees.len() > 1 {
        for tree in trees {
            let name =
                tree["reference"].as_str().map_or_else(String::new, |reference| format!("  {reference}"));
            let of = tree["tree"].as_str().unwrap_or("all instances");
            let amount = format!("{:>14} {}", text_of(&tree["net"]), text_of(&invoice["currency"]));
            sums.push(labelled(&format!("subtotal {amount}  "), &format!("{of}{name}")));
        }
    }
    sums.push(sum("net", &invoice["net"]));
    for tax in invoice["tax"].as_array().into_iter().flatten() {
        let within = if invoice["price_tax"] == "inclusive" { " in prices" } else { "" };
        let label = format!("tax {} {}%{within}", text_of(&tax["category"]), text_of(&tax["rate"]));
        sums.push(sum(&label, &tax["amount"]));
    }
    sums.extend([sum("rounding", &invoice["rounding"]), sum("total", &invoice["total"])]);
    for paid in invoice["prepaid"].as_array().into_iter().flatten() {
        sums.push(sum(text_of(&paid["credit"]), &paid["amount"]));
    }
    if let Some(credited) = invoice.get("credited").filter(|credited| !is_zero(text_of(credited))) {
        sums.push(sum("credited", credited));
    }
    sums.push(sum("due", &invoice["due"]));
    for note in invoice["credit_notes"].as_array().into_iter().flatten() {
        sums.push(labelled("see     ", text_of(note)));
    }
    sums
}

/// What is asked of a run.
pub fn run_of(
    (period, payers): (Option<&str>, &[String]),
    price_book: Option<&str>,
    (grace_hours, finalise): (u32, bool),
) -> anyhow::Result<Value> {
    // Before anything is sent: the text of the error is that of the server.
    let rule = period.map_or(Ok(()), |period| period.parse::<RunPeriod>().map(drop));
    rule.map_err(|rule| anyhow::anyhow!("period {rule}"))?;
    let mut body = json!({"price_book": price_book, "grace_hours": grace_hours, "finalise": finalise});
    if let Some(period) = period {
        body["period"] = json!(period);
    }
    if !payers.is_empty() {
        body["payers"] = json!(payers);
    }
    Ok(body)
}

pub fn run_invoices(server: &Server, body: &Value, json: bool) -> anyhow::Result<()> {
    let run = server.post_json("/v1/invoice-runs", body)?;
    if json {
        say!("{}", serde_json::to_string_pretty(&run)?);
    } else {
        print_run(&run);
    }
    Ok(())
}

/// The most warnings of a group that are printed.
const MOST_OF_A_GROUP: usize = 10;

/// Warnings by what they warn of, the most important first, each group with what to do.
pub fn print_warnings(warnings: &[Value]) {
    for line in warning_lines(warnings) {
        say!("{line}");
    }
}

fn warning_lines(warnings: &[Value]) -> Vec<String> {
    // The server has the most important first; a group stands where its first warning stands.
    let mut groups: Vec<(&str, Vec<&Value>)> = Vec::new();
    for warning in warnings {
        let kind = text_of(&warning["type"]);
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, group)) => group.push(warning),
            None => groups.push((kind, vec![warning])),
        }
    }
    let mut lines = Vec::new();
    for (kind, group) in groups {
        let why = match text_of(&group[0]["importance"]) {
            "blocks" => "documents cannot become final",
            "not_charged" => "usage or time is not charged",
            _ => "something may be missing",
        };
        lines.push(format!("warning: {} ({}): {why}", kind.replace('_', " "), group.len()));
        for warning in group.iter().take(MOST_OF_A_GROUP) {
            lines.push(labelled("  - ", text_of(&warning["message"])));
        }
        if let Some(more) = group.len().checked_sub(MOST_OF_A_GROUP).filter(|more| *more > 0) {
            lines.push(format!("  - and {more} more; --json lists all"));
        }
        let remedy = text_of(&group[0]["remedy"]);
        if !remedy.is_empty() {
            lines.push(labelled("  what to do: ", remedy));
        }
    }
    lines
}

/// A run as its routes show it.
pub fn print_run(run: &Value) {
    say!("{} is {}, cut off at sequence {}", text_of(&run["id"]), text_of(&run["state"]), run["cut_off"]);
    let payers: Vec<&str> = run["payers"].as_array().into_iter().flatten().map(text_of).collect();
    if !payers.is_empty() {
        say!("{}", labelled("payers  ", &payers.join(", ")));
    }
    if run["reason"] == "threshold" {
        say!("reason  the charges of the customer reached the threshold of the price book");
    }
    if let (Some(until), "draft") = (run["grace_until"].as_str(), text_of(&run["state"])) {
        let itself = if run["finalise"] == true { ", then final by itself" } else { "" };
        say!("to be looked at until {until}{itself}");
    }
    print_warnings(run["warnings"].as_array().map_or(&[][..], Vec::as_slice));
    for invoice in run["invoices"].as_array().into_iter().flatten() {
        say!("{}", text_of(invoice));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_with_long_titles_fits_a_page() {
        let long = |word: &str| word.repeat(200);
        let line = json!({"n": 1, "description": format!("{} on COMP-1: {}", long("title "), long("x")), "unit": "percent_hour",
            "quantity": "123456789012345.123456789", "unit_price": null, "amount": "1234567890.12", "events": {"count": 123_456},
            "steps": [{"quantity": "1000000", "price": "0.000000001", "flat": "1"}, {"quantity": "5", "price": "0.5", "flat": "0"}]});
        let invoice = json!({
            "id": "INV-2026-000001", "state": "draft", "document": "credit_note", "currency": "EUR",
            "cites": {"invoice": "INV-2026-000002", "reason": long("why ")},
            "seller": {"name": long("seller ")}, "buyer": {"name": long("漢字")}, "lines": [line],
            "local_period": "2026-10-01T12:00:00+02:00/2026-11-01T00:00:00+01:00",
            "review": {"decision": "held", "reason": long("because "), "by": long("b"), "at": "2026-11-02T00:00:00Z"},
            "subtotals": [{"tree": "SOFTINST-1", "reference": long("reference "), "net": "1234567890.12"}, {"net": "0.00"}],
            "net": "1234567890.12", "tax": [{"category": "AE", "rate": "20", "amount": "0.00"}], "rounding": "0.00",
            "total": "1234567890.12", "due": "1234567890.12", "credited": "1.00", "credit_notes": [long("N")],
        });
        let mut all = head_lines(&invoice);
        all.push(line_table(&invoice).to_string());
        all.extend(sum_lines(&invoice));
        let width = |line: &str| unicode_width::UnicodeWidthStr::width(line);
        let widest = all.iter().flat_map(|text| text.lines()).max_by_key(|line| width(line)).expect("lines");
        assert!(width(widest) <= 100, "{}: {widest}", width(widest));
        let text: String = all.join("\n").split_whitespace().collect();
        assert!(text.contains("1234567890.12"), "{text}");
    }

    #[test]
    fn warnings_are_grouped_with_what_to_do() {
        let of = |kind: &str, importance: &str, message: &str| json!({"type": kind, "importance": importance, "message": message, "remedy": format!("do {kind}")});
        let mut warnings = vec![of("missing_details", "blocks", "PARTY-2: no VAT id")];
        warnings.extend((0..12).map(|n| of("undeclared", "not_charged", &format!("SOFTINST-{n}: gpu"))));
        warnings.push(of("missing_details", "blocks", "PARTY-3: no VAT id"));
        let lines = warning_lines(&warnings);
        let expected = [
            "warning: missing details (2): documents cannot become final",
            "  - PARTY-2: no VAT id",
            "  - PARTY-3: no VAT id",
            "  what to do: do missing_details",
            "warning: undeclared (12): usage or time is not charged",
            "  - SOFTINST-0: gpu",
        ];
        assert_eq!(lines[..6], expected);
        assert_eq!(
            lines[lines.len() - 2..],
            ["  - and 2 more; --json lists all", "  what to do: do undeclared"]
        );
    }

    #[test]
    fn a_line_that_costs_differently_shows_its_steps() {
        let step = |quantity: &str, price: &str, flat: &str| json!({"quantity": quantity, "price": price, "flat": flat});
        let tiers =
            json!({"unit_price": null, "steps": [step("1000", "0.01", "0"), step("500", "0.005", "1")]});
        assert_eq!(price_of(&tiers), "1000 x 0.01 + 500 x 0.005 + 1");
        assert_eq!(price_of(&json!({"unit_price": "10.00", "steps": [step("3", "10.00", "0")]})), "10.00");
        assert_eq!(price_of(&json!({"unit_price": null})), "");
    }
}
