//! Instances, computers and software as resources: `POST /software_instance_module/` of the original document, and the
//! lists under `/v1` that show what is there.
//!
//! A post is `request()`: the same decision, by another way in. What it leaves out of an instance that exists stays as it
//! is. Values that are sealed are opened for a single instance and never in a list.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::Value;
use slapledger_core::domain::id::{ComputerId, InstanceId, Reference, Sequence, SoftwareRelease};
use slapledger_core::domain::instance::{
    InstanceType, ReportedState, RequestOutcome, RequestedState, Requester, WithoutRoom,
};
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_projections::catalogue::Release;
use slapledger_projections::instances::{Instance, InstanceFilter};
use slapledger_projections::inventory::{Computer, Partition, Supply};

use super::body;
use super::json_body::{self, Object};
use super::problem::Problem;
use super::query::{self, Named, Query};
use crate::app::{self, App};
use crate::slap::form::{carriable, id};
use crate::slap::requesting::{self, Requested, Wanted};
use crate::slap::sealing::{open, open_parameters};
use crate::slap::{parse_state, read, supply_state};

/// The longest body of a request for an instance, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// When to ask again for an instance that has no partition yet.
const RETRY_AFTER_SECONDS: u32 = 30;

/// The routes of this file.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/software_instance_module/", post(request))
        .route("/software_instance_module/{id}", get(requested))
        .route("/v1/instances", get(instances))
        .route("/v1/instances/{id}", get(instance))
        .route("/v1/computers", get(computers))
        .route("/v1/computers/{id}", get(computer))
        .route("/v1/software", get(software))
}

