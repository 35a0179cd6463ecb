//! Usage events as they come in: CloudEvents 1.0 in JSON, one, a batch, or one a line.
//!
//! Invariants: text that is no JSON condemns the body; JSON that is no usage event condemns that event alone, and its
//! sender is told the member to blame; what is an event and cannot be metered goes on to be suspended. Texts borrow
//! from the body. Quantities are read from their digits, whether they were sent as strings or as numbers: no binary
//! float comes in between. Nesting costs no stack: what is not looked at is skipped, not descended into.
//!
//! Not here: who is known, what was seen before, HTTP.

mod members;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDateTime;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::quantity::{InvalidNumber, Quantity};
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{
    NoInstant, ReportedInstant, Revision, Unmeterable, UnreadableInstant, UsageId, UsageReport, VoidRequest,
};
use slapledger_slap_wire::tioxml::{QuantityError, parse_date, parse_quantity};

pub(super) use members::UsageEvent;
use members::{DimensionMembers, EventMember, Item, Payload, TWICE, UsageData, shown};

/// The most events of a body.
pub(super) const MOST_EVENTS: usize = 50_000;
/// The `type` of a usage event.
pub(super) const TYPE: &str = "org.slapos.usage";
/// The `type` of a request to void one.
pub(super) const VOID_TYPE: &str = "org.slapos.usage.void";

const MOST_DIMENSIONS: usize = 16;
const MOST_TEXT_BYTES: usize = 255;
/// No number that fits is longer, whatever its form.
const MOST_QUANTITY_BYTES: usize = 100;

/// How events are written one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventFormat {
    /// One event: `application/cloudevents+json`.
    One,
    /// A list of them: `application/cloudevents-batch+json`.
    Batch,
    /// One a line: `application/x-ndjson`.
    Lines,
}

impl EventFormat {
    /// All media types that are read, as an error names them.
    pub(super) const EXPECTED: &str =
        "application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson, in UTF-8";

    /// The format of a media type.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/cloudevents+json" => Some(Self::One),
            "application/cloudevents-batch+json" => Some(Self::Batch),
            "application/x-ndjson" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// Why a body as a whole is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Not UTF-8.
    #[error("the body is not UTF-8: see byte {at}")]
    NotUtf8 {
        /// The first byte that is wrong, from 0.
        at: usize,
    },
    /// Not JSON, or not of the form that its type promises.
    #[error("line {line}, column {column}: {what}")]
    Malformed {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// Too many events.
    #[error("a body must not hold more than {MOST_EVENTS} events")]
    TooManyEvents,
}

/// The events of a body, by computer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// How many events there are.
    pub(super) events: usize,
    /// Those that can be decided on, by the computer that reports them; computers in the order they come first.
    pub(super) groups: Vec<ComputerEvents>,
    /// Those that are no usage events, in order.
    pub(super) invalid: Vec<Invalid>,
    /// Computers whose time zone has to be known before this can be used: they left offsets out.
    pub(super) zones_missing: BTreeSet<String>,
}

/// The events of one computer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ComputerEvents {
    /// Which.
    pub(super) computer: ComputerId,
    /// The events.
    pub(super) reports: Vec<UsageReport>,
    /// Where each of them stands in the body, and its name.
    pub(super) names: Vec<(u32, UsageId)>,
    /// Requests to void events, which are carried out after all reports.
    pub(super) voids: Vec<VoidRequest>,
    /// Where each of those stands, and its name.
    pub(super) void_names: Vec<(u32, UsageId)>,
}

/// An event that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    /// Where it stands in the body, from 0.
    pub(super) index: u32,
    /// Its name, if it has one that can be shown.
    pub(super) id: Option<String>,
    /// The member to blame; empty for the event itself.
    pub(super) field: String,
    /// The rule it breaks, as words that follow the member.
    pub(super) reason: String,
}

/// Reads the events of a body. `zones` are the time zones of computers, as far as they are known.
pub(super) fn read(
    body: &[u8],
    format: EventFormat,
    zones: &HashMap<String, TimeZone>,
) -> Result<Batch, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotUtf8 { at: error.valid_up_to() })?;
    read_by_scanner(text, format, zones).map_or_else(|| read_in_full(text, format, zones), Ok)
}

