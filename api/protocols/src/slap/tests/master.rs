//! What a master does and slapos proxy does not: states, filters, products, bangs, computers by their titles.

use slapledger_core::domain::event::Mode;
use slapledger_slap_wire::marshal::{self, Value};

use super::{attribute, dumps, events_after, head};
use crate::testing::world::{COMPUTER, RELEASE, Seen, World, request_form};

fn filtered(world: &World, name: &str, filter: &[(&str, &str)]) -> Seen {
    let filter = dumps(&Value::dict(filter.iter().map(|(key, value)| (*key, Value::from(*value)))));
    let form = request_form(name, &[], None);
    let form: Vec<_> = form
        .iter()
        .map(|(key, value)| (*key, if *key == "filter_xml" { filter.as_str() } else { value.as_str() }))
        .collect();
    world.post("/requestComputerPartition", &form)
}

fn master(partitions: usize) -> World {
    let world = World::empty(Mode::Serve);
    world.format(COMPUTER, partitions);
    world
}

fn status(world: &World, path: &str, key: &str) -> String {
    let seen = marshal::read(&world.get(path).expect(200).body).unwrap();
    seen.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[test]
fn a_filter_that_means_nothing_is_refused_by_a_master_alone() {
    let world = master(1);
    let seen = filtered(&world, "one", &[("colour", "red")]).expect(400);
    assert_eq!(seen.body, "filter: colour is not a key of a filter\n");
    let seen = filtered(&world, "one", &[("mode", "spread")]).expect(400);
    assert_eq!(seen.body, "filter: mode must be unique_by_network\n");
    filtered(&world, "one", &[("region", "europe")]).expect(408);
    filtered(&world, "two", &[("retention_delay", "7"), ("computer_guid", COMPUTER)]).expect(200);
    let told = world.attribute("slappart0", "_filter_dict");
    assert_eq!(told.get("retention_delay"), Some(&"7".into()));
    filtered(&World::proxy(1), "one", &[("colour", "red")]).expect(200);
}

#[test]
fn what_nodes_say_is_shown() {
    let world = master(1);
    world.request("one", &[], None).expect(200);
    let partition = "/getComputerPartitionStatus?computer_id=COMP-1&computer_partition_id=slappart0";
    assert_eq!(status(&world, partition, "text"), "#error no data found for SOFTINST-1");
    assert_eq!(status(&world, partition, "no_data"), "1");
    world.say("/startedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(status(&world, partition, "text"), "#access Instance correctly started");
    world.say("/softwareInstanceError", "slappart0", &[("error_log", "no space")]).expect(200);
    assert_eq!(status(&world, partition, "text"), "#error no space");
    assert_eq!(world.attribute("slappart0", "_access_status"), "#error no space".into());
    assert_eq!(status(&world, "/getComputerStatus?computer_id=COMP-1", "user"), "COMP-1");
    world.get("/getComputerStatus?computer_id=COMP-9").expect(404);
    let software = format!("/getSoftwareInstallationStatus?computer_id=COMP-1&url={}", "http://a/");
    world.get(&software).expect(404);
    let supply = [("url", "http://a/"), ("computer_id", COMPUTER), ("state", "available")];
    world.post("/supplySupply", &supply).expect(200);
    world.post("/buildingSoftwareRelease", &supply[..2]).expect(200);
    assert_eq!(status(&world, &software, "text"), "#building software release http://a/");
}

#[test]
fn a_bang_reaches_the_tree_and_no_other() {
    for mode in [Mode::Proxy, Mode::Serve] {
        let world = World::empty(mode);
        world.format(COMPUTER, 3);
        world.request("root", &[], None).expect(200);
        let form = request_form("child", &[], None);
        let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let claim =
            [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart0")];
        world.post_with("/requestComputerPartition", &form, &claim).expect(200);
        world.request("other", &[], None).expect(200);
        let at = || ["slappart0", "slappart1", "slappart2"].map(|name| world.timestamp(name));
        let before = at();
        world.set_clock("2026-11-24T00:00:00Z");
        world.say("/softwareInstanceBang", "slappart1", &[("message", "wake up")]).expect(200);
        let after = at();
        assert_ne!(after[0], before[0]);
        assert_eq!((&after[0], &after[2]), (&after[1], &before[2]));
        world.set_clock("2026-11-25T00:00:00Z");
        let banged = world.post("/computerBang", &[("computer_id", COMPUTER), ("message", "all")]);
        assert_eq!(banged.expect(200).body, "<marshal><string></string></marshal>");
        let all = at();
        assert!(all[0] != after[0] && all[0] == all[2], "{all:?}");
        world.post("/computerBang", &[("computer_id", "COMP-9")]).expect(404);
    }
}

#[test]
fn computers_are_entered_by_their_titles() {
    let world = master(1);
    let title = [("computer_title", "My computer")];
    let entered = world.post("/requestComputer", &title).expect(200);
    assert_eq!(attribute(&entered.body, "_computer_id"), "COMP-2".into());
    let at = head(&world);
    assert_eq!(world.post("/requestComputer", &title).expect(200).body, entered.body);
    assert_eq!(events_after(&world, at), [] as [&str; 0]);
    world.post("/requestComputer", &[("computer_title", "")]).expect(400);
    world.format("COMP-2", 1);
    filtered(&world, "one", &[("computer_guid", "COMP-2")]).expect(200);
}

#[test]
fn products_and_trees_are_told() {
    let world = master(2);
    let path = "/getSoftwareReleaseListFromSoftwareProduct";
    let list = |query: &str| marshal::read(&world.get(&format!("{path}?{query}")).expect(200).body).unwrap();
    assert_eq!(list("software_product_reference=kvm"), Value::List(Vec::new()));
    for query in ["", "?software_product_reference=a&software_release_url=b"] {
        let seen = world.get(&format!("{path}{query}")).expect(400);
        assert!(seen.body.starts_with("software_product_reference: must be given"), "{seen:?}");
    }
    for n in [1, 2] {
        let release = format!("http://release/{n}");
        world.publish("kvm", &release);
    }
    let best_first = Value::List(vec!["http://release/2".into(), "http://release/1".into()]);
    assert_eq!(list("software_product_reference=kvm"), best_first);
    assert_eq!(list("software_release_url=http://release/1"), best_first);

    world.request("one", &[], None).expect(200);
    let addresses = "/getHostingSubscriptionIpList?computer_id=COMP-1&computer_partition_id=slappart0";
    let seen = marshal::read(&world.get(addresses).expect(200).body).unwrap();
    assert_eq!(seen, Value::List(vec![Value::Tuple(vec!["slaptap0".into(), "10.0.0.1".into()])]));
    assert_eq!(
        RELEASE,
        attribute(&world.request("one", &[], None).body, "slap_software_release_url").as_str().unwrap()
    );
}

#[test]
fn without_certificates_it_says_so() {
    let world = master(1);
    let form = [("computer_id", COMPUTER)];
    let seen = world.post("/generateComputerCertificate", &form).expect(404);
    assert_eq!(seen.body, "there are no certificates here: nobody needs one\n");
    world.post("/revokeComputerCertificate", &form).expect(404);
}
