//! What of each event counts for a line of usage: the time and the quantity or level that fall to its instances.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, InvoiceRunOpened, LineKind};
use slapledger_core::domain::pricing::Meter;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::metering::Target;

use super::usage::{MeteredGroups, cut, places};
use super::{Bench, ExplainDesk, resource_of};
use crate::behind;
use crate::document::as_charged;
use crate::rating::method;
use crate::view::BillingView;

/// What of an event counts for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CountedFor {
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
pub type CountedEvent = (Sequence, Vec<CountedFor>);

impl BillingView {
    /// What of some events behind a line about usage counts for it; of other lines nothing is told. Of an adjustment it
    /// is what counts by now, of a line of a credit note what counts for the line that it credits.
    pub fn counted(&self, invoice: &str, n: u32, events: &[Sequence]) -> Vec<CountedEvent> {
        let Some(document) = self.billing.document(invoice) else { return Vec::new() };
        let line = document.invoice.lines.iter().find(|line| line.n == n);
        let counted = line.and_then(|line| {
            let own = (&document.invoice, line);
            let (invoice, line) = behind::credited(self, own.0, own.1).unwrap_or(own);
            self.counted_for(invoice, line, events)
        });
        counted.unwrap_or_default()
    }

    fn counted_for(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        events: &[Sequence],
    ) -> Option<Vec<CountedEvent>> {
        let document = self.billing.document(invoice.id.as_str())?;
        let desk = ExplainDesk { view: self, document, now: Sequence::ZERO };
        let (book, rate) = desk.book(line)?;
        let resource = resource_of(line, rate)?;
        let declared = book.resource(&resource)?;
        let line = as_charged(invoice, line);
        let run = self.billing.run(invoice.run)?.opened.clone();
        let run = if line.kind == LineKind::Adjustment {
            let about = self.billing.run(self.billing.run_about(invoice, &line)?)?;
            InvoiceRunOpened { cut_off: run.cut_off, ..about.opened.clone() }
        } else {
            run
        };
        behind::again(self, invoice, (&run, line.period.start), |subject, instances| {
            let own = subject.rate(instances, &mut Vec::new());
            let bench =
                Bench { subject, instances, own: &own, lines: Vec::new(), metered: MeteredGroups::default() };
            let mut found: BTreeMap<Sequence, Vec<CountedFor>> = BTreeMap::new();
            for (instance, period) in places(&bench, &line) {
                let target = Target::Instance(instance);
                for interval in
                    bench.usage_of(instance, declared).intervals(&target, resource.as_str(), period)
                {
                    let counts = interval.counts_in(period, method(&declared.meter));
                    if !counts || events.binary_search(&interval.sequence).is_err() {
                        continue;
                    }
                    let Some(part) = interval.period.intersection(period) else { continue };
                    let quantity = match declared.meter {
                        Meter::Sum => cut(interval.counter, interval.period, part),
                        _ => interval.gauge,
                    };
                    let (start, stop) = (part.start, part.stop);
                    let counted = CountedFor { instance, start, stop, quantity };
                    found.entry(interval.sequence).or_default().push(counted);
                }
            }
            Some(found.into_iter().collect())
        })
    }
}
