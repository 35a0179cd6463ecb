//! The overview of a month: what was invoiced, who grew, and what is wrong.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::invoice::what;
use super::invoices::signed;
use super::month::CalendarMonth;
use super::own;
use super::values::{decimal, distinct, items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::chart;

/// The most computers that the answer lists with their missing usage.
const MOST_NAMED: usize = 8;
/// The most customers of a month without documents that are rated for a look at it.
const MOST_DRAFTS: u32 = 20;
/// The most instances and documents of a customer that are shown.
const MOST_OWN: u32 = 10;

pub(crate) fn parts(asked: &PageRequest, answers: &Answers) -> Vec<Part> {
    let Some(month) = CalendarMonth::asked(asked) else { return Vec::new() };
    let Some(before) = month.before() else { return Vec::new() };
    let (period, earlier) = (month.period(), before.period());
    let mut parts = vec![
        Part::new("summary", format!("/v1/invoice-summary?period={period}&before={earlier}")),
        Part::new("computers", "/v1/computer-counts"),
        Part::new("suspense", "/v1/usage-suspense-counts"),
        Part::new("gaps", format!("/v1/usage-gap-counts?period={period}&limit={MOST_NAMED}")),
        Part::new("runs", "/v1/invoice-runs?limit=1"),
        Part::new("receipts", "/v1/usage-receipts?limit=5"),
    ];
    let Some(summary) = answers.get("summary") else { return parts };
    // A month that was not invoiced is compared by what its drafts would say.
    let has = |member: &str| {
        items(&summary["books"]).iter().any(|book| book[member].as_u64().is_some_and(|count| count > 0))
    };
    if !has("documents_before") {
        parts.push(Part::new("unbilled", format!("/v1/invoice-drafts?period={earlier}&limit={MOST_DRAFTS}")));
    }
    if !has("documents") {
        parts.push(Part::new("drafts", format!("/v1/invoice-drafts?period={period}&limit={MOST_DRAFTS}")));
    }
    // A reader who sees no runs sees what is their own.
    if answers.get("runs").is_some_and(Value::is_null)
        && let Some(current) = CalendarMonth::current(asked)
    {
        parts.push(Part::new("own", format!("/v1/invoice-drafts?period={}&limit=1", current.period())));
        parts.push(Part::new("trees", format!("/v1/instance-trees?limit={MOST_OWN}")));
        parts.push(Part::new("documents", format!("/v1/invoices?period={period}&limit={MOST_OWN}")));
        parts.push(Part::new("credits", "/v1/credits?limit=100"));
    }
    parts
}

#[derive(Default)]
struct CustomerGrowth {
    name: String,
    now: Decimal,
    before: Decimal,
    documents: u64,
    document: String,
}

/// What a month came to in one currency.
#[derive(Default)]
struct MonthBook {
    due: Decimal,
    documents: u64,
    is_drafted: bool,
    is_unbilled: bool,
    customers: BTreeMap<String, CustomerGrowth>,
    others: Option<Value>,
    made: BTreeMap<String, Decimal>,
}

/// The books of the summary, with what live drafts say of a month that has no documents.
fn books(view: &DerivedFrom<'_>) -> BTreeMap<String, MonthBook> {
    let mut books: BTreeMap<String, MonthBook> = BTreeMap::new();
    let summary = view.answers.get("summary").map_or(&[][..], |summary| items(&summary["books"]));
    for told in summary {
        let book = books.entry(text(told, "currency").to_owned()).or_default();
        book.due = decimal(&told["due"]);
        book.documents = told["documents"].as_u64().unwrap_or_default();
        book.others = Some(told["others"].clone()).filter(Value::is_object);
        for customer in items(&told["customers"]) {
            let growth = CustomerGrowth {
                name: text(customer, "name").to_owned(),
                now: decimal(&customer["total"]),
                before: decimal(&customer["before"]),
                documents: customer["documents"].as_u64().unwrap_or_default(),
                document: text(customer, "document").to_owned(),
            };
            book.customers.insert(text(customer, "payer").to_owned(), growth);
        }
        for part in items(&told["parts"]) {
            *book.made.entry(what(view, part)).or_default() += decimal(&part["amount"]);
        }
    }
    for (name, is_now) in [("drafts", true), ("unbilled", false)] {
        let drafts = view.answers.get(name).map_or(&[][..], |list| items(&list["items"]));
        for item in drafts.iter().filter(|item| item["draft"].is_object()) {
            let draft = &item["draft"];
            let book = books.entry(text(draft, "currency").to_owned()).or_default();
            let customer = book.customers.entry(text(item, "payer").to_owned()).or_default();
            text(item, "name").clone_into(&mut customer.name);
            let total = signed(draft, "total");
            if is_now {
                (customer.now, book.documents, book.is_drafted) =
                    (customer.now + total, book.documents + 1, true);
                for line in items(&draft["lines"]) {
                    *book.made.entry(what(view, line)).or_default() += decimal(&line["amount"]);
                }
            } else {
                (customer.before, book.is_unbilled) = (customer.before + total, true);
            }
        }
    }
    books
}

impl MonthBook {
    fn shown(self, currency: &str) -> Value {
        let other =
            |member: &str| self.others.as_ref().map(|others| decimal(&others[member])).unwrap_or_default();
        let now: Decimal =
            self.customers.values().map(|customer| customer.now).sum::<Decimal>() + other("total");
        let before: Decimal =
            self.customers.values().map(|customer| customer.before).sum::<Decimal>() + other("before");
        let most = self.customers.values().map(|customer| customer.now).max().unwrap_or_default();
        let mut rows: Vec<_> = self.customers.into_iter().collect();
        rows.sort_by_key(|(_, customer)| std::cmp::Reverse(customer.now - customer.before));
        let rows = rows.into_iter().map(|(payer, customer)| {
            let change = customer.now - customer.before;
            json!({"payer": payer, "name": customer.name, "now": customer.now.to_string(),
                "before": customer.before.to_string(), "change": change.to_string(), "count": customer.documents,
                "document": customer.document, "bar": chart::share(customer.now, most)})
        });
        let rows: Vec<Value> = rows.collect();
        let mut made: Vec<_> = self.made.into_iter().collect();
        made.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
        let most = made.first().map_or(Decimal::ZERO, |(_, amount)| *amount);
        let made = made.into_iter().map(|(what, amount)| {
            json!({"what": what, "amount": amount.to_string(), "bar": chart::share(amount, most)})
        });
        json!({"currency": currency, "total": now.to_string(), "due": self.due.to_string(),
            "before": before.to_string(), "change": (now - before).to_string(), "count": self.documents,
            "has_run": !self.is_drafted, "is_before_unbilled": self.is_unbilled, "customers": rows,
            "others": self.others, "made": made.collect::<Vec<_>>()})
    }
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let Some(month) = CalendarMonth::asked(view.asked) else { return Value::Null };
    let shown: Vec<Value> = books(view).into_iter().map(|(currency, book)| book.shown(&currency)).collect();
    let is_cut = ["drafts", "unbilled"]
        .into_iter()
        .filter_map(|name| view.answers.get(name))
        .any(|list| list["next"].is_string());
    let invoiced = view.answers.get("it").map(|it| text(it, "invoiced_month"));
    let invoiced = invoiced.and_then(CalendarMonth::read).map(CalendarMonth::key);
    let invoiced = invoiced.filter(|invoiced| *invoiced != month.key());
    json!({
        "month": month.key(),
        "previous": month.before().map(CalendarMonth::key),
        "next": CalendarMonth::current(view.asked).filter(|current| current.0 > month.0).and_then(|_| month.after()).map(CalendarMonth::key),
        "invoiced": invoiced,
        "is_cut": is_cut,
        "books": shown,
        "findings": findings(view, month),
        "own": view.answers.get("trees").map(|_| own::derive(view)),
    })
}

/// What is wrong, the most urgent first.
fn findings(view: &DerivedFrom<'_>, month: CalendarMonth) -> Vec<Value> {
    let list = |name: &str| view.answers.get(name).map_or(&[][..], |list| items(&list["items"]));
    let mut findings = Vec::new();
    let counted = |name: &str| view.answers.get(name).filter(|counts| counts.is_object());
    let count = |counts: &Value, member: &str| counts[member].as_u64().unwrap_or_default();
    if let Some(counts) = counted("computers") {
        if count(counts, "silent") > 0 {
            findings
                .push(json!({"kind": "silent", "count": counts["silent"], "since": counts["silent_since"],
                "computers": counts["silent_computers"]}));
        }
        if count(counts, "error") > 0 {
            let all = items(&counts["error_computers"]).iter().filter_map(Value::as_str);
            findings.push(json!({"kind": "error", "count": counts["error"],
                "computers": all.collect::<Vec<_>>().join(", ")}));
        }
    }
    if let Some(counts) = counted("gaps") {
        let told = items(&counts["items"]);
        for gaps in told {
            let resources = items(&gaps["resources"]).iter().filter_map(Value::as_str);
            let resources: Vec<String> = resources.map(|resource| view.writer.resource(resource)).collect();
            let is_all = gaps["is_silent"].as_bool() == Some(true) && resources.is_empty();
            let resources = if is_all { view.writer.text("gap-all", &[]) } else { resources.join(", ") };
            findings.push(json!({"kind": if resources.is_empty() { "reports" } else { "missing" },
                "computer": gaps["computer"], "hours": gaps["hours"], "instances": gaps["instances"],
                "count": gaps["missing_reports"], "start": gaps["start"], "stop": gaps["stop"],
                "resources": resources}));
        }
        let unseen = count(counts, "computers_left_out");
        if unseen > 0 {
            findings.push(json!({"kind": "missing-unseen", "count": unseen}));
        }
        let left = count(counts, "computers").saturating_sub(told.len() as u64);
        if left > 0 {
            findings.push(json!({"kind": "missing-left", "count": left}));
        }
    }
    if let Some(counts) = counted("suspense").filter(|counts| count(counts, "all") > 0) {
        let reasons = items(&counts["reasons"])
            .iter()
            .map(|known| format!("{} {}", known["count"], view.writer.word("reason", text(known, "reason"))));
        let computers = items(&counts["computers"]);
        let left = count(counts, "computer_count").saturating_sub(MOST_NAMED as u64);
        let named = computers.iter().take(MOST_NAMED).map(|known| text(known, "computer"));
        let more = (left > 0).then(|| view.writer.text("and-more", &[("count", left.to_string())]));
        let named: Vec<String> = named.map(str::to_owned).chain(more).collect();
        findings.push(json!({"kind": "suspended", "count": counts["all"],
            "reasons": reasons.collect::<Vec<_>>().join(", "), "computers": named.join(", ")}));
    }
    let unbilled: Vec<&Value> = list("unbilled")
        .iter()
        .map(|item| &item["draft"])
        .filter(|draft| draft.is_object() && !decimal(&draft["total"]).is_zero())
        .collect();
    if !unbilled.is_empty() {
        let currencies = distinct(unbilled.iter().map(|draft| text(draft, "currency")));
        let totals = currencies.into_iter().map(|currency| {
            let of = unbilled.iter().filter(|draft| text(draft, "currency") == currency);
            json!({"currency": currency, "total": of.map(|draft| signed(draft, "total")).sum::<Decimal>().to_string()})
        });
        findings.push(
            json!({"kind": "unbilled", "month": month.before().map(CalendarMonth::key), "count": unbilled.len(),
            "totals": totals.collect::<Vec<_>>()}),
        );
    }
    findings
}
