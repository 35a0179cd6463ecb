//! Where the quantity of usage comes from: by hour or by day, or from the intervals or samples that decided it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, ResourceId, Sequence};
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::{PriceBook, Rate, Resource};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::calendar::Step;
use slapledger_projections::metering::{AsOf, Metered, Method, Target};

use super::number::Number;
use super::{Bench, ExplanationParts, LineBasis, MOST};
use crate::rating::{LineDetail, MeteredShare, RatingSubject, key, method};

/// What is about no more than so many days is told by hour.
const BY_HOUR: i64 = 3 * 86_400_000_000;
/// The most steps of a part.
const MOST_STEPS: usize = 1000;
/// The most samples that are looked at.
const MOST_SAMPLES: usize = 1_000_000;

/// The usage of a line. Its quantity is the sum of those of its parts: one, or one for each instance (and time) of a
/// customer that is priced together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageExplained {
    /// What was used.
    pub resource: ResourceId,
    /// Its parts.
    pub parts: Vec<UsagePart>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub parts_left_out: u64,
    /// The sum of their quantities.
    pub quantity: Quantity,
    /// Of what.
    pub unit: Box<str>,
    /// What earlier lines of the month counted: allowances, tiers and packages continue after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues_after: Option<Quantity>,
}

/// The usage of one instance. `quantity` is the value x `multiply_by` / `divide_by`, rounded half up to nine digits; the
/// value is `quantity` of `value`, or its `level_seconds` divided by 3600 (a time integral) or by its `seconds` (an
/// average).
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsagePart {
    /// Whose.
    pub instance: InstanceId,
    /// From when.
    pub start: Timestamp,
    /// Until when.
    pub stop: Timestamp,
    /// What its steps are: hours, days or months where the customer is; the interval that decided; a value that was
    /// counted, with the interval it was in first; or samples.
    pub by: StepsBy,
    /// Those that have any usage. Hours, days and months add up to the value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<UsageStep>,
    /// Whether there are more than can be told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub steps_left_out: bool,
    /// The samples of a percentile, by rising value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<SamplesExplained>,
    /// What the meter makes of it.
    pub value: MeterValue,
    /// The factor to the unit that is charged.
    pub multiply_by: u64,
    /// Its other part.
    pub divide_by: u64,
    /// The share of the value that the rate charges, of a meter that does not add up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareExplained>,
    /// How much that is.
    pub quantity: Quantity,
}

/// A share of a value: the time in which the rate applied, of the time that was measured for the month.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShareExplained {
    /// The first instant in which the rate applied.
    pub start: Timestamp,
    /// The first instant after it.
    pub stop: Timestamp,
    /// How long that is.
    pub seconds: Number,
    /// The time that all shares add up to.
    pub of_seconds: Number,
}

/// What the steps of a part are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepsBy {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Months.
    Month,
    /// Intervals of usage.
    Interval,
    /// Values of a dimension.
    Value,
    /// Samples.
    Sample,
}

/// A value of a meter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MeterValue {
    /// It, if it is a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Number>,
    /// Levels times the seconds they held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_seconds: Option<Number>,
    /// Those seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Number>,
}

/// A step of a part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageStep {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub stop: Timestamp,
    /// How many events it has.
    pub events: u64,
    /// What it adds to the value.
    #[serde(flatten)]
    pub value: MeterValue,
    /// The value of the dimension that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<Box<str>>,
    /// The event of an interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// The samples of a percentile.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SamplesExplained {
    /// How many there are.
    pub count: u64,
    /// Which of them it is, from 1: percent / 100 x count, rounded up.
    pub rank: u64,
    /// How many have which value, by rising value. Of more than a thousand values those from the rank on.
    pub values: Vec<SampleValue>,
    /// How many samples are below the first value told.
    pub below: u64,
    /// How many samples are above the last value told.
    pub above: u64,
}

/// Samples of one value.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SampleValue {
    /// Their value.
    pub value: Number,
    /// How many.
    pub samples: u64,
}

