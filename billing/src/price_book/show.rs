//! The document of a price book: what is shown can be published, and what is published is described by these types.
//!
//! What has its usual value is left out. A factor that came from known units is shown as a factor. `read` takes a
//! document field by field, because it names the place of every fault in the text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use slapledger_core::domain::id::{
    ComputerId, PartyId, PriceBookName, ResourceId, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{InstanceType, RequestedState};
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::pricing::{
    Anchor, BaseFeeTime, CapPer, Conversion, DiscountLimits, Every, FeeEnd, FeeProration, InvoiceTerms,
    Match, Meter, Model, Of, OnChange, OnTaxChange, Per, PriceBook, PriceTax, Proration, Rate, Reduction,
    Resource, ResourceKind, Tariff, Tier, Trial, When, ZeroInvoices,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

/// A price book.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "PriceBook")]
pub struct PriceBookShown {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    #[schemars(default)]
    rounding: Rounding,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_change: Option<OnChange>,
    /// Whether its prices contain tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<PriceTax>,
    /// What a change of the tax within the time of a line does to the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_tax_change: Option<OnTaxChange>,
    /// What becomes of a document whose total and lines are zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_invoices: Option<ZeroInvoices>,
    /// So much of a month's charges, without tax, is invoiced before the month is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Price>,
    #[schemars(default)]
    resources: Vec<ResourceShown>,
    rates: Vec<RateShown>,
}

impl PriceBookShown {
    /// The form of a book.
    pub fn of(book: &PriceBook) -> Self {
        Self::seen(book, |_| true)
    }

    /// The same with those rates alone that are to be seen.
    pub fn seen(book: &PriceBook, seen: impl Fn(&Rate) -> bool) -> Self {
        let PriceBook { name, currency, valid_from, rounding, on_change, terms, resources, rates } = book;
        let InvoiceTerms { tax, zero_invoices, threshold, on_tax_change } = *terms;
        let tax = Some(tax).filter(|tax| !tax.is_exclusive());
        let on_tax_change = Some(on_tax_change).filter(|change| *change != OnTaxChange::default());
        let zero_invoices = Some(zero_invoices).filter(|zero| *zero != ZeroInvoices::default());
        let on_change = Some(*on_change).filter(|on_change| *on_change != OnChange::default());
        let resources = resources.iter().map(ResourceShown::of).collect();
        let rates = rates.iter().filter(|rate| seen(rate)).map(RateShown::of).collect();
        let (currency, valid_from, rounding) = (*currency, *valid_from, *rounding);
        let name = name.clone();
        Self {
            name,
            currency,
            valid_from,
            rounding,
            on_change,
            tax,
            on_tax_change,
            zero_invoices,
            threshold,
            resources,
            rates,
        }
    }
}

/// What is measured, and how it is made into a quantity.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "MeasuredResource")]
pub struct ResourceShown {
    resource: ResourceId,
    kind: ResourceKind,
    meter: MeterShown,
    /// Of `unique_count`: which dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<Box<str>>,
    /// Of `percentile`: from 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    /// Of `percentile`: it divides a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_minutes: Option<u16>,
    unit: Box<str>,
    /// The unit that is reported, if both are known; shown as a factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_in: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multiply_by: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    divide_by: Option<u64>,
    /// The dimensions of usage that are charged apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    group_by: Vec<Box<str>>,
    /// What an instance plausibly uses in an hour, in `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<Quantity>,
    /// Whether the last reported level of a gauge holds until the next report.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    carry_over: bool,
}

/// How reports become a quantity.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Meter")]
pub(super) enum MeterShown {
    Sum,
    TimeIntegral,
    Count,
    Min,
    Max,
    Average,
    Latest,
    UniqueCount,
    Percentile,
}

impl ResourceShown {
    /// The form of a declaration.
    pub fn of(declared: &Resource) -> Self {
        let Resource { resource, kind, meter, unit, conversion, group_by, most, carry_over } = declared;
        let (mut dimension, mut percent, mut sample_minutes) = (None, None, None);
        let meter = match meter {
            Meter::Sum => MeterShown::Sum,
            Meter::TimeIntegral => MeterShown::TimeIntegral,
            Meter::Count => MeterShown::Count,
            Meter::Min => MeterShown::Min,
            Meter::Max => MeterShown::Max,
            Meter::Average => MeterShown::Average,
            Meter::Latest => MeterShown::Latest,
            Meter::UniqueCount { dimension: of } => {
                dimension = Some(of.clone());
                MeterShown::UniqueCount
            }
            Meter::Percentile { percent: of, sample_minutes: minutes } => {
                (percent, sample_minutes) = (Some(*of), Some(*minutes));
                MeterShown::Percentile
            }
        };
        let Conversion { multiply, divide } = *conversion;
        let factor = |factor: u64| (factor != 1).then_some(factor);
        Self {
            resource: resource.clone(),
            kind: *kind,
            meter,
            dimension,
            percent,
            sample_minutes,
            unit: unit.clone(),
            reported_in: None,
            multiply_by: factor(multiply),
            divide_by: factor(divide),
            group_by: group_by.clone(),
            most: *most,
            carry_over: *carry_over,
        }
    }
}

/// A rate.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RateShown(RateOfKind);

/// A price, and what it is the price of.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "Rate")]
enum RateOfKind {
    /// A fee for each instance.
    Recurring {
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<Box<str>>,
        every: Every,
        when: When,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<FeeEnd>,
        price: Price,
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<Per>,
        #[serde(skip_serializing_if = "Option::is_none")]
        anchor: Option<AnchorShown>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proration: Option<FeeProration>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
        /// What costs nothing at first.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial: Option<TrialShown>,
    },
    /// A fee of a customer, however many instances there are.
    BaseFee {
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<Box<str>>,
        every: Every,
        price: Price,
        #[serde(skip_serializing_if = "Option::is_none")]
        anchor: Option<AnchorShown>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proration: Option<FeeProration>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owed: Option<BaseFeeTime>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
    },
    /// For each unit of a resource.
    PerUnit {
        resource: ResourceId,
        price: Price,
        #[serde(skip_serializing_if = "Option::is_none")]
        free: Option<Quantity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<Per>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
        /// What costs nothing at first.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial: Option<TrialShown>,
    },
    /// Each unit costs what its tier says.
    Graduated {
        resource: ResourceId,
        #[serde(skip_serializing_if = "Option::is_none")]
        free: Option<Quantity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<Per>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
        /// What costs nothing at first.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial: Option<TrialShown>,
        tiers: Vec<TierShown>,
    },
    /// All units cost what the tier says in which the quantity is.
    Volume {
        resource: ResourceId,
        #[serde(skip_serializing_if = "Option::is_none")]
        free: Option<Quantity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<Per>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
        /// What costs nothing at first.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial: Option<TrialShown>,
        tiers: Vec<TierShown>,
    },
    /// So much for each package that was begun.
    Package {
        resource: ResourceId,
        size: Quantity,
        price: Price,
        #[serde(skip_serializing_if = "Option::is_none")]
        free: Option<Quantity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<Per>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
        /// What costs nothing at first.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial: Option<TrialShown>,
    },
    /// A part of a customer's other lines.
    Percentage {
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceId>,
        percent: Quantity,
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<BaseShown>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
    },
    /// What a customer pays at least for a month.
    Minimum {
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<BaseShown>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proration: Option<Proration>,
        price: Price,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
    },
    /// What is charged at most for a month.
    Maximum {
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<BaseShown>,
        per: CapPer,
        #[serde(skip_serializing_if = "Option::is_none")]
        proration: Option<Proration>,
        price: Price,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
    },
    /// What is taken off a customer's lines: `percent` of them, or `amount` a month.
    Discount {
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<Box<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        percent: Option<Quantity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<Price>,
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<BaseShown>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<ResourceId>,
        /// Its place among the discounts, the lowest first.
        #[serde(skip_serializing_if = "Option::is_none")]
        order: Option<u16>,
        /// A code that the customer must have redeemed.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<Box<str>>,
        /// For so many months of the customer.
        #[serde(skip_serializing_if = "Option::is_none")]
        months: Option<u16>,
        /// On so many invoices of the customer.
        #[serde(skip_serializing_if = "Option::is_none")]
        invoices: Option<u16>,
        /// For lines that begin before this instant.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// In months in which the lines come to at least this.
        #[serde(skip_serializing_if = "Option::is_none")]
        minimum_spend: Option<Price>,
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<MatchShown>,
    },
}

/// Where the units of a fee begin: `anniversary`, or a day; never `calendar`, as it is the usual one.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct AnchorShown(Box<str>);

impl AnchorShown {
    fn of(anchor: Anchor) -> Option<Self> {
        match anchor {
            Anchor::Calendar => None,
            Anchor::Anniversary => Some(Self("anniversary".into())),
            Anchor::Day(day) => Some(Self(day.to_string().into())),
        }
    }
}

impl JsonSchema for AnchorShown {
    fn schema_name() -> Cow<'static, str> {
        "Anchor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where the units of a fee begin: with the calendar, on the day of the allocation, or on a day.",
            "type": "string",
            "pattern": "^(calendar|anniversary|[0-9]{4}-[0-9]{2}-[0-9]{2})$",
        })
    }
}

