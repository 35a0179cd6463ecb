//! The shapes of explanations, as billing writes them.

#![expect(dead_code, reason = "shapes are described, and never made")]

use schemars::JsonSchema;

use crate::rest::openapi::schema::{
    Amount, ComputerId, Currency, Decimal, DocumentKind, EventSet, InstanceId, Instant, InvoiceId, LineRef,
    PartitionId, PriceBookName, PriceStep, Quantity, RateShown, Reference, ResourceId, ResourceShown, RunId,
    Sequence, TaxCategory,
};

/// Why a line says what it says; amounts are told as something charged.
#[derive(JsonSchema)]
pub(super) struct Explanation {
    /// The last event it looks at: the cut-off of its run.
    as_of: Sequence,
    /// Whether the line was found again as it stands; else it is told from the line alone.
    found: bool,
    /// Whether the document shows it turned round, as a credit note does.
    turned: bool,
    /// The arithmetic, step by step, for people.
    formula: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceExplained>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<LineBasis>,
    /// The parts of the quantity: each costs `quantity x price + flat`, and together they are `exact`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepExplained>,
    /// Before it is rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<Decimal>,
    /// Rounded, once.
    amount: Amount,
    /// What rounding added.
    residue: Decimal,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allocations: Vec<AllocationExplained>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocations_left_out: Option<u64>,
    tax: TaxExplained,
    /// What it would be now, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<LineSince>,
    /// The lines of later documents that adjusted it or gave some of it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<LineLater>,
}

/// A rate, and the version of the price book that has it.
#[derive(JsonSchema)]
struct PriceExplained {
    name: PriceBookName,
    version: u32,
    valid_from: Instant,
    /// The event that published it.
    sequence: Sequence,
    currency: Currency,
    rounding: String,
    /// Which of its rates, from 1.
    number: u32,
    rate: RateShown,
    /// How what it is for is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceShown>,
}

/// Where the quantity of a line comes from, or the amounts it rests on.
#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LineBasis {
    /// The time of a fee.
    Time {
        unit: String,
        parts: Vec<TimePart>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parts_left_out: Option<u64>,
        divide_by: u32,
        quantity: Quantity,
    },
    /// What was used.
    Usage {
        resource: ResourceId,
        parts: Vec<UsagePart>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parts_left_out: Option<u64>,
        quantity: Quantity,
        unit: String,
        /// What earlier lines of the month counted.
        #[serde(skip_serializing_if = "Option::is_none")]
        continues_after: Option<Quantity>,
    },
    /// Other lines of its document: the base of a percentage, or what counts towards a minimum.
    Lines {
        lines: Vec<BaseLine>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lines_left_out: Option<u64>,
        sum: Amount,
        #[serde(skip_serializing_if = "Option::is_none")]
        least: Option<LeastExplained>,
    },
    /// A fee charged in advance, or a line of the document that a credit note is about.
    TakenBack { cites: LineRef, charged: Amount, given_back: Amount, left: Amount },
    /// What an earlier document said, and what it would say by now.
    Adjustment {
        run: RunId,
        then: Sequence,
        now: RatedNow,
        charged: Vec<ChargedLine>,
        charged_amount: Amount,
        given_back: Amount,
    },
    /// Somebody said so.
    ByHand { sequence: Option<Sequence> },
}

/// A time in units of a fee: the sum of `seconds / of_seconds` of its parts, divided by `divide_by`.
#[derive(JsonSchema)]
struct TimeExplained {
    unit: String,
    parts: Vec<TimePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts_left_out: Option<u64>,
    divide_by: u32,
    quantity: Quantity,
}

/// A part of a time, and the length of the month (or hour, or day) that it is a part of.
#[derive(JsonSchema)]
struct TimePart {
    start: Instant,
    stop: Instant,
    seconds: Decimal,
    of_seconds: Decimal,
}

/// The usage of one instance: the value x `multiply_by` / `divide_by`, rounded half up to nine digits.
#[derive(JsonSchema)]
struct UsagePart {
    instance: InstanceId,
    start: Instant,
    stop: Instant,
    by: StepsBy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<UsageStep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_left_out: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<SamplesExplained>,
    value: MeterValue,
    multiply_by: u64,
    divide_by: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<ShareExplained>,
    quantity: Quantity,
}