/// The events of a body of the usual shape; `None` of any other.
fn read_by_scanner(text: &str, format: EventFormat, zones: &HashMap<String, TimeZone>) -> Option<Batch> {
    let mut builder = Builder::new(zones);
    match format {
        EventFormat::One => builder.add(Ok(&scan::one(text)?)),
        EventFormat::Batch => {
            scan::list(text, |event| (builder.batch.events < MOST_EVENTS).then(|| builder.add(Ok(event))))?;
        }
        EventFormat::Lines => {
            for line in text.split('\n').filter(|line| !line.trim_ascii().is_empty()) {
                if builder.batch.events == MOST_EVENTS {
                    return None;
                }
                builder.add(Ok(&scan::one(line)?));
            }
        }
    }
    Some(builder.batch)
}

/// The events of any body.
fn read_in_full(
    text: &str,
    format: EventFormat,
    zones: &HashMap<String, TimeZone>,
) -> Result<Batch, BodyError> {
    let mut builder = Builder::new(zones);
    match format {
        EventFormat::One => {
            let item: Item<'_> = serde_json::from_str(text).map_err(|error| malformed(&error, 1))?;
            if let Item::Other(what) = item {
                let what = format!(
                    "the body must be one event, a JSON object, not {what}; {} is for a list",
                    "application/cloudevents-batch+json"
                );
                return Err(BodyError::Malformed { line: 1, column: 1, what });
            }
            builder.add(item.event());
        }
        EventFormat::Batch => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let mut too_many = false;
            let items = EventItems { builder: &mut builder, too_many: &mut too_many };
            let read = items.deserialize(&mut deserializer).and_then(|()| deserializer.end());
            if too_many {
                return Err(BodyError::TooManyEvents);
            }
            read.map_err(|error| malformed(&error, 1))?;
        }
        EventFormat::Lines => {
            for (number, line) in (1..).zip(text.split('\n')) {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                if builder.batch.events == MOST_EVENTS {
                    return Err(BodyError::TooManyEvents);
                }
                let item: Item<'_> = serde_json::from_str(line).map_err(|error| malformed(&error, number))?;
                builder.add(item.event());
            }
        }
    }
    Ok(builder.batch)
}

fn malformed(error: &serde_json::Error, first_line: usize) -> BodyError {
    // serde_json appends the place, which is told apart here.
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what).to_owned();
    // Before the first byte there is no line.
    let line = first_line + error.line().saturating_sub(1);
    BodyError::Malformed { line, column: error.column().max(1), what }
}

/// The events of a list, each handed on as soon as it is read.
struct EventItems<'b, 'a, 'z> {
    builder: &'b mut Builder<'a, 'z>,
    too_many: &'b mut bool,
}

impl<'de> DeserializeSeed<'de> for EventItems<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EventItems<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Item<'de>>()? {
            if self.builder.batch.events == MOST_EVENTS {
                *self.too_many = true;
                return Err(A::Error::custom("too many events"));
            }
            self.builder.add(item.event());
        }
        Ok(())
    }
}

