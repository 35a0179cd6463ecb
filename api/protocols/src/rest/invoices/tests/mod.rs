mod given_back;
mod in_doubt;
mod on_demand;
mod ranked;

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::RunId;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::invoicing::{self, FinaliseError};

use crate::testing::kit::Kit;

fn prices() -> Value {
    json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
        "resources": [
            {"resource": "service_module/cpu_load_percent", "kind": "gauge", "meter": "time_integral", "unit": "percent_hour"},
            {"resource": "service_module/requests", "kind": "counter", "meter": "sum", "unit": "request"},
        ],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00", "match": {"instance_type": "production"}},
            {"kind": "per_unit", "resource": "service_module/cpu_load_percent", "price": "0.002"},
            {"kind": "per_unit", "resource": "service_module/requests", "price": "0.5"},
        ],
    })
}

fn usage(id: &str, resource: &str, quantity: &str, (start, stop): (&str, &str)) -> String {
    let event = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": "slappart0",
        "data": {"resource": resource, "quantity": quantity, "start": start, "stop": stop},
    });
    event.to_string()
}

/// October in which a customer has an instance from the 16th on, which uses something.
fn october() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let customer = kit.register("Nexedi", "UTC");
    let reply = kit.post_json("/v1/price-books", &prices());
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    kit.set("2026-10-16T00:00:00Z");
    kit.instance(customer, "shop");
    kit.started("slappart0");
    kit.set("2026-10-20T00:00:00Z");
    let lines = [
        usage("a", "service_module/cpu_load_percent", "50", ("2026-10-16T00:00:00Z", "2026-10-17T00:00:00Z")),
        usage("b", "service_module/requests", "7", ("2026-10-17T00:00:00Z", "2026-10-17T01:00:00Z")),
        usage("c", "service_module/requests", "1.5", ("2026-10-17T01:00:00Z", "2026-10-17T02:00:00Z")),
        usage("d", "service_module/requests", "NaN", ("2026-10-17T02:00:00Z", "2026-10-17T03:00:00Z")),
    ];
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", lines.join("\n"));
    assert_eq!(reply.json()["accepted"], 3, "{reply:?}");
    kit
}

/// What to do about suspended usage, and about usage that may be missing.
const RESOLVE: &str =
    "look at `slapledger usage suspended`, resolve or dismiss the reports, then refresh the run";
const LOOK_AT_GAPS: &str =
    "look at `slapledger usage gaps PERIOD`, and have the computers report what is missing";

fn run() -> Value {
    json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}})
}

