//! The table of pages: which route has which template, and which other answers it shows.
//!
//! A page shows what its route answers, and perhaps *parts*: answers of other routes, each read under the policy of that
//! route. A part that the reader may not see is null in the template.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::derived;

/// A page.
pub struct WebPage {
    /// The route whose answer it shows, as it is registered.
    pub route: &'static str,
    /// Its template.
    pub template: &'static str,
    /// The entry of the navigation that it belongs to.
    pub section: &'static str,
    /// The parameters of its address that are not handed to its route: what is unfolded, filtered or sorted here.
    pub own: &'static [&'static str],
    /// The parameter by which its route gives a text instead, which no page shows.
    pub text: Option<&'static str>,
    /// More parameters for its route, made of those of the page.
    pub sent: fn(&PageRequest) -> Vec<(String, String)>,
    /// How many items a list shows, where the reader has not said.
    pub limit: Option<u32>,
    /// Which other answers it shows. Asked again as long as it names new ones, so that a part may depend on another.
    pub parts: fn(&PageRequest, &Answers) -> Vec<Part>,
    /// The types of events that change what it shows: an open page is brought up to date by them.
    pub live: &'static [&'static str],
    /// The parameters of its address by which it filters those events too.
    pub followed: &'static [&'static str],
    /// The parameters under which it shows what nothing changes any more.
    pub settled: &'static [&'static str],
    /// What it computes from its answers.
    pub(crate) derive: fn(&DerivedFrom<'_>) -> Value,
}

/// How many rows a list shows.
const ROWS: u32 = 50;
/// How many documents a list shows: each comes with its lines.
const DOCUMENT_ROWS: u32 = 25;
/// How many events a page of the log shows: an event may be as long as a document.
const LOG_ROWS: u32 = 20;

fn no_parts(_: &PageRequest, _: &Answers) -> Vec<Part> {
    Vec::new()
}

fn nothing_sent(_: &PageRequest) -> Vec<(String, String)> {
    Vec::new()
}

fn nothing(_: &DerivedFrom<'_>) -> Value {
    Value::Null
}

const fn page(route: &'static str, template: &'static str, section: &'static str) -> WebPage {
    WebPage {
        route,
        template,
        section,
        own: &[],
        text: None,
        sent: nothing_sent,
        limit: None,
        parts: no_parts,
        live: &[],
        followed: &[],
        settled: &[],
        derive: nothing,
    }
}

/// Events of all types.
pub(crate) const ANY_EVENT: &str = "*";
/// What usage and decisions about it are recorded as.
const USAGE_EVENTS: &[&str] = &[
    "UsageRecorded",
    "UsageCorrected",
    "UsageSuspended",
    "UsageVoided",
    "SuspendedUsageResolved",
    "SuspendedUsageDismissed",
];
/// What runs and documents are recorded as.
const DOCUMENT_EVENTS: &[&str] = &[
    "InvoiceRunOpened",
    "InvoiceRunRefreshed",
    "InvoiceRunWithdrawn",
    "InvoiceRunFinalised",
    "InvoiceDraftReviewed",
    "InvoiceFinalised",
];
/// What changes an instance, its usage included.
const INSTANCE_EVENTS: &[&str] = &[
    "InstanceRequested",
    "InstanceChanged",
    "InstanceAllocated",
    "InstanceEnded",
    "InstanceStateReported",
    "InstanceRenamed",
    "UsageRecorded",
    "UsageCorrected",
    "SuspendedUsageResolved",
    "UsageVoided",
];
/// What changes a computer.
const COMPUTER_EVENTS: &[&str] = &[
    "ComputerRegistered",
    "ComputerConfigured",
    "ComputerFellSilent",
    "ComputerHeard",
    "ComputerRetired",
    "InstanceAllocated",
    "InstanceEnded",
    "InstanceStateReported",
    "SoftwareStateReported",
];
/// What changes the overview.
const OVERVIEW_EVENTS: &[&str] = &[
    "UsageRecorded",
    "UsageCorrected",
    "UsageSuspended",
    "SuspendedUsageResolved",
    "SuspendedUsageDismissed",
    "UsageVoided",
    "ComputerFellSilent",
    "ComputerHeard",
    "InstanceStateReported",
    "SoftwareStateReported",
    "InvoiceRunOpened",
    "InvoiceRunRefreshed",
    "InvoiceRunWithdrawn",
    "InvoiceFinalised",
];

