//! Drafts of a run, computed apart from the fold.
//!
//! What all payers owe may take minutes, and is a function of the view at the event that opened the run or refreshed it. So
//! a view that is kept while others read it notes a job with a generation of itself, goes on, and takes the drafts over
//! when they are there. A later event that builds on them waits for them; one that makes them useless stops the job.
//! Whichever way it goes, the view that comes of it is the same.

use std::sync::{Arc, OnceLock};

use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{RunId, Sequence};
use slapledger_core::domain::invoice::InvoiceRunOpened;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::stop::{StopFlag, stoppable};
use slapledger_projections::view::{Deferred, View};

use crate::view::{BillingView, DraftJob, Drafted};

impl DraftJob {
    /// The drafts; computed here, unless they are there or somebody else is at it.
    fn drafted(&self) -> &Drafted {
        self.drafted.get_or_init(|| {
            let mut view = self.generation.clone();
            view.settle_all();
            view.billing.drafted(&self.opened, &view.metering)
        })
    }
}

impl BillingView {
    /// Whether the drafts of a run are still being computed.
    pub fn is_drafting(&self, run: RunId) -> bool {
        self.drafting.contains_key(&run)
    }

    /// Takes the next event over and leaves drafts to be computed apart.
    pub(crate) fn take_over(&mut self, recorded: &Recorded) -> Option<Deferred<Self>> {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::InvoiceRunOpened(event) => return Some(self.draft(event.clone(), (event.at, sequence))),
            Event::InvoiceRunRefreshed(event) => {
                let opened = self.billing.refreshed_run(event)?;
                self.abandon(event.run);
                self.billing.forget(event.run);
                self.billing.drafts_changed(event.run);
                return Some(self.draft(opened, (event.at, sequence)));
            }
            Event::InvoiceRunWithdrawn(event) => self.abandon(event.run),
            Event::InvoiceFinalised(event) => self.settle(event.invoice.run),
            Event::InvoiceRunFinalised(event) => self.settle(event.run),
            _ => {}
        }
        self.apply(recorded);
        None
    }

    fn draft(
        &mut self,
        opened: InvoiceRunOpened,
        (drawn_up_at, sequence): (Timestamp, Sequence),
    ) -> Deferred<Self> {
        let generation = self.clone();
        self.billing.begin(opened.clone(), (drawn_up_at, sequence));
        let job = DraftJob { opened, generation, drafted: OnceLock::new(), stop: StopFlag::default() };
        let job = Arc::new(job);
        self.drafting.insert(job.opened.run, Arc::clone(&job));
        Deferred::new(move || {
            let done = stoppable(Some(job.stop.clone()), || job.drafted().documents.len()).is_ok();
            Box::new(move |view: &mut Self| {
                let run = job.opened.run;
                let waits = view.drafting.get(&run).is_some_and(|known| Arc::ptr_eq(known, &job));
                drop(job);
                if done && waits {
                    view.settle(run);
                }
            })
        })
    }

    /// Takes the drafts of a run over, if they are not yet.
    fn settle(&mut self, run: RunId) {
        if !self.drafting.contains_key(&run) {
            return;
        }
        let Some(job) = self.drafting.remove(&run) else { return };
        let drafted = job.drafted().clone();
        // Its generation shares what is changed now.
        drop(job);
        self.billing.fill(run, drafted);
    }

    /// The same of all runs.
    pub(crate) fn settle_all(&mut self) {
        let runs: Vec<RunId> = self.drafting.keys().copied().collect();
        for run in runs {
            self.settle(run);
        }
    }

    /// Drafts that nobody needs any more.
    fn abandon(&mut self, run: RunId) {
        if self.drafting.contains_key(&run)
            && let Some(job) = self.drafting.remove(&run)
        {
            job.stop.raise();
        }
    }
}
