//! The tax of lines: what is sold, and where a change of its tax cuts a line.
//!
//! A line has the tax of its last instant, by all that is known now. Where a line is cut is decided by what was known when
//! its run was opened: what is rated again later is cut alike.

use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::pricing::{FeeTerms, Model, OnTaxChange, Per};
use slapledger_core::domain::tax::{SoldProduct, Tax};
use slapledger_core::domain::time::{Period, Timestamp};

use super::RatingSubject;
use super::instance::RatedInstance;
use super::prices::{AppliedCharge, AppliedRate};
use crate::history::{Attributes, History};

impl RatingSubject<'_> {
    /// The tax on what is sold, at the last instant of a period.
    pub(super) fn tax_on(&self, sold: SoldProduct<'_>, period: Period) -> Tax {
        self.basis.taxes.on((self.seller, self.payer), sold, period.stop.plus_micros(-1)).0
    }

    /// A period in parts, cut where the tax on what is sold changes, if the prices in force then say so; each with its tax at
    /// its end.
    pub(super) fn taxed_within(&self, sold: SoldProduct<'_>, period: Period) -> Vec<(Period, Tax)> {
        if !self.prices.cuts_taxes {
            return vec![(period, Tax::NONE)];
        }
        let parties = (self.seller, self.payer);
        let changes = self.basis.taxes.changes(parties, sold, (period, self.taxes_as_of));
        let starts = [period.start].into_iter().chain(changes.iter().copied());
        let stops = changes.iter().copied().chain([period.stop]);
        let mut parts: Vec<(Period, Tax)> = Vec::new();
        for part in starts.zip(stops).filter_map(|(start, stop)| Period::new(start, stop)) {
            let tax = self.basis.taxes.known_on(parties, sold, (part.start, self.taxes_as_of));
            match parts.last_mut() {
                Some((last, before)) if *before == tax || !self.cuts_at(part.start) => {
                    last.stop = part.stop;
                    *before = tax;
                }
                _ => parts.push((part, tax)),
            }
        }
        parts
    }

    /// Whether a change of tax at an instant cuts lines.
    pub(super) fn cuts_at(&self, instant: Timestamp) -> bool {
        let version = self.prices.at(instant);
        version.is_some_and(|version| version.book.terms.on_tax_change == OnTaxChange::Cut)
    }
}

impl RatedInstance<'_> {
    /// The parts of a time of a charge, each with its tax.
    pub(super) fn taxed(
        &self,
        (period, in_trial): (Period, bool),
        charge: AppliedCharge<'_>,
        attributes: &Attributes,
    ) -> Vec<(Period, Tax)> {
        match charge {
            AppliedCharge::Rate(by)
                if matches!(by.rate.model, Model::Recurring { .. } | Model::Usage { .. }) =>
            {
                self.subject.taxed_within(sold_by((by, in_trial), attributes), period)
            }
            _ => vec![(period, Tax::NONE)],
        }
    }

    /// The tax of a line of the instance.
    pub(super) fn tax_of(&self, (by, in_trial): (AppliedRate<'_>, bool), period: Period) -> Tax {
        let last = Period::new(period.stop.plus_micros(-1), period.stop);
        let attributes = last.and_then(|last| self.history.within(last).next());
        let sold = attributes.map(|(_, attributes)| sold_by((by, in_trial), attributes)).unwrap_or_default();
        self.subject.tax_on(sold, period)
    }
}

/// What a rate charges an instance for. What is priced for all instances together is of no release; a trial is of its instance.
fn sold_by<'s>((by, in_trial): (AppliedRate<'s>, bool), attributes: &'s Attributes) -> SoldProduct<'s> {
    let release = |per: Per| (per == Per::Instance || in_trial).then_some(&attributes.release);
    match &by.rate.model {
        Model::Recurring { terms: FeeTerms { per, .. }, .. } => {
            SoldProduct { software_release: release(*per), resource: None }
        }
        Model::Usage { resource, per, .. } => {
            SoldProduct { software_release: release(*per), resource: Some(resource) }
        }
        _ => SoldProduct::default(),
    }
}

/// What a line of an instance, or of usage, was sold for.
pub(crate) fn sold_in<'s>(line: &'s InvoiceLine, history: Option<&'s History>) -> SoldProduct<'s> {
    let resource = match &line.kind {
        LineKind::Usage { resource } => Some(resource),
        LineKind::Recurring | LineKind::Advance => None,
        _ => return SoldProduct::default(),
    };
    let last = Period::new(line.period.stop.plus_micros(-1), line.period.stop);
    let attributes = history.zip(last).and_then(|(history, last)| history.within(last).next());
    SoldProduct { software_release: attributes.map(|(_, attributes)| &attributes.release), resource }
}