/// All pages.
pub static PAGES: &[WebPage] = &[
    WebPage {
        own: &["line"],
        parts: derived::invoice::parts,
        derive: derived::invoice::derive,
        ..page("/v1/invoices/{id}", "invoice.html", "invoices")
    },
    WebPage {
        own: &["month"],
        sent: derived::invoices::sent,
        limit: Some(DOCUMENT_ROWS),
        parts: derived::invoices::parts,
        live: DOCUMENT_EVENTS,
        derive: derived::invoices::derive,
        ..page("/v1/invoices", "invoices.html", "invoices")
    },
    WebPage {
        own: &["month"],
        parts: derived::home::parts,
        live: OVERVIEW_EVENTS,
        derive: derived::home::derive,
        ..page("/ui/home", "home.html", "home")
    },
    WebPage {
        own: &["reason", "computer", "open", "cursor", "month", "outcome", "before", "gap"],
        parts: derived::usage::parts,
        live: USAGE_EVENTS,
        derive: derived::usage::derive,
        ..page("/ui/usage", "usage.html", "usage")
    },
    WebPage {
        limit: Some(ROWS),
        parts: derived::instances::parts,
        derive: derived::instances::derive,
        ..page("/v1/instance-trees", "instances.html", "instances")
    },
    WebPage {
        own: &["software_release", "software_type"],
        parts: derived::request::parts,
        derive: derived::request::derive,
        ..page("/ui/request", "request.html", "instances")
    },
    WebPage {
        own: &["ask", "connection", "step", "day", "month"],
        parts: derived::tree::parts,
        live: INSTANCE_EVENTS,
        derive: derived::tree::derive,
        ..page("/v1/instance-trees/{id}", "instance.html", "instances")
    },
    WebPage {
        limit: Some(ROWS),
        parts: derived::computers::list_parts,
        live: COMPUTER_EVENTS,
        derive: derived::computers::derive,
        ..page("/v1/computers", "computers.html", "computers")
    },
    WebPage {
        own: &["month"],
        limit: Some(1000),
        parts: derived::catalogue::parts,
        derive: derived::catalogue::derive,
        ..page("/v1/catalogue", "catalogue.html", "catalogue")
    },
    WebPage {
        own: &["sequence", "open"],
        sent: derived::log::sent,
        limit: Some(LOG_ROWS),
        parts: derived::log::parts,
        live: &[ANY_EVENT],
        followed: &["type", "stream", "actor"],
        settled: &["sequence", "after", "cursor", "order", "to", "open"],
        derive: derived::log::derive,
        ..page("/v1/events", "log.html", "log")
    },
    WebPage { derive: derived::list::projections, ..page("/v1/projections", "list.html", "projections") },
    WebPage {
        limit: Some(ROWS),
        derive: derived::list::credentials,
        ..page("/v1/credentials", "credentials.html", "credentials")
    },
    page("/v1/credentials/{id}", "credential.html", "credentials"),
    WebPage {
        parts: derived::price_book::parts,
        derive: derived::price_book::derive,
        ..page("/v1/price-books/{name}", "price-book.html", "prices")
    },
    WebPage {
        parts: derived::operation::parts,
        derive: derived::operation::derive,
        ..page("/ui/operation", "operation.html", "operation-page")
    },
    WebPage {
        limit: Some(ROWS),
        derive: derived::list::runs,
        ..page("/v1/invoice-runs", "list.html", "review")
    },
    WebPage {
        own: &["open", "ask", "cursor"],
        parts: derived::review::parts,
        live: DOCUMENT_EVENTS,
        derive: derived::review::derive,
        ..page("/v1/invoice-runs/{id}", "month-review.html", "review")
    },
    WebPage {
        own: &["by", "month"],
        parts: derived::review::revenue_parts,
        derive: derived::review::derive_revenue,
        ..page("/ui/revenue", "revenue.html", "revenue")
    },
    WebPage {
        limit: Some(ROWS),
        derive: derived::list::parties,
        ..page("/v1/parties", "list.html", "parties")
    },
    WebPage {
        limit: Some(200),
        derive: derived::list::accounts,
        ..page("/v1/accounts", "list.html", "accounts")
    },
    WebPage { derive: derived::books::trial_balance, ..page("/v1/trial-balance", "balance.html", "balance") },
    WebPage {
        limit: Some(ROWS),
        text: Some("format"),
        derive: derived::books::journal,
        ..page("/v1/journal", "journal.html", "journal")
    },
    WebPage {
        limit: Some(ROWS),
        derive: derived::books::statement,
        ..page("/v1/accounts/{id}", "statement.html", "accounts")
    },
    WebPage { limit: Some(20), ..page("/v1/price-books", "prices.html", "prices") },
    WebPage {
        parts: derived::computers::parts,
        derive: derived::computers::derive_one,
        ..page("/v1/computers/{id}", "computer.html", "computers")
    },
];

impl WebPage {
    /// Whether a query asks for the page, and not for a text.
    pub fn is_asked_by(&self, query: &str) -> bool {
        self.text.is_none_or(|text| form_urlencoded::parse(query.as_bytes()).all(|(name, _)| name != text))
    }
}

/// The page of a path, and what its names stand for.
pub fn find(path: &str) -> Option<(&'static WebPage, BTreeMap<&'static str, String>)> {
    PAGES.iter().find_map(|page| Some((page, names(page.route, path)?)))
}

pub(crate) fn names(route: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let mut names = BTreeMap::new();
    let (mut known, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (known.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(known), Some(given)) => {
                match known.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !given.is_empty() => {
                        let decoded = percent_encoding::percent_decode_str(given).decode_utf8().ok()?;
                        names.insert(name, decoded.into_owned());
                    }
                    None if known == given => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_page() {
        let (page, names) = find("/v1/invoices/INV-2026-000001").expect("a page");
        assert_eq!((page.template, names["id"].as_str()), ("invoice.html", "INV-2026-000001"));
        assert!(find("/v1/invoices/").is_none() && find("/v1/invoices/a/b").is_none());
    }
}