#[test]
fn a_month_becomes_an_invoice_whose_lines_lead_back_to_the_log() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let opened = kit.post_json("/v1/invoice-runs", &run());
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    let opened = opened.json();
    let cut_off = opened["cut_off"].as_u64().expect("a sequence");
    let expected = json!({
        "id": "RUN-1", "state": "draft", "seller": "PARTY-1", "price_book": "standard",
        "period": {"start": "2026-10-01", "stop": "2026-11-01"},
        "reason": "period",
        "cut_off": cut_off, "opened_at": "2026-11-02T09:00:00Z", "finalise": false, "invoices": ["RUN-1-PARTY-2"],
        "decided": {"approved": 0, "held": 0, "undecided": 1},
        "warnings": [{"type": "suspended_usage", "events": 1,
                      "importance": "not_charged", "remedy": RESOLVE,
                      "message": "1 report of usage suspended, not charged until resolved"},
                     {"type": "silent_computer", "computer": "COMP-1", "hours": 358, "times": 1,
                      "first": {"start": "2026-10-17T02:00:00Z", "stop": "2026-11-01T00:00:00Z"},
                      "importance": "may_be_missing", "remedy": LOOK_AT_GAPS,
                      "message": "COMP-1: no usage was reported for 358 hours with instances allocated, \
                                  2026-10-17T02:00:00Z/2026-11-01T00:00:00Z"},
                     {"type": "silent_resources", "computer": "COMP-1", "hours": 24, "instances": 1,
                      "resources": ["service_module/cpu_load_percent", "service_module/requests"],
                      "first": {"start": "2026-10-16T00:00:00Z", "stop": "2026-10-17T00:00:00Z"},
                      "importance": "may_be_missing", "remedy": LOOK_AT_GAPS,
                      "message": "COMP-1: no service_module/cpu_load_percent, service_module/requests for 1 instance \
                                  in 24 hours, first in 2026-10-16T00:00:00Z/2026-10-17T00:00:00Z"}],
        "sequence": cut_off + 1,
    });
    assert_eq!(opened, expected, "{opened:#}");
    let draft = kit.get("/v1/invoices/RUN-1-PARTY-2").json();
    assert_eq!(
        (&draft["state"], &draft["sequence"], draft.get("issued_at")),
        (&json!("draft"), &json!(cut_off), None)
    );

    let finalised = kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "");
    assert_eq!(finalised.status, StatusCode::OK, "{finalised:?}");
    let finalised = finalised.json();
    assert_eq!((&finalised["state"], &finalised["invoices"]), (&json!("final"), &json!(["INV-2026-000001"])));
    let read = kit.get("/v1/invoices/INV-2026-000001");
    let invoice = read.json();
    // Half of a month of 31 days from the 16th on: 16/31 of 10.00; 50 percent for 24 hours; 8.5 requests.
    let amounts: Vec<_> = invoice["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (
                text("kind"),
                text("quantity"),
                text("unit"),
                text("unit_price"),
                text("amount"),
                line["events"]["count"].as_u64(),
            )
        })
        .collect();
    let line = |kind: &str, quantity: &str, unit: &str, price: &str, amount: &str, events| {
        let [kind, quantity, unit, price, amount] = [kind, quantity, unit, price, amount].map(str::to_owned);
        (kind, quantity, unit, price, amount, Some(events))
    };
    assert_eq!(
        amounts,
        [
            line("recurring", "0.516129032", "month", "10.00", "5.16", 2),
            line("usage", "1200", "percent_hour", "0.002", "2.40", 1),
            line("usage", "8.5", "request", "0.50", "4.25", 2),
        ],
        "{invoice:#}"
    );
    assert_eq!(
        [
            &invoice["seller"],
            &invoice["buyer"],
            &invoice["net"],
            &invoice["total"],
            &invoice["rounding"],
            &invoice["tax"]
        ],
        [
            &json!({"party": "PARTY-1", "name": "local user"}),
            &json!({"party": "PARTY-2", "name": "Nexedi"}),
            &json!("11.81"),
            &json!("11.81"),
            &json!("0.00"),
            &json!([{"category": "O", "rate": "0", "base": "11.81", "amount": "0.00"}]),
        ]
    );
    assert_eq!(
        (&invoice["issued_at"], &invoice["due_at"]),
        (&json!("2026-11-02T09:00:00Z"), &json!("2026-12-02T09:00:00Z"))
    );
    let tag = read.headers["etag"].to_str().expect("a tag").to_owned();
    let unchanged = kit.send(
        axum::http::Request::get("/v1/invoices/INV-2026-000001")
            .header("if-none-match", &tag)
            .body(axum::body::Body::empty())
            .expect("a request"),
    );
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));

    // What the line says of its events is true of the events.
    for line in invoice["lines"].as_array().expect("lines") {
        let behind = kit.get(&format!("/v1/invoices/INV-2026-000001/lines/{}/events", line["n"])).json();
        assert_eq!(behind["events"], line["events"]);
        let items = behind["items"].as_array().expect("a list");
        let sequences: Vec<u64> = items.iter().filter_map(|item| item["sequence"].as_u64()).collect();
        let mut hasher = Sha256::new();
        for sequence in &sequences {
            hasher.update(sequence.to_be_bytes());
        }
        let digest = format!("{:x}", hasher.finalize());
        let told = &line["events"];
        assert_eq!(
            (json!(sequences.len()), json!(sequences.first()), json!(sequences.last()), json!(digest)),
            (
                told["count"].clone(),
                told["first_sequence"].clone(),
                told["last_sequence"].clone(),
                told["digest"].clone()
            )
        );
    }
    let behind = kit.get("/v1/invoices/INV-2026-000001/lines/3/events?limit=1").json();
    let first = behind["items"][0].clone();
    let expected = json!({
        "sequence": first["sequence"], "type": "UsageRecorded", "recorded_at": "2026-10-20T00:00:00Z", "source": "COMP-1",
        "id": "b", "subject": "slappart0", "resource": "service_module/requests", "quantity": "7",
        "start": "2026-10-17T00:00:00Z", "stop": "2026-10-17T01:00:00Z",
    });
    assert_eq!(first, expected);
    let next = behind["next"].as_str().expect("there is another");
    let rest = kit.get(&format!("/v1/invoices/INV-2026-000001/lines/3/events?cursor={next}")).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!("c"), &Value::Null));
    let fee = kit.get("/v1/invoices/INV-2026-000001/lines/1/events").json();
    let kinds: Vec<_> = fee["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| (&item["type"], &item["stream"]))
        .collect();
    assert_eq!(
        kinds,
        [
            (&json!("InstanceRequested"), &json!("instance/SOFTINST-1")),
            (&json!("InstanceAllocated"), &json!("instance/SOFTINST-1")),
        ]
    );
}

