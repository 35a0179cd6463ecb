//! What a period would have cost by other prices, beside what it costs by those that are published.
//!
//! Both sides are rated from all that is known now, so that the difference is that of the prices alone. The other prices
//! count for all of the period, whatever their `valid_from` says: they are most often those of next year. Fees in
//! advance are counted for the time they are for. What was invoiced, settled, adjusted or charged by hand is not looked
//! at, and there is no tax. Nothing is recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, RunPeriod};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::pricing::{Model, PriceBook, PriceOverride};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::Page;

use crate::rating::{Prices, RatingBasis, RatingSubject};
use crate::view::BillingView;
use crate::warning::Warning;

/// The most warnings that are told of a payer.
const MOST_WARNINGS: usize = 10;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct WhatIf<'a> {
    /// Who sells.
    pub seller: PartyId,
    /// What about.
    pub period: RunPeriod,
    /// By which prices.
    pub book: &'a PriceBook,
    /// Beside those of which published book.
    pub against: &'a PriceBookName,
    /// Whether to tell the difference by kind of line and resource too.
    pub by_line: bool,
    /// The last event of the view.
    pub as_of: Sequence,
}

/// A payer, by both prices.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// Who.
    pub payer: PartyId,
    /// What it comes to.
    pub sides: Sides,
    /// By kind of line and resource, where that was asked for.
    pub lines: Vec<(LineGroup, Sides)>,
    /// What the other prices do not charge, and the published ones do; the first few.
    pub warnings: Vec<Warning>,
    /// How many more there are.
    pub warnings_left_out: u64,
}

/// What something comes to, by both prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sides {
    /// By those that are published.
    pub now: Amount,
    /// By the others.
    pub what_if: Amount,
    /// What that is more.
    pub difference: Amount,
}

impl Sides {
    /// Two amounts of one currency.
    pub fn new(now: Amount, what_if: Amount) -> Option<Self> {
        Some(Self { now, what_if, difference: what_if.checked_sub(now)? })
    }

    /// The sum, if it does not overflow.
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.now.checked_add(other.now)?, self.what_if.checked_add(other.what_if)?)
    }
}

/// Lines that are told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LineGroup {
    /// What kind of line.
    pub kind: &'static str,
    /// Of what it is the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// What the fee is for, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<Box<str>>,
}

impl LineGroup {
    fn of(line: &InvoiceLine, versions: &[PriceBook], overrides: &[PriceOverride]) -> Self {
        let (kind, resource) = match &line.kind {
            LineKind::Usage { resource } => ("usage", Some(resource.clone())),
            LineKind::Percentage => ("percentage", None),
            LineKind::Minimum => ("minimum", None),
            LineKind::Discount => ("discount", None),
            LineKind::Maximum => ("maximum", None),
            _ => ("recurring", None),
        };
        let nth = |n: u32| usize::try_from(n).ok()?.checked_sub(1);
        let book = line.price_book.as_ref().and_then(|priced| versions.get(nth(priced.version)?));
        let own = overrides.iter().find(|own| Some(own.id) == line.price_override).map(|own| &*own.rate);
        let rate = own.or_else(|| book.and_then(|book| book.rates.get(nth(line.rate)?)));
        let item = match rate.map(|rate| &rate.model) {
            Some(Model::Recurring { item, .. } | Model::BaseFee { item, .. }) if !item.is_empty() => {
                Some(item.clone())
            }
            _ => None,
        };
        Self { kind, resource, item }
    }
}

impl BillingView {
    /// The payers after one who have anything to pay by either prices. None, if there is no such book, or it is in another
    /// currency.
    pub fn what_if(
        &self,
        asked: WhatIf<'_>,
        after: Option<PartyId>,
        limit: usize,
    ) -> Option<Page<Compared, PartyId>> {
        let published = self.billing.books.versions(asked.against.as_str());
        if published.first()?.currency != asked.book.currency {
            return None;
        }
        let from_ever = [PriceBook { valid_from: Timestamp::MIN, ..asked.book.clone() }];
        let owners = self.billing.histories.owners();
        let always = published.iter().chain([asked.book]).flat_map(PriceBook::always_owed_by);
        let payers: BTreeSet<PartyId> =
            owners.chain(always).chain(self.billing.always_owed_by(asked.against)).collect();
        let payers = payers.iter().filter(|payer| after.is_none_or(|after| **payer > after));
        let compared = payers.filter_map(|payer| {
            let instances = &self.billing.histories.of(*payer);
            let calendar = self.billing.calendar_of(*payer)?;
            // The next version keeps the prices that customers have of their own.
            let overrides = self.billing.overrides_for(asked.against, *payer, asked.as_of);
            let rate = |name: &PriceBookName, versions: &[PriceBook], warnings: &mut Vec<Warning>| {
                let prices = Prices::with(name, versions, &overrides);
                let subject = RatingSubject {
                    basis: RatingBasis {
                        regions: &self.billing.regions,
                        metering: &self.metering,
                        taxes: &self.billing.taxes,
                    },
                    prices: &prices,
                    seller: asked.seller,
                    payer: *payer,
                    calendar,
                    period: asked.period.within(calendar)?,
                    as_of: asked.as_of,
                    taxes_as_of: asked.as_of,
                    taxes_charged: None,
                    discounted: None,
                    redeemed: self.billing.redeemed.get(payer),
                };
                let own = subject.rate(instances, warnings);
                let lines = own.lines.iter().chain(own.in_advance.values().flatten());
                let lines: Vec<WhatIfCharge> = lines
                    .map(|rated| (LineGroup::of(&rated.line, versions, &overrides), rated.line.amount))
                    .collect();
                Some(lines)
            };
            let (mut known, mut warnings) = (Vec::new(), Vec::new());
            let now = rate(asked.against, published, &mut known)?;
            let what_if = rate(&asked.book.name, &from_ever, &mut warnings)?;
            if now.is_empty() && what_if.is_empty() {
                return None;
            }
            warnings.retain(|warning| !known.contains(warning));
            compare(&asked, *payer, (&now, &what_if), warnings)
        });
        Some(Page::take(compared, limit, |compared| compared.payer))
    }
}

/// What is charged for lines of a kind.
type WhatIfCharge = (LineGroup, Amount);

fn compare(
    asked: &WhatIf<'_>,
    payer: PartyId,
    (now, what_if): (&[WhatIfCharge], &[WhatIfCharge]),
    mut warnings: Vec<Warning>,
) -> Option<Compared> {
    let nothing = Amount::zero(asked.book.currency);
    let none = Sides::new(nothing, nothing)?;
    let now = now.iter().map(|(group, amount)| (group, Sides::new(*amount, nothing)));
    let what_if = what_if.iter().map(|(group, amount)| (group, Sides::new(nothing, *amount)));
    let (mut sides, mut by_group) = (none, BTreeMap::<&LineGroup, Sides>::new());
    for (group, line) in now.chain(what_if) {
        let line = line?;
        sides = sides.plus(line)?;
        let known = by_group.entry(group).or_insert(none);
        *known = known.plus(line)?;
    }
    let lines = by_group.into_iter().filter(|_| asked.by_line);
    let lines = lines.map(|(group, sides)| (group.clone(), sides)).collect();
    let warnings_left_out = warnings.len().saturating_sub(MOST_WARNINGS) as u64;
    warnings.truncate(MOST_WARNINGS);
    Some(Compared { payer, sides, lines, warnings, warnings_left_out })
}
