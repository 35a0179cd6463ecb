//! The documents that are kept, asked for through the routes: each is what would be written anew.

use std::sync::Arc;

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartitionId, ProjectId};
use slapledger_slap_wire::documents;
use slapledger_slap_wire::marshal::Value;
use slapledger_usecases::answers::{SeenComputer, SeenPartition};

use crate::testing::world::{COMPUTER, RELEASE, World, configuration, dumps, request_form};

type Of = (ProjectId, ComputerId);

fn computer(name: &str) -> Of {
    (ProjectId::DEFAULT, ComputerId::new(name).unwrap())
}

fn partition(name: &str) -> PartitionId {
    PartitionId::new(name).unwrap()
}

fn request(world: &World, name: &str, from: Option<&str>, shared: bool) {
    let mut form = request_form(name, &[("a", "1")], None);
    form.retain(|(key, _)| *key != "shared_xml");
    form.push(("shared_xml", dumps(&Value::Bool(shared))));
    if let Some(partition) = from {
        form.extend([("computer_id", COMPUTER.to_owned()), ("computer_partition_id", partition.to_owned())]);
    }
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    world.post("/requestComputerPartition", &form).expect(200);
}

fn connect(world: &World, partition: &str, more: &[(&str, &str)]) {
    let xml = dumps(&Value::dict([("url", Value::from("https://[2001:db8::1]/"))]));
    let form = [&[("connection_xml", xml.as_str())], more].concat();
    world.say("/setComputerPartitionConnectionXml", partition, &form).expect(200);
}

fn shared_reference(world: &World) -> String {
    let text = world.get(PATH).expect(200).body;
    let (_, after) = text.split_once("<string>slave_reference</string><string>").unwrap();
    after.split_once("</string>").unwrap().0.to_owned()
}

const PATH: &str = "/getFullComputerInformation?computer_id=COMP-1";

const PARTITION_PATH: &str =
    "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=";

