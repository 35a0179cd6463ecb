//! What a draft settles of earlier and later documents: void documents, and months that a document is about already.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{InstanceId, PartyId};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::{ONE, Quantity};

use super::charges::TakenByHand;
use super::{Desk, PayerInstances};
use crate::document::as_charged;
use crate::rating::{self, Prices, RatedLine, RatingSubject};
use crate::remainder::OfVoid;

impl<'a> Desk<'a> {
    /// Takes back what is still charged of void documents.
    pub(super) fn of_void(&self, payer: PartyId) -> Vec<RatedLine> {
        let charged = self.billing.of_void((self.question.seller, self.currency), payer);
        charged
            .into_iter()
            .map(|OfVoid { void, line, at, remainder, residue, issued }| {
                let description = format!(
                    "{} is void, settled {} line {}: {}",
                    void, at.invoice, at.line, line.description
                );
                rating::settled((line, at), (remainder, residue), issued, LineKind::Adjustment, description)
            })
            .collect()
    }

    /// The fees for the month to come. If a document that stands is about that month already, because this period is
    /// invoiced again, it is what that document left to be charged.
    pub(super) fn in_advance(
        &self,
        subject: &RatingSubject<'_>,
        instances: &PayerInstances<'a>,
        taken: &TakenByHand,
    ) -> Vec<RatedLine> {
        let fees = subject.in_advance(instances);
        let (seller, payer, stop) = (self.question.seller, subject.payer, subject.period.stop);
        let mut standing = self.billing.standing((seller, self.currency), payer);
        let Some((_, next)) = standing.find(|(_, document)| document.invoice.period.contains(stop)) else {
            return fees;
        };
        let Some(run) = self.billing.runs.get(&next.invoice.run) else { return fees };
        if run.opened.price_book != *self.question.price_book {
            return fees;
        }
        let versions = self.billing.versions_of(&run.opened);
        let book = &run.opened.price_book;
        let overrides = self.billing.overrides_for(book, payer, run.opened.cut_off);
        let prices = Prices::with(book, versions, &overrides);
        let period = next.invoice.period;
        let as_of = run.opened.cut_off;
        let then = RatingSubject { prices: &prices, period, as_of, taxes_as_of: as_of, ..*subject };
        let own = then.rate(instances, &mut Vec::new());
        let mut missing: BTreeMap<InstanceId, Amount> = BTreeMap::new();
        let mut add = |instance: InstanceId, amount: Amount| {
            let sum = missing.entry(instance).or_insert_with(|| Amount::zero(self.currency));
            *sum = sum.checked_add(amount).unwrap_or(*sum);
        };
        for ((instance, _), lines) in &own.in_advance {
            for cost in lines {
                add(*instance, cost.line.amount);
            }
        }
        let costs =
            |line: &&InvoiceLine| line.kind == LineKind::Recurring && self.billing.is_in_advance(line);
        for line in next.invoice.lines.iter().filter(costs) {
            if let Some(instance) = line.instance {
                add(instance, as_charged(&next.invoice, line).amount.negated());
            }
        }
        for charged in self.charged_in_advance(payer, period, taken) {
            if let Some(instance) = charged.line.instance {
                add(instance, charged.left.negated());
            }
        }
        let mut by_instance: BTreeMap<Option<InstanceId>, Vec<RatedLine>> = BTreeMap::new();
        for fee in fees {
            by_instance.entry(fee.line.instance).or_default().push(fee);
        }
        let nothing = Amount::zero(self.currency);
        by_instance
            .into_iter()
            .flat_map(|(instance, fees)| {
                let missing =
                    instance.and_then(|instance| missing.get(&instance)).copied().unwrap_or(nothing);
                still_missing(fees, missing)
            })
            .collect()
    }
}

/// Fees that together are to be what is missing.
fn still_missing(fees: Vec<RatedLine>, missing: Amount) -> Vec<RatedLine> {
    let all = fees.iter().try_fold(missing, |rest, fee| rest.checked_sub(fee.line.amount));
    if all.is_some_and(|rest| rest.minor() == 0) {
        return fees;
    }
    let first = fees.into_iter().next().filter(|_| missing.minor() > 0);
    let rest = first.map(|RatedLine { line, events, .. }| {
        let line = InvoiceLine {
            description: format!("rest of: {}", line.description).into(),
            quantity: Quantity::from_billionths(ONE).unwrap_or_default(),
            unit: "part".into(),
            unit_price: None,
            steps: Vec::new(),
            amount: missing,
            residue: Exact::ZERO,
            ..line
        };
        RatedLine::new(line, events)
    });
    rest.into_iter().collect()
}
