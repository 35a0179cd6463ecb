//! The rules a price book must keep before it may be published, wherever it comes from.

use super::{
    Anchor, BaseFeeTime, DiscountLimits, Every, FeeTerms, Meter, Model, Of, OnChange, OnTaxChange,
    OverrideId, Per, PriceBook, Rate, Reduction, Resource, ResourceKind, Tariff, Tier, Trial, When,
};
use crate::domain::id::{InvoiceId, PartyId, PriceBookName, ResourceId};
use crate::domain::money::Currency;
use crate::domain::quantity::Quantity;
use crate::domain::time::{Period, TimeZone, Timestamp};

/// Why a price book is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingRefusal {
    /// A resource is declared more than once.
    #[error("resource {resource} is declared more than once")]
    ResourceTwice {
        /// Which.
        resource: ResourceId,
    },
    /// The meter does not suit the kind.
    #[error("resource {resource}: {RULE_OF_METERS}")]
    MeterDoesNotFit {
        /// Which.
        resource: ResourceId,
    },
    /// What the meter is told makes no sense.
    #[error("resource {resource}: {rule}")]
    BadMeter {
        /// Which.
        resource: ResourceId,
        /// What it must be.
        rule: &'static str,
    },
    /// A unit is missing or no word.
    #[error("resource {resource}: unit must be 1 to 100 bytes without control characters")]
    BadUnit {
        /// Which.
        resource: ResourceId,
    },
    /// A factor of nothing, or too large a one.
    #[error("resource {resource}: multiply_by and divide_by must be from 1 to 10^12")]
    BadConversion {
        /// Which.
        resource: ResourceId,
    },
    /// A bound of nothing, or of what is not measured.
    #[error("resource {resource}: {RULE_OF_MOST}")]
    BadMost {
        /// Which.
        resource: ResourceId,
    },
    /// What is not a level cannot hold.
    #[error("resource {resource}: carry_over {RULE_OF_CARRY_OVER}")]
    BadCarryOver {
        /// Which.
        resource: ResourceId,
    },
    /// Dimensions that are no names, or named twice, or too many.
    #[error("resource {resource}: group_by must be at most 8 different names of 1 to 100 bytes")]
    BadGroups {
        /// Which.
        resource: ResourceId,
    },
    /// What it says of documents makes no sense.
    #[error("{field} {rule}")]
    BadTerm {
        /// Which member.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A rate is for a resource that is not declared.
    #[error("rate {rate}: resource {resource} is not declared in resources")]
    UndeclaredResource {
        /// Which rate, from 1.
        rate: usize,
        /// Which resource.
        resource: ResourceId,
    },
    /// A member of a rate is not as it must be.
    #[error("rate {rate}: {field} {rule}")]
    BadRate {
        /// Which rate, from 1.
        rate: usize,
        /// Which member of it.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Two rates could both be the one with most members.
    #[error("rates {one} and {other} match the same instances with as many members: neither would win")]
    Tie {
        /// Which, from 1.
        one: usize,
        /// And which.
        other: usize,
    },
    /// Nothing costs anything.
    #[error("rates must not be empty")]
    NoRates,
    /// Its earlier versions say something else of tax.
    #[error("tax of price book {name} cannot change: publish a book of another name")]
    OtherPriceTax {
        /// Which.
        name: PriceBookName,
    },
    /// The currency of a name is for life.
    #[error("price book {name} is in {known}: its currency cannot change")]
    OtherCurrency {
        /// Which.
        name: PriceBookName,
        /// Its currency.
        known: Currency,
    },
    /// It would take effect in a period that is invoiced.
    #[error(
        "valid_from {valid_from} is in or before a period that is invoiced: {invoice} for {period}, and {more} more; \
publish it as retroactive to rate later corrections of them by it"
    )]
    Retroactive {
        /// Since when it would count.
        valid_from: Timestamp,
        /// A document whose period it touches.
        invoice: InvoiceId,
        /// That period.
        period: Period,
        /// How many more there are.
        more: usize,
    },
    /// Another book has prices for the same customers.
    #[error(
        "price book {other} has prices in {currency} for the same customers, who would get two invoices for one time: \
publish a version of {other}, or name customers in every rate"
    )]
    SameCustomers {
        /// Which book.
        other: PriceBookName,
        /// The currency of both.
        currency: Currency,
    },
    /// There is no such book.
    #[error("there is no price book {name}")]
    UnknownBook {
        /// Which.
        name: PriceBookName,
    },
    /// There is no such party.
    #[error("there is no party {customer}")]
    UnknownCustomer {
        /// Who.
        customer: PartyId,
    },
    /// The book has no such override.
    #[error("the price book has no override {id}")]
    UnknownOverride {
        /// Which.
        id: OverrideId,
    },
    /// A member of an override is not as it must be.
    #[error("{field} {rule}")]
    BadOverride {
        /// Which member.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A member of the rate of an override is not as it must be.
    #[error("rate: {field} {rule}")]
    BadOverrideRate {
        /// Which member of the rate.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The rate of an override is for a resource that a version of the book does not declare.
    #[error("rate: resource {resource} is not declared in price book {name}")]
    UndeclaredByBook {
        /// Which resource.
        resource: ResourceId,
        /// In which book.
        name: PriceBookName,
    },
    /// Two overrides could both be the one with most members.
    #[error(
        "rate prices the same for the same instances at the same time as {other}, with as many members in match: end {other} \
first, choose valid_from and valid_until outside its time, or name more members in match"
    )]
    OverrideTie {
        /// The other one.
        other: OverrideId,
    },
    /// A version does not allow for an override.
    #[error(
        "{field} does not allow for {id}, a price of {customer}: {what}; keep what {id} needs, or end {id} before the version \
begins"
    )]
    BreaksOverride {
        /// Which override.
        id: OverrideId,
        /// Whose it is.
        customer: PartyId,
        /// The member of the version that does not allow for it.
        field: &'static str,
        /// What of its rate the version does not allow for.
        what: Box<str>,
    },
    /// It is too large to be one event.
    #[error("price book is larger than {max} bytes")]
    TooLarge {
        /// The most it may have.
        max: usize,
    },
    /// The rate of an override is too large to be one event.
    #[error("rate is larger than {max} bytes as it is stored: give it fewer tiers, or shorter texts")]
    OverrideTooLarge {
        /// The most it may have.
        max: usize,
    },
}

