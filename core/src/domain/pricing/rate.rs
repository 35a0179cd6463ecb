//! What a rate charges: fees, usage, and what is about all lines of a customer.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::Match;
use crate::domain::id::ResourceId;
use crate::domain::money::Price;
use crate::domain::quantity::Quantity;
use crate::domain::time::{Date, Timestamp};

/// What is charged, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Rate {
    /// What is charged.
    pub model: Model,
    /// What of it costs nothing at first.
    pub trial: Option<Trial>,
    /// For which instances.
    pub matching: Match,
}

/// What costs nothing when an instance is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// So many days of the customer's calendar after the instance was allocated.
    Days(u16),
    /// The first units that an instance uses in its life.
    Quantity(Quantity),
}

/// What a rate charges.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum Model {
    /// A fee for each instance, for the time it is allocated.
    Recurring {
        /// What the fee is for, if an instance can pay several; empty for the one that needs no name.
        item: Box<str>,
        /// For one `every`.
        price: Price,
        /// How long the price is for.
        every: Every,
        /// When it is charged.
        when: When,
        /// Until when.
        until: FeeEnd,
        /// Whose time is priced together, and in which units.
        terms: FeeTerms,
    },
    /// For the usage of a resource.
    Usage {
        /// Which.
        resource: ResourceId,
        /// Whose usage is priced together.
        per: Per,
        /// So much of each month costs nothing.
        free: Quantity,
        /// What the rest costs.
        tariff: Tariff,
    },
    /// A part of what a customer is charged otherwise.
    Percentage {
        /// How much of it.
        percent: Quantity,
        /// Of what.
        of: Of,
    },
    /// What a customer pays at least.
    Minimum {
        /// For a month.
        price: Price,
        /// What counts towards it.
        of: Of,
        /// Whether a customer who joins or leaves in a month owes its share of it.
        proration: Proration,
    },
    /// A fee of a customer, however many instances there are.
    BaseFee {
        /// What it is for, if a customer can pay several; empty for the one that needs no name.
        item: Box<str>,
        /// For one `every`.
        price: Price,
        /// How long the price is for.
        every: Every,
        /// Its units of time; it is always of a customer.
        terms: FeeTerms,
        /// When it is owed.
        owed: BaseFeeTime,
    },
    /// What is taken off a customer's lines.
    Discount {
        /// Its name; of those with the same name the one that names most members counts.
        item: Box<str>,
        /// How much is taken off.
        reduction: Reduction,
        /// Of what.
        of: Of,
        /// Its place among the discounts, the lowest first.
        order: u16,
        /// A code that the customer must have redeemed.
        code: Option<Box<str>>,
        /// When it ends.
        limits: DiscountLimits,
    },
    /// What is paid at most in a month.
    Maximum {
        /// For a month.
        price: Price,
        /// What counts towards it.
        of: Of,
        /// What it is a maximum of.
        per: CapPer,
        /// Whether a customer who joins or leaves in a month has its share of it.
        proration: Proration,
    },
}

/// How the time of a fee is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct FeeTerms {
    /// Whose time is priced together.
    pub per: Per,
    /// Where the units of time begin.
    pub anchor: Anchor,
    /// What of a unit is charged that was not used to its end.
    pub proration: FeeProration,
}

/// How much a discount takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// So many percent.
    Percent(Quantity),
    /// So much for a month.
    Amount(Price),
}

/// When a discount begins and ends, beside the version of its book. Each that is set must be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DiscountLimits {
    /// For so many months of the customer's calendar, from when its code was redeemed, or from the first instance.
    pub months: Option<u16>,
    /// On so many invoices of the customer.
    pub invoices: Option<u16>,
    /// For lines that begin before this instant.
    pub until: Option<Timestamp>,
    /// In months in which the lines that it is of come to at least this.
    pub minimum_spend: Option<Price>,
}

/// What a maximum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapPer {
    /// Each line.
    Line,
    /// All lines of an instance.
    Instance,
    /// All lines of a customer.
    Customer,
}

/// Where the units of time of a fee begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// With the weeks (on Monday), months, quarters and years of the customer's calendar.
    #[default]
    Calendar,
    /// On the day on which the instance, or the customer's first one, was allocated.
    Anniversary,
    /// On this day and the days that follow it by whole units.
    Day(#[schemars(with = "String")] Date),
}