/// A value, unless it is the one that holds if nothing is said.
fn shown_unless_usual<T: Default + PartialEq>(value: T) -> Option<T> {
    Some(value).filter(|value| *value != T::default())
}

/// What a percentage, a discount, a minimum or a maximum is of.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Of")]
pub(super) enum BaseShown {
    /// All lines; never shown, as it is the usual one.
    All,
    Recurring,
    Usage,
}

/// What costs nothing at first: so many days of an instance, or the first units.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "Trial")]
struct TrialShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Quantity>,
}

impl TrialShown {
    fn of(trial: Trial) -> Self {
        match trial {
            Trial::Days(days) => Self { days: Some(days), quantity: None },
            Trial::Quantity(quantity) => Self { days: None, quantity: Some(quantity) },
        }
    }
}

/// A tier: its upper bound belongs to it, the last has none.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "Tier")]
struct TierShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<Quantity>,
    price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    flat: Option<Price>,
}

/// For which instances: the rate with most members that fit wins.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "Match")]
struct MatchShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    computer: Option<ComputerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<PartyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_type: Option<InstanceType>,
    /// The region its computer says it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_release: Option<SoftwareRelease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_type: Option<SoftwareType>,
    /// The state its owner requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<RequestedState>,
    /// Dimensions of usage; each counts as a member.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    dimensions: BTreeMap<Box<str>, Box<str>>,
}