/// Sorts events by computer.
struct Builder<'a, 'z> {
    batch: Batch,
    zones: &'z HashMap<String, TimeZone>,
    by_computer: HashMap<String, usize>,
    /// The group of the last event: mostly that of the next.
    last: Option<(Cow<'a, str>, usize)>,
    /// Some resources of the events before.
    resources: Vec<Arc<str>>,
}

/// Why an event is none.
struct EventFault {
    field: Cow<'static, str>,
    reason: Cow<'static, str>,
}

fn fault<T>(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Result<T, EventFault> {
    Err(EventFault { field: field.into(), reason: reason.into() })
}

impl<'a, 'z> Builder<'a, 'z> {
    fn new(zones: &'z HashMap<String, TimeZone>) -> Self {
        Self {
            batch: Batch::default(),
            zones,
            by_computer: HashMap::new(),
            last: None,
            resources: Vec::new(),
        }
    }

    /// The text that events before share, if they have this one.
    fn shared(&mut self, resource: &str) -> Arc<str> {
        const KEPT: usize = 16;
        if let Some(known) = self.resources.iter().find(|known| ***known == *resource) {
            return Arc::clone(known);
        }
        let new: Arc<str> = resource.into();
        if self.resources.len() < KEPT {
            self.resources.push(Arc::clone(&new));
        }
        new
    }

    /// Adds an event, or what is there instead of one.
    fn add(&mut self, event: Result<&UsageEvent<'a>, &'static str>) {
        let index = u32::try_from(self.batch.events).unwrap_or(u32::MAX);
        self.batch.events += 1;
        let added = match event {
            Ok(event) => self.add_event(index, event),
            Err(what) => fault("", format!("must be a JSON object, not {what}")),
        };
        if let Err(EventFault { field, reason }) = added {
            let id = event.ok().and_then(|event| event.id.text()).filter(|id| plain(id).is_ok());
            let (id, field, reason) = (id.map(str::to_owned), field.into_owned(), reason.into_owned());
            self.batch.invalid.push(Invalid { index, id, field, reason });
        }
    }

    fn add_event(&mut self, index: u32, event: &UsageEvent<'a>) -> Result<(), EventFault> {
        if let Some((field, reason)) = &event.fault {
            return Err(EventFault { field: field.clone().into(), reason: (*reason).into() });
        }
        if required("specversion", &event.specversion)? != "1.0" {
            return fault("specversion", "must be \"1.0\"");
        }
        let id = required("id", &event.id)?;
        let id = UsageId::new(id).or_else(|rule| fault("id", rule.to_string()))?;
        let source = required("source", &event.source)?;
        let is_void = match required("type", &event.kind)? {
            TYPE => false,
            VOID_TYPE => true,
            _ => return fault("type", format!("must be {TYPE:?}, or {VOID_TYPE:?} to void an event")),
        };
        if let Some(time) = optional("time", &event.time)?
            && Timestamp::parse_rfc3339(time).is_none()
        {
            return fault("time", "must be an RFC 3339 instant such as 2026-10-01T01:00:00Z");
        }
        if let Some(content_type) = optional("datacontenttype", &event.datacontenttype)?
            && !is_json(content_type)
        {
            return fault("datacontenttype", "must be application/json");
        }
        let subject = bounded("subject", &event.subject)?;
        let data = match &event.data {
            Payload::Data(data) => data,
            Payload::Missing => return fault("data", "is missing"),
            Payload::Other(what) => return fault("data", format!("must be an object, not {what}")),
        };
        if let Some((field, reason)) = &data.fault {
            return Err(EventFault { field: field.clone().into(), reason: (*reason).into() });
        }
        if is_void {
            let request = void_request(&id, data)?;
            let group = self.group(source, &event.source)?;
            group.voids.push(request);
            group.void_names.push((index, id));
            return Ok(());
        }
        if let Some(field) = data.only_of_void() {
            return fault(field, "is not a field of usage");
        }
        let zone = self.zones.get(source).copied();
        let mut zone_missing = false;
        let report = UsageReport {
            id: id.clone(),
            revision: revision(&data.replaces)?,
            subject: subject.unwrap_or_default().into(),
            resource: self.shared(bounded("data.resource", &data.resource)?.unwrap_or_default()),
            quantity: quantity(data.quantity)?,
            start: told("data.start", &data.start, zone, &mut zone_missing)?,
            stop: told("data.stop", &data.stop, zone, &mut zone_missing)?,
            dimensions: sorted(&data.dimensions)?,
            node_sequence: match &data.node_sequence {
                EventMember::Missing => None,
                EventMember::Natural(number) => Some(*number),
                other => {
                    return fault(
                        "data.node_sequence",
                        format!("must be a whole number from 0, not {}", other.what()),
                    );
                }
            },
        };
        let group = self.group(source, &event.source)?;
        group.reports.push(report);
        group.names.push((index, id));
        if zone_missing {
            self.batch.zones_missing.insert(source.to_owned());
        }
        Ok(())
    }

    fn group(&mut self, source: &str, member: &EventMember<'a>) -> Result<&mut ComputerEvents, EventFault> {
        let known = self.last.as_ref().filter(|(last, _)| last == source).map(|(_, at)| *at);
        let known = known.or_else(|| self.by_computer.get(source).copied());
        let at = if let Some(at) = known {
            at
        } else {
            let computer = ComputerId::new(source).or_else(|rule| fault("source", rule.to_string()))?;
            let group = ComputerEvents {
                computer,
                reports: Vec::new(),
                names: Vec::new(),
                voids: Vec::new(),
                void_names: Vec::new(),
            };
            self.batch.groups.push(group);
            let at = self.batch.groups.len() - 1;
            self.by_computer.insert(source.to_owned(), at);
            at
        };
        if let EventMember::Text(source) = member
            && self.last.as_ref().is_none_or(|(_, last)| *last != at)
        {
            self.last = Some((source.clone(), at));
        }
        Ok(&mut self.batch.groups[at])
    }
}

fn required<'m>(field: &'static str, member: &'m EventMember<'_>) -> Result<&'m str, EventFault> {
    match optional(field, member)? {
        None => fault(field, "is missing"),
        Some("") => fault(field, "must not be empty"),
        Some(text) => Ok(text),
    }
}

