//! Usage over REST: events in, readings out, and what is suspended in between.
//!
//! `POST /v1/usage-events` answers 200 with what became of each event, or 422 with the same if none was accepted. A
//! computer that does not exist is 404 if all events of the body are such computers'; else those events are rejected
//! with the field `source`, and the others are recorded. Events of several computers are recorded computer by
//! computer: should that stop half way, what is sent again is a duplicate.

mod binary;
pub(super) mod describe;
mod notices;
pub(super) mod received;
pub(super) mod report;
pub(super) mod suspense;
pub(super) mod voids;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use slapledger_billing::BillingView;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{ComputerId, InstanceId, ResourceId, Sequence};
use slapledger_core::domain::invoice::{Bound, InvalidPeriod, RunPeriod};
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};
use slapledger_core::domain::usage::{
    DismissSuspendedUsage, RecordUsage, ReportedInstant, ResolveSuspendedUsage, UnreadableInstant, Usage,
    UsageId, UsageOutcome, UsageRefusal, UsageReport, UsageSuspended,
};
use slapledger_core::domain::{Answer, Command, Refusal};
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_core::log::envelope::Actor;
use slapledger_engine::receipts::ReceiptDetails;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::body::{self, ReceivedRequest};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::{Problem, ProblemDetails};
use slapledger_kit::{collect, json_body};
use slapledger_projections::calendar::Step;
use slapledger_projections::metering::{StepReading, Target};
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::receipts;

use self::describe::{Dismissal, Resolution};
use self::notices::Notices;
use super::cloud_event::{self, Batch, BodyError, ComputerEvents, EventFormat, Invalid};
use super::log;
use super::openapi::schema;
use super::period::period_instead_of_bounds;
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// The longest body that is read where the request is; longer ones are read beside, so that others are answered.
const SHORT_BODY_BYTES: usize = 1024 * 1024;
/// Of how many conflicts of a body the member that differs is looked up.
const MOST_EXPLAINED: usize = 100;
/// The most computers that a problem names.
const MOST_NAMED: usize = 5;
/// The most steps of a reading, over all its resources.
const MOST_STEPS: usize = 20_000;