/// Which meters are for which kind.
pub const RULE_OF_METERS: &str = "sum is for counters; time_integral, min, max, average, latest and percentile \
are for gauges; count and unique_count for both";

/// What `most` may be.
pub const RULE_OF_MOST: &str = "most must be above 0, and is not for count and unique_count: they do not look at \
quantities";

/// What may be carried over.
pub const RULE_OF_CARRY_OVER: &str = "is for gauges, and not for count and unique_count";

impl PricingRefusal {
    /// The member of a price book that is to blame.
    pub fn field(&self) -> &'static str {
        match self {
            Self::ResourceTwice { .. }
            | Self::MeterDoesNotFit { .. }
            | Self::BadMeter { .. }
            | Self::BadUnit { .. }
            | Self::BadConversion { .. }
            | Self::BadMost { .. }
            | Self::BadCarryOver { .. }
            | Self::BadGroups { .. } => "resources",
            Self::UndeclaredResource { .. }
            | Self::BadRate { .. }
            | Self::Tie { .. }
            | Self::NoRates
            | Self::SameCustomers { .. } => "rates",
            Self::BadTerm { field, .. }
            | Self::BadOverride { field, .. }
            | Self::BreaksOverride { field, .. } => field,
            Self::BadOverrideRate { .. }
            | Self::UndeclaredByBook { .. }
            | Self::OverrideTie { .. }
            | Self::OverrideTooLarge { .. } => "rate",
            Self::OtherCurrency { .. } => "currency",
            Self::OtherPriceTax { .. } => "tax",
            Self::Retroactive { .. } => "valid_from",
            Self::UnknownCustomer { .. } => "customer",
            Self::TooLarge { .. } | Self::UnknownBook { .. } | Self::UnknownOverride { .. } => "",
        }
    }
}

