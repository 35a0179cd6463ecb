//! A start finishes the retirement of a computer that a program which died had begun.

use serde_json::json;
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RetireComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::log::envelope::Actor;
use slapledger_usecases::loss::finish_retirements;

use crate::testing::world::{COMPUTER, World};

#[test]
fn a_start_requests_again_what_was_on_a_retired_computer() {
    let world = World::empty(Mode::Serve);
    world.format(COMPUTER, 3);
    for name in ["a", "b", "c"] {
        world.request(name, &[("of", name)], None).expect(200);
    }
    world.request("c", &[], Some("destroyed")).expect(200);
    // As if the program had died after the first step: what is still wanted is in partitions that nobody offers.
    let computer = ComputerId::new(COMPUTER).unwrap();
    let retire = Command::RetireComputer(RetireComputer { computer, again: Vec::new() });
    world.ctx.submit_own(Actor::system(), retire).unwrap();
    let states = |world: &World, of: &[u64]| {
        of.iter().map(|n| world.instance(*n)["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(&world, &[1, 2, 3]), [json!("started"), json!("started"), json!("destroyed")]);
    let partitions = world.get("/v1/computers/COMP-1").expect(200).json()["partitions"].clone();
    assert_eq!((&partitions["lost"], &partitions["free"]), (&json!(2), &json!(0)), "{partitions}");

    let world = world.restart();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        runtime.block_on(finish_retirements(&world.ctx));
        assert_eq!(
            states(&world, &[1, 2, 4, 5]),
            ["destroyed", "destroyed", "started", "started"].map(|state| json!(state))
        );
    }
    // With all that was requested of them.
    for (n, name) in [(4, "a"), (5, "b")] {
        let told = world.instance(n);
        assert_eq!((&told["title"], &told["parameters"]["of"]), (&json!(name), &json!(name)));
        assert!(told["computer"].is_null(), "{told}");
    }
    world.get("/v1/instances/SOFTINST-6").expect(404);
    // Each was ended and requested again by one command.
    let events = world.get("/v1/events?limit=1000").expect(200).json();
    let of = |name: &str| {
        let items = events["items"].as_array().unwrap().iter();
        items.filter(|event| event["type"] == name).map(|event| event["command"].clone()).collect::<Vec<_>>()
    };
    let (requested, ended) = (of("InstanceRequested"), of("InstanceEnded"));
    assert!(!requested[3].is_null(), "{events}");
    assert_eq!([&requested[3], &requested[4]], [&ended[1], &ended[2]], "{events}");
}