/// What became of the events of a body.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Answered {
    accepted: u64,
    duplicates: u64,
    suspended: u64,
    rejected: u64,
    sequence: Sequence,
    /// How many usage events were voided.
    #[serde(skip_serializing_if = "is_zero")]
    voided: u64,
    /// All that were not accepted, were voided, or have a notice, in the order of the body.
    outcomes: Vec<OutcomeForm>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OutcomeForm {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the sender of an accepted event should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// `POST /v1/usage-events`.
pub(super) async fn record(Authorised(ctx): Authorised, request: Request) -> Result<UsageAnswer, Problem> {
    let (parts, body) = request.into_parts();
    if binary::is_event(&parts.headers) {
        return record_binary(&ctx, &parts, body).await;
    }
    let format = collect::media_type(&parts.headers).as_deref().and_then(EventFormat::of);
    let format = format.ok_or_else(|| Problem::unsupported_media_type(EventFormat::EXPECTED))?;
    let body = collect::collect(&parts, body, usize::MAX).await?;
    record_events(&ctx, &parts.headers, body, format).await
}

/// Records one event whose attributes are headers.
async fn record_binary(ctx: &Arc<RequestContext>, parts: &Parts, body: Body) -> Result<UsageAnswer, Problem> {
    binary::check_type(&parts.headers)?;
    let data = collect::collect(parts, body, usize::MAX).await?;
    let event = binary::structured(&parts.headers, &data)?;
    record_events(ctx, &parts.headers, event, EventFormat::One).await
}

/// Records the events of a body, computer by computer.
async fn record_events(
    ctx: &Arc<RequestContext>,
    headers: &HeaderMap,
    body: Bytes,
    format: EventFormat,
) -> Result<UsageAnswer, Problem> {
    let (batch, zones) = read(ctx, &body, format).await?;
    let events = batch.events;
    // Before anything is recorded.
    batch.groups.iter().try_for_each(|group| ctx.caller.check_node(&group.computer))?;

    // Once for all computers: a long body may name thousands of them.
    let digest = Sha256::digest(&body);
    let mut told = Answered { sequence: ctx.ledger().head().last, ..Answered::default() };
    let mut unknown = Unknown::default();
    let mut conflicts = Vec::new();
    for ComputerEvents { computer, reports, names, voids, void_names } in batch.groups {
        let content = [b"/v1/usage-events".as_slice(), computer.as_str().as_bytes(), &digest];
        let actor = ctx.caller.actor_at(&computer);
        let meta = query::meta(ctx, actor.clone(), headers, &content)?;
        let notices = Notices::of(ctx, &reports);
        let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
        let since = ctx.ledger().head().last;
        let accepted = match ctx.ledger().submit_patiently(Submission { meta, command }).await {
            Ok(accepted) => accepted,
            Err(SubmitError::Refused(Refusal::Usage(UsageRefusal::UnknownComputer(_)))) => {
                unknown.add(computer, names.into_iter().chain(void_names).collect());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Answer::Usage(outcomes) = accepted.answer else {
            return Err(Problem::fault(&"usage was answered otherwise"));
        };
        told.sequence = told.sequence.max(accepted.sequence);
        receipts::keep(ctx, (&computer, since), names.iter().map(|(_, id)| id).zip(&outcomes));
        for (nth, (outcome, (index, id))) in outcomes.into_iter().zip(names).enumerate() {
            if let UsageOutcome::Conflict(with) = outcome {
                conflicts.push((index, with));
            }
            told.add(outcome, (index, &id), notices.of_report(nth));
        }
        // What a body voids it voids after all that it reports.
        let (outcomes, sequence) =
            voids::carry_out(ctx, (actor, headers, &content), &computer, &voids).await?;
        told.sequence = told.sequence.max(sequence);
        for (outcome, (index, id)) in outcomes.into_iter().zip(void_names) {
            told.add(outcome, (index, &id), None);
        }
    }
    if unknown.events > 0 && unknown.events == events {
        keep_rejected(ctx, &unknown.outcomes);
        return Err(unknown.problem());
    }
    let rejected = unknown.outcomes.into_iter().chain(batch.invalid.into_iter().map(OutcomeForm::from));
    let rejected: Vec<OutcomeForm> = rejected.collect();
    keep_rejected(ctx, &rejected);
    told.outcomes.extend(rejected);
    told.outcomes.sort_unstable_by_key(|outcome| outcome.index);
    told.rejected = events as u64 - told.accepted - told.duplicates - told.suspended - told.voided;
    if !conflicts.is_empty() {
        explain(ctx, (body, format, zones), &conflicts, &mut told.outcomes).await?;
    }
    Ok(told.into())
}

/// Keeps receipts of events that no computer is known for: those of a node are its own.
fn keep_rejected(ctx: &RequestContext, rejected: &[OutcomeForm]) {
    let computer = match ctx.caller.principal().map(|principal| &principal.holder) {
        Some(Holder::Computer(own)) => Some(own),
        _ => None,
    };
    let details = rejected.iter().map(|outcome| ReceiptDetails {
        id: outcome.id.as_deref().map(Into::into),
        sequence: None,
        field: outcome.field.as_deref().map(Into::into),
        reason: outcome.reason.as_deref().map(Into::into),
    });
    receipts::keep_rejected(ctx, computer, details);
}

/// Events of computers that do not exist.
#[derive(Default)]
struct Unknown {
    events: usize,
    computers: Vec<ComputerId>,
    outcomes: Vec<OutcomeForm>,
}

impl Unknown {
    fn add(&mut self, computer: ComputerId, names: Vec<(u32, UsageId)>) {
        self.events += names.len();
        let reason = format!("there is no computer {computer}");
        self.outcomes.extend(names.into_iter().map(|(index, id)| OutcomeForm {
            index,
            id: Some(id.to_string()),
            outcome: "invalid",
            sequence: None,
            field: Some("source".into()),
            reason: Some(reason.clone()),
            notice: None,
        }));
        self.computers.push(computer);
    }

    fn problem(&self) -> Problem {
        let some: Vec<&str> = self.computers.iter().map(ComputerId::as_str).take(MOST_NAMED).collect();
        let more = if self.computers.len() > some.len() { " and more of them" } else { "" };
        let detail = format!("there is no computer {}{more}", some.join(", none "));
        Problem { field: Some("source".into()), ..Problem::unknown(ProblemCode::ComputerUnknown, detail) }
    }
}

/// What became of the events of a body of which none was accepted: a problem, so that a sender who looks at the status
/// alone notices.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NoneAccepted {
    #[serde(flatten)]
    problem: ProblemDetails<'static>,
    #[serde(flatten)]
    answered: Answered,
}

/// The answer to a body of usage events.
pub(crate) enum UsageAnswer {
    /// Some of them are in the log.
    Some(HttpAnswer<Answered>),
    /// None of them counts.
    None(Box<HttpAnswer<NoneAccepted>>),
}

impl IntoResponse for UsageAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Some(answer) => answer.into_response(),
            Self::None(answer) => answer.into_response(),
        }
    }
}

