//! From a text to a price book: field by field, with every rule.

use slapledger_core::domain::id::ResourceId;
use slapledger_core::domain::instance::{InstanceType, RequestedState};
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::pricing::{
    Anchor, BaseFeeTime, CapPer, Conversion, DiscountLimits, Every, FeeEnd, FeeProration, FeeTerms,
    InvoiceTerms, Match, Meter, Model, Of, OnChange, OnTaxChange, Per, PriceBook, PriceTax, PricingRefusal,
    Proration, RULE_OF_CARRY_OVER, RULE_OF_METERS, RULE_OF_MOST, Rate, Reduction, Resource, ResourceKind,
    Tariff, Tier, Trial, When, ZeroInvoices,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

use super::PriceBookError;
use super::document::{DocumentNode, NodeContent};
use super::place::{LocatedNode, Table};
use super::show::{BaseShown, MeterShown};
use crate::units;

pub(super) const BOOK: &[&str] = &[
    "name",
    "currency",
    "valid_from",
    "rounding",
    "on_change",
    "tax",
    "on_tax_change",
    "zero_invoices",
    "threshold",
    "resources",
    "rates",
];
pub(super) const RESOURCE: &[&str] = &[
    "resource",
    "kind",
    "meter",
    "unit",
    "reported_in",
    "multiply_by",
    "divide_by",
    "group_by",
    "most",
    "carry_over",
];
pub(super) const UNIQUE_COUNT: &[&str] = &["dimension"];
pub(super) const PERCENTILE: &[&str] = &["percent", "sample_minutes"];
pub(super) const RECURRING: &[&str] =
    &["kind", "item", "every", "when", "until", "price", "per", "anchor", "proration", "match", "trial"];
pub(super) const BASE_FEE: &[&str] =
    &["kind", "item", "every", "price", "anchor", "proration", "owed", "match"];
pub(super) const PER_UNIT: &[&str] = &["kind", "resource", "price", "match", "free", "per", "trial"];
pub(super) const TIERED: &[&str] = &["kind", "resource", "tiers", "match", "free", "per", "trial"];
pub(super) const PACKAGE: &[&str] = &["kind", "resource", "size", "price", "match", "free", "per", "trial"];
pub(super) const PERCENTAGE: &[&str] = &["kind", "percent", "of", "resource", "match"];
pub(super) const MINIMUM: &[&str] = &["kind", "price", "of", "resource", "proration", "match"];
pub(super) const MAXIMUM: &[&str] = &["kind", "price", "of", "resource", "per", "proration", "match"];
pub(super) const DISCOUNT: &[&str] = &[
    "kind",
    "item",
    "percent",
    "amount",
    "of",
    "resource",
    "order",
    "code",
    "months",
    "invoices",
    "until",
    "minimum_spend",
    "match",
];
pub(super) const TIER: &[&str] = &["up_to", "price", "flat"];
pub(super) const TRIAL: &[&str] = &["days", "quantity"];
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
pub(super) fn book(root: &DocumentNode) -> Result<PriceBook, PriceBookError> {
    let root = LocatedNode { path: String::new(), node: root };
    let table = root.table(BOOK)?;
    let book = PriceBook {
        name: table.required("name")?.parse()?,
        currency: table.required("currency")?.parse::<Currency>()?,
        valid_from: instant(&table.required("valid_from")?)?,
        rounding: table.optional("rounding").map_or(Ok(Rounding::default()), |field| {
            field.one_of(&[("half_up", Rounding::HalfUp), ("half_even", Rounding::HalfEven)])
        })?,
        on_change: table.optional("on_change").map_or(Ok(OnChange::default()), |field| {
            field.one_of(&[("continue", OnChange::Continue), ("restart", OnChange::Restart)])
        })?,
        terms: terms(&table)?,
        resources: table.items("resources")?.iter().map(resource).collect::<Result<_, _>>()?,
        rates: table.items("rates")?.iter().map(rate).collect::<Result<_, _>>()?,
    };
    book.check().map_err(|refusal| refused(&root, &book, &refusal))?;
    Ok(book)
}

/// What it says of documents.
fn terms(table: &Table<'_>) -> Result<InvoiceTerms, PriceBookError> {
    Ok(InvoiceTerms {
        tax: table.optional("tax").map_or(Ok(PriceTax::default()), |field| {
            field.one_of(&[("exclusive", PriceTax::Exclusive), ("inclusive", PriceTax::Inclusive)])
        })?,
        on_tax_change: table.optional("on_tax_change").map_or(Ok(OnTaxChange::default()), |field| {
            field.one_of(&[("last_instant", OnTaxChange::LastInstant), ("cut", OnTaxChange::Cut)])
        })?,
        zero_invoices: table.optional("zero_invoices").map_or(Ok(ZeroInvoices::default()), |field| {
            field.one_of(&[("issue", ZeroInvoices::Issue), ("skip", ZeroInvoices::Skip)])
        })?,
        threshold: table.optional("threshold").map(|field| number(&field)).transpose()?,
    })
}

fn resource(item: &LocatedNode<'_>) -> Result<Resource, PriceBookError> {
    let name = item.any_table()?.required("meter")?.one_of(&[
        ("sum", MeterShown::Sum),
        ("time_integral", MeterShown::TimeIntegral),
        ("count", MeterShown::Count),
        ("min", MeterShown::Min),
        ("max", MeterShown::Max),
        ("average", MeterShown::Average),
        ("latest", MeterShown::Latest),
        ("unique_count", MeterShown::UniqueCount),
        ("percentile", MeterShown::Percentile),
    ])?;
    let more = match name {
        MeterShown::UniqueCount => UNIQUE_COUNT,
        MeterShown::Percentile => PERCENTILE,
        _ => &[],
    };
    let table = item.table(&[RESOURCE, more].concat())?;
    let meter = match name {
        MeterShown::Sum => Meter::Sum,
        MeterShown::TimeIntegral => Meter::TimeIntegral,
        MeterShown::Count => Meter::Count,
        MeterShown::Min => Meter::Min,
        MeterShown::Max => Meter::Max,
        MeterShown::Average => Meter::Average,
        MeterShown::Latest => Meter::Latest,
        MeterShown::UniqueCount => {
            Meter::UniqueCount { dimension: table.required("dimension")?.text()?.into() }
        }
        MeterShown::Percentile => Meter::Percentile {
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
        carry_over: table.optional("carry_over").map_or(Ok(false), |field| field.boolean())?,
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
    BaseFee,
    Maximum,
    Discount,
}

/// A rate alone; the ledger checks it against the price book.
pub(super) fn one_rate(root: &DocumentNode) -> Result<Rate, PriceBookError> {
    rate(&LocatedNode { path: String::new(), node: root })
}

fn rate(item: &LocatedNode<'_>) -> Result<Rate, PriceBookError> {
    let kinds = [
        ("recurring", RateKind::Recurring),
        ("per_unit", RateKind::PerUnit),
        ("graduated", RateKind::Graduated),
        ("volume", RateKind::Volume),
        ("package", RateKind::Package),
        ("percentage", RateKind::Percentage),
        ("minimum", RateKind::Minimum),
        ("base_fee", RateKind::BaseFee),
        ("maximum", RateKind::Maximum),
        ("discount", RateKind::Discount),
    ];
    let kind = item.any_table()?.required("kind")?.one_of(&kinds)?;
    let table = item.table(match kind {
        RateKind::Recurring => RECURRING,
        RateKind::PerUnit => PER_UNIT,
        RateKind::Graduated | RateKind::Volume => TIERED,
        RateKind::Package => PACKAGE,
        RateKind::Percentage => PERCENTAGE,
        RateKind::Minimum => MINIMUM,
        RateKind::BaseFee => BASE_FEE,
        RateKind::Maximum => MAXIMUM,
        RateKind::Discount => DISCOUNT,
    })?;
    let usage = |tariff| {
        Ok(Model::Usage {
            resource: table.required("resource")?.parse()?,
            per: per(&table)?,
            free: table.optional("free").map_or(Ok(Quantity::ZERO), |field| number(&field))?,
            tariff,
        })
    };
    let model = match kind {
        RateKind::Recurring => recurring(&table)?,
        RateKind::BaseFee => base_fee(&table)?,
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
            proration: proration(&table)?,
        },
        RateKind::Maximum => Model::Maximum {
            price: number(&table.required("price")?)?,
            of: of(&table)?,
            per: table.required("per")?.one_of(&[
                ("line", CapPer::Line),
                ("instance", CapPer::Instance),
                ("customer", CapPer::Customer),
            ])?,
            proration: proration(&table)?,
        },
        RateKind::Discount => discount(item, &table)?,
    };
    let trial = table.optional("trial").map(|field| trial(&field)).transpose()?;
    Ok(Rate { model, trial, matching: matching(&table)? })
}

fn trial(field: &LocatedNode<'_>) -> Result<Trial, PriceBookError> {
    let table = field.table(TRIAL)?;
    match (table.optional("days"), table.optional("quantity")) {
        (Some(days), None) => Ok(Trial::Days(days.whole()?)),
        (None, Some(quantity)) => Ok(Trial::Quantity(number(&quantity)?)),
        (Some(_), Some(quantity)) => {
            Err(quantity.fault("cannot stand beside days: a trial is of one or the other"))
        }
        (None, None) => Err(field.fault("must have days or quantity: what costs nothing at first")),
    }
}

fn discount(item: &LocatedNode<'_>, table: &Table<'_>) -> Result<Model, PriceBookError> {
    let reduction = match (table.optional("percent"), table.optional("amount")) {
        (Some(percent), None) => Reduction::Percent(number(&percent)?),
        (None, Some(amount)) => Reduction::Amount(number(&amount)?),
        (Some(_), Some(amount)) => {
            return Err(amount.fault("cannot stand beside percent: a discount is one or the other"));
        }
        (None, None) => return Err(item.fault("must have percent or amount: how much is taken off")),
    };
    let whole = |name| table.optional(name).map(|field| field.whole()).transpose();
    Ok(Model::Discount {
        item: table.optional("item").map_or(Ok(""), |field| field.text())?.into(),
        reduction,
        of: of(table)?,
        order: whole("order")?.unwrap_or(0),
        code: table
            .optional("code")
            .map(|field| Ok::<_, PriceBookError>(field.text()?.into()))
            .transpose()?,
        limits: DiscountLimits {
            months: whole("months")?,
            invoices: whole("invoices")?,
            until: table.optional("until").map(|field| instant(&field)).transpose()?,
            minimum_spend: table.optional("minimum_spend").map(|field| number(&field)).transpose()?,
        },
    })
}

fn proration(table: &Table<'_>) -> Result<Proration, PriceBookError> {
    table.optional("proration").map_or(Ok(Proration::default()), |field| {
        field.one_of(&[("allocated", Proration::Allocated), ("none", Proration::None)])
    })
}

/// Whose usage or time is priced together.
fn per(table: &Table<'_>) -> Result<Per, PriceBookError> {
    let instance_or_customer = [("instance", Per::Instance), ("customer", Per::Customer)];
    table.optional("per").map_or(Ok(Per::Instance), |field| field.one_of(&instance_or_customer))
}

fn every(table: &Table<'_>) -> Result<Every, PriceBookError> {
    table.required("every")?.one_of(&[
        ("month", Every::Month),
        ("hour", Every::Hour),
        ("day", Every::Day),
        ("week", Every::Week),
        ("quarter", Every::Quarter),
        ("year", Every::Year),
    ])
}

/// The units of time of a fee, for one instance.
fn fee_terms(table: &Table<'_>) -> Result<FeeTerms, PriceBookError> {
    Ok(FeeTerms {
        per: Per::Instance,
        anchor: table.optional("anchor").map_or(Ok(Anchor::default()), |field| anchor(&field))?,
        proration: table.optional("proration").map_or(Ok(FeeProration::default()), |field| {
            field.one_of(&[("time", FeeProration::Time), ("whole", FeeProration::Whole)])
        })?,
    })
}

fn anchor(field: &LocatedNode<'_>) -> Result<Anchor, PriceBookError> {
    let rule = "must be \"calendar\", \"anniversary\" or a day such as \"2026-01-31\"";
    match field.text()? {
        "calendar" => Ok(Anchor::Calendar),
        "anniversary" => Ok(Anchor::Anniversary),
        day if day.len() == 10 => day.parse().map(Anchor::Day).map_err(|_| field.fault(rule)),
        _ => Err(field.fault(rule)),
    }
}

fn base_fee(table: &Table<'_>) -> Result<Model, PriceBookError> {
    Ok(Model::BaseFee {
        item: table.optional("item").map_or(Ok(""), |field| field.text())?.into(),
        price: number(&table.required("price")?)?,
        every: every(table)?,
        terms: fee_terms(table)?,
        owed: table.optional("owed").map_or(Ok(BaseFeeTime::default()), |field| {
            field.one_of(&[("allocated", BaseFeeTime::Allocated), ("always", BaseFeeTime::Always)])
        })?,
    })
}

fn recurring(table: &Table<'_>) -> Result<Model, PriceBookError> {
    let every = every(table)?;
    let when = table.required("when")?.one_of(&[("arrears", When::Arrears), ("advance", When::Advance)])?;
    let until = table.optional("until").map_or(Ok(FeeEnd::default()), |field| {
        field.one_of(&[("destroy_requested", FeeEnd::DestroyRequested), ("destroyed", FeeEnd::Destroyed)])
    })?;
    let item = table.optional("item").map_or(Ok(""), |field| field.text())?.into();
    let price = number(&table.required("price")?)?;
    let terms = FeeTerms { per: per(table)?, ..fee_terms(table)? };
    Ok(Model::Recurring { item, price, every, when, until, terms })
}

fn tiers(table: &Table<'_>) -> Result<Vec<Tier>, PriceBookError> {
    table.required("tiers")?;
    let tier = |item: &LocatedNode<'_>| {
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

/// What a percentage, a discount, a minimum or a maximum is of: a word, or the usage of a resource.
fn of(table: &Table<'_>) -> Result<Of, PriceBookError> {
    match (table.optional("of"), table.optional("resource")) {
        (Some(_), Some(resource)) => {
            Err(resource.fault("cannot stand beside of: it is of one or of the other"))
        }
        (None, Some(resource)) => Ok(Of::Resource(resource.parse()?)),
        (Some(of), None) => {
            let words =
                [("all", BaseShown::All), ("recurring", BaseShown::Recurring), ("usage", BaseShown::Usage)];
            Ok(match of.one_of(&words)? {
                BaseShown::All => Of::All,
                BaseShown::Recurring => Of::Recurring,
                BaseShown::Usage => Of::Usage,
            })
        }
        (None, None) => Ok(Of::All),
    }
}

/// A number in quotes.
fn number<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &LocatedNode<'_>,
) -> Result<T, PriceBookError> {
    match &field.node.content {
        NodeContent::Number(_) => {
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
    // Sorted, as they are shown: anyone who writes them in another order says the same.
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

fn instant(field: &LocatedNode<'_>) -> Result<Timestamp, PriceBookError> {
    let rule = "must be an RFC 3339 instant with its offset, such as 2026-01-01T00:00:00Z";
    Timestamp::parse_rfc3339(field.text()?).ok_or_else(|| field.fault(rule))
}

/// A rule of the domain, told of the place in the text where it is broken.
fn refused(root: &LocatedNode<'_>, book: &PriceBook, refusal: &PricingRefusal) -> PriceBookError {
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
        PricingRefusal::BadCarryOver { resource } => {
            at("resources", first(resource), "carry_over").fault(RULE_OF_CARRY_OVER)
        }
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
        PricingRefusal::BadTerm { field, rule } => {
            let term = root.any_table().ok().and_then(|table| table.optional(field));
            term.map_or_else(|| root.fault(format!("{field} {rule}")), |term| term.fault(*rule))
        }
        PricingRefusal::UnknownBook { .. }
        | PricingRefusal::UnknownCustomer { .. }
        | PricingRefusal::UnknownOverride { .. }
        | PricingRefusal::BadOverride { .. }
        | PricingRefusal::BadOverrideRate { .. }
        | PricingRefusal::UndeclaredByBook { .. }
        | PricingRefusal::OverrideTie { .. }
        | PricingRefusal::BreaksOverride { .. }
        | PricingRefusal::OtherCurrency { .. }
        | PricingRefusal::OtherPriceTax { .. }
        | PricingRefusal::Retroactive { .. }
        | PricingRefusal::SameCustomers { .. }
        | PricingRefusal::TooLarge { .. }
        | PricingRefusal::OverrideTooLarge { .. } => root.fault(refusal.to_string()),
    }
}
