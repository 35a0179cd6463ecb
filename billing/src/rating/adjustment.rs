//! Adjustments: what an earlier document would say by now, less what it said.
//!
//! Usage that is recorded, corrected or voided after the cut-off of a run leaves the documents of that run as they are.
//! The period is rated again with the prices of that run, as of a later event, and each line that comes out differently
//! is adjusted by the difference. Lines are the same if version, rate, instance, group and beginning are.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InstanceId, InvoiceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, LineRef, Reduces};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::Tax;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::metering::Metering;

use super::rate_number::rate_number;
use super::{Complete, DimensionSlice, RatedLine, RatingSubject};
use crate::history::History;

/// A line that was charged for an earlier period, by its document or by an adjustment of it.
pub(crate) struct Charged {
    /// As something charged, also if it stands in a credit note, where amounts are turned round.
    pub(crate) line: InvoiceLine,
    /// Where it stands.
    pub(crate) own: LineRef,
    /// What remains of it; nothing of an adjustment that only took of an earlier line.
    pub(crate) remainder: Amount,
    /// What remains of its residue.
    pub(crate) residue: Exact,
    /// What of its amount was credited by hand.
    pub(crate) credited: Amount,
    /// Of an adjustment that took of an earlier line, what of that a credit note gave back.
    pub(crate) regained: Amount,
    /// Of an adjustment, the last event it knew of.
    pub(crate) as_of: Option<Sequence>,
}

/// What an earlier run said of a payer.
pub(crate) struct Earlier<'a> {
    /// Its prices and period, and as of when it was rated.
    pub(crate) subject: RatingSubject<'a>,
    pub(crate) document: Option<&'a InvoiceId>,
    pub(crate) charged: Vec<Charged>,
}

/// What makes a line the same line when it is rated again: version, rate, instance, group and beginning; of a discount or
/// a maximum also what it is of, and the tax that these lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AdjustmentKey<'l> {
    version: u32,
    rate: u32,
    instance: Option<InstanceId>,
    dimensions: &'l DimensionSlice,
    start: Timestamp,
    reduces: Option<(&'l Reduces, Tax)>,
}

/// The same apart from its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedAdjustmentKey {
    version: u32,
    rate: u32,
    instance: Option<InstanceId>,
    dimensions: Vec<(Box<str>, Box<str>)>,
    start: Timestamp,
    reduces: Option<(Reduces, Tax)>,
}

/// The taxes of lines that were charged.
pub(crate) type TaxesCharged = BTreeMap<OwnedAdjustmentKey, Tax>;

impl AdjustmentKey<'_> {
    pub(crate) fn owned(self) -> OwnedAdjustmentKey {
        let Self { version, rate, instance, dimensions, start, reduces } = self;
        let (dimensions, reduces) =
            (dimensions.to_vec(), reduces.map(|(reduces, tax)| (reduces.clone(), tax)));
        OwnedAdjustmentKey { version, rate, instance, dimensions, start, reduces }
    }
}

/// The key of a line that has a price.
pub(crate) fn key(line: &InvoiceLine) -> Option<AdjustmentKey<'_>> {
    Some(AdjustmentKey {
        version: line.price_book.as_ref()?.version,
        rate: rate_number(line),
        instance: line.instance,
        dimensions: &line.dimensions,
        start: line.period.start,
        reduces: line.reduces.as_ref().map(|reduces| (reduces, line.tax)),
    })
}

/// What was charged under one key so far.
struct SoFar<'l> {
    line: &'l InvoiceLine,
    /// What later ones cite that charge more: the line of the document, else what the adjustments cite.
    at: Option<LineRef>,
    parts: Vec<&'l Charged>,
    quantity: i128,
    residue: Exact,
    as_of: Option<Sequence>,
}