#[test]
fn a_run_can_be_opened_and_made_final_in_one_request() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let body = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true, "price_book": "standard"});
    let reply = kit.post_with(
        "/v1/invoice-runs",
        &[("content-type", "application/json"), ("idempotency-key", "october")],
        body.to_string(),
    );
    assert_eq!((reply.status, &reply.json()["state"]), (StatusCode::CREATED, &json!("final")), "{reply:?}");
    let head = kit.ctx.ledger().head().last;
    let again = kit.post_with(
        "/v1/invoice-runs",
        &[("content-type", "application/json"), ("idempotency-key", "october")],
        body.to_string(),
    );
    assert_eq!((again.status, again.json()), (StatusCode::CREATED, reply.json()));
    assert_eq!(kit.ctx.ledger().head().last, head);
    // A second run finds the time invoiced: no draft, and a warning that says so.
    let second = kit.post_json("/v1/invoice-runs", &run()).json();
    assert_eq!(second["invoices"], json!([]));
    assert_eq!(second["warnings"][1]["type"], "invoiced", "{second:#}");
    let lists =
        [("", 1), ("?state=final", 1), ("?state=draft", 0), ("?payer=PARTY-2", 1), ("?payer=PARTY-1", 0)];
    for (query, count) in lists {
        let list = kit.get(&format!("/v1/invoices{query}")).json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(count), "{query}");
    }
    let runs = kit.get("/v1/invoice-runs?limit=1").json();
    assert_eq!((&runs["items"][0]["id"], &runs["next"]), (&json!("RUN-1"), &json!("RUN-1")));
    let rest = kit.get("/v1/invoice-runs?cursor=RUN-1").json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!("RUN-2"), &Value::Null));
}

#[test]
fn a_period_that_is_not_over_has_drafts_only() {
    let kit = october();
    kit.set("2026-10-31T23:59:59Z");
    let opened = kit.post_json("/v1/invoice-runs", &run()).json();
    assert_eq!(opened["invoices"], json!(["RUN-1-PARTY-2"]));
    let told = kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "{}").problem();
    let early = "was drafted before its period ended at 2026-11-01T00:00:00Z; refresh it after that";
    assert_eq!(told, (409, Some("period".into()), format!("RUN-1 {early}")));
    let both = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
    let told = kit.post_json("/v1/invoice-runs", &both).problem();
    assert_eq!(told, (409, Some("period".into()), format!("RUN-2 {early}")));
    assert_eq!(kit.get("/v1/invoices?state=draft").json()["items"].as_array().map(Vec::len), Some(2));
    // Nobody has anything to pay for it, and it is not over all the same.
    let future = json!({"period": {"start": "2027-01-01", "stop": "2027-02-01"}, "finalise": true});
    let told = kit.post_json("/v1/invoice-runs", &future).problem();
    assert_eq!((told.0, told.1.as_deref()), (409, Some("period")));
    // Time passes, and what was opened too early stays so; one opened now becomes final, once.
    kit.set("2026-11-01T00:00:00Z");
    assert_eq!(
        kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "{}").status,
        StatusCode::CONFLICT
    );
    for n in [4, 5] {
        assert_eq!(kit.post_json("/v1/invoice-runs", &run()).json()["id"], format!("RUN-{n}"));
    }
    let done = kit.post("/v1/invoice-runs/RUN-4/finalise", "application/json", "{}");
    assert_eq!(done.json()["invoices"], json!(["INV-2026-000001"]));
    let told = kit.post("/v1/invoice-runs/RUN-5/finalise", "application/json", "{}").problem();
    assert_eq!((told.0, &*told.2), (409, "INV-2026-000001 already covers part of this period"));
}