/// What happens, and whether the computer's document shows it: at slapos proxy, at a master.
type Step = (&'static str, fn(&World), [bool; 2]);

const STEPS: [Step; 21] = [
    ("partitions", |world| world.format(COMPUTER, 4), [true; 2]),
    ("root", |world| request(world, "root", None, false), [true; 2]),
    ("nothing new", |world| request(world, "root", None, false), [false; 2]),
    ("child", |world| request(world, "child", Some("slappart0"), false), [true; 2]),
    ("shared instance", |world| request(world, "shared", None, true), [true; 2]),
    ("supply", |world| supply(world, RELEASE), [true; 2]),
    ("reached, and its parent told", |world| connect(world, "slappart1", &[]), [true; 2]),
    ("reached as before", |world| connect(world, "slappart1", &[]), [false; 2]),
    (
        "shared instance reached",
        |world| {
            let reference = shared_reference(world);
            connect(world, "slappart0", &[("slave_reference", &reference)]);
        },
        [false, true],
    ),
    (
        "bang",
        |world| drop(world.say("/softwareInstanceBang", "slappart1", &[("message", "")]).expect(200)),
        [true; 2],
    ),
    (
        "bang of all",
        |world| {
            drop(world.post("/computerBang", &[("computer_id", COMPUTER), ("message", "")]).expect(200));
        },
        [true; 2],
    ),
    (
        "started",
        |world| drop(world.say("/startedComputerPartition", "slappart0", &[]).expect(200)),
        [false, true],
    ),
    (
        "failed",
        |world| {
            drop(world.say("/softwareInstanceError", "slappart0", &[("error_log", "no disk")]).expect(200));
        },
        [false, true],
    ),
    (
        "the root has another name",
        |world| {
            drop(world.say("/softwareInstanceRename", "slappart0", &[("new_name", "other")]).expect(200));
        },
        [true; 2],
    ),
    ("other parameters", |world| drop(world.request("other", &[("a", "2")], None).expect(200)), [true; 2]),
    ("stopped", |world| drop(world.request("other", &[("a", "2")], Some("stopped")).expect(200)), [true; 2]),
    (
        "other addresses",
        |world| {
            let told = dumps(&configuration(COMPUTER, 4)).replace("10.0.0.1", "10.9.0.1");
            world.post("/loadComputerConfigurationFromXML", &[("xml", &told)]).expect(200);
        },
        [true; 2],
    ),
    ("partition withdrawn", |world| world.format(COMPUTER, 3), [true; 2]),
    (
        "rebuilt",
        |world| drop(world.post_json("/v1/projections/instances/rebuild", "{}", &[]).expect(200)),
        [false; 2],
    ),
    (
        "a key destroyed",
        |world| {
            let key = world.ctx.slap_now(|view| view.instances.iter().next().unwrap().key()).unwrap();
            world.ctx.keys().destroy(key).unwrap();
        },
        [true; 2],
    ),
    ("all gone", |world| world.format(COMPUTER, 0), [true; 2]),
];

fn supply(world: &World, release: &str) {
    let form = [("url", release), ("computer_id", COMPUTER), ("state", "available")];
    world.post("/supplySupply", &form).expect(200);
}

/// The same of each partition, kept from the time before as those of computers are.
fn partitions_are_shown(world: &World, mode: Mode, name: &str) {
    for n in 0..4 {
        let ((project, of), place) = (computer(COMPUTER), partition(&format!("slappart{n}")));
        let seen = world.ctx.slap_now(|view| SeenPartition::find(mode, view, COMPUTER, place.as_str()));
        let answer = world.get(&format!("{PARTITION_PATH}{place}"));
        let Some(seen) = seen.unwrap() else {
            answer.expect(404);
            continue;
        };
        let shown = answer.expect(200).body;
        let anew = documents::partition(&seen.document(world.ctx.keys())).unwrap();
        assert_eq!(shown, anew, "{mode}: {name}: {place}");
        let kept =
            world.ctx.engine.documents.partitions.at(&(project, (of, place)), world.ctx.ledger().head().last);
        assert_eq!(kept.as_deref(), Some(shown.as_bytes()), "{mode}: {name}");
    }
}

/// Kept from one, it is not what another is answered.
#[test]
fn a_document_is_that_of_its_project() {
    let world = World::proxy(1);
    let (other, stranger) = (world.enter(2), Arc::new(world.ctx.within(ProjectId(3))));
    for _ in 0..2 {
        let here = world.get(PATH).expect(200).body;
        let there = world.get_from(&other, PATH).expect(200).body;
        assert!(here.contains("slappart0") && !there.contains("slappart0"), "{there}");
        world.get_from(&stranger, PATH).expect(404);
        world.get(&format!("{PARTITION_PATH}slappart0")).expect(200);
        world.get_from(&other, &format!("{PARTITION_PATH}slappart0")).expect(404);
    }
    assert_eq!(world.ctx.engine.documents.computers.count(), 2);
}

/// What is answered is what would be written anew, whatever happened; and it is kept.
#[test]
fn whatever_changes_is_shown() {
    for (mode, shows) in [(Mode::Proxy, 0), (Mode::Serve, 1)] {
        let world = World::empty(mode);
        let mut before = world.get(PATH).expect(200).body;
        for (second, (name, happen, changes)) in STEPS.iter().enumerate() {
            world.set_clock(&format!("2026-11-24T00:00:{second:02}Z"));
            happen(&world);
            let shown = world.get(PATH).expect(200).body;
            let anew = world.ctx.slap_now(|view| SeenComputer::find(mode, view, COMPUTER)).unwrap().unwrap();
            let anew = documents::computer(&anew.document(world.ctx.keys())).unwrap();
            assert_eq!(shown, anew, "{mode}: {name}");
            assert_eq!(shown != before, changes[shows], "{mode}: {name}: {shown}");
            partitions_are_shown(&world, mode, name);
            let kept =
                world.ctx.engine.documents.computers.at(&computer(COMPUTER), world.ctx.ledger().head().last);
            assert_eq!(kept.as_deref(), Some(shown.as_bytes()), "{mode}: {name}");
            before = shown;
        }
    }
}