impl PriceBook {
    /// All rules a price book must keep, wherever it comes from.
    pub fn check(&self) -> Result<(), PricingRefusal> {
        if self.terms.threshold.is_some_and(|threshold| threshold.billionths() <= 0) {
            return Err(PricingRefusal::BadTerm { field: "threshold", rule: "must be above zero" });
        }
        if self.terms.on_tax_change == OnTaxChange::Cut && self.on_change == OnChange::Restart {
            let rule = "must be last_instant if on_change is restart: quantities would start again";
            return Err(PricingRefusal::BadTerm { field: "on_tax_change", rule });
        }
        for (at, declared) in self.resources.iter().enumerate() {
            if self.resources[..at].iter().any(|other| other.resource == declared.resource) {
                return Err(PricingRefusal::ResourceTwice { resource: declared.resource.clone() });
            }
            declared.check()?;
        }
        for (at, rate) in self.rates.iter().enumerate() {
            self.check_rate(at + 1, rate)?;
            let tie = self.rates[..at].iter().position(|other| {
                other.subject() == rate.subject()
                    && other.matching.members() == rate.matching.members()
                    && other.matching.overlaps(&rate.matching)
            });
            if let Some(other) = tie {
                return Err(PricingRefusal::Tie { one: other + 1, other: at + 1 });
            }
        }
        if self.rates.is_empty() {
            return Err(PricingRefusal::NoRates);
        }
        Ok(())
    }

    fn check_trial(&self, rate: &Rate) -> Result<(), &'static str> {
        let Some(trial) = rate.trial else { return Ok(()) };
        match (&rate.model, trial) {
            (Model::Recurring { terms: FeeTerms { per: Per::Customer, .. }, .. }, _) => Err(RULE_OF_TRIALS),
            (Model::Recurring { .. } | Model::Usage { .. }, Trial::Days(days)) if days > 0 => Ok(()),
            (Model::Recurring { .. } | Model::Usage { .. }, Trial::Days(_)) => {
                Err("must have at least 1 in days")
            }
            (Model::Usage { resource, .. }, Trial::Quantity(quantity)) => {
                let meter = self.resource(resource).map(|declared| &declared.meter);
                if quantity.billionths() <= 0 {
                    return Err("must have a quantity above 0");
                }
                match meter {
                    Some(Meter::Sum | Meter::TimeIntegral | Meter::Count) => Ok(()),
                    _ => Err("by quantity needs a meter that adds up: sum, time_integral or count"),
                }
            }
            _ => Err("by quantity is for usage alone; a fee may have days"),
        }
    }

    pub(super) fn check_rate(&self, number: usize, rate: &Rate) -> Result<(), PricingRefusal> {
        let fails = |field, rule| Err(PricingRefusal::BadRate { rate: number, field, rule });
        let declared = |resource: &ResourceId| {
            let undeclared =
                || PricingRefusal::UndeclaredResource { rate: number, resource: resource.clone() };
            self.resource(resource).ok_or_else(undeclared)
        };
        match &rate.model {
            Model::Recurring { item, every, when, terms, .. } => {
                check_fee(item, *every, *terms).or_else(|(field, rule)| fails(field, rule))?;
                if *when == When::Advance && *every != Every::Month {
                    return fails("when", "can be advance for a price every month alone");
                }
                if *when == When::Advance && *terms != FeeTerms::default() {
                    return fails("when", RULE_OF_ADVANCE);
                }
            }
            Model::Usage { resource, free, tariff, .. } => {
                let groups = &declared(resource)?.group_by;
                if free.billionths() < 0 {
                    return fails("free", "must not be negative");
                }
                check_tariff(tariff).or_else(|(field, rule)| fails(field, rule))?;
                if !rate.matching.dimensions.iter().all(|(key, _)| groups.contains(key)) {
                    return fails("match", "may name those dimensions alone by which the resource groups");
                }
            }
            Model::Percentage { percent, of } => {
                if !(1..=1000 * crate::domain::quantity::ONE).contains(&percent.billionths()) {
                    return fails("percent", "must be above 0 and at most 1000");
                }
                check_of(of, &declared)?;
            }
            Model::Minimum { of, .. } => check_of(of, &declared)?,
            Model::Maximum { of, .. } => {
                check_of(of, &declared)?;
                if self.on_change == OnChange::Restart {
                    return fails(
                        "kind",
                        "maximum needs on_change = \"continue\": it is a maximum of a month",
                    );
                }
            }
            Model::Discount { item, reduction, of, code, limits, .. } => {
                check_of(of, &declared)?;
                if code.as_ref().is_some_and(|code| !is_word(code)) {
                    return fails("code", "must be 1 to 100 bytes without control characters");
                }
                check_discount(item, *reduction, limits).or_else(|(field, rule)| fails(field, rule))?;
                if self.on_change == OnChange::Restart {
                    return fails(
                        "kind",
                        "discount needs on_change = \"continue\": it is a discount of a month",
                    );
                }
            }
            Model::BaseFee { item, every, terms, owed, .. } => {
                check_fee(item, *every, *terms).or_else(|(field, rule)| fails(field, rule))?;
                if *owed == BaseFeeTime::Always && rate.matching.customer.is_none() {
                    return fails("match", "must name the customer who owes the fee always");
                }
                if *owed == BaseFeeTime::Always && terms.anchor == Anchor::Anniversary {
                    return fails(
                        "anchor",
                        "can be anniversary for a fee that is owed while instances are allocated",
                    );
                }
            }
        }
        self.check_trial(rate).or_else(|rule| fails("trial", rule))?;
        let mut keys: Vec<_> = rate.matching.dimensions.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() < rate.matching.dimensions.len() {
            return fails("match", "names a dimension twice");
        }
        if !matches!(rate.model, Model::Usage { .. }) && !rate.matching.dimensions.is_empty() {
            return fails("match", "may name dimensions for usage alone");
        }
        if rate.of_customers() && !rate.matching.names_customers_alone() {
            return fails("match", "may name customer alone: this is about all of a customer's lines");
        }
        Ok(())
    }
}

