//! The invented cloud of the demo: the users and software of the 2011 document, on computers that never were.

use serde::Deserialize;
use serde_json::Value;
use slapledger_client::catalogue_entries::{ImportedEntry, tables};
use slapledger_core::domain::catalogue::{CatalogueEntry, RecordCatalogueEntry};
use slapledger_core::domain::id::{PartyId, Reference, SoftwareRelease};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::time::TimeZone;

/// A customer and what it runs.
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) time_zone: TimeZone,
    pub(super) instances: Vec<Planned>,
}

/// An instance that will be requested.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) reference: String,
    pub(super) release: SoftwareRelease,
    pub(super) software_type: String,
    pub(super) instance_type: InstanceType,
}

/// Computers and the partitions each of them offers.
pub(super) const COMPUTERS: &[(&str, usize, &str)] = &[
    ("COMP-1", 6, "UTC"),
    ("COMP-2", 6, "Europe/Paris"),
    ("COMP-3", 4, "UTC"),
    ("COMP-4", 4, "Europe/Paris"),
];

/// A computer that comes later.
pub(super) const NEWCOMER: (&str, usize, &str) = ("COMP-5", 4, "UTC");

#[derive(Deserialize)]
struct Compatibility {
    success_stories: Stories,
}

#[derive(Deserialize)]
struct Stories {
    rows: Vec<[String; 6]>,
}

/// The customers of the success stories, in the order of the document.
pub(super) fn customers() -> anyhow::Result<Vec<Customer>> {
    let document: Compatibility = serde_json::from_str(slapledger_fixtures::COMPATIBILITY)?;
    let mut customers: Vec<Customer> = Vec::new();
    for [user, _market, application, stack, guest, state] in document.success_stories.rows {
        let at = customers.iter().position(|customer| customer.name == user);
        let at = if let Some(at) = at {
            at
        } else {
            let time_zone = zone_of(&user).parse()?;
            customers.push(Customer { name: user, time_zone, instances: Vec::new() });
            customers.len() - 1
        };
        let customer = &mut customers[at];
        let nth =
            customer.instances.iter().filter(|planned| planned.reference.starts_with(&application)).count();
        let reference = if nth == 0 { application.clone() } else { format!("{application} {}", nth + 1) };
        customer.instances.push(Planned {
            reference,
            release: release_of(if guest == "Bare Metal" || guest == "Any" { &stack } else { &guest })?,
            software_type: "default".to_owned(),
            instance_type: match state.as_str() {
                "Production" | "Pre Production" => InstanceType::Production,
                _ => InstanceType::Testing,
            },
        });
    }
    Ok(customers)
}

/// The catalogue of the document, its stories about the customers that are registered.
pub(super) fn catalogue(customers: &[(PartyId, Customer)]) -> anyhow::Result<Vec<RecordCatalogueEntry>> {
    let entries = tables(slapledger_fixtures::COMPATIBILITY)?;
    let recorded = entries.into_iter().map(|entry| -> anyhow::Result<RecordCatalogueEntry> {
        let ImportedEntry { name, says, customer } = entry;
        let party = customers.iter().find(|(_, known)| Some(&known.name) == customer.as_ref());
        let text = |member: &str| says.get(member).and_then(Value::as_str).map(Into::into);
        let says = CatalogueEntry {
            table: serde_json::from_value(says["table"].clone())?,
            title: text("title").unwrap_or_default(),
            category: text("category"),
            software: says.get("software").and_then(Value::as_str).map(Reference::new).transpose()?,
            stage: says.get("stage").cloned().map(serde_json::from_value).transpose()?,
            status: text("status"),
            recipe: text("recipe"),
            ticks: says.get("ticks").cloned().map(serde_json::from_value).transpose()?,
            applications: says
                .get("applications")
                .cloned()
                .map(serde_json::from_value)
                .transpose()?
                .unwrap_or_default(),
            customer: party.map(|(id, _)| *id),
            stack: text("stack"),
            guest: text("guest"),
        };
        Ok(RecordCatalogueEntry { entry: Reference::new(&name)?, says })
    });
    recorded.collect()
}

/// Where a customer's months are cut. The document names no zones: these are plausible ones.
fn zone_of(user: &str) -> &'static str {
    match user {
        "IFF" => "America/Sao_Paulo",
        "SANEF Tolling UK" => "Europe/London",
        "Central Bank" => "Africa/Dakar",
        _ => "Europe/Paris",
    }
}

pub(super) fn release_of(stack: &str) -> anyhow::Result<SoftwareRelease> {
    let name: String =
        stack.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Ok(SoftwareRelease::new(&format!("https://software.example.org/{name}/software.cfg"))?)
}