impl From<Answered> for UsageAnswer {
    /// Events that are known already were accepted when they came first.
    fn from(answered: Answered) -> Self {
        let failed = answered.suspended + answered.rejected;
        if failed == 0 || answered.accepted + answered.duplicates + answered.voided > 0 {
            return Self::Some(HttpAnswer::ok(answered.sequence, answered));
        }
        let (sequence, detail) = (answered.sequence, answered.first_reason(failed));
        let (status, code) = (StatusCode::UNPROCESSABLE_ENTITY, ProblemCode::NoUsageAccepted);
        let problem = ProblemDetails::new(status, code, detail.into());
        Self::None(Box::new(HttpAnswer::problem(status, sequence, NoneAccepted { problem, answered })))
    }
}

impl Answered {
    /// How many events failed, and why the first one did.
    fn first_reason(&self, failed: u64) -> String {
        let first = self.outcomes.iter().find(|outcome| outcome.reason.is_some());
        let (outcome, reason) = first.map_or(("", String::new()), |first| {
            let reason = first.reason.as_deref().unwrap_or_default();
            // The reason of what is invalid is a rule that follows the member.
            match (first.outcome, first.field.as_deref()) {
                ("invalid", field) => (first.outcome, format!("{} {reason}", field.unwrap_or("event"))),
                (outcome, _) => (outcome, reason.to_owned()),
            }
        });
        let suspended =
            if self.suspended > 0 { "; suspended usage is in the log and is not metered" } else { "" };
        let events =
            if failed == 1 { "the event".to_owned() } else { format!("none of the {failed} events") };
        let not = if failed == 1 { " not" } else { "" };
        format!("{events} was{not} accepted: {reason} ({outcome}){suspended}")
    }

