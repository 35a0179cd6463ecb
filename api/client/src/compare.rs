//! `slapledger what-if`, `slapledger invoice preview` and `slapledger invoice diff`: what to look at before something is
//! published or made final.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use rust_decimal::Decimal;
use serde_json::Value;

use super::options::ReadSourceArgs;
use super::print::say;
use super::server::Server;
use super::table::table;
use crate::invoices::{path, print_json, print_warnings, read, text_of};

#[derive(Args)]
pub struct WhatIfArgs {
    /// Price book to try: a TOML file
    #[arg(long, value_name = "FILE")]
    price_book: PathBuf,
    /// A month (2026-10), or START/STOP (2026-10-01/2026-11-01)
    #[arg(long, value_name = "PERIOD")]
    period: String,
    /// Published price book to compare with. Default: the one with the same name
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Also print the difference by kind of line and resource
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks page by page, and adds the sums of the pages.
pub fn what_if(asked: &WhatIfArgs) -> anyhow::Result<()> {
    let text = read(&asked.price_book)?;
    slapledger_billing::price_book::parse_toml(&text)
        .with_context(|| format!("check {}", asked.price_book.display()))?;
    let server = asked.client.server()?;
    let mut whole: Option<Value> = None;
    let mut cursor: Option<String> = None;
    loop {
        let lines = asked.lines.then_some("true");
        let query = [
            ("period", Some(asked.period.as_str())),
            ("against", asked.against.as_deref()),
            ("lines", lines),
            ("cursor", cursor.as_deref()),
        ];
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(query.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let path = format!("/v1/what-if?{}", encoded.finish());
        let page = server.post(&path, "application/toml", text.as_bytes())?;
        cursor = page["next"].as_str().map(str::to_owned);
        whole = Some(match whole.take() {
            None => page,
            Some(before) => joined(before, page)?,
        });
        if cursor.is_none() {
            break;
        }
    }
    let Some(whole) = whole else { bail!("the server answered nothing") };
    if asked.json { print_json(&whole) } else { say_comparison(&whole) }
}

fn decimal(value: &Value) -> anyhow::Result<Decimal> {
    let text = text_of(value);
    text.parse().with_context(|| format!("read the amount {text:?}"))
}

fn joined(mut before: Value, mut page: Value) -> anyhow::Result<Value> {
    for side in ["now", "what_if", "difference"] {
        before[side] = (decimal(&before[side])? + decimal(&page[side])?).to_string().into();
    }
    for member in ["next", "sequence"] {
        before[member] = page[member].take();
    }
    if let (Some(items), Some(more)) = (before["items"].as_array_mut(), page["items"].as_array_mut()) {
        items.append(more);
    }
    Ok(before)
}

fn say_comparison(whole: &Value) -> anyhow::Result<()> {
    let [book, against, currency] = ["price_book", "against", "currency"].map(|name| text_of(&whole[name]));
    let [start, stop] = ["start", "stop"].map(|name| text_of(&whole["period"][name]));
    say!("{start}/{stop} by {book} instead of {against} as published, in {currency}, without tax");
    let mut shown = table(&["customer", "|of", "now", "what if", "difference", "%"], &[2, 3, 4, 5]);
    let mut row = |[first, second]: [&str; 2], sides: &Value| {
        let [now, what_if, difference] =
            ["now", "what_if", "difference"].map(|name| text_of(&sides[name]).to_owned());
        let percent = percent(sides)?;
        shown.add_row([first.to_owned(), second.to_owned(), now, what_if, difference, percent]);
        anyhow::Ok(())
    };
    for customer in whole["items"].as_array().into_iter().flatten() {
        row([text_of(&customer["payer"]), text_of(&customer["name"])], customer)?;
        for line in customer["lines"].as_array().into_iter().flatten() {
            let of = line["resource"].as_str().or(line["item"].as_str()).unwrap_or("");
            row(["", format!("{} {of}", text_of(&line["kind"])).trim_end()], line)?;
        }
    }
    row(["all", ""], whole)?;
    shown.print();
    for customer in whole["items"].as_array().into_iter().flatten() {
        for warning in customer["warnings"].as_array().into_iter().flatten() {
            say!("warning: {}: {}", text_of(&customer["payer"]), text_of(&warning["message"]));
        }
        if let Some(more) = customer["warnings_left_out"].as_u64() {
            say!("warning: {}: {more} more warnings", text_of(&customer["payer"]));
        }
    }
    Ok(())
}

/// How much more that is, in percent with one digit; of nothing there is none.
fn percent(sides: &Value) -> anyhow::Result<String> {
    let (now, difference) = (decimal(&sides["now"])?, decimal(&sides["difference"])?);
    let percent = (difference * Decimal::ONE_HUNDRED).checked_div(now);
    Ok(percent.map_or(String::new(), |percent| format!("{:+.1}", percent.round_dp(1))))
}

/// Where a warning stands among others.
fn importance_of(word: &str) -> u8 {
    match word {
        "blocks" => 0,
        "not_charged" => 1,
        _ => 2,
    }
}

/// `slapledger invoice preview`.
pub fn preview(
    server: &Server,
    period: &str,
    (payer, price_book): (Option<&str>, Option<&str>),
    json: bool,
) -> anyhow::Result<()> {
    let filters = [("period", Some(period)), ("payer", payer), ("price_book", price_book)];
    let drafts = server.list("/v1/invoice-drafts", &filters)?;
    if json {
        return print_json(&drafts.into());
    }
    let mut shown = table(&["customer", "|name", "lines", "net", "total", "|currency"], &[2, 3, 4]);
    for told in &drafts {
        let draft = &told["draft"];
        let text = |of: &Value, name: &str| text_of(&of[name]).to_owned();
        let lines = draft["lines"].as_array().map_or(0, Vec::len).to_string();
        let [payer, name] = ["payer", "name"].map(|member| text(told, member));
        let [net, total, currency] = ["net", "total", "currency"].map(|member| text(draft, member));
        shown.add_row([payer, name, lines, net, total, currency]);
    }
    shown.print();
    let mut all = Vec::new();
    for told in &drafts {
        all.extend(told["warnings"].as_array().into_iter().flatten().cloned());
    }
    all.sort_by_key(|warning| importance_of(text_of(&warning["importance"])));
    print_warnings(&all);
    Ok(())
}

/// `slapledger invoice diff`.
pub fn diff(server: &Server, run: &str, json: bool) -> anyhow::Result<()> {
    // A run that is not there is an error, also where there is nothing to list.
    let path = path(&["v1", "invoice-runs", run, "diff"]);
    server.get(&path, &[("limit", "1")])?;
    let lines = server.list(&path, &[])?;
    if json {
        return print_json(&lines.into());
    }
    if lines.is_empty() {
        say!("{run} would say the same now");
        return Ok(());
    }
    let mut shown = table(&["document", "line", "what", "then", "now", "difference", "why"], &[1, 3, 4, 5]);
    for diff in &lines {
        let like = if diff["then"].is_object() { &diff["then"] } else { &diff["now"] };
        let document = diff["invoice"].as_str().or(diff["payer"].as_str()).unwrap_or("");
        let amount = |side: &Value| side["amount"].as_str().unwrap_or("-").to_owned();
        let causes = diff["causes"].as_array().into_iter().flatten();
        let causes = causes.map(|cause| {
            let id = cause["id"].as_str().map_or(String::new(), |id| format!(" {id}"));
            format!("{} {}{id}", cause["sequence"], text_of(&cause["type"]))
        });
        let versions = diff["versions"].as_array().into_iter().flatten();
        let versions =
            versions.map(|of| format!("version {} published by {}", of["version"], of["sequence"]));
        let count = diff["events"]["count"].as_u64().unwrap_or(0);
        let told = diff["causes"].as_array().map_or(0, Vec::len) as u64;
        let more = (count > told).then(|| format!("and {} more events", count - told));
        let why: Vec<String> = causes.chain(more).chain(versions).collect();
        shown.add_row([
            document.to_owned(),
            diff["then"]["n"].as_u64().map_or(String::new(), |n| n.to_string()),
            text_of(&like["description"]).to_owned(),
            amount(&diff["then"]),
            amount(&diff["now"]),
            text_of(&diff["difference"]).to_owned(),
            why.join("\n"),
        ]);
    }
    shown.print();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_are_one_comparison() {
        let page = |payer: &str, now: &str, what_if: &str, difference: &str, next: Value| {
            json!({"items": [{"payer": payer}], "now": now, "what_if": what_if, "difference": difference,
                "next": next, "sequence": 7})
        };
        let first = page("PARTY-2", "10.00", "9.50", "-0.50", "PARTY-2".into());
        let whole = joined(first, page("PARTY-3", "0.10", "0.00", "-0.10", Value::Null)).expect("amounts");
        let expected = json!({"items": [{"payer": "PARTY-2"}, {"payer": "PARTY-3"}], "now": "10.10", "what_if": "9.50",
            "difference": "-0.60", "next": null, "sequence": 7});
        assert_eq!(whole, expected);
        assert_eq!(percent(&whole).expect("amounts"), "-5.9");
        assert_eq!(percent(&json!({"now": "0.00", "difference": "3.00"})).expect("amounts"), "");
    }
}
