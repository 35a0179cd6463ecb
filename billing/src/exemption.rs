//! Why a document charges no tax in a category: what counts for what its lines of that category sell.

use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::invoice::{Exemption, InvoiceLine, LineKind, Tax, TaxCategory, TaxSubtotal};
use slapledger_core::domain::pricing::Model;
use slapledger_core::domain::tax::SoldProduct;
use slapledger_core::domain::time::Period;

use crate::view::Billing;

/// The longest text of several reasons, in bytes.
const MAX_REASONS: usize = 500;

impl Billing {
    /// Why the lines of a category and rate are without tax. A line about an earlier document has the reason of that
    /// document. If no line says why, the reason is the last one that somebody gave for the category.
    pub(crate) fn exemption(
        &self,
        parties: (PartyId, PartyId),
        lines: &[InvoiceLine],
        tax: Tax,
    ) -> Option<Exemption> {
        if matches!(tax.category, TaxCategory::S | TaxCategory::Z) {
            return None;
        }
        let (mut reasons, mut is_known) = (Vec::new(), false);
        for line in lines.iter().filter(|line| line.tax == tax) {
            let found = match self.cited_subtotal(line) {
                Some(cited) => (cited.tax, cited.exemption.as_ref()),
                // These have the tax of the lines that they reduce, which say why.
                None if matches!(line.kind, LineKind::Discount | LineKind::Maximum) => continue,
                None => self.taxes.on(parties, self.sold(line), line.period.stop.plus_micros(-1)),
            };
            if found.0 == tax {
                is_known = true;
                reasons.extend(found.1);
            }
        }
        if is_known { joined(reasons) } else { self.taxes.exemption(parties, tax.category).cloned() }
    }

    /// The subtotal of the document that a line cites, which has the tax of the line.
    fn cited_subtotal(&self, line: &InvoiceLine) -> Option<&TaxSubtotal> {
        let place = self.issued.get(&line.cites.as_ref()?.invoice)?;
        let cited = &self.documents.get(place)?.invoice;
        cited.tax.iter().find(|subtotal| subtotal.tax == line.tax)
    }

    /// What a line sells, as far as its tax depends on it.
    fn sold(&self, line: &InvoiceLine) -> SoldProduct<'_> {
        let resource = match self.rate_of(line).map(|rate| &rate.model) {
            Some(Model::Usage { resource, .. }) => Some(resource),
            Some(Model::Recurring { .. }) => None,
            _ => return SoldProduct::default(),
        };
        // A line of one instance is about its release at the last instant.
        let last = Period::new(line.period.stop.plus_micros(-1), line.period.stop);
        let history = line.instance.and_then(|instance| self.histories.get(instance));
        let attributes = history.zip(last).and_then(|(history, last)| history.within(last).next());
        SoldProduct { software_release: attributes.map(|(_, attributes)| &attributes.release), resource }
    }
}

/// All reasons in the order of their lines, each once. The code counts if all of them have it.
fn joined(reasons: Vec<&Exemption>) -> Option<Exemption> {
    let mut seen: Vec<&Exemption> = Vec::new();
    for reason in reasons {
        if !seen.contains(&reason) {
            seen.push(reason);
        }
    }
    let (first, others) = seen.split_first()?;
    let mut all = (*first).clone();
    for other in others {
        let text = format!("{}; {}", all.reason, other.reason);
        if text.len() <= MAX_REASONS {
            all.reason = text.into();
        }
        all.code = all.code.filter(|code| Some(code) == other.code.as_ref());
    }
    Some(all)
}
