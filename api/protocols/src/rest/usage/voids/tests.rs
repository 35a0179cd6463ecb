use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_usecases::due_usage;

use crate::testing::kit::Kit;

const BATCH: &str = "application/cloudevents-batch+json";

fn book() -> Value {
    json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "count", "unit": "request"}],
        "rates": [{"kind": "per_unit", "resource": "requests", "price": "0.5"}],
    })
}

/// A customer with an instance in slappart0 since 1 October; it is the fourth.
fn kit() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    assert_eq!(kit.post_json("/v1/price-books", &book()).status, StatusCode::CREATED);
    kit.set("2026-10-01T00:00:00Z");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-10-04T00:00:00Z");
    kit
}

fn usage(id: &str, day: u8) -> Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": "slappart0",
        "data": {"resource": "requests", "quantity": "1", "start": format!("2026-10-0{day}T00:00:00Z"),
                 "stop": format!("2026-10-0{day}T01:00:00Z")},
    })
}

fn void(id: &str, voids: &str) -> Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage.void", "source": "COMP-1", "id": id,
        "data": {"voids": voids, "reason": "sent by mistake"},
    })
}

fn post(kit: &Kit, events: &Value) -> Value {
    kit.post("/v1/usage-events", BATCH, events.to_string()).json()
}

fn void_by_route(kit: &Kit, computer: &str, id: &str) -> Value {
    kit.post_json("/v1/usage-voids", &json!({"computer": computer, "id": id, "reason": "by mistake"})).json()
}

fn invoice(kit: &Kit, period: &str) -> Value {
    let body = json!({"period": period, "finalise": true});
    let run = kit.post_json("/v1/invoice-runs", &body).json();
    let id = run["invoices"][0].as_str().unwrap_or_else(|| panic!("{run:#}")).to_owned();
    kit.get(&format!("/v1/invoices/{id}")).json()
}

#[test]
fn a_void_event_counts_in_no_meter() {
    let kit = kit();
    let told = post(&kit, &json!([usage("a", 1), void("v", "a"), usage("b", 2)]));
    assert_eq!((&told["accepted"], &told["voided"], &told["rejected"]), (&json!(2), &json!(1), &json!(0)));
    let outcome = json!([{"index": 1, "id": "v", "outcome": "voided", "sequence": told["sequence"]}]);
    assert_eq!(told["outcomes"], outcome);
    let again = post(&kit, &json!([usage("a", 1), void("v", "a")]));
    assert_eq!((&again["duplicates"], &again["accepted"]), (&json!(2), &json!(0)), "{again:#}");
    kit.set("2026-11-02T00:00:00Z");
    let invoice = invoice(&kit, "2026-10");
    assert_eq!(
        (&invoice["lines"][0]["quantity"], &invoice["net"]),
        (&json!("1"), &json!("0.50")),
        "{invoice:#}"
    );
}

#[test]
fn what_cannot_be_a_void_names_the_member() {
    let kit = kit();
    let mut bad = void("v", "a");
    bad["data"]["quantity"] = json!("1");
    let mut blank = void("w", "a");
    blank["data"]["reason"] = json!(" ");
    let mut mixed = usage("x", 1);
    mixed["data"]["voids"] = json!("a");
    let told = post(&kit, &json!([bad, blank, mixed, void("y", "nobody")]));
    let fields: Vec<_> =
        told["outcomes"].as_array().expect("a list").iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["data.quantity", "data.reason", "data.voids", "data.voids"], "{told:#}");
    assert_eq!(told["outcomes"][3]["outcome"], "conflict");
}

#[test]
fn a_late_void_adjusts_the_invoice() {
    let kit = kit();
    post(&kit, &json!([usage("a", 1), usage("b", 2)]));
    kit.set("2026-11-02T00:00:00Z");
    assert_eq!(invoice(&kit, "2026-10")["net"], "1.00");
    let told = void_by_route(&kit, "COMP-1", "a");
    assert_eq!((&told["outcome"], &told["id"]), (&json!("voided"), &json!("a")), "{told:#}");
    assert_eq!(void_by_route(&kit, "COMP-1", "a")["outcome"], "duplicate");
    kit.set("2026-12-02T00:00:00Z");
    let later = invoice(&kit, "2026-11");
    let line = &later["lines"][0];
    assert_eq!((&line["kind"], &line["amount"]), (&json!("adjustment"), &json!("0.50")), "{later:#}");
    assert_eq!(later["document"], "credit_note");
    // It rests on the void, which the explanation shows.
    assert_eq!(line["events"]["count"], 1, "{later:#}");
    let path = format!("/v1/invoices/{}/lines/1/explanation", later["id"].as_str().expect("an id"));
    let why = kit.get(&path).json();
    let behind = &why["items"][0];
    let expected = (&json!("UsageVoided"), &json!("a"), &json!("by mistake"));
    assert_eq!((&behind["type"], &behind["id"], &behind["reason"]), expected, "{why:#}");
}