    fn add(&mut self, outcome: UsageOutcome, (index, id): (u32, &UsageId), notice: Option<String>) {
        let (field, reason) = receipts::blamed(&outcome);
        let (outcome, sequence) = match outcome {
            UsageOutcome::Accepted(sequence) => {
                self.accepted += 1;
                if notice.is_some() {
                    let (id, field) = (Some(id.to_string()), Some("data.resource".to_owned()));
                    let (outcome, sequence) = ("accepted", Some(sequence));
                    self.outcomes.push(OutcomeForm {
                        index,
                        id,
                        outcome,
                        sequence,
                        field,
                        reason: None,
                        notice,
                    });
                }
                return;
            }
            UsageOutcome::Voided(sequence) => {
                self.voided += 1;
                ("voided", Some(sequence))
            }
            UsageOutcome::Duplicate(known) => {
                self.duplicates += 1;
                ("duplicate", Some(known))
            }
            UsageOutcome::Suspended(sequence, _) => {
                self.suspended += 1;
                ("suspended", Some(sequence))
            }
            UsageOutcome::Conflict(with) => ("conflict", Some(with)),
            UsageOutcome::NothingToVoid | UsageOutcome::NothingToReplace => ("conflict", None),
            UsageOutcome::OverQuota(_) => ("over_quota", None),
        };
        let (id, field) = (Some(id.to_string()), field.map(str::to_owned));
        self.outcomes.push(OutcomeForm { index, id, outcome, sequence, field, reason, notice: None });
    }
}

impl From<Invalid> for OutcomeForm {
    fn from(invalid: Invalid) -> Self {
        let Invalid { index, id, field, reason } = invalid;
        let field = Some(field).filter(|field| !field.is_empty());
        Self { index, id, outcome: "invalid", sequence: None, field, reason: Some(reason), notice: None }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let detail = error.to_string();
        match error {
            BodyError::TooManyEvents => Self::body_too_large(detail),
            BodyError::NotUtf8 { .. } | BodyError::Malformed { .. } => Self::malformed(detail),
        }
    }
}

type Zones = HashMap<String, TimeZone>;

/// The events of a body. Time zones of computers are looked up only if some event needs one.
async fn read(ctx: &RequestContext, body: &Bytes, format: EventFormat) -> Result<(Batch, Zones), Problem> {
    let batch = read_once(body, format, Zones::new()).await?;
    if batch.zones_missing.is_empty() {
        return Ok((batch, Zones::new()));
    }
    let wanted = batch.zones_missing;
    let head = ctx.ledger().head().last;
    let zones: Zones = ctx
        .slap()
        .read_at(head, |view, _| {
            let zone = |name: &String| view.inventory.computer(name).map(|computer| computer.time_zone);
            // What an unknown computer says is rejected, whatever the time.
            wanted.iter().map(|name| (name.clone(), zone(name).unwrap_or(TimeZone::UTC))).collect()
        })
        .await?;
    Ok((read_once(body, format, zones.clone()).await?, zones))
}

async fn read_once(body: &Bytes, format: EventFormat, zones: Zones) -> Result<Batch, Problem> {
    if body.len() <= SHORT_BODY_BYTES {
        return Ok(cloud_event::read(body, format, &zones)?);
    }
    let body = body.clone();
    let read = tokio::task::spawn_blocking(move || cloud_event::read(&body, format, &zones)).await;
    Ok(read.map_err(|error| Problem::fault(&error))??)
}

/// Finds the members in which events differ from what their identities were reported with. The reports have gone to
/// the writer, so they are read again: conflicts are rare.
async fn explain(
    ctx: &Arc<RequestContext>,
    (body, format, zones): (Bytes, EventFormat, Zones),
    conflicts: &[(u32, Sequence)],
    outcomes: &mut [OutcomeForm],
) -> Result<(), Problem> {
    let conflicts: HashMap<u32, Sequence> = conflicts.iter().take(MOST_EXPLAINED).copied().collect();
    let store = Arc::clone(ctx.ledger().store());
    let found = tokio::task::spawn_blocking(move || -> Result<HashMap<u32, &'static str>, Problem> {
        let batch = cloud_event::read(&body, format, &zones)?;
        let wanted: BTreeSet<Sequence> = conflicts.values().copied().collect();
        let recorded = log::events(&*store, wanted)?;
        let mut fields = HashMap::new();
        for group in &batch.groups {
            for (report, (index, _)) in group.reports.iter().zip(&group.names) {
                let recorded = conflicts.get(index).and_then(|with| recorded.get(with));
                let change = recorded.and_then(|recorded| recorded.event.usage_change()).unwrap_or_default();
                let field = match (change.metered, change.suspended) {
                    (Some(usage), _) => differs_from_usage(report, usage),
                    (None, Some(suspended)) => differs_from_suspended(report, suspended),
                    (None, None) => continue,
                };
                fields.insert(*index, field);
            }
        }
        Ok(fields)
    });
    let fields = found.await.map_err(|error| Problem::fault(&error))??;
    for outcome in outcomes {
        if let Some(field) = fields.get(&outcome.index) {
            outcome.field = Some((*field).to_owned());
        }
    }
    Ok(())
}