/// The usage behind a line.
pub(super) fn explain(
    bench: &Bench<'_, '_>,
    line: &InvoiceLine,
    (book, _, resource): (&PriceBook, &Rate, &ResourceId),
) -> ExplanationParts {
    let Some(declared) = book.resource(resource) else { return ExplanationParts::default() };
    let parts = of(bench, line, declared);
    let formula = parts.parts.iter().map(|part| part.formula(declared, parts.parts.len() > 1));
    let mut formula: Vec<String> = formula.collect();
    if parts.parts.len() > 1 || parts.parts_left_out > 0 {
        formula.push(format!("together {} {}", parts.quantity, parts.unit));
    }
    formula
        .extend(parts.continues_after.map(|before| format!("after {before} {} counted earlier", parts.unit)));
    ExplanationParts { formula, basis: Some(LineBasis::Usage(parts)), ..ExplanationParts::default() }
}

/// Which instances and times the usage of a line is of.
pub(super) fn places(bench: &Bench<'_, '_>, line: &InvoiceLine) -> Vec<(InstanceId, Period)> {
    let parts = parts_of(bench, line).into_iter();
    parts.map(|(instance, share, _)| (instance, share.metered)).collect()
}

/// The parts of the usage of a line: whose, what was measured, and how much of it counts.
fn parts_of(bench: &Bench<'_, '_>, line: &InvoiceLine) -> Vec<(InstanceId, MeteredShare, Quantity)> {
    let Some(instance) = line.instance else {
        let pooled = bench.own.pooled_in(line);
        return pooled.map(|pooled| (pooled.instance, pooled.share, pooled.quantity)).collect();
    };
    let whole = MeteredShare { metered: line.period, share: None, before: Quantity::ZERO, trial: None };
    vec![(instance, detail(bench, line).unwrap_or(whole), line.quantity)]
}

/// How a line of usage was metered, if it was found again.
fn detail(bench: &Bench<'_, '_>, line: &InvoiceLine) -> Option<MeteredShare> {
    let wanted = key(line)?;
    let lines = bench.own.lines.iter().chain(&bench.own.nothing);
    let found = lines.into_iter().find(|rated| key(&rated.line) == Some(wanted))?;
    match found.detail {
        LineDetail::Usage(share) => Some(share),
        _ => None,
    }
}

fn of(bench: &Bench<'_, '_>, line: &InvoiceLine, declared: &Resource) -> UsageExplained {
    let mut places = parts_of(bench, line);
    let parts_left_out = places.len().saturating_sub(MOST) as u64;
    places.truncate(MOST);
    let parts = places.into_iter().filter_map(|(instance, share, quantity)| {
        let part = UsagePart::of(bench, (instance, share.metered), &line.dimensions, declared)?;
        Some(part.shared(share, quantity))
    });
    let before = detail(bench, line).map(|share| share.before);
    UsageExplained {
        resource: declared.resource.clone(),
        parts: parts.collect(),
        parts_left_out,
        quantity: line.quantity,
        unit: declared.unit.clone(),
        continues_after: before.filter(|before| *before != Quantity::ZERO),
    }
}

/// What a meter measured, by group.
type GroupTotals = BTreeMap<Vec<(Box<str>, Box<str>)>, Metered>;
/// What the meters of an instance measured in a time.
type TotalsByPlace = BTreeMap<(InstanceId, Period), Vec<(Resource, GroupTotals)>>;

/// What meters measured of all groups, for all lines of a document: what is of one group is read with the others.
#[derive(Default)]
pub(super) struct MeteredGroups {
    of: RefCell<TotalsByPlace>,
}

impl MeteredGroups {
    fn of(
        &self,
        bench: &Bench<'_, '_>,
        place: (InstanceId, Period),
        group: &[(Box<str>, Box<str>)],
        declared: &Resource,
    ) -> Option<Metered> {
        let mut known = self.of.borrow_mut();
        let of_place = known.entry(place).or_default();
        if let Some((_, groups)) = of_place.iter().find(|(known, _)| known == declared) {
            return groups.get(group).cloned();
        }
        let (instance, period) = place;
        let (target, resource) = (Target::Instance(instance), declared.resource.as_str());
        let method = method(&declared.meter);
        let usage = bench.usage_of(instance, declared);
        let metered = usage.meter_totals(&target, resource, period, method, &declared.group_by);
        let groups: GroupTotals =
            metered.into_iter().map(|metered| (metered.dimensions.clone(), metered)).collect();
        let found = groups.get(group).cloned();
        of_place.push((declared.clone(), groups));
        found
    }
}

