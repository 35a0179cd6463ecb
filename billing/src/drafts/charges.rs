//! What was charged or given by hand and is on no document yet.
//!
//! A charge that corrects a line takes what it can of the lines that charge for it: of the line itself, then of what
//! adjusted or corrected it. Each part is a line of its own that cites what it takes of. What is left of the charge is a
//! line like any other charge.

use std::collections::BTreeMap;

use slapledger_core::domain::charge::ChargeRecorded;
use slapledger_core::domain::id::{PartyId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, LineKind, LineRef, Tax};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::tax::SoldProduct;
use slapledger_core::domain::time::Period;

use super::Desk;
use crate::events::event_set;
use crate::rating::RatedLine;
use crate::view::{Charge, Document};

/// What the charges of a draft take of the lines of earlier documents, as something charged.
#[derive(Default)]
pub(super) struct TakenByHand(BTreeMap<LineRef, (Amount, Exact)>);

impl TakenByHand {
    /// What they take of a line, and of its residue.
    pub(super) fn of(&self, line: &LineRef, charged: Amount) -> (Amount, Exact) {
        let nothing = || (charged.checked_sub(charged).unwrap_or(charged), Exact::ZERO);
        self.0.get(line).copied().unwrap_or_else(nothing)
    }

    fn take(&mut self, line: LineRef, (amount, residue): (Amount, Exact)) {
        let before = self.of(&line, amount);
        let amount = before.0.checked_add(amount).unwrap_or(before.0);
        self.0.insert(line, (amount, before.1.plus(residue)));
    }
}

/// A part of a charge: what it takes of a line, as something charged.
struct CorrectionPart {
    of: LineRef,
    amount: Amount,
    residue: Exact,
    tax: Tax,
}

impl Desk<'_> {
    /// The lines of all charges that are on no document yet, and what they take of earlier lines.
    pub(super) fn charges(&self, payer: PartyId, period: Period) -> (Vec<RatedLine>, TakenByHand) {
        let open = self.billing.open_charges.get(&payer).into_iter().flatten();
        let open = open.filter_map(|charge| self.billing.charges.get(charge));
        let of_seller = open.filter(|Charge { recorded: charge, sequence, .. }| {
            (charge.seller, charge.currency) == (self.question.seller, self.currency)
                && *sequence <= self.question.cut_off
                // With a void document went what corrected it.
                && !charge.cites.as_ref().is_some_and(|cited| self.billing.is_of_void(cited))
        });
        let mut taken = TakenByHand::default();
        let mut lines: Vec<RatedLine> = Vec::new();
        for charge in of_seller {
            let (parts, rest) = self.parts(&charge.recorded, &mut taken);
            let whole = parts.is_empty() || parts.len() == 1 && rest.minor() == 0;
            let line = |part| charge_line((charge, period), part, whole);
            lines.extend(parts.into_iter().map(|part| {
                let kind = LineKind::Correction { charge: charge.recorded.charge };
                let CorrectionPart { of, amount, residue, tax } = part;
                let (amount, residue) = (amount.negated(), Exact::ZERO.minus(residue));
                line(InvoiceLineParts { kind, amount, residue, tax, cites: Some(of) })
            }));
            if rest.minor() != 0 {
                let kind = LineKind::OneOff { charge: charge.recorded.charge };
                let (tax, cites) = (self.tax_of(&charge.recorded, period), charge.recorded.cites.clone());
                lines.push(line(InvoiceLineParts { kind, amount: rest, residue: Exact::ZERO, tax, cites }));
            }
        }
        (lines, taken)
    }

    /// What corrects a line has the tax of the line; what else is charged by hand that of the end of the period.
    fn tax_of(&self, charge: &ChargeRecorded, period: Period) -> Tax {
        let cited = charge.cites.as_ref().and_then(|cited| self.billing.line_of(cited));
        let last = period.stop.plus_micros(-1);
        cited.map_or_else(
            || self.billing.taxes.on((self.question.seller, charge.customer), SoldProduct::default(), last).0,
            |(_, line)| line.tax,
        )
    }

    /// What a charge takes of the lines that charge for the one it corrects, the line itself first, and what is left of it.
    fn parts(&self, charge: &ChargeRecorded, taken: &mut TakenByHand) -> (Vec<CorrectionPart>, Amount) {
        let (mut parts, mut rest) = (Vec::new(), charge.amount);
        let cited = charge.cites.as_ref().and_then(|cited| self.billing.line_of(cited));
        let Some((document, line)) = cited else { return (parts, rest) };
        let changes = self.billing.changes_of(&document.invoice, line);
        let standing = changes.into_iter().filter(|(document, _)| !self.billing.is_void(&document.invoice));
        for (Document { invoice, .. }, line) in [(document, line)].into_iter().chain(standing) {
            let of = LineRef { invoice: invoice.id.clone(), line: line.n };
            let (remainder, residue) = self.left_of((invoice, line), &of, taken);
            if remainder.minor().signum() * rest.minor().signum() >= 0 {
                continue;
            }
            let whole = remainder.minor().unsigned_abs() <= rest.minor().unsigned_abs();
            let amount = if whole { remainder } else { rest.negated() };
            let Some(less) = rest.checked_add(amount) else { continue };
            rest = less;
            let residue = if whole { residue } else { Exact::ZERO };
            taken.take(of.clone(), (amount, residue));
            parts.push(CorrectionPart { of, amount, residue, tax: line.tax });
        }
        (parts, rest)
    }

    /// What stands of a line and of its residue when the charges of this draft have taken what they can.
    pub(super) fn left_of(
        &self,
        (invoice, line): (&Invoice, &InvoiceLine),
        at: &LineRef,
        taken: &TakenByHand,
    ) -> (Amount, Exact) {
        let (remainder, residue) =
            (self.billing.stands_of(invoice, line), self.billing.residue_of(invoice, line));
        let by_hand = taken.of(at, remainder);
        (remainder.checked_sub(by_hand.0).unwrap_or(remainder), residue.minus(by_hand.1))
    }
}

/// What the lines of a charge differ in.
struct InvoiceLineParts {
    kind: LineKind,
    amount: Amount,
    residue: Exact,
    tax: Tax,
    cites: Option<LineRef>,
}

/// A line of a charge: all of it, or a part.
fn charge_line((charge, period): (&Charge, Period), parts: InvoiceLineParts, whole: bool) -> RatedLine {
    let InvoiceLineParts { kind, amount, residue, tax, cites } = parts;
    let events: Vec<Sequence> = vec![charge.sequence];
    let sign = if amount.minor() < 0 { -1 } else { 1 };
    let line = InvoiceLine {
        n: 0,
        kind,
        instance: None,
        dimensions: Vec::new(),
        description: charge.recorded.description.clone(),
        period,
        quantity: Quantity::from_billionths(sign * ONE).unwrap_or_default(),
        unit: if whole { "1" } else { "part" }.into(),
        unit_price: None,
        steps: Vec::new(),
        amount,
        residue,
        price_book: None,
        rate: 0,
        price_override: None,
        reduces: None,
        tax,
        events: event_set(&events),
        cites,
    };
    RatedLine::new(line, events)
}
