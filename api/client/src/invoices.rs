//! Commands that ask a running server, and the check of a price book, which needs none.

use std::path::Path;

use anyhow::Context;
use comfy_table::Table;
use serde_json::{Value, json};

use super::print::say;
use super::server::Server;
use super::table::table;

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

pub fn check_price_book(file: &Path) -> anyhow::Result<()> {
    let book = slapledger_billing::price_book::parse_toml(&read(file)?)
        .with_context(|| format!("check {}", file.display()))?;
    let (resources, rates) = (book.resources.len(), book.rates.len());
    say!("{} is a price book: {}, {resources} resources, {rates} rates", file.display(), book.name);
    Ok(())
}

pub fn print_price_book_schema() -> anyhow::Result<()> {
    say!("{}", slapledger_billing::price_book::SCHEMA.trim_end());
    Ok(())
}

pub fn publish_price_book(server: &Server, file: &Path) -> anyhow::Result<()> {
    let text = read(file)?;
    slapledger_billing::price_book::parse_toml(&text).with_context(|| format!("check {}", file.display()))?;
    let told = server.post("/v1/price-books", "application/toml", text.as_bytes())?;
    say!("published {} version {} as sequence {}", text_of(&told["name"]), told["version"], told["sequence"]);
    Ok(())
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
    say!("{}", invoice_table(&items));
    Ok(())
}

/// The state that people ask for: of an invoice that is final, what became of it.
fn state_of(invoice: &Value) -> &str {
    invoice["balance_state"].as_str().unwrap_or_else(|| text_of(&invoice["state"]))
}

fn is_zero(amount: &str) -> bool {
    amount.chars().all(|digit| matches!(digit, '0' | '.'))
}

/// Invoices as the list route gives them, a row each. Amounts of credit notes are below zero.
pub fn invoice_table(items: &[Value]) -> Table {
    let headings =
        ["invoice", "state", "buyer", "period", "lines", "net", "tax", "total", "due", "", "about"];
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
            period_of(&invoice["period"]),
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

/// `2026-10-01/2026-11-01`, or with the times, if it is not about whole days in UTC.
fn period_of(period: &Value) -> String {
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
    let name = |party: &Value| party["name"].as_str().or(party["party"].as_str()).unwrap_or("").to_owned();
    let what = if invoice["document"] == "credit_note" { "credit note, " } else { "" };
    say!("{}  {what}{}", text_of(&invoice["id"]), state_of(&invoice));
    if let Some(about) = invoice["cites"]["invoice"].as_str() {
        say!("about   {about}: {}", text_of(&invoice["cites"]["reason"]));
    }
    say!("from    {}", name(&invoice["seller"]));
    say!("to      {}", name(&invoice["buyer"]));
    say!("period  {} to {}", text_of(&invoice["period"]["start"]), text_of(&invoice["period"]["stop"]));
    if let (Some(issued), Some(due)) = (invoice["issued_at"].as_str(), invoice["due_at"].as_str()) {
        say!("issued  {issued}, due {due}");
    }
    let mut lines = table(&["", "what", "quantity", "unit", "price", "amount", "events"], &[0, 2, 4, 5, 6]);
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
    say!("{lines}");
    let sum = |label: &str, value: &Value| {
        say!("{label:<8} {:>14} {}", text_of(value), text_of(&invoice["currency"]));
    };
    sum("net", &invoice["net"]);
    for tax in invoice["tax"].as_array().into_iter().flatten() {
        sum(&format!("tax {} {}%", text_of(&tax["category"]), text_of(&tax["rate"])), &tax["amount"]);
    }
    sum("rounding", &invoice["rounding"]);
    sum("total", &invoice["total"]);
    for paid in invoice["prepaid"].as_array().into_iter().flatten() {
        sum(text_of(&paid["credit"]), &paid["amount"]);
    }
    if let Some(credited) = invoice.get("credited").filter(|credited| !is_zero(text_of(credited))) {
        sum("credited", credited);
    }
    sum("due", &invoice["due"]);
    for note in invoice["credit_notes"].as_array().into_iter().flatten() {
        say!("see     {}", text_of(note));
    }
    Ok(())
}

/// What is asked of a run.
pub fn run_of(
    period: &str,
    price_book: Option<&str>,
    (grace_hours, finalise): (u32, bool),
) -> anyhow::Result<Value> {
    let (start, stop) =
        period.split_once('/').context("period must be START/STOP, such as 2026-10-01/2026-11-01")?;
    let period = json!({"start": start, "stop": stop});
    Ok(json!({"period": period, "price_book": price_book, "grace_hours": grace_hours, "finalise": finalise}))
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

/// A run as its routes show it.
pub fn print_run(run: &Value) {
    say!("{} is {}, cut off at sequence {}", text_of(&run["id"]), text_of(&run["state"]), run["cut_off"]);
    if let (Some(until), "draft") = (run["grace_until"].as_str(), text_of(&run["state"])) {
        let itself = if run["finalise"] == true { ", then final by itself" } else { "" };
        say!("to be looked at until {until}{itself}");
    }
    for warning in run["warnings"].as_array().into_iter().flatten() {
        say!("warning: {}", text_of(&warning["message"]));
    }
    for invoice in run["invoices"].as_array().into_iter().flatten() {
        say!("{}", text_of(invoice));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
