//! `slapledger price-book`: check a file, publish it, and read what is published.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use slapledger_billing::price_book::{self, BookDifference, RateShown};
use slapledger_core::domain::pricing::PriceBook;

use super::invoices::{path, print_json, read, text_of};
use super::print::say;
use super::server::Server;
use super::table::table;

/// `slapledger price-book check FILE`.
pub fn check(file: &Path) -> anyhow::Result<()> {
    let book = price_book::parse_toml(&read(file)?).with_context(|| format!("check {}", file.display()))?;
    let (resources, rates) = (book.resources.len(), book.rates.len());
    say!("{} is a price book: {}, {resources} resources, {rates} rates", file.display(), book.name);
    Ok(())
}

/// `slapledger price-book schema`.
pub fn print_schema() -> anyhow::Result<()> {
    say!("{}", price_book::SCHEMA.trim_end());
    Ok(())
}

/// `slapledger price-book publish FILE`: shows what it does first.
pub fn publish(server: &Server, file: &Path, retroactive: bool) -> anyhow::Result<()> {
    let text = read(file)?;
    price_book::parse_toml(&text).with_context(|| format!("check {}", file.display()))?;
    let post =
        |query: &str| server.post(&format!("/v1/price-books{query}"), "application/toml", text.as_bytes());
    let told = post("?preview=true")?;
    let preview = &told["preview"];
    let changes = preview["changes"].as_array().map_or(&[][..], Vec::as_slice);
    for change in changes {
        say!("{}", change_line(change));
    }
    let invoiced = preview["invoiced"].as_array().map_or(&[][..], Vec::as_slice);
    let more = preview["invoiced_left_out"].as_u64().unwrap_or(0);
    if !invoiced.is_empty() {
        let mut shown = table(&["invoiced period", "to", "customer", "invoice"], &[]);
        for one in invoiced {
            shown.add_row(["start", "stop", "payer", "invoice"].map(|name| text_of(&one[name]).to_owned()));
        }
        shown.print();
        if more > 0 {
            say!("and {more} more");
        }
        if !retroactive {
            let (name, version) = (text_of(&told["name"]), &told["version"]);
            let count = invoiced.len() as u64 + more;
            bail!(
                "{name} version {version} would take effect in {count} invoiced periods: choose a later valid_from, \
or add --retroactive"
            );
        }
    }
    let told = post(if retroactive { "?retroactive=true" } else { "" })?;
    say!("published {} version {} as sequence {}", text_of(&told["name"]), told["version"], told["sequence"]);
    Ok(())
}

/// A line about a change: `+` added, `-` removed, `~` changed.
fn change_line(change: &Value) -> String {
    let what = text_of(&change["what"]);
    match (change.get("before"), change.get("after")) {
        (None, Some(after)) => format!("+ {what}: {after}"),
        (Some(before), None) => format!("- {what}: {before}"),
        (Some(before), Some(after)) => format!("~ {what}: {before} -> {after}"),
        (None, None) => what.to_owned(),
    }
}

/// `slapledger price-book list`.
pub fn list(server: &Server, json: bool) -> anyhow::Result<()> {
    let books = server.list("/v1/price-books", &[])?;
    if json {
        return print_json(&books.into());
    }
    if books.is_empty() {
        say!("there are no price books");
        return Ok(());
    }
    let mut shown = table(&["name", "version", "currency", "valid from", "rates"], &[1, 4]);
    for book in &books {
        let rates = book["rates"].as_array().map_or(0, Vec::len);
        let text = |name: &str| text_of(&book[name]).to_owned();
        shown.add_row([
            text("name"),
            book["version"].to_string(),
            text("currency"),
            text("valid_from"),
            rates.to_string(),
        ]);
    }
    shown.print();
    Ok(())
}

