//! Adjustments: what an earlier document would say by now, less what it said.
//!
//! Usage that is recorded, corrected or voided after the cut-off of a run leaves the documents of that run as they are.
//! The period is rated again with the prices of that run, as of a later event, and each line that comes out differently
//! is adjusted by the difference. Lines are the same if version, rate, instance, group and beginning are.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InstanceId, InvoiceId, Sequence};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind, LineRef};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::metering::Metering;

use super::{Complete, Dimensions, Rated, RatingSubject};
use crate::history::History;

/// A line that was charged for an earlier period, by its document or by an adjustment of it.
pub(crate) struct Charged {
    /// As something charged, also if it stands in a credit note, where amounts are turned round.
    pub(crate) line: InvoiceLine,
    /// Where it stands; of an adjustment, what it cites.
    pub(crate) at: Option<LineRef>,
    /// What of its amount, as it counts here, was given back by hand.
    pub(crate) given_back: Amount,
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

/// What makes a line the same line when it is rated again: version, rate, instance, group and beginning.
pub(crate) type AdjustmentKey<'l> = (u32, u32, Option<InstanceId>, &'l Dimensions, Timestamp);

/// The key of a line that has a price.
pub(crate) fn key(line: &InvoiceLine) -> Option<AdjustmentKey<'_>> {
    let version = line.price_book.as_ref()?.version;
    Some((version, line.rate, line.instance, &line.dimensions, line.period.start))
}

/// What was charged under one key so far.
struct SoFar<'l> {
    line: &'l InvoiceLine,
    at: Option<LineRef>,
    amount: Amount,
    quantity: i128,
    residue: Exact,
    given_back: Amount,
    as_of: Option<Sequence>,
}

/// The adjustments of an earlier document, as of an event.
pub(crate) fn adjustments(
    earlier: &Earlier<'_>,
    instances: &[(InstanceId, &History)],
    as_of: Sequence,
) -> Vec<Rated> {
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
    let mut lines: Vec<(u32, Rated)> = Vec::new();
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
        if let Some(line) = difference(now.map(|now| &now.line), so_far, cites) {
            lines.push((place, Rated::new(line, events)));
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn by_key(lines: &[Rated]) -> BTreeMap<AdjustmentKey<'_>, &Rated> {
    lines.iter().filter_map(|rated| Some((key(&rated.line)?, rated))).collect()
}

impl<'l> SoFar<'l> {
    fn of(charged: &'l Charged) -> Self {
        let Charged { line, at, given_back, as_of } = charged;
        Self {
            line,
            at: at.clone(),
            amount: line.amount,
            quantity: line.quantity.billionths(),
            residue: line.residue,
            given_back: *given_back,
            as_of: *as_of,
        }
    }

    fn add(&mut self, charged: &'l Charged) {
        let more = Self::of(charged);
        let add = |one: Amount, other: Amount| one.checked_add(other).unwrap_or(one);
        self.amount = add(self.amount, more.amount);
        self.given_back = add(self.given_back, more.given_back);
        self.quantity = self.quantity.saturating_add(more.quantity);
        self.residue = self.residue.plus(more.residue);
        self.as_of = self.as_of.max(more.as_of);
        // The document itself is what later ones cite, whichever comes first.
        if self.line.kind == LineKind::Adjustment && more.line.kind != LineKind::Adjustment {
            (self.line, self.at) = (more.line, more.at);
        }
    }
}

fn difference(
    now: Option<&InvoiceLine>,
    so_far: Option<&SoFar<'_>>,
    cites: Option<LineRef>,
) -> Option<InvoiceLine> {
    let like = now.or_else(|| so_far.map(|so_far| so_far.line))?;
    let nothing = like.amount.checked_sub(like.amount)?;
    let (amount, quantity, residue) =
        now.map_or((nothing, 0, Exact::ZERO), |now| (now.amount, now.quantity.billionths(), now.residue));
    let (charged, charged_quantity, charged_residue, given_back) = so_far
        .map_or((nothing, 0, Exact::ZERO, nothing), |so_far| {
            (so_far.amount, so_far.quantity, so_far.residue, so_far.given_back)
        });
    let difference = amount.checked_sub(charged)?;
    // What was given back by hand is not given back again.
    let left = charged.checked_sub(given_back)?.max(nothing);
    let limited = difference.minor() < -left.minor();
    let (difference, residue) =
        if limited { (left.negated(), Exact::ZERO) } else { (difference, residue.minus(charged_residue)) };
    if difference.minor() == 0 {
        return None;
    }
    let about = cites.as_ref().filter(|cites| cites.line > 0);
    let which = about.map_or_else(
        || {
            cites
                .as_ref()
                .map_or("not invoiced before".to_owned(), |cites| format!("not in {}", cites.invoice))
        },
        |cites| format!("{} line {}", cites.invoice, cites.line),
    );
    let was = so_far.map_or(0, |so_far| so_far.quantity);
    let shown = |billionths| Quantity::from_billionths(billionths).unwrap_or_default();
    let description = format!(
        "adjustment of {which}: {} instead of {} {}: {}",
        shown(now.map_or(0, |now| now.quantity.billionths())),
        shown(was),
        like.unit,
        like.description
    );
    let adjusted = InvoiceLine {
        quantity: shown(quantity.saturating_sub(charged_quantity)),
        unit_price: None,
        steps: Vec::new(),
        amount: difference,
        residue,
        tax: so_far.map_or(like.tax, |so_far| so_far.line.tax),
        cites,
        ..like.clone()
    };
    Some(adjusted.of_kind(LineKind::Adjustment).described(description))
}

/// The events that are new behind a line; of those that are gone, what took their place.
pub(crate) fn new_events(
    metering: &Metering,
    as_of: Sequence,
    (now, then): (Option<&Rated>, Option<&Rated>),
) -> Vec<Sequence> {
    let of = |rated: Option<&Rated>| rated.map(|rated| rated.events.clone()).unwrap_or_default();
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