/// An instance in a list.
#[derive(Serialize)]
struct InstanceItem {
    id: InstanceId,
    title: String,
    state: &'static str,
    reported_state: Option<ReportedState>,
    instance_type: InstanceType,
    software_release: String,
    software_type: String,
    requester: String,
    owner: String,
    root: InstanceId,
    computer: Option<String>,
    partition: Option<String>,
    sla: BTreeMap<String, String>,
    requested_at: Timestamp,
    allocated_at: Option<Timestamp>,
    reported_at: Option<Timestamp>,
    changed_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// A single instance.
#[derive(Serialize)]
struct InstanceResource {
    #[serde(flatten)]
    item: InstanceItem,
    parameters: BTreeMap<String, String>,
    connection_parameters: BTreeMap<String, String>,
    error: Option<String>,
}

impl InstanceItem {
    fn of(instance: &Instance) -> Self {
        let requested = if instance.lives() { instance.requested } else { RequestedState::Destroyed };
        let place = instance.allocation.as_ref();
        Self {
            id: instance.id,
            title: instance.reference.to_string(),
            state: requested.as_str(),
            reported_state: instance.reported,
            instance_type: instance.instance_type,
            software_release: instance.release.to_string(),
            software_type: instance.software_type.to_string(),
            requester: match instance.requester {
                Requester::Party(party) => party.to_string(),
                Requester::Instance(parent) => parent.to_string(),
            },
            owner: instance.owner.to_string(),
            root: instance.root,
            computer: place.map(|place| place.computer.to_string()),
            partition: place.map(|place| place.partition.to_string()),
            sla: instance.filter.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            requested_at: instance.requested_at,
            allocated_at: place.map(|place| place.from),
            reported_at: instance.reported_at,
            changed_at: instance.changed_at,
            ended_at: instance.ended_at,
        }
    }
}

impl InstanceResource {
    fn of(keys: &KeyRing, instance: &Instance) -> Self {
        let connection = instance.connection.as_ref();
        Self {
            item: InstanceItem::of(instance),
            parameters: open_parameters(keys, &instance.parameters),
            connection_parameters: connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default(),
            error: instance.error.as_ref().and_then(|sealed| open(keys, sealed)),
        }
    }
}

/// `POST /software_instance_module/`.
async fn request(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let form = Form::accepted(request.headers())?;
    let sent = body::read(request, "application/json", MOST_BYTES).await?;
    let wanted = wanted(&app, json_body::object(&sent.headers, &sent.body)?)?;
    let meta = query::meta(&app, app::person(app.local), &sent.headers, &sent.content())?;
    let Requested { instance, outcome, allocated, sequence } =
        requesting::request(&app, meta, &wanted).await?;
    let (found, sequence) = find(&app, instance, sequence).await?;
    let waits = !allocated && found.lives();
    let status = match outcome {
        _ if waits => StatusCode::ACCEPTED,
        RequestOutcome::Created => StatusCode::CREATED,
        RequestOutcome::Changed | RequestOutcome::Unchanged => StatusCode::OK,
    };
    let resource = InstanceResource::of(&app.keys, &found);
    let mut response = match form {
        Form::Json => query::json(status, sequence, &resource),
        Form::Xml => (status, xml(&resource)?).into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/software_instance_module/{instance}")) {
        headers.insert(header::LOCATION, location);
    }
    if waits {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    Ok(response)
}

fn wanted(app: &App, mut sent: Object) -> Result<Wanted, Problem> {
    let text = |text: &str| Ok(text.to_owned());
    let release = id::<SoftwareRelease>("software_release", &sent.required("software_release", text)?)?;
    let reference = id::<Reference>("instance_id", &sent.required("instance_id", text)?)?;
    let instance_type = sent.optional("instance_type", |text| {
        let known = [InstanceType::Production, InstanceType::Testing]
            .into_iter()
            .find(|known| known.as_str() == text);
        known.ok_or_else(|| "must be production or testing".to_owned())
    })?;
    let software_type = sent.optional("software_type", text)?;
    let software_type = software_type.map(|text| id("software_type", &text)).transpose()?;
    let state = sent.optional("state", |text| {
        parse_state(text).ok_or_else(|| "must be started, stopped or destroyed".to_owned())
    })?;
    let parameters = texts(&mut sent, "parameters")?;
    let sla = texts(&mut sent, "sla")?.unwrap_or_default();
    sent.end()?;
    Ok(Wanted {
        requester: Requester::Party(app.local),
        reference,
        release,
        software_type,
        instance_type,
        parameters: ("parameters", parameters),
        filter: sla.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        state,
        shared: false,
        without_room: WithoutRoom::Wait,
    })
}

/// A member that is an object of texts. Under `_` stands JSON, as SLAP has it: as it is, or as a text.
fn texts(sent: &mut Object, name: &str) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let members = match sent.take(name) {
        None => return Ok(None),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Problem::field(name, "must be an object of strings")),
    };
    let mut texts = BTreeMap::new();
    for (key, value) in members {
        let path = format!("{name}.{key}");
        let text = match value {
            Value::String(text) => text,
            value if key == "_" => value.to_string(),
            _ => return Err(Problem::field(path, "must be a string; JSON stands under _")),
        };
        carriable(&path, &key)?;
        carriable(&path, &text)?;
        texts.insert(key, text);
    }
    Ok(Some(texts))
}

async fn find(app: &App, instance: InstanceId, min: Sequence) -> Result<(Instance, Sequence), Problem> {
    let find =
        |view: &slapledger_projections::SlapViews, at| Some((view.instances.get(instance)?.clone(), at));
    read(app, min, find).await?.ok_or_else(|| no_instance(&instance.to_string()))
}

fn no_instance(id: &str) -> Problem {
    Problem::not_found(format!("there is no instance {id}"))
}

/// `GET /software_instance_module/{id}`, in JSON or XML.
async fn requested(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::accepted(&headers)?;
    let (resource, sequence) = shown(&app, &id, &uri).await?;
    match form {
        Form::Json => Ok(query::resource(&headers, sequence, &resource)),
        Form::Xml => Ok(xml(&resource)?.into_response()),
    }
}

/// `GET /v1/instances/{id}`.
async fn instance(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (resource, sequence) = shown(&app, &id, &uri).await?;
    Ok(query::resource(&headers, sequence, &resource))
}

async fn shown(app: &App, id: &str, uri: &Uri) -> Result<(InstanceResource, Sequence), Problem> {
    let position = Query::read(uri, &[])?.position(app).await?;
    let instance = id.parse().map_err(|_| no_instance(id))?;
    let (found, sequence) = find(app, instance, position).await?;
    Ok((InstanceResource::of(&app.keys, &found), sequence))
}