/// The first member in which a report differs from an event of the same identity.
fn differs_from_usage(report: &UsageReport, usage: &Usage) -> &'static str {
    let start = (!usage.start_found).then_some(usage.period.start);
    first_that_differs(&[
        ("subject", report.subject == usage.subject),
        ("data.resource", *report.resource == *usage.resource.as_str()),
        ("data.quantity", report.quantity.1 == Ok(usage.quantity)),
        ("data.start", report.start == Ok(start)),
        ("data.stop", report.stop == Ok(Some(usage.period.stop))),
        ("data.dimensions", report.dimensions == usage.dimensions),
        ("data.node_sequence", report.node_sequence == usage.node_sequence),
    ])
}

fn differs_from_suspended(report: &UsageReport, suspended: &UsageSuspended) -> &'static str {
    let quantity = match suspended.quantity.parse::<Quantity>() {
        Ok(quantity) => report.quantity.1 == Ok(quantity),
        Err(_) => report.quantity.0 == suspended.quantity,
    };
    first_that_differs(&[
        ("subject", report.subject == suspended.subject),
        ("data.resource", *report.resource == *suspended.resource),
        ("data.quantity", quantity),
        ("data.start", same(&report.start, suspended.start, suspended.unreadable_start.as_deref())),
        ("data.stop", same(&report.stop, suspended.stop, suspended.unreadable_stop.as_deref())),
        ("data.dimensions", report.dimensions == suspended.dimensions),
        ("data.node_sequence", report.node_sequence == suspended.node_sequence),
    ])
}

fn same(told: &ReportedInstant, known: Option<Timestamp>, unreadable: Option<&str>) -> bool {
    match told {
        Ok(instant) => *instant == known && unreadable.is_none(),
        Err(UnreadableInstant { text, .. }) => unreadable == Some(text),
    }
}