impl UsagePart {
    fn of(
        bench: &Bench<'_, '_>,
        (instance, period): (InstanceId, Period),
        group: &[(Box<str>, Box<str>)],
        declared: &Resource,
    ) -> Option<Self> {
        let subject = bench.subject;
        let (target, resource) = (Target::Instance(instance), declared.resource.as_str());
        let method = method(&declared.meter);
        let usage = bench.usage_of(instance, declared);
        let metered = bench.metered.of(bench, (instance, period), group, declared)?;
        let quantity = crate::units::quantity(metered.numerator, metered.denominator, declared.conversion)?;
        let key = (&target, resource);
        let step = if period.micros() <= BY_HOUR { Step::Hour } else { Step::Day };
        let (mut steps, mut steps_left_out, mut samples) = (Vec::new(), false, None);
        let mut by = StepsBy::of(method, step);
        match method {
            Method::Percentile { percent, .. } => {
                let zone = (Step::Day, subject.calendar.zone_at(period.start));
                let all = usage.profile(key, period, (method, group), zone, MOST_SAMPLES);
                steps_left_out = all.is_none();
                samples = all.map(|all| SamplesExplained::of(&all, percent));
            }
            _ => {
                // Days are those of the zone that counted then; where there are too many, months do.
                for step in [step, Step::Month] {
                    by = StepsBy::of(method, step);
                    let told = steps_of((subject, &usage), key, period, (method, group), step);
                    steps_left_out = told.is_none();
                    if let Some(told) = told {
                        steps = told;
                        break;
                    }
                }
            }
        }
        let (multiply_by, divide_by) = (declared.conversion.multiply, declared.conversion.divide);
        let value = MeterValue::of(method, &metered);
        Some(Self {
            instance,
            start: period.start,
            stop: period.stop,
            by,
            steps,
            steps_left_out,
            samples,
            value,
            multiply_by,
            divide_by,
            share: None,
            quantity,
        })
    }

    /// Of what was measured, the share that counts.
    fn shared(self, share: MeteredShare, quantity: Quantity) -> Self {
        let Some((time, of)) = share.share else { return self };
        let share = ShareExplained {
            start: time.start,
            stop: time.stop,
            seconds: Number::of_micros(time.micros().into()),
            of_seconds: Number::of_micros(of.into()),
        };
        Self { share: Some(share), quantity, ..self }
    }

    /// How its quantity is computed, for people.
    fn formula(&self, declared: &Resource, several: bool) -> String {
        let MeterValue { quantity, level_seconds, seconds } = &self.value;
        let value = match (quantity, level_seconds, seconds) {
            (Some(quantity), ..) => quantity.to_string(),
            (_, Some(level_seconds), Some(seconds)) => format!("{level_seconds} / {seconds} s"),
            (_, Some(level_seconds), None) => format!("{level_seconds} / 3600 s"),
            _ => String::new(),
        };
        let multiplied =
            if self.multiply_by == 1 { String::new() } else { format!(" x {}", self.multiply_by) };
        let divided = if self.divide_by == 1 { String::new() } else { format!(" / {}", self.divide_by) };
        let whose = if several { format!("{}: ", self.instance) } else { String::new() };
        let many = |what: &str| {
            let steps = self.steps.len();
            format!("{steps} {what}{}", if steps == 1 { "" } else { "s" })
        };
        let from = match self.by {
            _ if self.steps_left_out => "more steps than can be told".to_owned(),
            StepsBy::Hour => format!("{} with usage", many("hour")),
            StepsBy::Day => format!("{} with usage", many("day")),
            StepsBy::Month => format!("{} with usage", many("month")),
            StepsBy::Interval => "one interval decides".to_owned(),
            StepsBy::Value => many("value"),
            StepsBy::Sample => {
                let (count, rank) = self.samples.as_ref().map_or((0, 0), |of| (of.count, of.rank));
                format!("number {rank} of {count} samples")
            }
        };
        let share = self.share.as_ref();
        let share =
            share.map_or(String::new(), |share| format!(" x {} s / {} s", share.seconds, share.of_seconds));
        format!("{whose}{from}: {value}{multiplied}{divided}{share} = {} {}", self.quantity, declared.unit)
    }
}