#[test]
fn bad_requests_about_invoices_name_the_member() {
    let kit = october();
    let period = |start: &str, stop: &str| json!({"period": {"start": start, "stop": stop}});
    let bound = "must be a day such as 2026-10-01, or an RFC 3339 instant with its offset";
    let mut named = run();
    named["price_book"] = json!("other");
    let mut other = run();
    other["finalize"] = json!(true);
    let mut flag = run();
    flag["finalise"] = json!("yes");
    let mut more = run();
    more["period"]["step"] = json!("month");
    let rows = [
        (
            json!({}),
            400,
            Some("period"),
            "is missing; a month such as 2026-10 is one, or name `payers`".to_owned(),
        ),
        (json!({"period": 7}), 400, Some("period"), "must be a string or an object, not a number".into()),
        (json!({"period": {"start": "2026-10-01"}}), 400, Some("period.stop"), "is missing".into()),
        (period("2026-10-01T00:00:00", "2026-11-01"), 400, Some("period.start"), bound.into()),
        (period("2026-10-01", "2026-10-32"), 400, Some("period.stop"), bound.into()),
        (period("2026-10-01", "2026-10-01"), 400, Some("period"), "period must stop after it starts".into()),
        (named, 404, Some("price_book"), "there is no price book other".into()),
        (other, 400, Some("finalize"), "is not a field here".into()),
        (flag, 400, Some("finalise"), "must be true or false, not a string".into()),
        (more, 400, Some("period.step"), "is not a field here".into()),
    ];
    for (body, status, field, detail) in rows {
        let problem = kit.post_json("/v1/invoice-runs", &body).problem();
        assert_eq!(problem, (status, field.map(str::to_owned), detail), "{body}");
    }
    let malformed = kit.post("/v1/invoice-runs", "application/json", "{").problem();
    assert_eq!(
        malformed,
        (400, None, "the body is not JSON: EOF while parsing an object at line 1 column 1".into())
    );
    let rows = [
        ("/v1/invoices/INV-2026-000009", 404, None, "there is no invoice INV-2026-000009"),
        ("/v1/invoices/INV-2026-000009/lines/1/events", 404, None, "there is no invoice INV-2026-000009"),
        ("/v1/invoice-runs/RUN-9", 404, None, "there is no invoice run RUN-9"),
        ("/v1/invoice-runs/nine", 404, None, "there is no invoice run nine"),
        (
            "/v1/invoices?state=withdrawn",
            400,
            Some("state"),
            "must be draft, final, open, partly_credited, credited, void or paid",
        ),
        (
            "/v1/invoices?period=2026-1",
            400,
            Some("period"),
            "must be a month such as 2026-10, or START/STOP with two days or two RFC 3339 instants, such as \
             2026-10-01/2026-11-01",
        ),
        ("/v1/invoices?payer=7", 400, Some("payer"), "must look like PARTY-1"),
        ("/v1/invoices?cursor=x", 400, Some("cursor"), "must be the next of an earlier answer"),
    ];
    for (path, status, field, detail) in rows {
        let problem = kit.get(path).problem();
        assert_eq!(problem, (status, field.map(str::to_owned), detail.to_owned()), "{path}");
    }
    assert_eq!(kit.post("/v1/invoice-runs/RUN-9/finalise", "application/json", "").problem().0, 404);
    kit.post_json("/v1/invoice-runs", &run());
    for n in ["0", "9", "x"] {
        let problem = kit.get(&format!("/v1/invoices/RUN-1-PARTY-2/lines/{n}/events")).problem();
        assert_eq!((problem.0, &*problem.2), (404, &*format!("RUN-1-PARTY-2 has no line {n}")));
    }
}

/// Two operators press the button at the same time.
#[test]
fn finalised_twice_at_once_it_is_one_set_of_invoices() {
    let kit = october();
    for n in 0..8 {
        let payer = kit.register(&format!("customer {n}"), "UTC");
        let computer = format!("COMP-{}", n + 2);
        kit.computer(&computer, "UTC");
        kit.instance(payer, "it");
    }
    kit.set("2026-11-02T09:00:00Z");
    assert_eq!(kit.post_json("/v1/invoice-runs", &run()).status, StatusCode::CREATED);
    let actor = slapledger_usecases::caller::actor_of_party(FIRST_PARTY);
    let finalise = || {
        let ctx = Arc::clone(&kit.ctx);
        let actor = actor.clone();
        std::thread::spawn(move || {
            invoicing::finalise_blocking(&ctx, &actor, RunId(1)).expect("it becomes final")
        })
    };
    let both: Vec<_> =
        [finalise(), finalise()].into_iter().map(|thread| thread.join().expect("no panic")).collect();
    assert_eq!(both[0].invoices, both[1].invoices);
    let mut numbers: Vec<String> = both[0].invoices.iter().map(ToString::to_string).collect();
    numbers.sort();
    let expected: Vec<String> = (1..=9).map(|n| format!("INV-2026-{n:06}")).collect();
    assert_eq!(numbers, expected);
    let head = kit.ctx.ledger().head();
    let again = invoicing::finalise_blocking(&kit.ctx, &actor, RunId(1)).expect("it is final");
    assert_eq!((again.invoices, kit.ctx.ledger().head()), (both[0].invoices.clone(), head));
    let unknown = invoicing::finalise_blocking(&kit.ctx, &actor, RunId(7));
    assert!(matches!(unknown, Err(FinaliseError::Submit(_))), "{unknown:?}");
}

