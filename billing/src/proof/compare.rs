//! Comparing a document, or a line of it, with what its events give.

use slapledger_core::domain::id::InvoiceId;
use slapledger_core::domain::invoice::{CreditUsed, DocumentKind, Invoice, InvoiceLine};
use slapledger_core::domain::money::{Amount, Price};

use super::fault::RepeatFault;
use crate::document::as_charged;
use crate::view::BillingView;

/// Compares the document of a run, which is issued next, with the draft that its events give.
pub(super) fn compare_draft(
    view: &BillingView,
    issued: &Invoice,
    draft: &Invoice,
) -> Result<(), RepeatFault> {
    let prepaid = match issued.document {
        DocumentKind::Invoice => {
            let owner = (issued.seller.party, issued.buyer.party, issued.currency);
            view.billing.credits.pay(owner, draft.total, issued.issued_at)
        }
        DocumentKind::CreditNote => view.billing.balances.returned(draft, &view.billing.issued_lines()),
    };
    let paid = Amount::sum(issued.currency, prepaid.iter().map(|used| used.amount));
    let due = paid.and_then(|paid| draft.total.checked_sub(paid)).unwrap_or(draft.total);
    compare(issued, draft, (&prepaid, due))
}

/// Compares a document with the one that its events give, and with what prepaid credit pays of that.
pub(super) fn compare(
    issued: &Invoice,
    found: &Invoice,
    (prepaid, due): (&[CreditUsed], Amount),
) -> Result<(), RepeatFault> {
    first_difference(issued.id.to_string(), [difference("kind", &issued.document, &found.document)])?;
    for (said, found) in issued.lines.iter().zip(&found.lines) {
        compare_lines(&issued.id, said, found)?;
    }
    let differs = [
        difference("number of lines", &issued.lines.len(), &found.lines.len()),
        difference("run", &issued.run, &found.run),
        difference("seller", &issued.seller.party, &found.seller.party),
        difference("buyer", &issued.buyer.party, &found.buyer.party),
        difference("currency", &issued.currency, &found.currency),
        difference("period", &issued.period, &found.period),
        difference("citation", &issued.cites, &found.cites),
        difference("kind of prices", &issued.price_tax, &found.price_tax),
        shown("net", &issued.net, &found.net),
        difference("tax", &issued.tax, &found.tax),
        shown("rounding", &issued.rounding, &found.rounding),
        shown("total", &issued.total, &found.total),
        shown("prepaid", &credits_text(&issued.prepaid), &credits_text(prepaid)),
        shown("due", &issued.due, &due),
    ];
    first_difference(issued.id.to_string(), differs)
}

/// Compares one line with that of the draft, wherever it stands there: lines whose usage is not in the proof may be missing
/// before it. Of equal lines each needs its own.
pub(super) fn compare_line_alone(issued: &Invoice, draft: &Invoice, n: u32) -> Result<(), RepeatFault> {
    let line = line_at(issued, n)?;
    let said = as_charged(issued, line);
    let lines = || draft.lines.iter().map(|line| InvoiceLine { n, ..as_charged(draft, line) });
    let before = issued.lines.iter().filter(|other| other.n < n);
    let twins = before.filter(|other| InvoiceLine { n, ..(*other).clone() } == *line).count();
    if lines().filter(|found| *found == said).nth(twins).is_some() {
        return Ok(());
    }
    let mut about: Vec<InvoiceLine> = lines().filter(|found| is_about_same(found, &said)).collect();
    let has_prices = |found: &InvoiceLine| {
        (found.rate, found.price_override, found.tax) == (said.rate, said.price_override, said.tax)
    };
    let nearest = about.iter().position(has_prices).unwrap_or(0);
    let missing = || RepeatFault::Differs {
        place: format!("{} line {n}", issued.id),
        what: "amount",
        said: said.amount.to_string(),
        found: "no such line".to_owned(),
    };
    if twins > 0 || about.is_empty() {
        return Err(missing());
    }
    compare_lines(&issued.id, &said, &about.swap_remove(nearest))
}

/// The line of a number.
pub(super) fn line_at(issued: &Invoice, n: u32) -> Result<&InvoiceLine, RepeatFault> {
    let no_line = || RepeatFault::NoLine { invoice: issued.id.clone(), line: n };
    issued.lines.iter().find(|line| line.n == n).ok_or_else(no_line)
}

/// Whether two lines charge the same for the same time, whatever it costs.
fn is_about_same(one: &InvoiceLine, other: &InvoiceLine) -> bool {
    (&one.kind, one.instance, &one.dimensions, one.period, &one.reduces, &one.cites)
        == (&other.kind, other.instance, &other.dimensions, other.period, &other.reduces, &other.cites)
}

fn compare_lines(invoice: &InvoiceId, said: &InvoiceLine, found: &InvoiceLine) -> Result<(), RepeatFault> {
    let differs = [
        difference("number", &said.n, &found.n),
        difference("kind", &said.kind, &found.kind),
        difference("instance", &said.instance, &found.instance),
        difference("group", &said.dimensions, &found.dimensions),
        difference("period", &said.period, &found.period),
        shown("quantity", &said.quantity, &found.quantity),
        difference("unit", &said.unit, &found.unit),
        shown("unit price", &price_text(said.unit_price), &price_text(found.unit_price)),
        difference("steps", &said.steps, &found.steps),
        shown("amount", &said.amount, &found.amount),
        difference("residue of rounding", &said.residue, &found.residue),
        difference("price version", &said.price_book, &found.price_book),
        difference("rate", &said.rate, &found.rate),
        difference("what it reduces", &said.reduces, &found.reduces),
        difference("tax", &said.tax, &found.tax),
        difference("number of events", &said.events.count, &found.events.count),
        difference("set of events", &said.events, &found.events),
        difference("citation", &said.cites, &found.cites),
        difference("description", &said.description, &found.description),
        difference("line", said, found),
    ];
    first_difference(format!("{invoice} line {}", said.n), differs)
}

fn credits_text(used: &[CreditUsed]) -> String {
    let each: Vec<String> = used.iter().map(|used| format!("{} {}", used.credit, used.amount)).collect();
    if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
}

fn price_text(price: Option<Price>) -> String {
    price.map_or_else(|| "none".to_owned(), |price| price.to_string())
}

/// What a value was issued as and derived as, if the two differ.
type Difference = Option<(&'static str, String, String)>;

fn difference<T: PartialEq + std::fmt::Debug>(what: &'static str, said: &T, found: &T) -> Difference {
    (said != found).then(|| (what, format!("{said:?}"), format!("{found:?}")))
}

fn shown<T: PartialEq + std::fmt::Display>(what: &'static str, said: &T, found: &T) -> Difference {
    (said != found).then(|| (what, said.to_string(), found.to_string()))
}

fn first_difference(place: String, differs: impl IntoIterator<Item = Difference>) -> Result<(), RepeatFault> {
    match differs.into_iter().flatten().next() {
        Some((what, said, found)) => Err(RepeatFault::Differs { place, what, said, found }),
        None => Ok(()),
    }
}