/// `GET /v1/instances`, living and ended, by id.
async fn instances(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<InstanceId>()?);
    let position = query.position(&app).await?;
    let page = read(&app, position, |view, at| {
        let page = view.instances.list(&InstanceFilter::default(), after, limit);
        (page.items.into_iter().map(InstanceItem::of).collect(), page.next, at)
    });
    let (items, next, sequence): (Vec<_>, _, _) = page.await?;
    Ok(query::list(items, next, sequence))
}

/// A computer in a list.
#[derive(Serialize)]
struct ComputerItem {
    id: String,
    owner: String,
    time_zone: String,
    address: String,
    netmask: String,
    registered_at: Timestamp,
    configured_at: Option<Timestamp>,
    partitions: Counts,
}

/// How many partitions there are.
#[derive(Serialize)]
struct Counts {
    free: usize,
    busy: usize,
    withdrawn: usize,
}

/// A single computer.
#[derive(Serialize)]
struct ComputerResource {
    #[serde(flatten)]
    item: ComputerItem,
    partition_list: Vec<PartitionItem>,
    software: Vec<SupplyItem>,
}

#[derive(Serialize)]
struct PartitionItem {
    id: String,
    state: &'static str,
    instance: Option<InstanceId>,
    interface: Option<String>,
    user: Option<String>,
    addresses: Vec<AddressItem>,
}

#[derive(Serialize)]
struct AddressItem {
    address: String,
    netmask: String,
}

#[derive(Serialize)]
struct SupplyItem {
    software_release: String,
    state: &'static str,
    reported_state: Option<SoftwareState>,
    error: Option<String>,
    requested_at: Timestamp,
    reported_at: Option<Timestamp>,
}

impl ComputerItem {
    fn of(computer: &Computer) -> Self {
        let count = |state: &str| {
            computer.partitions().iter().filter(|known| partition_state(known) == state).count()
        };
        Self {
            id: computer.id.to_string(),
            owner: computer.owner.to_string(),
            time_zone: computer.time_zone.to_string(),
            address: computer.address.to_string(),
            netmask: computer.netmask.to_string(),
            registered_at: computer.registered_at,
            configured_at: computer.configured_at,
            partitions: Counts { free: count("free"), busy: count("busy"), withdrawn: count("withdrawn") },
        }
    }
}

fn partition_state(partition: &Partition) -> &'static str {
    match (partition.occupant, partition.offered) {
        (Some(_), _) => "busy",
        (None, true) => "free",
        (None, false) => "withdrawn",
    }
}

impl PartitionItem {
    fn of(partition: &Partition) -> Self {
        let addresses = partition.offer.addresses.iter();
        let addresses = addresses
            .map(|told| AddressItem { address: told.address.to_string(), netmask: told.netmask.to_string() });
        Self {
            id: partition.offer.partition.to_string(),
            state: partition_state(partition),
            instance: partition.occupant,
            interface: partition.offer.tap.as_deref().map(str::to_owned),
            user: partition.offer.user.as_deref().map(str::to_owned),
            addresses: addresses.collect(),
        }
    }
}

impl SupplyItem {
    fn of(keys: &KeyRing, release: &SoftwareRelease, supply: &Supply) -> Self {
        Self {
            software_release: release.to_string(),
            state: supply_state(supply.requested),
            reported_state: supply.reported,
            error: supply.error.as_ref().and_then(|sealed| open(keys, sealed)),
            requested_at: supply.requested_at,
            reported_at: supply.reported_at,
        }
    }
}

/// `GET /v1/computers`, by reference.
async fn computers(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<ComputerId>()?);
    let position = query.position(&app).await?;
    let page = read(&app, position, |view, at| {
        let page = view.inventory.computers(after.as_ref().map(ComputerId::as_str), limit);
        (page.items.into_iter().map(ComputerItem::of).collect(), page.next, at)
    });
    let (items, next, sequence): (Vec<_>, _, _) = page.await?;
    Ok(query::list(items, next, sequence))
}

/// `GET /v1/computers/{id}`.
async fn computer(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let position = Query::read(&uri, &[])?.position(&app).await?;
    let found = read(&app, position, |view, at| Some((view.inventory.computer(&id)?.clone(), at))).await?;
    let (found, sequence) = found.ok_or_else(|| Problem::not_found(format!("there is no computer {id}")))?;
    let supplies = found.supplies().iter();
    let resource = ComputerResource {
        item: ComputerItem::of(&found),
        partition_list: found.partitions().iter().map(PartitionItem::of).collect(),
        software: supplies.map(|(release, supply)| SupplyItem::of(&app.keys, release, supply)).collect(),
    };
    Ok(query::resource(&headers, sequence, &resource))
}