/// What of a unit of time is charged that an instance was not there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeeProration {
    /// Its share of the time.
    #[default]
    Time,
    /// All of each unit that was begun, when it begins.
    Whole,
}

/// When a base fee is owed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaseFeeTime {
    /// While an instance of the customer is allocated.
    #[default]
    Allocated,
    /// All the time; `match` must name the customer.
    Always,
}

/// How long a recurring price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// 3,600 seconds.
    Hour,
    /// 24 hours.
    Day,
    /// A calendar month where the customer is.
    Month,
    /// Twelve of them.
    Year,
    /// Seven days, from Monday on.
    Week,
    /// Three months.
    Quarter,
}

/// When a recurring price is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// With the period it is for, when that is over.
    Arrears,
    /// With the period before; what was allocated otherwise is settled when it is over.
    Advance,
}

/// Until when an instance is charged a fee.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeeEnd {
    /// Until its owner requested that it is destroyed.
    #[default]
    DestroyRequested,
    /// Until its node confirmed that it is destroyed.
    Destroyed,
}

/// What of a minimum a customer owes who has instances for a part of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// The share of the month in which an instance of the customer was allocated and not to be destroyed.
    #[default]
    Allocated,
    /// All of it.
    None,
}

/// Whose usage is priced together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// That of one instance.
    #[default]
    Instance,
    /// That of all instances of a customer.
    Customer,
}

/// What a quantity costs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum Tariff {
    /// The same for each unit.
    PerUnit {
        /// For one unit.
        price: Price,
    },
    /// Each unit costs what its tier says.
    Graduated {
        /// By rising bounds; the last has none.
        tiers: Vec<Tier>,
    },
    /// All units cost what the tier says in which the quantity is.
    Volume {
        /// By rising bounds; the last has none.
        tiers: Vec<Tier>,
    },
    /// So much for each package that was begun.
    Package {
        /// Units in a package.
        size: Quantity,
        /// For one package.
        price: Price,
    },
}

/// A tier. Its upper bound belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Tier {
    /// Its upper bound; the last one has none.
    pub up_to: Option<Quantity>,
    /// For one unit.
    pub price: Price,
    /// Once, if there is anything in it.
    pub flat: Price,
}

/// What of a customer's lines counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Fees and usage.
    All,
    /// Fees.
    Recurring,
    /// Usage.
    Usage,
    /// Usage of one resource.
    Resource(ResourceId),
}

/// What a rate is the price of: of those with the same subject one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateSubject<'a> {
    /// A fee, by its name.
    Fee(&'a str),
    /// A resource.
    Resource(&'a ResourceId),
    /// A percentage of this.
    Percentage(&'a Of),
    /// A minimum of this.
    Minimum(&'a Of),
    /// A fee of the customer, by its name.
    BaseFee(&'a str),
    /// A discount, by its name.
    Discount(&'a str),
    /// A maximum of this, for each of those.
    Maximum(&'a Of, CapPer),
}

impl Rate {
    /// What it is the price of.
    pub fn subject(&self) -> RateSubject<'_> {
        match &self.model {
            Model::Recurring { item, .. } => RateSubject::Fee(item),
            Model::Usage { resource, .. } => RateSubject::Resource(resource),
            Model::Percentage { of, .. } => RateSubject::Percentage(of),
            Model::Minimum { of, .. } => RateSubject::Minimum(of),
            Model::BaseFee { item, .. } => RateSubject::BaseFee(item),
            Model::Discount { item, .. } => RateSubject::Discount(item),
            Model::Maximum { of, per, .. } => RateSubject::Maximum(of, *per),
        }
    }

    /// The code that a customer must have redeemed for it.
    pub fn code(&self) -> Option<&str> {
        match &self.model {
            Model::Discount { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Whether it is about all of a customer, and not about one instance at a time.
    pub fn of_customers(&self) -> bool {
        match &self.model {
            Model::Percentage { .. }
            | Model::Minimum { .. }
            | Model::BaseFee { .. }
            | Model::Discount { .. } => true,
            Model::Maximum { per, .. } => *per == CapPer::Customer,
            Model::Recurring { .. } | Model::Usage { .. } => false,
        }
    }
}

impl Model {
    /// Whether it takes something off other lines.
    pub fn reduces(&self) -> bool {
        matches!(self, Self::Discount { .. } | Self::Maximum { .. })
    }
}