impl StepsBy {
    fn of(method: Method<'_>, step: Step) -> Self {
        match (method, step) {
            (Method::Min | Method::Max | Method::Latest, _) => Self::Interval,
            (Method::UniqueCount { .. }, _) => Self::Value,
            (Method::Percentile { .. }, _) => Self::Sample,
            (_, Step::Hour) => Self::Hour,
            (_, Step::Day) => Self::Day,
            (_, Step::Month) => Self::Month,
        }
    }
}

type UsageGroup<'g> = (Method<'g>, &'g [(Box<str>, Box<str>)]);

/// The steps of a period that have usage; none, if they are too many.
fn steps_of(
    (subject, usage): (&RatingSubject<'_>, &AsOf<'_>),
    key: (&Target, &str),
    period: Period,
    (method, group): UsageGroup<'_>,
    step: Step,
) -> Option<Vec<UsageStep>> {
    // A zone counts for whole months, so hours and days are cut within them; what is decided by intervals is one.
    let by_step = matches!(method, Method::Sum | Method::Count | Method::TimeIntegral | Method::Average);
    let months = if by_step && step != Step::Month { subject.by_month(period) } else { vec![period] };
    if months.len() > MOST_STEPS {
        return None;
    }
    let mut steps = Vec::new();
    for month in months {
        let zone = subject.calendar.zone_at(month.start);
        let left = MOST_STEPS.checked_sub(steps.len())?;
        let told = usage.profile(key, month, (method, group), (step, zone), left)?;
        steps.extend(told.into_iter().map(|(time, metered)| UsageStep::of(method, time, metered)));
    }
    Some(steps)
}

impl UsageStep {
    fn of(method: Method<'_>, time: Period, metered: Metered) -> Self {
        let decided =
            matches!(method, Method::Min | Method::Max | Method::Latest | Method::UniqueCount { .. });
        let sequence = metered.sequences.first().filter(|_| decided).copied().map(Sequence);
        let counted = matches!(method, Method::UniqueCount { .. });
        let value = MeterValue::of(method, &metered);
        let dimension = metered.dimensions.into_iter().next_back().filter(|_| counted);
        Self {
            start: time.start,
            stop: time.stop,
            events: metered.events,
            value,
            dimension: dimension.map(|(_, value)| value),
            sequence,
        }
    }
}

impl MeterValue {
    fn of(method: Method<'_>, metered: &Metered) -> Self {
        let Metered { numerator, denominator, .. } = *metered;
        if metered.is_beyond() {
            return Self::default();
        }
        let level_seconds = Some(Number::of_level_micros(numerator));
        match method {
            Method::TimeIntegral => Self { level_seconds, ..Self::default() },
            Method::Average => {
                let seconds = Some(Number::of_micros(denominator));
                Self { level_seconds, seconds, quantity: None }
            }
            _ => Self { quantity: Some(Number::of_billionths(numerator)), ..Self::default() },
        }
    }
}

impl SamplesExplained {
    fn of(all: &[(Period, Metered)], percent: u8) -> Self {
        let mut by_value: BTreeMap<i128, u64> = BTreeMap::new();
        for (_, sample) in all {
            *by_value.entry(sample.numerator).or_default() += 1;
        }
        let count = all.len() as u64;
        let rank = (count * u64::from(percent.clamp(1, 100))).div_ceil(100);
        let mut below = 0;
        let mut values: Vec<(i128, u64)> = by_value.into_iter().collect();
        if values.len() > MOST_STEPS {
            let mut passed = 0;
            let from = values.iter().position(|(_, samples)| {
                passed += samples;
                passed >= rank
            });
            let skipped: Vec<_> = values.drain(..from.unwrap_or(0)).collect();
            below = skipped.iter().map(|(_, samples)| samples).sum();
        }
        let above = values.iter().skip(MOST_STEPS).map(|(_, samples)| samples).sum();
        values.truncate(MOST_STEPS);
        let shown = values
            .into_iter()
            .map(|(value, samples)| SampleValue { value: Number::of_billionths(value), samples });
        Self { count, rank, values: shown.collect(), below, above }
    }
}

/// The part of a counter that falls into a period, as it is cut everywhere.
pub(super) fn cut(counter: Quantity, whole: Period, part: Period) -> Quantity {
    counter.split(whole, &[part]).first().copied().unwrap_or_default()
}