#[test]
fn an_erased_name_reads_so_and_the_document_stays() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let mut body = run();
    body["finalise"] = json!(true);
    assert_eq!(kit.post_json("/v1/invoice-runs", &body).status, StatusCode::CREATED);
    let key = kit.ctx.billing_now(|view| {
        view.billing.document("INV-2026-000001").expect("it is there").invoice.buyer.name.key
    });
    kit.ctx.keys().destroy(key.expect("a view")).expect("destroyed");
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!((&invoice["buyer"]["name"], &invoice["total"]), (&json!("(erased)"), &json!("11.81")));
}

#[test]
fn price_books_are_published_once_and_shown_as_they_are_read() {
    let kit = Kit::new("2026-09-20T00:00:00Z", "UTC");
    let published = kit.post_json("/v1/price-books", &prices());
    let sequence = published.json()["sequence"].clone();
    assert_eq!(
        (published.status, published.json()),
        (StatusCode::CREATED, json!({"name": "standard", "version": 1, "sequence": sequence}))
    );
    let again = kit.post_json("/v1/price-books", &prices());
    assert_eq!((again.status, again.json()), (StatusCode::OK, published.json()));
    let toml = slapledger_fixtures::STANDARD_PRICES;
    let headers = [("content-type", "application/toml"), ("idempotency-key", "second")];
    let second = kit.post_with("/v1/price-books", &headers, toml);
    assert_eq!((second.status, &second.json()["version"]), (StatusCode::CREATED, &json!(2)));
    let repeated = kit.post_with("/v1/price-books", &headers, toml);
    assert_eq!((repeated.status, repeated.json()), (StatusCode::CREATED, second.json()));

    let shown = kit.get("/v1/price-books/standard?version=1").json();
    for member in ["name", "currency", "valid_from", "rounding", "resources"] {
        assert_eq!(shown[member], prices()[member], "{member}");
    }
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(2));
    let list = kit.get("/v1/price-books").json();
    assert_eq!((&list["items"][0]["version"], &list["next"]), (&json!(2), &Value::Null));

    let change = |pointer: &str, value: Value| {
        let mut book = prices();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        book.pointer_mut(parent).expect(parent)[name] = value;
        book
    };
    let rows = [
        (
            change("/colour", json!("red")),
            400,
            "colour",
            "is not a field here; there are name, currency, valid_from, rounding, on_change, tax, on_tax_change, zero_invoices, threshold, resources, rates",
        ),
        (
            change("/rates/0/price", json!(10)),
            400,
            "rates[0].price",
            "must be a string such as \"10.00\": a number could lose digits",
        ),
        (
            change("/rates/1/resource", json!("other")),
            400,
            "rates[1].resource",
            "other is not declared in resources",
        ),
        (change("/currency", json!("XXX")), 400, "currency", "must be an ISO 4217 currency code such as EUR"),
        (
            change("/currency", json!("USD")),
            409,
            "currency",
            "price book standard is in EUR: its currency cannot change",
        ),
    ];
    for (book, status, field, detail) in rows {
        let problem = kit.post_json("/v1/price-books", &book).problem();
        assert_eq!(problem, (status, Some(field.into()), detail.into()), "{book}");
    }
    let toml = kit.post("/v1/price-books", "application/toml", "name = 'x'\ncolour = 'red'\n").problem();
    assert_eq!((toml.0, toml.1.as_deref()), (400, Some("colour")));
    assert!(toml.2.starts_with("line 2, column 1: is not a field here"), "{}", toml.2);
    let other = kit.post("/v1/price-books", "text/plain", "x").problem();
    assert_eq!(
        (other.0, &*other.2),
        (415, "the body must be application/json or application/toml, in UTF-8")
    );
    assert_eq!(kit.get("/v1/price-books/gold").problem().2, "there is no price book gold");
    assert_eq!(
        kit.get("/v1/price-books/standard?version=9").problem().2,
        "price book standard has no version 9"
    );
    assert_eq!(kit.get("/v1/price-books/standard?version=0").problem().1.as_deref(), Some("version"));
}
