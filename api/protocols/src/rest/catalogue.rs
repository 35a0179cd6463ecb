//! The catalogue over REST: what the tables and operators state about software and hosts, beside what the log shows.
//!
//! Stories name customers, and counts say how much others run: both are for those who see all of a project; a customer
//! sees the stories that are about it.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::Command;
use slapledger_core::domain::catalogue::{
    AdoptionStage, CatalogueEntry, CatalogueTable, RecordCatalogueEntry, RemoveCatalogueEntry,
};
use slapledger_core::domain::id::{PartyId, Reference, Sequence};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_projections::catalogue::KnownEntry;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;

use self::describe::EntryWanted;
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// An entry of the catalogue.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CatalogueItem {
    #[schemars(with = "schema::Reference")]
    id: Reference,
    table: CatalogueTable,
    title: String,
    /// The group it is in; of a story, the market.
    category: Option<String>,
    /// The name of its releases.
    software: Option<String>,
    /// How far it was said to be.
    stage: Option<AdoptionStage>,
    /// The same in the words of the table.
    status: Option<String>,
    /// How a host is reached.
    recipe: Option<String>,
    /// How many ticks the row of a host has.
    ticks: Option<u8>,
    /// What runs on it.
    applications: Vec<String>,
    /// Who a story is about.
    customer: Option<PartyId>,
    stack: Option<String>,
    guest: Option<String>,
    /// What the log shows of the software.
    shown: Option<ShownAdoption>,
    /// The later of the stated stage and the stage that the log shows.
    reached: Option<AdoptionStage>,
    /// The event that recorded the entry first.
    recorded_by: Sequence,
    /// The event by which it says this.
    changed_by: Sequence,
}

/// What the log shows of a software.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ShownAdoption {
    stage: AdoptionStage,
    /// The event that showed it first; for those who may read the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    /// How many living instances run it; for those who see all instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<u64>,
    /// How many computers have it, or are to have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    computers: Option<u64>,
}

/// An entry was removed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EntryRemoved {
    #[schemars(with = "schema::Reference")]
    id: Reference,
    sequence: Sequence,
}

/// How many instances run a software, and how many computers have it.
type Counts = BTreeMap<String, (u64, u64)>;

/// How much each software is used, for those who may know.
fn counts(ctx: &RequestContext, view: &SlapViews) -> Option<Counts> {
    ctx.caller.reaches_all().then(|| {
        let mut counts = Counts::new();
        for release in view.catalogue.releases(|_| true, None, usize::MAX).items {
            let (instances, computers) = counts.entry(release.release.name()).or_default();
            *instances += release.instances;
            // The same computer may have several releases of a software: it counts for the one that most have.
            *computers = (*computers).max(release.supplies.len() as u64);
        }
        counts
    })
}

/// What the log shows of the software of an entry.
fn adoption(view: &SlapViews, says: &CatalogueEntry, counts: Option<&Counts>) -> Option<ShownAdoption> {
    let software = says.software.as_ref()?;
    let (stage, sequence) = view.catalogue.adoption(software.as_str()).furthest()?;
    let counted = counts.map(|counts| counts.get(software.as_str()).copied().unwrap_or_default());
    Some(ShownAdoption {
        stage,
        sequence: counts.map(|_| sequence),
        instances: counted.map(|(instances, _)| instances),
        computers: counted.map(|(_, computers)| computers),
    })
}

/// The later of the stated stage and the stage that the log shows.
fn reached(view: &SlapViews, says: &CatalogueEntry) -> Option<AdoptionStage> {
    let shown = says.software.as_ref().and_then(|name| view.catalogue.adoption(name.as_str()).furthest());
    says.stage.max(shown.map(|(stage, _)| stage))
}

impl CatalogueItem {
    fn of(view: &SlapViews, known: &KnownEntry, counts: Option<&Counts>) -> Self {
        let says = &known.says;
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: known.entry.clone(),
            table: says.table,
            title: says.title.to_string(),
            category: text(&says.category),
            software: says.software.as_ref().map(ToString::to_string),
            stage: says.stage,
            status: text(&says.status),
            recipe: text(&says.recipe),
            ticks: says.ticks,
            applications: says.applications.iter().map(ToString::to_string).collect(),
            customer: says.customer,
            stack: text(&says.stack),
            guest: text(&says.guest),
            shown: adoption(view, says, counts),
            reached: reached(view, says),
            recorded_by: known.first_sequence,
            changed_by: known.changed_by,
        }
    }
}

