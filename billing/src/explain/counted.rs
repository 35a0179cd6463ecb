//! What of each event counts for a line of usage: the time and the quantity or level that fall to its instances.

use std::collections::BTreeMap;

use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, LineKind};
use slapledger_core::domain::pricing::{Meter, Model};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::metering::Target;

use super::usage::{cut, places};
use super::{Bench, ExplainDesk};
use crate::behind;
use crate::drafts::as_charged;
use crate::view::BillingView;

/// What of an event counts for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// For whom.
    pub instance: InstanceId,
    /// From when: its time, cut to the line's.
    pub start: Timestamp,
    /// Until when.
    pub stop: Timestamp,
    /// A counter's part in that time; else the level.
    pub quantity: Quantity,
}

/// An event, and what of it counts.
pub type CountedEvent = (Sequence, Vec<Counted>);

impl BillingView {
    /// What of some events behind a line of usage counts for it; of other lines nothing is told.
    pub fn counted(&self, invoice: &str, n: u32, events: &[Sequence]) -> Vec<CountedEvent> {
        let Some(document) = self.billing.document(invoice) else { return Vec::new() };
        let desk = ExplainDesk { view: self, document, now: Sequence::ZERO };
        let line = document.invoice.lines.iter().find(|line| line.n == n);
        let counted = line.and_then(|line| {
            let LineKind::Usage { resource } = &line.kind else { return None };
            let (book, rate) = desk.book(line)?;
            let Model::Usage { .. } = rate.model else { return None };
            let declared = book.resource(resource)?;
            let line = match document.invoice.document {
                DocumentKind::Invoice => line.clone(),
                DocumentKind::CreditNote => as_charged(&document.invoice, line),
            };
            let run = self.billing.run(document.invoice.run)?;
            behind::again(self, &document.invoice, &run.opened, |subject, instances| {
                let own = subject.rate(instances, &mut Vec::new());
                let bench = Bench { subject, instances, own: &own, lines: Vec::new() };
                let mut found: BTreeMap<Sequence, Vec<Counted>> = BTreeMap::new();
                for (instance, period) in places(&bench, &line) {
                    let target = Target::Instance(instance);
                    for interval in subject.usage().intervals(&target, resource.as_str(), period) {
                        if events.binary_search(&interval.sequence).is_err() {
                            continue;
                        }
                        let Some(part) = interval.period.intersection(period) else { continue };
                        let quantity = match declared.meter {
                            Meter::Sum => cut(interval.counter, interval.period, part),
                            _ => interval.gauge,
                        };
                        let (start, stop) = (part.start, part.stop);
                        found.entry(interval.sequence).or_default().push(Counted {
                            instance,
                            start,
                            stop,
                            quantity,
                        });
                    }
                }
                Some(found.into_iter().collect())
            })
        });
        counted.unwrap_or_default()
    }
}