fn check_discount(
    item: &str,
    reduction: Reduction,
    limits: &DiscountLimits,
) -> Result<(), (&'static str, &'static str)> {
    if !is_item(item) {
        return Err(("item", RULE_OF_ITEMS));
    }
    match reduction {
        Reduction::Percent(percent)
            if !(1..=100 * crate::domain::quantity::ONE).contains(&percent.billionths()) =>
        {
            return Err(("percent", "must be above 0 and at most 100"));
        }
        Reduction::Amount(amount) if amount.billionths() <= 0 => return Err(("amount", "must be above 0")),
        Reduction::Percent(_) | Reduction::Amount(_) => {}
    }
    if limits.months == Some(0) {
        return Err(("months", "must be at least 1"));
    }
    if limits.invoices == Some(0) {
        return Err(("invoices", "must be at least 1"));
    }
    Ok(())
}

/// A trial ends on a day of its own for each instance, and a fee for all instances has one line.
const RULE_OF_TRIALS: &str = "is for a price of each instance alone: leave out trial, or per";

const RULE_OF_ITEMS: &str = "must be at most 100 bytes without control characters";

fn is_item(item: &str) -> bool {
    item.len() <= 100 && !item.chars().any(char::is_control)
}

/// What an advance is settled with counts the time of one instance in calendar months.
const RULE_OF_ADVANCE: &str = "can be advance for a price of each instance alone, by the time of calendar months: \
per, anchor and proration must be left out";

/// The name of a fee, and where its units of time begin.
fn check_fee(item: &str, every: Every, terms: FeeTerms) -> Result<(), (&'static str, &'static str)> {
    if !is_item(item) {
        return Err(("item", RULE_OF_ITEMS));
    }
    match terms.anchor {
        Anchor::Anniversary | Anchor::Day(_) if matches!(every, Every::Hour | Every::Day) => {
            Err(("anchor", "is for a price every week, month, quarter or year"))
        }
        Anchor::Day(day)
            if day.start_in(TimeZone::UTC) == Timestamp::MIN
                || day.start_in(TimeZone::UTC) == Timestamp::MAX =>
        {
            Err(("anchor", "must be a day of the years 1 to 9999"))
        }
        Anchor::Calendar | Anchor::Anniversary | Anchor::Day(_) => Ok(()),
    }
}

