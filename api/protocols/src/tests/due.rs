//! Runs that become final by themselves.

use std::sync::Arc;

use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{PartyId, ProjectId, RunId};
use slapledger_core::domain::invoice::{Bound, OpenInvoiceRun, RunPeriod, RunReason};
use slapledger_core::domain::pricing::PublishPriceBook;
use slapledger_core::log::envelope::Actor;
use slapledger_usecases::invoicing::due::{RefusedRuns, look};

use crate::testing::world::World;

/// A run of the same name is open in each.
#[test]
fn runs_of_all_projects_become_final() {
    let world = World::empty(Mode::Serve);
    world.enter(2);
    let day = |text: &str| Bound::Day(text.parse().unwrap());
    let book = slapledger_billing::price_book::parse_toml(slapledger_fixtures::STANDARD_PRICES).unwrap();
    for ctx in world.ctx.of_all_projects() {
        let publish = Command::PublishPriceBook(PublishPriceBook { book: book.clone(), retroactive: false });
        ctx.submit_own(Actor::system(), publish).unwrap();
        let open = OpenInvoiceRun {
            seller: PartyId(1),
            period: RunPeriod { start: day("2026-11-01"), stop: day("2026-12-01") },
            price_book: None,
            payers: Vec::new(),
            reason: RunReason::Period,
            grace_hours: 1,
            finalise: ctx.project == ProjectId(2),
        };
        ctx.submit_own(Actor::system(), Command::OpenInvoiceRun(open)).unwrap();
    }
    world.set_clock("2026-12-02T00:00:00Z");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut refused = RefusedRuns::new();
    for ctx in world.ctx.of_all_projects() {
        // It looks at what is shown by then, and again later at what is not.
        ctx.billing_now(|_| ()).unwrap();
        assert!(ctx.engine.billing.settle(std::time::Duration::from_secs(60)));
        runtime.block_on(look(&Arc::new(ctx), &mut refused));
    }
    assert_eq!(refused, RefusedRuns::new());
    let is_final = |project| {
        let ctx = world.ctx.within(ProjectId(project));
        ctx.billing_now(|view| view.billing.run(RunId(1)).map(|run| run.finalised.is_some())).unwrap()
    };
    assert_eq!([1, 2, 3].map(is_final), [Some(false), Some(true), None]);
}
