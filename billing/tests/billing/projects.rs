//! Two clouds in one ledger, each a project: each is metered, invoiced and booked as it would be alone.

use std::sync::Arc;

use proptest::prelude::*;
use slapledger_billing::BillingView;
use slapledger_core::domain::id::{PartyId, ProjectId, RunId, Sequence};
use slapledger_core::domain::usage::{MemoryIndex, Revision};
use slapledger_core::domain::{Context, State};
use slapledger_core::log::envelope::{Meta, Recorded};
use slapledger_projections::{Projects, View};

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, at};
use crate::properties::months;

/// The later one first, and neither the one that a cloud alone is in.
const PROJECTS: [ProjectId; 2] = [ProjectId(7), ProjectId(3)];

/// One ledger of two projects, and two of one each. What happens in one of these happens in the one of both at the same
/// sequences, and in the other one nothing does.
struct Together {
    state: State,
    view: Projects<BillingView>,
    log: Vec<Recorded>,
    alone: [Cloud; 2],
}

impl Together {
    fn begin() -> Self {
        let alone = [(); 2].map(|()| Cloud::empty("2026-01-01T00:00:00Z"));
        let state = State::new(Box::new(MemoryIndex::default()));
        Self { state, view: Projects::default(), log: Vec::new(), alone }
    }

    /// The same in the ledger of both.
    #[track_caller]
    fn within<T>(&mut self, which: usize, act: impl FnOnce(&mut Cloud) -> T) -> T {
        let (cloud, project) = (&mut self.alone[which], PROJECTS[which]);
        let (events, commands) = (cloud.log.len(), cloud.commands.len());
        let before = self.log.len();
        cloud.next = Sequence(before as u64 + 1);
        let told = act(cloud);
        for (now, command) in &cloud.commands[commands..] {
            let next = Sequence(self.log.len() as u64 + 1);
            let outcome = self.state.execute(&Context { now: *now, next, project }, command.clone());
            for (stream, event) in outcome.map_or_else(|_| Vec::new(), |outcome| outcome.events) {
                let known = &cloud.log[events + self.log.len() - before];
                let meta = Arc::new(Meta { project, ..(*known.meta).clone() });
                let sequence = Sequence(self.log.len() as u64 + 1);
                let recorded = Recorded { sequence, stream: Arc::new(stream), event, meta, ..known.clone() };
                assert_eq!(
                    (known.sequence, &known.stream, &known.event),
                    (sequence, &recorded.stream, &recorded.event)
                );
                self.view.apply(&recorded);
                self.log.push(recorded);
            }
        }
        assert_eq!(self.log.len() - before, cloud.log.len() - events, "something more happens alone");
        told
    }

    /// Each is what it is alone, live and rebuilt; byte for byte, as all sequences are the same.
    #[track_caller]
    fn check(&self) {
        let mut rebuilt = Projects::<BillingView>::default();
        self.log.iter().for_each(|recorded| rebuilt.apply(recorded));
        assert_eq!(rebuilt.parts(), self.view.parts());
        for (cloud, project) in self.alone.iter().zip(PROJECTS) {
            assert_eq!(self.view.of(project).parts(), cloud.view.parts(), "{project}");
            assert!(self.view.of(project).snapshot() == cloud.view.snapshot(), "{project}");
        }
        let restored = Projects::<BillingView>::restore(&self.view.snapshot()).expect("a snapshot");
        assert_eq!(restored.parts(), self.view.parts());
    }
}

fn open(start: &'static str, stop: &'static str) -> impl Fn(&mut Cloud) -> RunId {
    move |cloud| cloud.open_run(start, stop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn projects_are_invoiced_as_they_would_be_alone(
        months in [months(), months()],
        turns in prop::collection::vec(0..2_usize, 100),
        late in [0..31_i64, 0..31_i64],
    ) {
        let mut commands = months.map(|month| month.in_order().commands.into_iter());
        let mut together = Together::begin();
        for which in turns.into_iter().chain([0, 1].into_iter().cycle()) {
            match commands[which].next() {
                Some(command) => together.within(which, |cloud| cloud.repeat(command)),
                None if commands[1 - which].len() == 0 => break,
                None => {}
            }
        }
        // October of both, one while the other is drawn up; then what came late, and November.
        let runs = [0, 1].map(|which| {
            together.within(which, |cloud| cloud.clock("2026-11-03T00:00:00Z"));
            together.within(which, open("2026-10-01", "2026-11-01"))
        });
        prop_assert_eq!(runs, [RunId(1); 2]);
        together.check();
        for which in [1, 0] {
            together.within(which, |cloud| cloud.finalise(RunId(1)));
            let start = at("2026-10-01T00:00:00Z").plus_micros(late[which] * 86_400_000_000);
            let period = (start, start.plus_micros(3_600_000_000));
            together.within(which, |cloud| cloud.report("late", Revision::None, ("slappart0", CPU), "5000", period));
        }
        for which in [0, 1] {
            together.within(which, |cloud| cloud.clock("2026-12-03T00:00:00Z"));
            let run = together.within(which, open("2026-11-01", "2026-12-01"));
            together.within(which, |cloud| cloud.finalise(run));
        }
        together.check();
    }
}

/// Numbers of invoices, versions of price books, runs: each project counts its own.
#[test]
fn each_project_counts_for_itself() {
    let mut together = Together::begin();
    let set_up = Cloud::new(BOOK).commands;
    for which in [0, 1] {
        for command in &set_up {
            together.within(which, |cloud| cloud.repeat(command.clone()));
        }
    }
    assert_eq!(together.within(1, |cloud| cloud.publish(&BOOK.replace("10.00", "20.00"))), 2);
    assert_eq!(together.within(0, |cloud| cloud.publish(&BOOK.replace("10.00", "30.00"))), 2);
    for which in [0, 1] {
        together.within(which, |cloud| cloud.clock("2026-10-01T00:00:00Z"));
        assert_eq!(together.within(which, |cloud| cloud.customer("UTC")), PartyId(2));
        together.within(which, |cloud| cloud.request(PartyId(2), "one", &PRODUCTION));
        together.within(which, |cloud| cloud.clock("2026-11-02T00:00:00Z"));
        let run = together.within(which, open("2026-10-01", "2026-11-01"));
        together.within(which, |cloud| cloud.finalise(run));
    }
    for (project, fee) in PROJECTS.into_iter().zip(["30.00", "20.00"]) {
        let invoice = together.view.of(project).billing.document("INV-2026-000001").expect("the first one");
        assert_eq!(invoice.invoice.net.to_string(), fee, "{project}");
        assert!(together.view.of(project).billing.document("INV-2026-000002").is_none());
    }
    let nobody = together.view.of(ProjectId::DEFAULT);
    assert!(nobody.billing.document("INV-2026-000001").is_none());
    assert_eq!(nobody.parts(), BillingView::default().parts());
    together.check();
}