/// Whether somebody sees an entry: of the stories, those about whom they see.
fn shows(ctx: &RequestContext, known: &KnownEntry) -> bool {
    known.says.customer.is_none_or(|customer| ctx.caller.sees_party(customer))
}

fn unknown(entry: &str) -> Problem {
    Problem::unknown(ProblemCode::EntryUnknown, format!("there is no catalogue entry {entry}"))
}

fn named(entry: &str) -> Result<Reference, Problem> {
    Reference::new(entry).map_err(|_| unknown(entry))
}

/// A parameter that is a word of the catalogue.
fn word<T: serde::de::DeserializeOwned>(
    query: &Query,
    name: &str,
    words: &str,
) -> Result<Option<T>, Problem> {
    let read = |text: &str| serde_json::from_value(serde_json::Value::from(text));
    let rule = |_| Problem::field(name, format!("must be {words}"));
    query.text(name).map(|text| read(text).map_err(rule)).transpose()
}

/// `GET /v1/catalogue`, by name.
pub(super) async fn catalogue(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<CatalogueItem>>, Problem> {
    let query = Query::read(&uri, &["table", "category", "stage", "software"])?;
    let table: Option<CatalogueTable> = word(&query, "table", "storage, platform, host or story")?;
    let stage: Option<AdoptionStage> =
        word(&query, "stage", "considered, planned, supported, tested, used or production")?;
    let (category, software) = (query.text("category"), query.text("software"));
    let page = |view: &SlapViews, after: Option<&Reference>, limit| {
        let fits = |known: &KnownEntry| {
            let says = &known.says;
            shows(&ctx, known)
                && table.is_none_or(|table| says.table == table)
                && category.is_none_or(|category| says.category.as_deref() == Some(category))
                && software.is_none_or(|name| says.software.as_ref().is_some_and(|is| is.as_str() == name))
                && stage.is_none_or(|stage| reached(view, says) == Some(stage))
        };
        let counts = counts(&ctx, view);
        let found = view.catalogue.entries(fits, after.map(Reference::as_str), limit);
        found.map(|known| CatalogueItem::of(view, known, counts.as_ref()))
    };
    query.page(&ctx, page).await
}

/// An entry as it is at a sequence or later.
async fn entry_at(
    ctx: &RequestContext,
    entry: &Reference,
    min: Sequence,
) -> Result<(CatalogueItem, Sequence), Problem> {
    let find = |view: &SlapViews, at| {
        let known = view.catalogue.entry(entry.as_str()).filter(|known| shows(ctx, known))?;
        Some((CatalogueItem::of(view, known, counts(ctx, view).as_ref()), at))
    };
    read(ctx, min, find).await?.ok_or_else(|| unknown(entry.as_str()))
}

/// `GET /v1/catalogue/{entry}`.
pub(super) async fn entry(
    Authorised(ctx): Authorised,
    Named(entry): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<CatalogueItem>, Problem> {
    let entry = named(&entry)?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (item, sequence) = entry_at(&ctx, &entry, position).await?;
    Ok(HttpAnswer::resource(sequence, item))
}

/// `PUT /v1/catalogue/{entry}`: an entry says this from now on.
pub(super) async fn record(
    Authorised(ctx): Authorised,
    Named(entry): Named<String>,
    request: Request,
) -> Result<HttpAnswer<CatalogueItem>, Problem> {
    let entry = Reference::new(&entry).map_err(|rule| Problem::field("entry", rule.to_string()))?;
    let (sent, wanted) = json_body::read::<EntryWanted>(request, json_body::MOST_BYTES).await?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let command = RecordCatalogueEntry { entry: entry.clone(), says: wanted.into() };
    let command = Command::RecordCatalogueEntry(Box::new(command));
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (item, sequence) = entry_at(&ctx, &entry, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(axum::http::StatusCode::OK, sequence, item))
}

/// `DELETE /v1/catalogue/{entry}`.
pub(super) async fn remove(
    Authorised(ctx): Authorised,
    Named(entry): Named<String>,
    request: Request,
) -> Result<HttpAnswer<EntryRemoved>, Problem> {
    let entry = named(&entry)?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let command = Command::RemoveCatalogueEntry(RemoveCatalogueEntry { entry: entry.clone() });
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let sequence = accepted.sequence;
    Ok(HttpAnswer::ok(sequence, EntryRemoved { id: entry, sequence }))
}
