//! A start registers the first party of a project that has none.

use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::access::OpenProject;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{PartyId, ProjectId};
use slapledger_core::log::envelope::Actor;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::first_parties::enter_first_parties;

use crate::testing::world::World;

#[test]
fn a_start_enters_the_first_party_of_a_project_that_has_none() {
    let world = World::empty(Mode::Serve);
    // As if the program had died after the first of the two.
    let open = Command::OpenProject(OpenProject { title: "south".into() });
    world.ctx.submit_own(Actor::system(), open).unwrap();
    let south = world.ctx.within(ProjectId(2));
    let name = || {
        let known = |view: &BillingView| Some(view.billing.party(FIRST_PARTY)?.name.clone());
        let sealed = south.billing_now(known).unwrap();
        sealed.map(|sealed| String::from_utf8_lossy(&south.keys().open_sealed(&sealed).unwrap()).into_owned())
    };
    assert_eq!(name(), None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        runtime.block_on(enter_first_parties(&world.ctx)).unwrap();
        assert_eq!(name().as_deref(), Some("south"));
    }
    let second = south.billing_now(|view| view.billing.knows_party(PartyId(2))).unwrap();
    assert!(!second, "it is entered once");
}