fn optional<'m>(field: &'static str, member: &'m EventMember<'_>) -> Result<Option<&'m str>, EventFault> {
    match member {
        EventMember::Missing => Ok(None),
        EventMember::Text(text) => Ok(Some(text)),
        other => fault(field, format!("must be a string, not {}", other.what())),
    }
}

/// A text that the log may keep as it is.
fn bounded<'m>(field: &'static str, member: &'m EventMember<'_>) -> Result<Option<&'m str>, EventFault> {
    let text = optional(field, member)?;
    text.map_or(Ok(()), plain).or_else(|rule| fault(field, rule))?;
    Ok(text)
}

fn plain(text: &str) -> Result<(), String> {
    if text.len() > MOST_TEXT_BYTES {
        return Err(format!("must not be longer than {MOST_TEXT_BYTES} bytes"));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("must not contain the control character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

fn is_json(media_type: &str) -> bool {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// What a request to void an event says.
fn void_request(id: &UsageId, data: &UsageData<'_>) -> Result<VoidRequest, EventFault> {
    if let Some(field) = data.only_of_usage() {
        return fault(field, "is not a field of a void");
    }
    let voids = required("data.voids", &data.voids)?;
    let voids = UsageId::new(voids).or_else(|rule| fault("data.voids", rule.to_string()))?;
    let reason = required("data.reason", &data.reason)?;
    plain(reason).or_else(|rule| fault("data.reason", rule))?;
    if reason.trim().is_empty() {
        return fault("data.reason", "must not be blank");
    }
    Ok(VoidRequest { id: Some(id.clone()), voids, reason: reason.into() })
}

fn revision(replaces: &EventMember<'_>) -> Result<Revision, EventFault> {
    let Some(other) = optional("data.replaces", replaces)? else { return Ok(Revision::None) };
    let other = UsageId::new(other).or_else(|rule| fault("data.replaces", rule.to_string()))?;
    Ok(Revision::Replaces(other))
}

/// The text of a quantity and what it means, from the digits that were sent.
fn quantity(raw: Option<&str>) -> Result<(Box<str>, Result<Quantity, Unmeterable>), EventFault> {
    const FIELD: &str = "data.quantity";
    let raw = raw.unwrap_or("null");
    let text: Cow<'_, str> = match raw.as_bytes().first() {
        Some(b'"') if !raw.contains('\\') => Cow::Borrowed(raw.trim_matches('"')),
        Some(b'"') => {
            let text: Result<String, _> = serde_json::from_str(raw);
            Cow::Owned(text.or_else(|error| fault(FIELD, error.to_string()))?)
        }
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(raw),
        Some(b'n') => return fault(FIELD, "is missing"),
        Some(b't' | b'f') => return fault(FIELD, "must be a string or a number, not true or false"),
        Some(b'[') => return fault(FIELD, "must be a string or a number, not a list"),
        _ => return fault(FIELD, "must be a string or a number, not an object"),
    };
    if text.len() > MOST_QUANTITY_BYTES {
        return fault(FIELD, format!("must not be longer than {MOST_QUANTITY_BYTES} bytes"));
    }
    plain(&text).or_else(|rule| fault(FIELD, rule))?;
    let read = match text.parse::<Quantity>() {
        Ok(quantity) => Ok(quantity),
        Err(InvalidNumber::TooLarge { .. } | InvalidNumber::TooFine) => Err(Unmeterable::OutOfRange),
        Err(InvalidNumber::Negative) => Err(Unmeterable::Negative),
        Err(InvalidNumber::NotANumber) => exponent(&text),
    };
    // The text of what could be read is of no use to anybody.
    Ok((if read.is_ok() { "".into() } else { text.into() }, read))
}

/// A number with an exponent, if it is a quantity to its last digit.
fn exponent(text: &str) -> Result<Quantity, Unmeterable> {
    match parse_quantity(text) {
        Ok(quantity) if quantity.rounded => Err(Unmeterable::OutOfRange),
        Ok(quantity) => Quantity::from_decimal(quantity.value).map_err(|_| Unmeterable::OutOfRange),
        Err(QuantityError::Infinite) => Err(Unmeterable::Infinite),
        Err(QuantityError::OutOfRange) => Err(Unmeterable::OutOfRange),
        Err(QuantityError::NotANumber | QuantityError::Unreadable) => match text {
            "Infinity" | "-Infinity" => Err(Unmeterable::Infinite),
            _ => Err(Unmeterable::NotANumber),
        },
    }
}

/// What was said of an instant. What cannot be read is kept as it was written.
fn told(
    field: &'static str,
    member: &EventMember<'_>,
    zone: Option<TimeZone>,
    zone_missing: &mut bool,
) -> Result<ReportedInstant, EventFault> {
    let Some(text) = bounded(field, member)? else { return Ok(Ok(None)) };
    let why = match instant(text, zone, zone_missing) {
        Ok(instant) => return Ok(Ok(Some(instant))),
        Err(why) => why,
    };
    Ok(Err(UnreadableInstant { text: text.into(), why }))
}

/// An RFC 3339 instant; without an offset it is on the clock of its computer.
fn instant(text: &str, zone: Option<TimeZone>, zone_missing: &mut bool) -> Result<Timestamp, NoInstant> {
    if let Some(instant) = Timestamp::parse_rfc3339(text) {
        return Ok(instant);
    }
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map_err(|_| NoInstant::Malformed)?;
    let Some(zone) = zone else {
        *zone_missing = true;
        return Err(NoInstant::Malformed);
    };
    let stamp = parse_date(text, zone.0).map_err(|error| error.why())?.ok_or(NoInstant::Malformed)?;
    Timestamp::from_micros(stamp.micros).ok_or(NoInstant::Malformed)
}

/// A dimension.
type DimensionPair = (Box<str>, Box<str>);

fn sorted(dimensions: &DimensionMembers<'_>) -> Result<Vec<DimensionPair>, EventFault> {
    const FIELD: &str = "data.dimensions";
    let pairs = match dimensions {
        DimensionMembers::Missing => return Ok(Vec::new()),
        DimensionMembers::Pairs(pairs) => pairs,
        DimensionMembers::Other(what) => return fault(FIELD, format!("must be an object, not {what}")),
    };
    if pairs.len() > MOST_DIMENSIONS {
        return fault(FIELD, format!("must not have more than {MOST_DIMENSIONS} members"));
    }
    let mut sorted: Vec<DimensionPair> = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let field = || Cow::Owned(format!("{FIELD}.{}", shown(key)));
        let blame = |reason: String| EventFault { field: field(), reason: reason.into() };
        if key.is_empty() {
            return fault(FIELD, "must not have a member without a name");
        }
        plain(key).map_err(|rule| blame(format!("has a name that {rule}")))?;
        let EventMember::Text(value) = value else {
            return Err(blame(format!("must be a string, not {}", value.what())));
        };
        plain(value).map_err(blame)?;
        sorted.push((key.as_ref().into(), value.as_ref().into()));
    }
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|two| two[0].0 == two[1].0) {
        let (field, reason) = (format!("{FIELD}.{}", twice[0].0).into(), TWICE.into());
        return Err(EventFault { field, reason });
    }
    Ok(sorted)
}