/// The adjustments of an earlier document, as of an event.
pub(crate) fn adjustments(
    earlier: &Earlier<'_>,
    instances: &[(InstanceId, &History)],
    as_of: Sequence,
) -> Vec<RatedLine> {
    let known = RatingSubject { as_of, ..earlier.subject };
    let now = known.rate(instances, &mut Vec::new());
    let (nothing, now) = (by_key(&now.nothing), by_key(&now.lines));
    let mut charged: BTreeMap<AdjustmentKey<'_>, SoFar<'_>> = BTreeMap::new();
    for one in &earlier.charged {
        if let Some(key) = key(&one.line) {
            match charged.get_mut(&key) {
                Some(so_far) => so_far.add(one),
                None => drop(charged.insert(key, SoFar::of(one))),
            }
        }
    }
    // A line was looked at last by its latest adjustment, else by the run itself.
    let looked_at: BTreeSet<Sequence> = charged.values().filter_map(|so_far| so_far.as_of).collect();
    let looked_at = looked_at.into_iter().chain([earlier.subject.as_of]);
    let rated: Vec<_> = looked_at.map(|as_of| (as_of, RatingSubject { as_of, ..earlier.subject })).collect();
    let rated: Vec<_> =
        rated.iter().map(|(as_of, then)| (*as_of, then.rate(instances, &mut Vec::new()))).collect();
    let then: BTreeMap<Sequence, _> = rated.iter().map(|(as_of, own)| (*as_of, by_key(&own.lines))).collect();
    let mut keys: Vec<AdjustmentKey<'_>> = now.keys().chain(charged.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut lines: Vec<(u32, RatedLine)> = Vec::new();
    for key in keys {
        let (now, so_far) = (now.get(&key).copied(), charged.get(&key));
        let behind = now.or_else(|| nothing.get(&key).copied());
        let last = so_far.and_then(|so_far| so_far.as_of).unwrap_or(earlier.subject.as_of);
        let then = then.get(&last).and_then(|then| then.get(&key)).copied();
        let events = new_events(known.basis.metering, as_of, (behind, then));
        let cites = so_far.map_or_else(
            || earlier.document.map(|invoice| LineRef { invoice: invoice.clone(), line: 0 }),
            |so_far| so_far.at.clone(),
        );
        let place =
            cites.as_ref().map_or(u32::MAX, |cites| if cites.line == 0 { u32::MAX } else { cites.line });
        let differences = differences(now.map(|now| &now.line), so_far, cites).unwrap_or_default();
        lines.extend(differences.into_iter().map(|line| (place, RatedLine::new(line, events.clone()))));
    }
    lines.sort_by_key(|(place, _)| *place);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn by_key(lines: &[RatedLine]) -> BTreeMap<AdjustmentKey<'_>, &RatedLine> {
    lines.iter().filter_map(|rated| Some((key(&rated.line)?, rated))).collect()
}

impl<'l> SoFar<'l> {
    fn of(charged: &'l Charged) -> Self {
        let Charged { line, own, as_of, .. } = charged;
        let cited = if line.kind == LineKind::Adjustment { line.cites.clone() } else { Some(own.clone()) };
        Self {
            line,
            at: cited,
            parts: vec![charged],
            quantity: line.quantity.billionths(),
            residue: line.residue,
            as_of: *as_of,
        }
    }

    fn add(&mut self, charged: &'l Charged) {
        let more = Self::of(charged);
        self.parts.push(charged);
        self.quantity = self.quantity.saturating_add(more.quantity);
        self.residue = self.residue.plus(more.residue);
        self.as_of = self.as_of.max(more.as_of);
        // The document itself is what later ones cite, whichever comes first.
        if self.line.kind == LineKind::Adjustment && more.line.kind != LineKind::Adjustment {
            (self.line, self.at) = (more.line, more.at);
        }
    }

    fn sum(&self, of: impl Fn(&Charged) -> Amount) -> Option<Amount> {
        let nothing = self.line.amount.checked_sub(self.line.amount)?;
        self.parts.iter().try_fold(nothing, |sum, part| sum.checked_add(of(part)))
    }
}

/// What of a good will is kept when a line is rated again: it is no more than the line comes to, and of its sign.
fn kept(credited: Amount, amount: Amount) -> Amount {
    let nothing = amount.checked_sub(amount).unwrap_or(amount);
    match credited.minor().signum() * amount.minor().signum() {
        1 if credited.minor().unsigned_abs() > amount.minor().unsigned_abs() => amount,
        1 => credited,
        _ => nothing,
    }
}

/// A part of a difference, and the line it is about.
struct AdjustmentPart {
    cites: Option<LineRef>,
    amount: Amount,
    /// What it takes of the residue of a line of which it takes the rest.
    residue: Exact,
    quantity: i128,
    tax: Tax,
}