/// A software release in a list.
#[derive(Serialize)]
struct ReleaseItem {
    software_release: String,
    first_seen: Timestamp,
    instances: u64,
    computers: Vec<String>,
}

impl ReleaseItem {
    fn of(release: &Release) -> Self {
        Self {
            software_release: release.release.to_string(),
            first_seen: release.first_seen,
            instances: release.instances,
            computers: release.supplies.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `GET /v1/software`, by address.
async fn software(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<SoftwareRelease>()?);
    let position = query.position(&app).await?;
    let page = read(&app, position, |view, at| {
        let page = view.catalogue.releases(after.as_ref().map(SoftwareRelease::as_str), limit);
        (page.items.into_iter().map(ReleaseItem::of).collect(), page.next, at)
    });
    let (items, next, sequence): (Vec<_>, _, _) = page.await?;
    Ok(query::list(items, next, sequence))
}

/// What an instance can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
}

impl Form {
    /// The form that is accepted, and preferred if both are (RFC 9110, section 12.5.1); JSON, if nothing is said.
    fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let told: Vec<_> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let ranges: Vec<_> =
            told.iter().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
        let quality = |names: &[&str]| {
            if ranges.is_empty() {
                return 1000;
            }
            let of =
                |name: &&str| ranges.iter().filter_map(|range| range.fits(name)).max().map_or(0, |(_, q)| q);
            names.iter().map(of).max().unwrap_or(0)
        };
        let (json, xml) = (quality(&["application/json"]), quality(&["application/xml", "text/xml"]));
        match (json, xml) {
            (0, 0) => {
                let detail = "an instance can be read as application/json or application/xml";
                let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail);
                Err(Problem { field: Some("accept".into()), ..problem })
            }
            (json, xml) if xml > json => Ok(Self::Xml),
            _ => Ok(Self::Json),
        }
    }
}

/// A media range, and how much it is liked, in thousandths.
struct Range<'a> {
    range: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let told =
            parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        Some(Self { range, quality: told.map_or(1000, thousandths) })
    }

    /// How exactly it names a type, and how much it is liked; `None` if it does not fit.
    fn fits(&self, name: &str) -> Option<(usize, u16)> {
        let family = name.split('/').next().unwrap_or_default();
        let exactness = match self.range.split_once('/') {
            Some(("*", "*")) => 0,
            Some((told, "*")) if told.eq_ignore_ascii_case(family) => 1,
            _ if self.range.eq_ignore_ascii_case(name) => 2,
            _ => return None,
        };
        Some((exactness, self.quality))
    }
}

/// A quality of at most three digits after the point; one that is none is the least there is.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.parse().ok().filter(|parsed| *parsed <= 1000 && fraction.len() <= 3).unwrap_or(1)
}

/// An instance in XML: an element for each member; parameters as SLAP has them.
fn xml(resource: &InstanceResource) -> Result<impl IntoResponse + use<>, Problem> {
    let members = match serde_json::to_value(resource) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(Problem::fault(&"an instance is no JSON object")),
        Err(error) => return Err(Problem::fault(&error)),
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<software_instance>\n");
    for (name, value) in &members {
        match value {
            Value::Null => {}
            Value::Object(parameters) => {
                let _ = writeln!(out, "  <{name}>");
                for (key, value) in parameters {
                    let (key, value) = (escape(key), escape(&text_of(value)));
                    let _ = writeln!(out, "    <parameter id=\"{key}\">{value}</parameter>");
                }
                let _ = writeln!(out, "  </{name}>");
            }
            value => drop(writeln!(out, "  <{name}>{}</{name}>", escape(&text_of(value)))),
        }
    }
    out.push_str("</software_instance>\n");
    Ok(([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], out))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Text for an element or an attribute; what a reader of XML would take for mere space is kept.
fn escape(text: &str) -> String {
    let escaped = quick_xml::escape::escape(text);
    escaped.replace('\r', "&#13;").replace('\n', "&#10;").replace('\t', "&#9;")
}