impl RateShown {
    /// The form of a rate.
    pub fn of(rate: &Rate) -> Self {
        Self(RateOfKind::of(rate))
    }
}

impl RateOfKind {
    fn of(rate: &Rate) -> Self {
        let matching = (rate.matching.members() > 0).then(|| MatchShown::of(&rate.matching));
        let trial = rate.trial.map(TrialShown::of);
        match &rate.model {
            Model::Recurring { item, price, every, when, until, terms } => Self::Recurring {
                item: Some(item.clone()).filter(|item| !item.is_empty()),
                every: *every,
                when: *when,
                until: Some(*until).filter(|until| *until != FeeEnd::default()),
                price: *price,
                per: Some(terms.per).filter(|per| *per != Per::Instance),
                anchor: AnchorShown::of(terms.anchor),
                proration: shown_unless_usual(terms.proration),
                matching,
                trial,
            },
            Model::BaseFee { item, price, every, terms, owed } => Self::BaseFee {
                item: Some(item.clone()).filter(|item| !item.is_empty()),
                every: *every,
                price: *price,
                anchor: AnchorShown::of(terms.anchor),
                proration: shown_unless_usual(terms.proration),
                owed: shown_unless_usual(*owed),
                matching,
            },
            Model::Usage { resource, per, free, tariff } => {
                let resource = resource.clone();
                let per = Some(*per).filter(|per| *per != Per::Instance);
                let free = Some(*free).filter(|free| *free != Quantity::ZERO);
                match tariff {
                    Tariff::PerUnit { price } => {
                        Self::PerUnit { resource, price: *price, free, per, matching, trial }
                    }
                    Tariff::Graduated { tiers } => {
                        Self::Graduated { resource, free, per, matching, trial, tiers: TierShown::all(tiers) }
                    }
                    Tariff::Volume { tiers } => {
                        Self::Volume { resource, free, per, matching, trial, tiers: TierShown::all(tiers) }
                    }
                    Tariff::Package { size, price } => {
                        Self::Package { resource, size: *size, price: *price, free, per, matching, trial }
                    }
                }
            }
            Model::Percentage { percent, of } => {
                let (of, resource) = BaseShown::of(of);
                Self::Percentage { resource, percent: *percent, of, matching }
            }
            Model::Minimum { price, of, proration } => {
                let (of, resource) = BaseShown::of(of);
                let proration = Some(*proration).filter(|proration| *proration != Proration::default());
                Self::Minimum { resource, of, proration, price: *price, matching }
            }
            Model::Maximum { price, of, per, proration } => {
                let (of, resource) = BaseShown::of(of);
                let proration = Some(*proration).filter(|proration| *proration != Proration::default());
                Self::Maximum { resource, of, per: *per, proration, price: *price, matching }
            }
            Model::Discount { item, reduction, of, order, code, limits } => {
                let (of, resource) = BaseShown::of(of);
                let DiscountLimits { months, invoices, until, minimum_spend } = limits.clone();
                let (percent, amount) = match reduction {
                    Reduction::Percent(percent) => (Some(*percent), None),
                    Reduction::Amount(amount) => (None, Some(*amount)),
                };
                Self::Discount {
                    item: Some(item.clone()).filter(|item| !item.is_empty()),
                    percent,
                    amount,
                    of,
                    resource,
                    order: Some(*order).filter(|order| *order > 0),
                    code: code.clone(),
                    months,
                    invoices,
                    until,
                    minimum_spend,
                    matching,
                }
            }
        }
    }
}

impl BaseShown {
    /// A word, or a resource.
    fn of(of: &Of) -> (Option<Self>, Option<ResourceId>) {
        match of {
            Of::All => (None, None),
            Of::Recurring => (Some(Self::Recurring), None),
            Of::Usage => (Some(Self::Usage), None),
            Of::Resource(resource) => (None, Some(resource.clone())),
        }
    }
}

impl TierShown {
    fn all(tiers: &[Tier]) -> Vec<Self> {
        let form = |tier: &Tier| Self {
            up_to: tier.up_to,
            price: tier.price,
            flat: Some(tier.flat).filter(|flat| flat.billionths() > 0),
        };
        tiers.iter().map(form).collect()
    }
}

impl MatchShown {
    fn of(matching: &Match) -> Self {
        let Match {
            software_release,
            software_type,
            computer,
            instance_type,
            customer,
            region,
            state,
            dimensions,
        } = matching;
        Self {
            computer: computer.clone(),
            customer: *customer,
            instance_type: *instance_type,
            region: region.clone(),
            software_release: software_release.clone(),
            software_type: software_type.clone(),
            state: *state,
            dimensions: dimensions.iter().cloned().collect(),
        }
    }
}