/// `slapledger price-book show NAME[@VERSION]`.
pub fn show(server: &Server, wanted: &str, json: bool) -> anyhow::Result<()> {
    let told = published(server, wanted)?;
    if json {
        return print_json(&told);
    }
    let book = book_of(&told)?;
    say!("# version {} of {}", told["version"], text_of(&told["name"]));
    if let Some(withheld) = told["rates_withheld"].as_u64() {
        say!("# {withheld} rates of other customers are not shown");
    }
    say!("{}", price_book::to_toml(&book).trim_end());
    Ok(())
}

/// `slapledger price-book diff NAME@A NAME@B`.
pub fn diff(server: &Server, before: &str, after: &str, json: bool) -> anyhow::Result<()> {
    let (before, after) = (book_of(&published(server, before)?)?, book_of(&published(server, after)?)?);
    let difference = BookDifference::between(Some(&before), &after);
    if json {
        return print_json(&serde_json::to_value(&difference)?);
    }
    if difference.changes.is_empty() {
        say!("they are the same");
    } else {
        say!("{difference}");
    }
    Ok(())
}

/// `slapledger price-book override set BOOK FILE`: the file is a table of `rates`.
pub fn set_override(
    server: &Server,
    book: &str,
    (customer, from, until): (&str, &str, Option<&str>),
    (file, retroactive): (&Path, bool),
) -> anyhow::Result<()> {
    let rate = price_book::parse_rate_toml(&read(file)?);
    let rate = RateShown::of(&rate.with_context(|| format!("check {}", file.display()))?);
    let mut wanted = json!({"customer": customer, "valid_from": from, "rate": rate});
    if let Some(until) = until {
        wanted["valid_until"] = until.into();
    }
    let query = if retroactive { "?retroactive=true" } else { "" };
    let told =
        server.post_json(&format!("{}{query}", path(&["v1", "price-books", book, "overrides"])), &wanted)?;
    say!("set {} for {customer}, sequence {}", text_of(&told["id"]), told["sequence"]);
    Ok(())
}

/// `slapledger price-book override list BOOK`.
pub fn list_overrides(server: &Server, book: &str, customer: Option<&str>, json: bool) -> anyhow::Result<()> {
    let known = server.list(&path(&["v1", "price-books", book, "overrides"]), &[("customer", customer)])?;
    if json {
        return print_json(&known.into());
    }
    if known.is_empty() {
        say!("there are no overrides");
        return Ok(());
    }
    let mut shown = table(&["id", "customer", "valid from", "valid until", "rate"], &[]);
    for own in &known {
        let text = |name: &str| text_of(&own[name]).to_owned();
        shown.add_row([
            text("id"),
            text("customer"),
            text("valid_from"),
            text("valid_until"),
            own["rate"].to_string(),
        ]);
    }
    shown.print();
    Ok(())
}

/// `slapledger price-book override end BOOK ID`.
pub fn end_override(
    server: &Server,
    (book, id): (&str, &str),
    until: Option<&str>,
    retroactive: bool,
) -> anyhow::Result<()> {
    let wanted = until.map_or_else(|| json!({}), |until| json!({"valid_until": until}));
    let query = if retroactive { "?retroactive=true" } else { "" };
    let route = path(&["v1", "price-books", book, "overrides", id, "end"]);
    let told = server.post_json(&format!("{route}{query}"), &wanted)?;
    say!("{id} ends {}", text_of(&told["valid_until"]));
    Ok(())
}

/// A version as the server shows it; the newest one, if none is named.
fn published(server: &Server, wanted: &str) -> anyhow::Result<Value> {
    let (name, version) =
        wanted.rsplit_once('@').map_or((wanted, None), |(name, version)| (name, Some(version)));
    let query: Vec<(&str, &str)> = version.map(|version| ("version", version)).into_iter().collect();
    server.get(&path(&["v1", "price-books", name]), &query)
}

/// The book in what the server shows.
fn book_of(told: &Value) -> anyhow::Result<PriceBook> {
    let mut told = told.clone();
    if let Some(members) = told.as_object_mut() {
        for member in ["version", "sequence", "versions", "rates_withheld"] {
            members.remove(member);
        }
    }
    let book = price_book::parse_json(told.to_string().as_bytes());
    book.context("read the price book that the server shows")
}