#[test]
fn what_is_voided_must_be_there() {
    let kit = kit();
    post(&kit, &json!([usage("a", 1)]));
    let void = |body: Value| kit.post_json("/v1/usage-voids", &body).problem();
    let (status, field, _) = void(json!({"computer": "COMP-1", "id": "z", "reason": "r"}));
    assert_eq!((status, field.as_deref()), (404, Some("id")));
    let (status, ..) = void(json!({"computer": "COMP-9", "id": "a", "reason": "r"}));
    assert_eq!(status, 404);
    let (status, field, _) = void(json!({"computer": "COMP-1", "id": "a", "reason": ""}));
    assert_eq!((status, field.as_deref()), (400, Some("reason")));
}

#[test]
fn a_node_voids_movements_in_tioxml() {
    let kit = kit();
    let document = |category: &str| {
        format!(
            "<journal><transaction type=\"Sale Packing List\"><title>Resource consumptions</title>\
             <start_date>2026-10-02 00:00:00</start_date><stop_date>2026-10-02 23:59:59</stop_date>\
             <reference>2026-10-02-global</reference><currency/><payment_mode/>{category}\
             <arrow type=\"Destination\"/><movement><resource>requests</resource><title>n</title>\
             <reference>slappart0</reference><quantity>3</quantity><price>0.0</price><VAT/><category/></movement>\
             </transaction></journal>"
        )
    };
    let post =
        |body: String| kit.post("/usage_report_module/?computer=COMP-1", "application/xml", body).json();
    assert_eq!(post(document("<category/>"))["accepted"], 1);
    let told = post(document("<category>void</category>"));
    assert_eq!(
        (&told["voided"], &told["accepted"], &told["rejected"]),
        (&json!(1), &json!(0), &json!(0)),
        "{told:#}"
    );
    let usage = "/v1/usage?instance=SOFTINST-1&period=2026-10-02/2026-10-03";
    assert_eq!(kit.get(usage).json()["resources"][0]["steps"][0]["events"], 0, "{:#}", kit.get(usage).json());
    // A later revision is metered anew.
    let revised = document("<category/>").replace("<quantity>3", "<quantity>4");
    assert_eq!(post(revised)["accepted"], 1);
}

#[test]
fn the_sender_of_an_undeclared_resource_is_told() {
    let kit = kit();
    let mut other = usage("b", 2);
    other["data"]["resource"] = json!("gpu_hours");
    let told = post(&kit, &json!([usage("a", 1), other]));
    let outcome = &told["outcomes"][0];
    assert_eq!(
        (&told["accepted"], told["outcomes"].as_array().map(Vec::len)),
        (&json!(2), Some(1)),
        "{told:#}"
    );
    let named = (&outcome["index"], &outcome["outcome"], &outcome["field"]);
    assert_eq!(named, (&json!(1), &json!("accepted"), &json!("data.resource")));
    assert!(outcome["notice"].as_str().is_some_and(|notice| notice.contains("gpu_hours")), "{told:#}");
}

#[test]
fn usage_from_the_future_is_accepted_when_its_time_has_come() {
    let kit = kit();
    let told = post(&kit, &json!([usage("a", 6)]));
    assert_eq!(told["outcomes"][0]["outcome"], "suspended", "{told:#}");
    let look = || kit.block_on(due_usage::look(&kit.ctx)).expect("it is not refused");
    let waiting = || kit.get("/v1/usage-suspense").json()["items"].as_array().map(Vec::len);
    look();
    assert_eq!(waiting(), Some(1));
    kit.set("2026-10-06T01:00:00Z");
    look();
    assert_eq!(waiting(), Some(0));
    assert_eq!(post(&kit, &json!([usage("a", 6)]))["duplicates"], 1);
    kit.set("2026-11-02T00:00:00Z");
    assert_eq!(invoice(&kit, "2026-10-01/2026-11-01")["net"], "0.50");
}
