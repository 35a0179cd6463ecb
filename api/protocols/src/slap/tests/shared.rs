//! Shared instances, from the request to the node of their host, as slapos proxy and as a master.

use slapledger_core::domain::event::Mode;
use slapledger_slap_wire::marshal::Value;

use super::{attribute, dumps, events_after, head};
use crate::testing::world::{COMPUTER, Seen, World, request_form};

fn share(world: &World, name: &str, parameters: &[(&str, &str)], state: Option<&str>) -> Seen {
    shared_from(world, name, parameters, state, &[])
}

fn shared_from(
    world: &World,
    name: &str,
    parameters: &[(&str, &str)],
    state: Option<&str>,
    headers: &[(&str, &str)],
) -> Seen {
    let yes = dumps(&Value::Bool(true));
    let form = request_form(name, parameters, state);
    let form: Vec<_> = form
        .iter()
        .map(|(key, value)| (*key, if *key == "shared_xml" { yes.as_str() } else { value.as_str() }))
        .collect();
    world.post_with("/requestComputerPartition", &form, headers)
}

/// What the host in a partition is told of those that live on it.
fn told(world: &World, partition: &str) -> Vec<Value> {
    let parameters = world.attribute(partition, "_parameter_dict");
    parameters.get("slave_instance_list").and_then(Value::as_items).map(<[Value]>::to_vec).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("(nothing)").to_owned()
}

fn publish(world: &World, partition: &str, reference: &str, url: &str) -> Seen {
    let xml = dumps(&Value::dict([("url", Value::from(url))]));
    let form = [("connection_xml", xml.as_str()), ("slave_reference", reference)];
    world.say("/setComputerPartitionConnectionXml", partition, &form)
}

#[test]
fn a_shared_instance_lives_on_its_host() {
    let world = World::proxy(2);
    let nobody = share(&world, "site", &[("url", "http://a/")], None).expect(404);
    assert_eq!(nobody.body, "there is no free partition for instance site\n");
    world.request("host", &[], None).expect(200);
    let before = world.timestamp("slappart0");
    let seen = share(&world, "site", &[("url", "http://a/")], None).expect(200);
    assert_eq!(attribute(&seen.body, "slap_computer_partition_id"), "slappart0".into());
    assert_eq!(attribute(&seen.body, "_parameter_dict").get("url"), Some(&"http://a/".into()));
    assert_eq!(attribute(&seen.body, "_connection_dict"), Value::Dict(Vec::new()));
    assert_ne!(world.timestamp("slappart0"), before, "its host gets to know");
    let list = told(&world, "slappart0");
    assert_eq!(list.len(), 1);
    for (key, expected) in [
        ("slave_title", "_site"),
        ("slave_reference", "_site"),
        ("slap_software_type", "default"),
        ("url", "http://a/"),
    ] {
        assert_eq!(text(&list[0], key), expected, "{key}");
    }

    let before = world.timestamp("slappart0");
    share(&world, "site", &[("url", "http://a/")], None).expect(200);
    assert_eq!(world.timestamp("slappart0"), before, "the same request");
    share(&world, "site", &[("url", "http://b/")], None).expect(200);
    assert_ne!(world.timestamp("slappart0"), before, "other parameters");
    assert_eq!(text(&told(&world, "slappart0")[0], "url"), "http://b/");

    publish(&world, "slappart0", "_site", "https://site/").expect(200);
    let unknown = publish(&world, "slappart0", "_other", "https://site/").expect(404);
    assert_eq!(unknown.body, "there is no shared instance _other\n");
    let seen = share(&world, "site", &[("url", "http://b/")], None).expect(200);
    assert_eq!(attribute(&seen.body, "_connection_dict").get("url"), Some(&"https://site/".into()));
    let of_host = world.attribute("slappart0", "_connection_dict");
    assert_eq!(of_host, Value::Dict(Vec::new()), "the host's own is another");

    // One of the same title in a partition of its own is another instance.
    world.request("site", &[], None).expect(200);
    let error = [("error_log", "no"), ("slave_reference", "_site")];
    world.say("/softwareInstanceError", "slappart0", &error).expect(200);
    assert_eq!(world.instance(2)["reported_state"], "error");

    let before = world.timestamp("slappart0");
    share(&world, "site", &[("url", "http://b/")], Some("destroyed")).expect(200);
    assert_eq!(told(&world, "slappart0"), []);
    assert_ne!(world.timestamp("slappart0"), before);
    assert_eq!(world.instance(2)["state"], "destroyed");
    // A parent that keeps it destroyed asks again at each of its runs.
    let before = head(&world);
    let seen = share(&world, "site", &[], Some("destroyed")).expect(200);
    assert_eq!(attribute(&seen.body, "_requested_state"), "destroyed".into());
    assert_eq!(head(&world), before);
}

#[test]
fn one_that_was_requested_in_a_tree_is_called_by_it_and_goes_with_its_host() {
    let world = World::proxy(2);
    world.request("host", &[], None).expect(200);
    let claim = [("authorization", "X-SlapPartition computer_id=COMP-1, computer_partition_id=slappart0")];
    shared_from(&world, "site", &[], None, &claim).expect(200);
    assert_eq!(text(&told(&world, "slappart0")[0], "slave_reference"), "host_site");
    let rename = [("new_name", "better"), ("slave_reference", "host_site")];
    world.say("/softwareInstanceRename", "slappart0", &rename).expect(200);
    assert_eq!(text(&told(&world, "slappart0")[0], "slave_title"), "host_better");
    world.say("/softwareInstanceRename", "slappart0", &[("new_name", "root")]).expect(200);
    assert_eq!(text(&told(&world, "slappart0")[0], "slave_title"), "root_better");
    let taken = world.request("root", &[], None).expect(200);
    assert_eq!(attribute(&taken.body, "slap_computer_partition_id"), "slappart0".into());

    // It is a child of its host, and goes before it.
    world.request("root", &[], Some("destroyed")).expect(200);
    let at = head(&world);
    let waits = world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200).body;
    assert_eq!(waits, "OK");
    let happened = events_after(&world, at);
    assert!(happened.contains(&"InstanceEnded"), "{happened:?}");
    world.say("/destroyedComputerPartition", "slappart0", &[]).expect(200);
    assert_eq!(world.instance(1)["state"], "destroyed");
    assert_eq!(world.instance(2)["state"], "destroyed");
}

#[test]
fn a_master_lets_it_wait_for_a_host_and_names_it_by_its_id() {
    let world = World::empty(Mode::Serve);
    world.format(COMPUTER, 2);
    share(&world, "site", &[("url", "http://a/")], None).expect(408);
    world.request("host", &[], None).expect(200);
    let seen = share(&world, "site", &[("url", "http://a/")], None).expect(200);
    assert_eq!(attribute(&seen.body, "_instance_guid"), "SOFTINST-1".into());
    let list = told(&world, "slappart0");
    assert_eq!(
        (text(&list[0], "slave_title"), text(&list[0], "slave_reference")),
        ("site".into(), "SOFTINST-1".into())
    );
    publish(&world, "slappart0", "SOFTINST-1", "https://site/").expect(200);
    assert_eq!(text(&told(&world, "slappart0")[0], "url"), "https://site/", "its host sees it published");
    share(&world, "site", &[("url", "http://a/")], Some("stopped")).expect(200);
    assert_eq!(told(&world, "slappart0"), [], "a host is told of what is to run");
}
