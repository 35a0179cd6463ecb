use slapledger_core::domain::access::{Holder, Role};
use slapledger_core::domain::id::{CredentialId, ProjectId};
use slapledger_usecases::caller::{Caller, FIRST_PARTY, Principal, Reach};

use super::*;
use crate::testing::world::{COMPUTER, World};

/// The program as a holder sees it who is restricted to what is theirs.
fn seen_by(world: &World, holder: Holder, role: Role) -> RequestContext {
    let credential = CredentialId([7; 16]);
    let (project, roles) = (ProjectId::DEFAULT, role.into());
    let known =
        Principal { credential, holder, roles, project, all_projects: false, home: project, until: None };
    world.ctx.seen_by(&Caller::Authenticated { principal: known.into(), reach: Reach::Own })
}

fn named(ctx: &RequestContext) -> Result<NamedPartition, Problem> {
    let (computer, partition) = (ComputerId::new(COMPUTER).unwrap(), PartitionId::new("slappart0").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(NamedPartition::named(ctx, computer, partition))
}

fn status_of<T>(reply: Result<T, Problem>) -> u16 {
    reply.err().map_or(200, |problem| problem.status.as_u16())
}

/// Between the two looks of a request, the partition gets somebody else's instance.
#[test]
fn a_partition_that_changes_hands_is_not_shown_to_who_had_it() {
    let world = World::proxy(1);
    world.request("one", &[("of", "one")], None).expect(200);
    let holders =
        [(Holder::Party(FIRST_PARTY), Role::Customer), (Holder::Instance(InstanceId(1)), Role::Instance)];
    let had = holders.map(|(holder, role)| {
        let ctx = seen_by(&world, holder, role);
        let place = named(&ctx).unwrap();
        (ctx, place)
    });
    let node = seen_by(&world, Holder::Computer(ComputerId::new(COMPUTER).unwrap()), Role::Node);
    let of_node = named(&node).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shown = |ctx: &RequestContext, place: &NamedPartition| runtime.block_on(super::shown(ctx, place));
    let find = |place: &NamedPartition| {
        let seen = world.ctx.slap_now(|view| place.find(world.ctx.mode(), view).map(drop));
        status_of(seen.unwrap())
    };
    for (ctx, place) in had.iter().chain([&(node, of_node)]) {
        assert_eq!((find(place), shown(ctx, place).is_ok()), (200, true));
    }

    world.request("one", &[], Some("destroyed")).expect(200);
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    world.request("two", &[("of", "two")], None).expect(200);
    // Its document is kept, too.
    world.partition("slappart0");
    for (ctx, place) in &had {
        assert_eq!((find(place), shown(ctx, place).is_err()), (404, true));
    }
    let node = seen_by(&world, Holder::Computer(ComputerId::new(COMPUTER).unwrap()), Role::Node);
    let of_node = named(&node).unwrap();
    assert_eq!((find(&of_node), shown(&node, &of_node).is_ok()), (200, true));
}
