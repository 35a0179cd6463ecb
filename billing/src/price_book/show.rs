//! A price book as it is shown: the fields it is read from.
//!
//! What has its usual value is left out. A factor that came from known units is shown as a factor.

use std::collections::BTreeMap;

use serde::Serialize;
use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId};
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::pricing::{
    Conversion, Every, FeeEnd, Match, Meter, Model, Of, OnChange, Per, PriceBook, Proration, Rate, Resource,
    ResourceKind, Tariff, Tier, When,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

/// A price book as it is shown: the fields it is read from.
#[derive(Debug, Serialize)]
pub struct PriceBookForm {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_change: Option<OnChange>,
    resources: Vec<ResourceForm>,
    rates: Vec<RateForm>,
}

impl PriceBookForm {
    /// The form of a book.
    pub fn of(book: &PriceBook) -> Self {
        Self::seen(book, |_| true)
    }

    /// The same without the rates that name a customer whose prices are not to be seen.
    pub fn seen(book: &PriceBook, seen: impl Fn(PartyId) -> bool) -> Self {
        let PriceBook { name, currency, valid_from, rounding, on_change, resources, rates } = book;
        let on_change = Some(*on_change).filter(|on_change| *on_change != OnChange::default());
        let resources = resources.iter().map(ResourceForm::of).collect();
        let rates =
            rates.iter().filter(|rate| rate.matching.customer.is_none_or(&seen)).map(RateForm::of).collect();
        let (currency, valid_from, rounding) = (*currency, *valid_from, *rounding);
        Self { name: name.clone(), currency, valid_from, rounding, on_change, resources, rates }
    }
}

/// What is declared of a resource, as it is shown.
#[derive(Debug, Serialize)]
pub struct ResourceForm {
    resource: ResourceId,
    kind: ResourceKind,
    meter: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_minutes: Option<u16>,
    unit: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multiply_by: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    divide_by: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_by: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<Quantity>,
}

impl ResourceForm {
    /// The form of a declaration.
    pub fn of(declared: &Resource) -> Self {
        let Resource { resource, kind, meter, unit, conversion, group_by, most } = declared;
        let (mut dimension, mut percent, mut sample_minutes) = (None, None, None);
        let meter = match meter {
            Meter::Sum => "sum",
            Meter::TimeIntegral => "time_integral",
            Meter::Count => "count",
            Meter::Min => "min",
            Meter::Max => "max",
            Meter::Average => "average",
            Meter::Latest => "latest",
            Meter::UniqueCount { dimension: of } => {
                dimension = Some(of.clone());
                "unique_count"
            }
            Meter::Percentile { percent: of, sample_minutes: minutes } => {
                (percent, sample_minutes) = (Some(*of), Some(*minutes));
                "percentile"
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
            multiply_by: factor(multiply),
            divide_by: factor(divide),
            group_by: group_by.clone(),
            most: *most,
        }
    }
}

/// A rate, as it is shown.
#[derive(Debug, Default, Serialize)]
pub struct RateForm {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<Every>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<FeeEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proration: Option<Proration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<Per>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matching: Option<MatchForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tiers: Option<Vec<TierForm>>,
}

#[derive(Debug, Serialize)]
struct TierForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<Quantity>,
    price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    flat: Option<Price>,
}

#[derive(Debug, Serialize)]
struct MatchForm {
    #[serde(flatten)]
    members: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<Box<str>, Box<str>>,
}

impl RateForm {
    /// The form of a rate.
    pub fn of(rate: &Rate) -> Self {
        let matching = (rate.matching.members() > 0).then(|| MatchForm::of(&rate.matching));
        let form = match &rate.model {
            Model::Recurring { item, price, every, when, until } => Self {
                kind: "recurring",
                item: Some(item.clone()).filter(|item| !item.is_empty()),
                every: Some(*every),
                when: Some(*when),
                until: Some(*until).filter(|until| *until != FeeEnd::default()),
                price: Some(*price),
                ..Self::default()
            },
            Model::Usage { resource, per, free, tariff } => Self {
                resource: Some(resource.clone()),
                per: Some(*per).filter(|per| *per != Per::Instance),
                free: Some(*free).filter(|free| *free != Quantity::ZERO),
                ..Self::of_tariff(tariff)
            },
            Model::Percentage { percent, of } => {
                Self { kind: "percentage", percent: Some(*percent), ..Self::of_base(of) }
            }
            Model::Minimum { price, of, proration } => Self {
                kind: "minimum",
                price: Some(*price),
                proration: Some(*proration).filter(|proration| *proration != Proration::default()),
                ..Self::of_base(of)
            },
        };
        Self { matching, ..form }
    }

    fn of_tariff(tariff: &Tariff) -> Self {
        let none = Self::default();
        match tariff {
            Tariff::PerUnit { price } => Self { kind: "per_unit", price: Some(*price), ..none },
            Tariff::Graduated { tiers } => {
                Self { kind: "graduated", tiers: Some(TierForm::all(tiers)), ..none }
            }
            Tariff::Volume { tiers } => Self { kind: "volume", tiers: Some(TierForm::all(tiers)), ..none },
            Tariff::Package { size, price } => {
                Self { kind: "package", size: Some(*size), price: Some(*price), ..none }
            }
        }
    }

    fn of_base(of: &Of) -> Self {
        let none = Self::default();
        match of {
            Of::All => none,
            Of::Recurring => Self { of: Some("recurring"), ..none },
            Of::Usage => Self { of: Some("usage"), ..none },
            Of::Resource(resource) => Self { resource: Some(resource.clone()), ..none },
        }
    }
}

impl TierForm {
    fn all(tiers: &[Tier]) -> Vec<Self> {
        let form = |tier: &Tier| Self {
            up_to: tier.up_to,
            price: tier.price,
            flat: Some(tier.flat).filter(|flat| flat.billionths() > 0),
        };
        tiers.iter().map(form).collect()
    }
}

impl MatchForm {
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
        let members = [
            ("software_release", software_release.as_ref().map(ToString::to_string)),
            ("software_type", software_type.as_ref().map(ToString::to_string)),
            ("computer", computer.as_ref().map(ToString::to_string)),
            ("instance_type", instance_type.map(|kind| kind.as_str().to_owned())),
            ("customer", customer.map(|customer| customer.to_string())),
            ("region", region.as_ref().map(ToString::to_string)),
            ("state", state.map(|state| state.as_str().to_owned())),
        ];
        let members = members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Self { members, dimensions: dimensions.iter().cloned().collect() }
    }
}