/// The share of a value that a rate charges: `seconds / of_seconds`.
#[derive(JsonSchema)]
struct ShareExplained {
    start: Instant,
    stop: Instant,
    seconds: Decimal,
    of_seconds: Decimal,
}

/// What the steps of usage are.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StepsBy {
    Hour,
    Day,
    Month,
    Interval,
    Value,
    Sample,
}

/// A value of a meter: a quantity; or levels times seconds, to be divided by 3600 (a time integral) or by `seconds` (an
/// average).
#[derive(JsonSchema)]
struct MeterValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level_seconds: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Decimal>,
}

/// What a time, an interval or a value of a dimension adds to the value of a meter.
#[derive(JsonSchema)]
struct UsageStep {
    start: Instant,
    stop: Instant,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level_seconds: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
}

/// The samples of a percentile, by rising value.
#[derive(JsonSchema)]
struct SamplesExplained {
    count: u64,
    rank: u64,
    values: Vec<SampleValue>,
    below: u64,
    above: u64,
}

/// Samples of one value.
#[derive(JsonSchema)]
struct SampleValue {
    value: Decimal,
    samples: u64,
}

/// A line that counts.
#[derive(JsonSchema)]
struct BaseLine {
    n: u32,
    amount: Amount,
}

/// What is to be paid at least.
#[derive(JsonSchema)]
struct LeastExplained {
    time: TimeExplained,
    price: Decimal,
    /// The other parts: at another price, or after a time without instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<Vec<LeastPartExplained>>,
    exact: Decimal,
    amount: Amount,
}

/// An uninterrupted time of a minimum that has one price.
#[derive(JsonSchema)]
struct LeastPartExplained {
    time: TimeExplained,
    price: Decimal,
}

/// A line as it would be by now.
#[derive(JsonSchema)]
struct RatedNow {
    quantity: Quantity,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageExplained>,
    /// What the lines come to by now that a percentage or a minimum is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Amount>,
    steps: Vec<StepExplained>,
    exact: Decimal,
    amount: Amount,
    residue: Decimal,
}

/// The usage of a line.
#[derive(JsonSchema)]
struct UsageExplained {
    resource: ResourceId,
    parts: Vec<UsagePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts_left_out: Option<u64>,
    quantity: Quantity,
    unit: String,
    /// What earlier lines of the month counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    continues_after: Option<Quantity>,
}

/// A line that charged something.
#[derive(JsonSchema)]
struct ChargedLine {
    invoice: InvoiceId,
    line: u32,
    quantity: Quantity,
    amount: Amount,
    given_back: Amount,
    residue: Decimal,
}

/// A part of a quantity and what it costs.
#[derive(JsonSchema)]
struct StepExplained {
    #[serde(flatten)]
    step: PriceStep,
    cost: Decimal,
}

/// Where an instance was, and the events that began and ended it.
#[derive(JsonSchema)]
struct AllocationExplained {
    instance: InstanceId,
    reference: Reference,
    computer: ComputerId,
    partition: PartitionId,
    start: Instant,
    stop: Option<Instant>,
    began: Sequence,
    ended: Option<Sequence>,
}

/// Tax: `base x rate / 100`, rounded half up, once for all lines of a category and rate.
#[derive(JsonSchema)]
pub(super) struct TaxExplained {
    category: TaxCategory,
    rate: Decimal,
    lines: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_left_out: Option<u64>,
    base: Amount,
    exact: Decimal,
    amount: Amount,
    residue: Decimal,
}

/// What a line would be by now, and the events that came since.
#[derive(JsonSchema)]
struct LineSince {
    as_of: Sequence,
    quantity: Quantity,
    amount: Amount,
    difference: Amount,
    events: EventSet,
    sequences: Vec<Sequence>,
}

/// A line of a later document that is about a line.
#[derive(JsonSchema)]
struct LineLater {
    invoice: InvoiceId,
    line: u32,
    document: DocumentKind,
    amount: Amount,
}

/// What of an event counts for a line.
#[derive(JsonSchema)]
pub(super) struct CountedFor {
    instance: InstanceId,
    start: Instant,
    stop: Instant,
    quantity: Quantity,
}