/// What is to be charged for a line now, less what remains charged for it: no line, one, or, if it takes more than
/// remains of one earlier line, one for each line it takes of.
fn differences(
    now: Option<&InvoiceLine>,
    so_far: Option<&SoFar<'_>>,
    cites: Option<LineRef>,
) -> Option<Vec<InvoiceLine>> {
    let like = now.or_else(|| so_far.map(|so_far| so_far.line))?;
    let nothing = like.amount.checked_sub(like.amount)?;
    let amount = now.map_or(nothing, |now| now.amount);
    let (remainder, credited, regained) = match so_far {
        Some(so_far) => (
            so_far.sum(|part| part.remainder)?,
            so_far.sum(|part| part.credited)?,
            so_far.sum(|part| part.regained)?,
        ),
        None => (nothing, nothing, nothing),
    };
    // What was given back by hand is neither charged again nor given back again; nor is what was charged again.
    let kept = kept(credited, amount);
    let difference = amount.checked_sub(kept)?.checked_sub(regained)?.checked_sub(remainder)?;
    if difference.minor() == 0 {
        return Some(Vec::new());
    }
    let (was, charged_residue) = so_far.map_or((0, Exact::ZERO), |so_far| (so_far.quantity, so_far.residue));
    let is = now.map_or(0, |now| now.quantity.billionths());
    let residue = now.map_or(Exact::ZERO, |now| now.residue).minus(charged_residue);
    let tax = so_far.map_or(like.tax, |so_far| so_far.line.tax);
    let parts = parts(so_far, (difference, is.saturating_sub(was)), (cites, tax))?;
    let shown = |billionths| Quantity::from_billionths(billionths).unwrap_or_default();
    let (last, mut rest) = (parts.len(), residue);
    let lines = (1..).zip(parts).map(|(n, AdjustmentPart { cites, amount, residue, quantity, tax })| {
        // What is not taken with a line is of the last part, unless not all that was credited could be kept.
        rest = rest.minus(residue);
        let residue = if n == last && kept == credited { residue.plus(rest) } else { residue };
        let which = match &cites {
            None => "not invoiced before".to_owned(),
            Some(cites) if cites.line == 0 => format!("not in {}", cites.invoice),
            Some(cites) => format!("{} line {}", cites.invoice, cites.line),
        };
        let (is, was, unit, what) = (shown(is), shown(was), &like.unit, &like.description);
        let description = format!("adjustment of {which}: {is} instead of {was} {unit}: {what}");
        let adjusted = InvoiceLine {
            quantity: shown(quantity),
            unit_price: None,
            steps: Vec::new(),
            amount,
            residue,
            tax,
            cites,
            ..like.clone()
        };
        adjusted.of_kind(LineKind::Adjustment).described(description)
    });
    Some(lines.collect())
}

/// A difference in parts. What it takes it takes of the lines that charged, the document's first, each no further than to
/// nothing; the rest is about the line that later ones cite.
fn parts(
    so_far: Option<&SoFar<'_>>,
    (difference, quantity): (Amount, i128),
    (cites, tax): (Option<LineRef>, Tax),
) -> Option<Vec<AdjustmentPart>> {
    let (mut rest, mut rest_quantity) = (difference, quantity);
    let mut parts: Vec<AdjustmentPart> = Vec::new();
    for charged in so_far.into_iter().flat_map(|so_far| &so_far.parts) {
        let remains = charged.remainder.minor();
        if rest.minor() == 0 || remains.signum() * rest.minor().signum() >= 0 {
            continue;
        }
        let whole = remains.unsigned_abs() <= rest.minor().unsigned_abs();
        let amount = if whole { charged.remainder.negated() } else { rest };
        rest = rest.checked_sub(amount)?;
        let quantity = if rest.minor() == 0 { rest_quantity } else { -charged.line.quantity.billionths() };
        rest_quantity = rest_quantity.saturating_sub(quantity);
        let residue = if whole { Exact::ZERO.minus(charged.residue) } else { Exact::ZERO };
        parts.push(AdjustmentPart {
            cites: Some(charged.own.clone()),
            amount,
            residue,
            quantity,
            tax: charged.line.tax,
        });
    }
    if rest.minor() != 0 {
        match parts.iter_mut().find(|part| part.cites == cites) {
            Some(part) => {
                part.amount = part.amount.checked_add(rest)?;
                part.quantity = part.quantity.saturating_add(rest_quantity);
            }
            None => parts.push(AdjustmentPart {
                cites,
                amount: rest,
                residue: Exact::ZERO,
                quantity: rest_quantity,
                tax,
            }),
        }
    }
    Some(parts)
}

/// The events that are new behind a line; of those that are gone, what took their place.
pub(crate) fn new_events(
    metering: &Metering,
    as_of: Sequence,
    (now, then): (Option<&RatedLine>, Option<&RatedLine>),
) -> Vec<Sequence> {
    let of = |rated: Option<&RatedLine>| rated.map(|rated| rated.events.clone()).unwrap_or_default();
    let (now, then) = (of(now), of(then));
    let new = now.iter().filter(|event| then.binary_search(event).is_err()).copied();
    let gone = then.iter().filter(|event| now.binary_search(event).is_err());
    let in_their_place =
        gone.map(|event| metering.counts_as(*event)).filter(|event| then.binary_search(event).is_err());
    let mut events: Vec<Sequence> = new.chain(in_their_place).filter(|event| *event <= as_of).collect();
    events.sort_unstable();
    events.dedup();
    if events.is_empty() { now } else { events }
}
