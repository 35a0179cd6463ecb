//! What stands in the navigation, by role.

use serde::Serialize;

use crate::context::PageReader;

/// A group of entries; the first has no title.
#[derive(Serialize)]
pub(crate) struct Group {
    title: Option<&'static str>,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    address: &'static str,
    is_current: bool,
}

/// Everybody who has pages.
pub(crate) const PEOPLE: &[&str] = &["admin", "auditor", "provider", "publisher", "customer"];

/// Group, name, address, roles, and whether it is for those alone who reach all projects.
type Row = (Option<&'static str>, &'static str, &'static str, &'static [&'static str], bool);

const ROWS: &[Row] = &[
    (None, "home", "/ui/home", PEOPLE, false),
    (Some("money"), "invoices", "/v1/invoices", PEOPLE, false),
    (Some("money"), "review", "/v1/invoice-runs", &["admin", "auditor"], false),
    (Some("money"), "revenue", "/ui/revenue", &["admin", "auditor"], false),
    (Some("money"), "prices", "/v1/price-books", &["admin", "auditor", "provider", "customer"], false),
    (Some("money"), "journal", "/v1/journal", &["admin", "auditor"], false),
    (Some("money"), "parties", "/v1/parties", PEOPLE, false),
    (Some("cloud"), "instances", "/v1/instance-trees", &["admin", "auditor", "provider", "customer"], false),
    (Some("cloud"), "computers", "/v1/computers", &["admin", "auditor", "provider"], false),
    (Some("cloud"), "catalogue", "/v1/catalogue", PEOPLE, false),
    (Some("metering"), "usage", "/ui/usage", &["admin", "auditor", "provider"], false),
    (Some("ledger"), "log", "/v1/events", &["admin", "auditor"], false),
    (Some("ledger"), "balance", "/v1/trial-balance", &["admin", "auditor"], false),
    (Some("ledger"), "accounts", "/v1/accounts", &["admin", "auditor"], false),
    (Some("operation"), "operation-page", "/ui/operation", &["admin", "auditor"], true),
    (Some("operation"), "projections", "/v1/projections", &["admin", "auditor"], true),
    (Some("operation"), "credentials", "/v1/credentials", PEOPLE, false),
];

pub(crate) fn of(reader: &PageReader, current: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (title, name, address, roles, all_projects) in ROWS {
        if !reader.is_any(roles) || (*all_projects && !reader.is_local && !reader.all_projects) {
            continue;
        }
        let entry = Entry { name, address, is_current: *name == current };
        match groups.iter_mut().find(|group| group.title == *title) {
            Some(group) => group.entries.push(entry),
            None => groups.push(Group { title: *title, entries: vec![entry] }),
        }
    }
    groups
}
