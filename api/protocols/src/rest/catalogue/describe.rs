//! Descriptions of the routes of the catalogue.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use slapledger_core::domain::catalogue::{AdoptionStage, CatalogueEntry, CatalogueTable};

use super::{CatalogueItem, EntryRemoved};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listCatalogue", "software", "The catalogue, by name")
        .query::<CatalogueTable>("table", "Only this table")
        .query::<schema::ShortText>("category", "Only this group or market")
        .query::<schema::Reference>("software", "Only entries about the software of this name")
        .query::<AdoptionStage>("stage", "Only what has reached this stage, and none further")
        .lists::<CatalogueItem>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showCatalogueEntry", "software", "An entry of the catalogue")
        .path::<schema::Reference>("entry", "Which entry")
        .shows::<CatalogueItem>("The entry")
}

/// What an entry says, all of it anew.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryWanted {
    table: CatalogueTable,
    title: schema::ShortText,
    /// The group it is in; of a story, the market.
    category: Option<schema::ShortText>,
    /// The name of its releases: the folder of their address.
    software: Option<schema::Reference>,
    /// How far it is said to be.
    stage: Option<AdoptionStage>,
    /// The same in the words of the table.
    status: Option<schema::ShortText>,
    /// How a host is reached.
    recipe: Option<schema::ShortText>,
    /// How many ticks the row of a host has.
    #[schemars(range(min = 0, max = 7))]
    ticks: Option<u8>,
    /// What runs on it.
    applications: Option<schema::Texts<schema::ShortText>>,
    /// Who a story is about.
    customer: Option<schema::PartyId>,
    stack: Option<schema::ShortText>,
    guest: Option<schema::ShortText>,
}

impl From<EntryWanted> for CatalogueEntry {
    fn from(wanted: EntryWanted) -> Self {
        let text = |text: Option<schema::ShortText>| text.map(|text| text.0);
        let applications = wanted.applications.into_iter().flat_map(|applications| applications.0);
        Self {
            table: wanted.table,
            title: wanted.title.0,
            category: text(wanted.category),
            software: wanted.software.map(Into::into),
            stage: wanted.stage,
            status: text(wanted.status),
            recipe: text(wanted.recipe),
            ticks: wanted.ticks,
            applications: applications.map(|application| application.0).collect(),
            customer: wanted.customer.map(Into::into),
            stack: text(wanted.stack),
            guest: text(wanted.guest),
        }
    }
}

pub(crate) fn record(operation: Operation) -> Operation {
    operation
        .called("recordCatalogueEntry", "software", "Record an entry of the catalogue")
        .path::<schema::Reference>("entry", "Which entry")
        .body::<EntryWanted>(json!({
            "table": "storage", "title": "MySQL", "category": "SQL", "software": "mysql", "stage": "production",
        }))
        .writes::<CatalogueItem>(200, "The entry as it is now")
        .tagged(200)
}

pub(crate) fn remove(operation: Operation) -> Operation {
    operation
        .called("removeCatalogueEntry", "software", "Remove an entry of the catalogue")
        .path::<schema::Reference>("entry", "Which entry")
        .writes::<EntryRemoved>(200, "It is removed")
        .problem(404)
}