fn first_that_differs(members: &[(&'static str, bool)]) -> &'static str {
    members.iter().find(|(_, same)| !same).map_or("data", |(field, _)| field)
}

/// What was used.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Readings {
    instance: InstanceId,
    from: Timestamp,
    to: Timestamp,
    step: &'static str,
    time_zone: TimeZone,
    resources: Vec<ResourceReadings>,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct ResourceReadings {
    resource: ResourceId,
    steps: Vec<OneStep>,
}

/// A step. Whether its resource is a counter or a gauge is said in price books, so both readings are given.
#[derive(Serialize, JsonSchema)]
struct OneStep {
    start: Timestamp,
    stop: Timestamp,
    events: u64,
    /// As a counter: the sum.
    #[serde(serialize_with = "billionths")]
    #[schemars(with = "schema::Decimal")]
    sum: i128,
    /// As a gauge: levels times the hours they held.
    #[serde(serialize_with = "billionths")]
    #[schemars(with = "schema::Decimal")]
    time_integral: i128,
}

impl OneStep {
    fn of(reading: StepReading) -> Self {
        const HOUR_MICROS: i128 = 3_600_000_000;
        let StepReading { period, count, sum_billionths, integral } = reading;
        // Half up: levels are never negative.
        let time_integral = (integral + HOUR_MICROS / 2) / HOUR_MICROS;
        Self { start: period.start, stop: period.stop, events: count, sum: sum_billionths, time_integral }
    }
}

/// A count of billionths as a decimal, of any size.
fn billionths<S: Serializer>(billionths: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    let sign = if *billionths < 0 { "-" } else { "" };
    let (whole, fraction) =
        (billionths.unsigned_abs() / ONE.unsigned_abs(), billionths.unsigned_abs() % ONE.unsigned_abs());
    let text = format!("{sign}{whole}.{fraction:09}");
    serializer.serialize_str(text.trim_end_matches('0').trim_end_matches('.'))
}

/// `GET /v1/usage`: readings of an instance in steps, which begin where the clock of `time_zone` says (the payer's, if
/// none is named).
pub(super) async fn readings(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<Readings>, Problem> {
    let query = Query::read(&uri, &["instance", "resource", "period", "from", "to", "step", "time_zone"])?;
    let instance: InstanceId = query.required("instance")?;
    let resource: Option<ResourceId> = query.parse("resource")?;
    let (step, word) = match query.text("step").unwrap_or("day") {
        "hour" => (Step::Hour, "hour"),
        "day" => (Step::Day, "day"),
        "month" => (Step::Month, "month"),
        _ => return Err(Problem::field("step", "must be hour, day or month")),
    };
    let zone: Option<TimeZone> = query.parse("time_zone")?;
    let position = query.position(&ctx).await?;
    let owner = ctx.slap().read_at(position, |view, _| {
        let known = view.instances.get(instance).filter(|known| ctx.caller.sees_instance(view, known));
        known.map(|known| known.owner)
    });
    let owner = owner.await?;
    let owner = owner.ok_or_else(|| unknown_instance(instance))?;
    let body = ctx.rate(position, move |_, view, sequence| {
        let zone =
            zone.or_else(|| view.billing.calendar_of(owner).map(Calendar::newest)).unwrap_or(TimeZone::UTC);
        let period = period(&query, zone)?;
        let target = Target::Instance(instance);
        let mut resources: Vec<ResourceId> = view.metering.series(&target).into_iter().cloned().collect();
        resources.retain(|known| resource.as_ref().is_none_or(|wanted| wanted == known));
        let most = MOST_STEPS / resources.len().max(1);
        let too_many = || {
            Problem::field("step", format!("must be longer: there would be more than {MOST_STEPS} of them"))
        };
        let steps = |resource: ResourceId| {
            let key = (&target, resource.as_str());
            let steps = view.metering.steps(key, period, (step, zone), most).ok_or_else(too_many)?;
            Ok(ResourceReadings { steps: steps.into_iter().map(OneStep::of).collect(), resource })
        };
        let resources = resources.into_iter().map(steps).collect::<Result<_, Problem>>()?;
        let (from, to) = (period.start, period.stop);
        Ok(Readings { instance, from, to, step: word, time_zone: zone, resources, sequence })
    });
    let body = body.await?;
    Ok(HttpAnswer::ok(body.sequence, body))
}

fn unknown_instance(instance: InstanceId) -> Problem {
    Problem {
        field: Some("instance".into()),
        ..Problem::unknown(ProblemCode::InstanceUnknown, format!("there is no instance {instance}"))
    }
}

fn period(query: &Query, zone: TimeZone) -> Result<Period, Problem> {
    if let Some(period) = period_instead_of_bounds(query)? {
        let within = period.within(&Calendar::of(zone));
        return within.ok_or_else(|| Problem::field("period", InvalidPeriod::Backwards.to_string()));
    }
    let bound = |name: &str| {
        let text = query.text(name).ok_or_else(|| Problem::field(name, "is missing"))?;
        let rule = "must be a day such as 2026-10-01, or an RFC 3339 instant with its offset";
        let bound: Result<Bound, _> = text.parse();
        bound.map(|bound| bound.within(&Calendar::of(zone))).map_err(|_| Problem::field(name, rule))
    };
    let (from, to) = (bound("from")?, bound("to")?);
    Period::new(from, to).ok_or_else(|| Problem::field("to", "must be after from"))
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Settled {
    suspended: Sequence,
    sequence: Sequence,
}

/// `POST /v1/usage-suspense/{sequence}/resolve`: what was wrong is put right, and the usage is metered.
pub(super) async fn resolve(
    Authorised(ctx): Authorised,
    Named(suspended): Named<String>,
    request: Request,
) -> Result<HttpAnswer<Settled>, Problem> {
    let suspended = suspended_at(&suspended)?;
    // Days begin where the seller is.
    let calendar = ctx.billing().read(|view, _| view.billing.calendar_of(FIRST_PARTY).cloned());
    let calendar = calendar.unwrap_or_else(|| Calendar::of(TimeZone::UTC));
    let settled = settle(&ctx, suspended, request, |sent| {
        let resolution: Resolution = json_body::parse_optional(sent)?;
        let subject = resolution.subject.map(Into::into);
        let resource = resolution.resource.map(|resource| resource.0.as_str().into());
        let quantity = resolution.quantity.map(Into::into);
        let period = resolution.period.map(|period| {
            let within = RunPeriod::from(period).within(&calendar);
            within.ok_or_else(|| Problem::field("period", InvalidPeriod::Backwards.to_string()))
        });
        let period = period.transpose()?;
        let command = ResolveSuspendedUsage { suspended, subject, resource, quantity, period };
        Ok(Command::ResolveSuspendedUsage(command))
    });
    settled.await.map_err(|problem| {
        // What is to blame in an event has another name among what puts it right.
        let field = match problem.field.as_deref() {
            Some("data.resource") => Some("resource"),
            Some("data.quantity") => Some("quantity"),
            Some("data.start" | "data.stop") => Some("period"),
            _ => None,
        };
        Problem { field: field.map(str::to_owned).or(problem.field), ..problem }
    })
}

/// `POST /v1/usage-suspense/{sequence}/dismiss`: it is never metered.
pub(super) async fn dismiss(
    Authorised(ctx): Authorised,
    Named(suspended): Named<String>,
    request: Request,
) -> Result<HttpAnswer<Settled>, Problem> {
    let suspended = suspended_at(&suspended)?;
    let settled = settle(&ctx, suspended, request, |sent| {
        let reason = json_body::parse::<Dismissal>(sent)?.reason.into();
        Ok(Command::DismissSuspendedUsage(DismissSuspendedUsage { suspended, reason }))
    });
    settled.await
}

fn suspended_at(text: &str) -> Result<Sequence, Problem> {
    query::sequence("", text).map_err(|_| {
        Problem::unknown(ProblemCode::UsageNotSuspended, format!("no usage is suspended under {text:?}"))
    })
}

async fn settle(
    ctx: &RequestContext,
    suspended: Sequence,
    request: Request,
    command: impl FnOnce(&ReceivedRequest) -> Result<Command, Problem>,
) -> Result<HttpAnswer<Settled>, Problem> {
    let sent = body::read_any(request, json_body::MOST_BYTES).await?;
    let command = command(&sent)?;
    let position = ctx.ledger().head().last;
    let theirs = ctx.computers_seen(position).await?;
    if !theirs.are_all() {
        let of =
            |view: &BillingView, _| view.metering.suspended(suspended).map(|known| known.computer.clone());
        let computer = ctx.billing().read_at(position, of).await?;
        if !computer.is_some_and(|computer| theirs.has(&computer)) {
            return Err(Problem::unknown(
                ProblemCode::UsageNotSuspended,
                format!("no usage is suspended under sequence {suspended}"),
            ));
        }
    }
    let meta = query::meta(ctx, local(ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let sequence = accepted.sequence;
    Ok(HttpAnswer::ok(sequence, Settled { suspended, sequence }))
}

/// Who acts.
pub(super) fn local(ctx: &RequestContext) -> Actor {
    ctx.caller.actor()
}

#[cfg(test)]
mod tests;
