//! From a text to a price book: field by field, with every rule.

use slapledger_core::domain::id::ResourceId;
use slapledger_core::domain::instance::{InstanceType, RequestedState};
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::pricing::{
    Conversion, Every, FeeEnd, Match, Meter, Model, Of, OnChange, Per, PriceBook, PricingRefusal, Proration,
    RULE_OF_METERS, RULE_OF_MOST, Rate, Resource, ResourceKind, Tariff, Tier, When,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

use super::PriceBookError;
use super::document::{Content, Node};
use super::place::{At, Table};
use crate::units;

pub(super) const BOOK: &[&str] =
    &["name", "currency", "valid_from", "rounding", "on_change", "resources", "rates"];
pub(super) const RESOURCE: &[&str] =
    &["resource", "kind", "meter", "unit", "reported_in", "multiply_by", "divide_by", "group_by", "most"];
pub(super) const UNIQUE_COUNT: &[&str] = &["dimension"];
pub(super) const PERCENTILE: &[&str] = &["percent", "sample_minutes"];
pub(super) const RECURRING: &[&str] = &["kind", "item", "every", "when", "until", "price", "match"];
pub(super) const PER_UNIT: &[&str] = &["kind", "resource", "price", "match", "free", "per"];
pub(super) const TIERED: &[&str] = &["kind", "resource", "tiers", "match", "free", "per"];
pub(super) const PACKAGE: &[&str] = &["kind", "resource", "size", "price", "match", "free", "per"];
pub(super) const PERCENTAGE: &[&str] = &["kind", "percent", "of", "resource", "match"];
pub(super) const MINIMUM: &[&str] = &["kind", "price", "of", "resource", "proration", "match"];
pub(super) const TIER: &[&str] = &["up_to", "price", "flat"];
pub(super) const MATCH: &[&str] = &[
    "software_release",
    "software_type",
    "computer",
    "instance_type",
    "customer",
    "region",
    "state",
    "dimensions",
];

/// A price book that keeps all rules.
pub(super) fn book(root: &Node) -> Result<PriceBook, PriceBookError> {
    let root = At { path: String::new(), node: root };
    let table = root.table(BOOK)?;
    let book = PriceBook {
        name: table.required("name")?.parse()?,
        currency: table.required("currency")?.parse::<Currency>()?,
        valid_from: instant(&table.required("valid_from")?)?,
        rounding: table.optional("rounding").map_or(Ok(Rounding::HalfUp), |field| {
            field.one_of(&[("half_up", Rounding::HalfUp), ("half_even", Rounding::HalfEven)])
        })?,
        on_change: table.optional("on_change").map_or(Ok(OnChange::default()), |field| {
            field.one_of(&[("continue", OnChange::Continue), ("restart", OnChange::Restart)])
        })?,
        resources: table.items("resources")?.iter().map(resource).collect::<Result<_, _>>()?,
        rates: table.items("rates")?.iter().map(rate).collect::<Result<_, _>>()?,
    };
    book.check().map_err(|refusal| refused(&root, &book, &refusal))?;
    Ok(book)
}

#[derive(Clone, Copy)]
enum MeterName {
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

fn resource(item: &At<'_>) -> Result<Resource, PriceBookError> {
    let name = item.any_table()?.required("meter")?.one_of(&[
        ("sum", MeterName::Sum),
        ("time_integral", MeterName::TimeIntegral),
        ("count", MeterName::Count),
        ("min", MeterName::Min),
        ("max", MeterName::Max),
        ("average", MeterName::Average),
        ("latest", MeterName::Latest),
        ("unique_count", MeterName::UniqueCount),
        ("percentile", MeterName::Percentile),
    ])?;
    let more = match name {
        MeterName::UniqueCount => UNIQUE_COUNT,
        MeterName::Percentile => PERCENTILE,
        _ => &[],
    };
    let table = item.table(&[RESOURCE, more].concat())?;
    let meter = match name {
        MeterName::Sum => Meter::Sum,
        MeterName::TimeIntegral => Meter::TimeIntegral,
        MeterName::Count => Meter::Count,
        MeterName::Min => Meter::Min,
        MeterName::Max => Meter::Max,
        MeterName::Average => Meter::Average,
        MeterName::Latest => Meter::Latest,
        MeterName::UniqueCount => {
            Meter::UniqueCount { dimension: table.required("dimension")?.text()?.into() }
        }
        MeterName::Percentile => Meter::Percentile {
            percent: table.optional("percent").map_or(Ok(95), |field| field.whole())?,
            sample_minutes: table.optional("sample_minutes").map_or(Ok(5), |field| field.whole())?,
        },
    };
    let (unit, conversion) = unit(&table, &meter)?;
    Ok(Resource {
        resource: table.required("resource")?.parse()?,
        kind: table
            .required("kind")?
            .one_of(&[("counter", ResourceKind::Counter), ("gauge", ResourceKind::Gauge)])?,
        meter,
        unit,
        conversion,
        group_by: table
            .items("group_by")?
            .iter()
            .map(|key| Ok(key.text()?.into()))
            .collect::<Result<_, PriceBookError>>()?,
        most: table.optional("most").map(|field| number(&field)).transpose()?,
    })
}

/// The unit of a quantity, and the factor to it: from units that are known, or as it is said.
fn unit(table: &Table<'_>, meter: &Meter) -> Result<(Box<str>, Conversion), PriceBookError> {
    let unit = table.required("unit")?.text()?;
    let factors = [table.optional("multiply_by"), table.optional("divide_by")];
    if let Some(field) = table.optional("reported_in") {
        if let Some(other) = factors.into_iter().flatten().next() {
            return Err(other.fault("cannot stand beside reported_in: the factor follows from the units"));
        }
        let conversion =
            units::conversion(field.text()?, meter, unit).map_err(|error| field.fault(error.to_string()))?;
        return Ok((unit.into(), conversion));
    }
    let [multiply, divide] = factors.map(|field| field.map_or(Ok(1), |field| field.whole()));
    Ok((unit.into(), Conversion { multiply: multiply?, divide: divide? }))
}

#[derive(Clone, Copy)]
enum RateKind {
    Recurring,
    PerUnit,
    Graduated,
    Volume,
    Package,
    Percentage,
    Minimum,
}

fn rate(item: &At<'_>) -> Result<Rate, PriceBookError> {
    let kinds = [
        ("recurring", RateKind::Recurring),
        ("per_unit", RateKind::PerUnit),
        ("graduated", RateKind::Graduated),
        ("volume", RateKind::Volume),
        ("package", RateKind::Package),
        ("percentage", RateKind::Percentage),
        ("minimum", RateKind::Minimum),
    ];
    let kind = item.any_table()?.required("kind")?.one_of(&kinds)?;
    let table = item.table(match kind {
        RateKind::Recurring => RECURRING,
        RateKind::PerUnit => PER_UNIT,
        RateKind::Graduated | RateKind::Volume => TIERED,
        RateKind::Package => PACKAGE,
        RateKind::Percentage => PERCENTAGE,
        RateKind::Minimum => MINIMUM,
    })?;
    let usage = |tariff| {
        let instance_or_customer = [("instance", Per::Instance), ("customer", Per::Customer)];
        Ok(Model::Usage {
            resource: table.required("resource")?.parse()?,
            per: table
                .optional("per")
                .map_or(Ok(Per::Instance), |field| field.one_of(&instance_or_customer))?,
            free: table.optional("free").map_or(Ok(Quantity::ZERO), |field| number(&field))?,
            tariff,
        })
    };
    let model = match kind {
        RateKind::Recurring => recurring(&table)?,
        RateKind::PerUnit => usage(Tariff::PerUnit { price: number(&table.required("price")?)? })?,
        RateKind::Graduated => usage(Tariff::Graduated { tiers: tiers(&table)? })?,
        RateKind::Volume => usage(Tariff::Volume { tiers: tiers(&table)? })?,
        RateKind::Package => usage(Tariff::Package {
            size: number(&table.required("size")?)?,
            price: number(&table.required("price")?)?,
        })?,
        RateKind::Percentage => {
            Model::Percentage { percent: number(&table.required("percent")?)?, of: of(&table)? }
        }
        RateKind::Minimum => Model::Minimum {
            price: number(&table.required("price")?)?,
            of: of(&table)?,
            proration: table.optional("proration").map_or(Ok(Proration::default()), |field| {
                field.one_of(&[("allocated", Proration::Allocated), ("none", Proration::None)])
            })?,
        },
    };
    Ok(Rate { model, matching: matching(&table)? })
}

fn recurring(table: &Table<'_>) -> Result<Model, PriceBookError> {
    let every = table.required("every")?.one_of(&[
        ("month", Every::Month),
        ("hour", Every::Hour),
        ("day", Every::Day),
        ("year", Every::Year),
    ])?;
    let when = table.required("when")?.one_of(&[("arrears", When::Arrears), ("advance", When::Advance)])?;
    let until = table.optional("until").map_or(Ok(FeeEnd::default()), |field| {
        field.one_of(&[("destroy_requested", FeeEnd::DestroyRequested), ("destroyed", FeeEnd::Destroyed)])
    })?;
    let item = table.optional("item").map_or(Ok(""), |field| field.text())?.into();
    Ok(Model::Recurring { item, price: number(&table.required("price")?)?, every, when, until })
}

fn tiers(table: &Table<'_>) -> Result<Vec<Tier>, PriceBookError> {
    table.required("tiers")?;
    let tier = |item: &At<'_>| {
        let table = item.table(TIER)?;
        Ok(Tier {
            up_to: table.optional("up_to").map(|field| number(&field)).transpose()?,
            price: number(&table.required("price")?)?,
            flat: table.optional("flat").map_or_else(
                || Ok(Price::from_billionths(0).expect("nothing is a price")),
                |field| number(&field),
            )?,
        })
    };
    table.items("tiers")?.iter().map(tier).collect()
}

/// What a percentage or a minimum is of: a word, or the usage of a resource.
fn of(table: &Table<'_>) -> Result<Of, PriceBookError> {
    match (table.optional("of"), table.optional("resource")) {
        (Some(_), Some(resource)) => {
            Err(resource.fault("cannot stand beside of: it is of one or of the other"))
        }
        (None, Some(resource)) => Ok(Of::Resource(resource.parse()?)),
        (Some(of), None) => {
            of.one_of(&[("all", Of::All), ("recurring", Of::Recurring), ("usage", Of::Usage)])
        }
        (None, None) => Ok(Of::All),
    }
}

/// A number in quotes.
fn number<T: std::str::FromStr<Err: std::fmt::Display>>(field: &At<'_>) -> Result<T, PriceBookError> {
    match &field.node.content {
        Content::Number(_) => {
            Err(field.fault("must be a string such as \"10.00\": a number could lose digits"))
        }
        _ => field.parse(),
    }
}

fn matching(rate: &Table<'_>) -> Result<Match, PriceBookError> {
    let Some(field) = rate.optional("match") else { return Ok(Match::default()) };
    let table = field.table(MATCH)?;
    let states = [RequestedState::Started, RequestedState::Stopped, RequestedState::Destroyed];
    let states = states.map(|state| (state.as_str(), state));
    let types = [InstanceType::Production, InstanceType::Testing].map(|kind| (kind.as_str(), kind));
    // Sorted, as they are shown: whoever writes them in another order says the same.
    let mut dimensions = table.optional("dimensions").map_or(Ok(Vec::new()), |field| field.pairs())?;
    dimensions.sort_unstable();
    Ok(Match {
        software_release: table.optional("software_release").map(|field| field.parse()).transpose()?,
        software_type: table.optional("software_type").map(|field| field.parse()).transpose()?,
        computer: table.optional("computer").map(|field| field.parse()).transpose()?,
        instance_type: table.optional("instance_type").map(|field| field.one_of(&types)).transpose()?,
        customer: table.optional("customer").map(|field| field.parse()).transpose()?,
        region: table.optional("region").map(|field| Ok(field.text()?.into())).transpose()?,
        state: table.optional("state").map(|field| field.one_of(&states)).transpose()?,
        dimensions,
    })
}

fn instant(field: &At<'_>) -> Result<Timestamp, PriceBookError> {
    let rule = "must be an RFC 3339 instant with its offset, such as 2026-01-01T00:00:00Z";
    Timestamp::parse_rfc3339(field.text()?).ok_or_else(|| field.fault(rule))
}

/// A rule of the domain, told of the place in the text where it is broken.
fn refused(root: &At<'_>, book: &PriceBook, refusal: &PricingRefusal) -> PriceBookError {
    let declaration = |resource: &ResourceId, which: fn(&mut dyn Iterator<Item = usize>) -> Option<usize>| {
        let mut places =
            book.resources.iter().enumerate().filter(|(_, r)| r.resource == *resource).map(|(at, _)| at);
        which(&mut places).unwrap_or_default()
    };
    let first = |resource: &ResourceId| declaration(resource, |places| places.next());
    let at = |list: &str, item: usize, field: &str| root.find(list, item, field);
    match refusal {
        PricingRefusal::ResourceTwice { resource } => {
            at("resources", declaration(resource, |places| places.nth(1)), "resource")
                .fault(format!("{resource} is declared more than once"))
        }
        PricingRefusal::MeterDoesNotFit { resource } => at("resources", first(resource), "meter")
            .fault(format!("does not fit the kind: {RULE_OF_METERS}")),
        PricingRefusal::BadMeter { resource, rule } => {
            let field = rule.split_once(' ').map_or("meter", |(field, _)| field);
            at("resources", first(resource), field)
                .fault(rule.split_once(' ').map_or(*rule, |(_, rule)| rule))
        }
        PricingRefusal::BadUnit { resource } => at("resources", first(resource), "unit")
            .fault("must be 1 to 100 bytes without control characters"),
        PricingRefusal::BadConversion { resource } => {
            let within = |factor| (1..=1_000_000_000_000).contains(&factor);
            let known = &book.resources[first(resource)].conversion;
            let field = if within(known.multiply) { "divide_by" } else { "multiply_by" };
            at("resources", first(resource), field).fault("must be from 1 to 10^12")
        }
        PricingRefusal::BadMost { resource } => at("resources", first(resource), "most")
            .fault(RULE_OF_MOST.strip_prefix("most ").unwrap_or(RULE_OF_MOST)),
        PricingRefusal::BadGroups { resource } => at("resources", first(resource), "group_by")
            .fault("must be at most 8 different names of 1 to 100 bytes"),
        PricingRefusal::UndeclaredResource { rate, resource } => {
            at("rates", rate - 1, "resource").fault(format!("{resource} is not declared in resources"))
        }
        PricingRefusal::BadRate { rate, field, rule } => at("rates", rate - 1, field).fault(*rule),
        PricingRefusal::Tie { one, other } => at("rates", other - 1, "").fault(format!(
            "matches the same instances as rates[{}] with as many members: neither would win",
            one - 1
        )),
        PricingRefusal::NoRates => {
            let rates = root.any_table().ok().and_then(|table| table.optional("rates"));
            rates.map_or_else(
                || root.fault("rates must not be empty"),
                |rates| rates.fault("must not be empty"),
            )
        }
        PricingRefusal::OtherCurrency { .. }
        | PricingRefusal::Retroactive { .. }
        | PricingRefusal::SameCustomers { .. }
        | PricingRefusal::TooLarge { .. } => root.fault(refusal.to_string()),
    }
}