fn check_of<'a>(
    of: &'a Of,
    declared: &impl Fn(&'a ResourceId) -> Result<&'a Resource, PricingRefusal>,
) -> Result<(), PricingRefusal> {
    match of {
        Of::Resource(resource) => declared(resource).map(|_| ()),
        Of::All | Of::Recurring | Of::Usage => Ok(()),
    }
}

fn check_tariff(tariff: &Tariff) -> Result<(), (&'static str, &'static str)> {
    match tariff {
        Tariff::Graduated { tiers } | Tariff::Volume { tiers } => {
            check_tiers(tiers).map_err(|rule| ("tiers", rule))
        }
        Tariff::Package { size, .. } if size.billionths() <= 0 => Err(("size", "must be above 0")),
        Tariff::PerUnit { .. } | Tariff::Package { .. } => Ok(()),
    }
}

fn check_tiers(tiers: &[Tier]) -> Result<(), &'static str> {
    let Some((last, bounded)) = tiers.split_last() else { return Err("must not be empty") };
    if last.up_to.is_some() {
        return Err("must end with one that has no up_to");
    }
    let mut above = Quantity::ZERO;
    for tier in bounded {
        match tier.up_to {
            None => return Err("must have an up_to, all but the last"),
            Some(bound) if bound <= above => return Err("must have rising bounds above 0"),
            Some(bound) => above = bound,
        }
    }
    Ok(())
}

impl Resource {
    fn check(&self) -> Result<(), PricingRefusal> {
        let resource = || self.resource.clone();
        let fits = match self.meter {
            Meter::Sum => self.kind == ResourceKind::Counter,
            Meter::Count | Meter::UniqueCount { .. } => true,
            Meter::TimeIntegral
            | Meter::Min
            | Meter::Max
            | Meter::Average
            | Meter::Latest
            | Meter::Percentile { .. } => self.kind == ResourceKind::Gauge,
        };
        if !fits {
            return Err(PricingRefusal::MeterDoesNotFit { resource: resource() });
        }
        let bad_meter = |rule| Err(PricingRefusal::BadMeter { resource: resource(), rule });
        match &self.meter {
            Meter::UniqueCount { dimension } if !is_word(dimension) => {
                return bad_meter("dimension must be 1 to 100 bytes without control characters");
            }
            Meter::Percentile { percent, .. } if !(1..=100).contains(percent) => {
                return bad_meter("percent must be from 1 to 100");
            }
            Meter::Percentile { sample_minutes, .. }
                if *sample_minutes == 0 || 1440 % sample_minutes != 0 =>
            {
                return bad_meter("sample_minutes must divide a day of 1440");
            }
            _ => {}
        }
        if !is_word(&self.unit) {
            return Err(PricingRefusal::BadUnit { resource: resource() });
        }
        let within = |factor| (1..=1_000_000_000_000).contains(&factor);
        if !within(self.conversion.multiply) || !within(self.conversion.divide) {
            return Err(PricingRefusal::BadConversion { resource: resource() });
        }
        let counts = matches!(self.meter, Meter::Count | Meter::UniqueCount { .. });
        if self.most.is_some_and(|most| counts || most.billionths() <= 0) {
            return Err(PricingRefusal::BadMost { resource: resource() });
        }
        if self.carry_over && (counts || self.kind != ResourceKind::Gauge) {
            return Err(PricingRefusal::BadCarryOver { resource: resource() });
        }
        let twice = self.group_by.iter().enumerate().any(|(at, key)| self.group_by[..at].contains(key));
        if self.group_by.len() > 8 || twice || !self.group_by.iter().all(|key| is_word(key)) {
            return Err(PricingRefusal::BadGroups { resource: resource() });
        }
        Ok(())
    }
}

fn is_word(text: &str) -> bool {
    (1..=100).contains(&text.len()) && !text.chars().any(char::is_control)
}
