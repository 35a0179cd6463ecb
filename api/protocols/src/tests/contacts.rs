//! Silence of computers.

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ProjectId;
use slapledger_usecases::contacts::look;
use slapledger_usecases::context::RequestContext;

use crate::testing::world::{COMPUTER, World};

/// An hour.
const LIMIT: i64 = 3_600_000_000;

/// A computer of the same name in another project.
#[test]
fn who_is_heard_of_is_heard_of_in_its_project() {
    let world = World::empty(Mode::Serve);
    world.enter(2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = world.ctx.now();
    let silent = |ctx: &RequestContext| {
        let look = |view: &slapledger_projections::SlapViews| {
            view.inventory.computer(COMPUTER).map(|known| known.silent_since.is_some())
        };
        ctx.slap_now(look).unwrap()
    };
    world.set_clock("2026-11-23T16:00:00Z");
    world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200);
    for ctx in world.ctx.of_all_projects() {
        runtime.block_on(look(&ctx, started, LIMIT)).unwrap();
    }
    let silent = [1, 2, 3].map(|project| silent(&world.ctx.within(ProjectId(project))));
    assert_eq!(silent, [Some(false), Some(true), None]);
}

#[test]
fn who_is_silent_gets_nothing_new_until_it_is_heard_of() {
    let world = World::empty(Mode::Serve);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = world.ctx.now();
    let look = || runtime.block_on(look(&world.ctx, started, LIMIT)).unwrap();
    let silent = |id: &str| {
        world.ctx.slap_now(|view| view.inventory.computer(id).unwrap().silent_since.is_some()).unwrap()
    };
    world.format(COMPUTER, 1);
    world.set_clock("2026-11-23T15:00:00Z");
    look();
    assert!(!silent(COMPUTER));
    world.set_clock("2026-11-23T16:00:00Z");
    world.post("/requestComputer", &[("computer_title", "new")]).expect(200);
    look();
    assert!(silent(COMPUTER));
    assert!(!silent("COMP-2"), "it was entered just now");
    world.request("one", &[], None).expect(408);
    look();
    world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200);
    look();
    assert!(!silent(COMPUTER));
    world.request("one", &[], None).expect(200);
}
