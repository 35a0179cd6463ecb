//! Every read as of an earlier event answers what it answered then.

use axum::http::header;
use serde_json::{Value, json};
use slapledger_core::domain::id::PartyId;

use crate::testing::kit::{Kit, Reply};

/// What stands for the names in the paths of reads: things that there are at some time, and things that there are not.
const NAMES: [(&str, &[&str]); 22] = [
    ("/v1/computers/{id}", &["COMP-1", "COMP-9"]),
    ("/v1/instances/{id}", &["SOFTINST-1", "SOFTINST-9"]),
    ("/v1/instance-trees/{id}", &["SOFTINST-1"]),
    ("/computer_module/{id}", &["COMP-1"]),
    ("/software_instance_module/{id}", &["SOFTINST-1"]),
    ("/instance_tree_module/{id}", &["SOFTINST-1"]),
    ("/v1/catalogue/{entry}", &["software:ERP5", "nothing"]),
    ("/v1/price-books/{name}", &["standard"]),
    ("/v1/price-books/{name}/overrides", &["standard"]),
    ("/v1/invoice-runs/{id}", &["RUN-1"]),
    ("/v1/invoice-runs/{id}/diff", &["RUN-1"]),
    ("/v1/invoice-runs/{id}/drafts", &["RUN-1"]),
    ("/v1/invoices/{id}", &["RUN-1-0001", "INV-2026-000001"]),
    ("/v1/invoices/{id}/explanation", &["RUN-1-0001", "INV-2026-000001"]),
    ("/v1/invoices/{id}/lines/{n}/events", &["INV-2026-000001"]),
    ("/v1/invoices/{id}/lines/{n}/explanation", &["INV-2026-000001"]),
    ("/v1/parties/{id}", &["PARTY-2"]),
    ("/v1/parties/{id}/top-up", &["PARTY-2"]),
    ("/v1/parties/{id}/credit-forecast", &["PARTY-2"]),
    ("/v1/credits/{id}", &["CREDIT-1"]),
    ("/v1/charges/{id}", &["CHARGE-1"]),
    ("/v1/accounts/{id}", &["Assets:Receivable:PARTY-2", "nothing"]),
];

/// The addresses of all reads that take `as_of`, each with things that there are and things that there are not.
fn reads(kit: &Kit) -> Vec<String> {
    let document = kit.get("/openapi.json").json();
    let takes = |operation: &Value| {
        let parameters = operation["parameters"].as_array().expect("parameters");
        parameters.iter().any(|parameter| parameter["name"] == "as_of")
    };
    let paths = document["paths"].as_object().expect("paths");
    let of_past = paths.iter().filter(|(_, methods)| methods.get("get").is_some_and(takes));
    let mut addresses = Vec::new();
    for (path, _) in of_past {
        match NAMES.iter().find(|(known, _)| known == path) {
            Some((_, names)) => addresses.extend(
                names
                    .iter()
                    .map(|name| path.replace("{id}", name).replace("{name}", name).replace("{n}", "1")),
            ),
            // Credentials are of a master with sign-in.
            None if path == "/v1/credentials/{id}" => {}
            None if path.contains('{') => panic!("{path}: what stands for its names?"),
            None => addresses.push(path.clone()),
        }
    }
    let periods = ["/v1/usage-gaps", "/v1/usage-gap-counts", "/v1/revenue?by=customer", "/v1/invoice-drafts"];
    let period = |path: &&str| {
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}period=2026-10-01/2026-11-01")
    };
    addresses.extend(periods.iter().map(period));
    addresses.push("/v1/usage?instance=SOFTINST-1&resource=requests&period=2026-10-01/2026-11-01".to_owned());
    addresses.push("/v1/events?order=newest".to_owned());
    addresses.push("/v1/invoices/INV-2026-000001?".to_owned());
    addresses
}

fn as_of(path: &str, point: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}as_of={point}")
}

fn usage(id: &str, quantity: &str, hour: u32) -> String {
    let event = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": id, "subject": "slappart0",
        "data": {
            "resource": "requests", "quantity": quantity,
            "start": format!("2026-10-17T{hour:02}:00:00Z"), "stop": format!("2026-10-17T{:02}:00:00Z", hour + 1),
        },
    });
    event.to_string()
}

/// The sequence that an answer reflects. A problem names the newest one, whatever is asked for.
fn sequence(reply: &Reply) -> Option<&str> {
    let told = reply.headers.get("slapledger-sequence").filter(|_| reply.status.is_success());
    told.and_then(|told| told.to_str().ok())
}

fn sent(reply: &Reply) {
    assert!(reply.status.is_success(), "{reply:?}");
}

/// What happens at a time.
type Step = (&'static str, Box<dyn Fn(&Kit)>);

/// What happens, one after the other, each at a time of its own.
fn steps() -> Vec<Step> {
    let book = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [{"kind": "per_unit", "resource": "requests", "price": "0.5"}],
    });
    let credit = json!({"customer": "PARTY-2", "amount": "20.00", "currency": "EUR", "description": "paid"});
    let charge =
        json!({"customer": "PARTY-2", "amount": "2.00", "currency": "EUR", "description": "a visit"});
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}});
    vec![
        (
            "2026-09-20T00:00:00Z",
            Box::new(|kit| {
                kit.register("Nexedi", "Europe/Paris");
            }),
        ),
        ("2026-09-21T00:00:00Z", Box::new(move |kit| sent(&kit.post_json("/v1/price-books", &book)))),
        ("2026-10-01T00:00:00Z", Box::new(move |kit| sent(&kit.post_json("/v1/credits", &credit)))),
        ("2026-10-02T00:00:00Z", Box::new(move |kit| sent(&kit.post_json("/v1/charges", &charge)))),
        (
            "2026-10-16T00:00:00Z",
            Box::new(|kit| {
                kit.instance(PartyId(2), "shop");
            }),
        ),
        ("2026-10-16T01:00:00Z", Box::new(|kit| kit.started("slappart0"))),
        (
            "2026-10-18T00:00:00Z",
            Box::new(|kit| sent(&kit.post("/v1/usage-events", "application/x-ndjson", usage("a", "7", 1)))),
        ),
        (
            "2026-10-18T01:00:00Z",
            Box::new(|kit| {
                let reply = kit.post("/v1/usage-events", "application/x-ndjson", usage("b", "NaN", 2));
                assert_eq!(reply.json()["suspended"], 1, "{reply:?}");
            }),
        ),
        ("2026-11-02T00:00:00Z", Box::new(move |kit| sent(&kit.post_json("/v1/invoice-runs", &run)))),
        (
            "2026-11-03T00:00:00Z",
            Box::new(|kit| sent(&kit.post_json("/v1/invoice-runs/RUN-1/finalise", &json!({})))),
        ),
        (
            "2026-11-04T00:00:00Z",
            Box::new(|kit| sent(&kit.post("/v1/usage-events", "application/x-ndjson", usage("c", "1", 4)))),
        ),
    ]
}

#[test]
fn every_read_as_of_an_event_answers_what_it_answered_then() {
    let kit = Kit::with_computer("2026-09-19T00:00:00Z");
    let reads = reads(&kit);
    assert!(reads.len() > 45, "{reads:?}");
    let mut then = Vec::new();
    for (at, step) in steps() {
        kit.set(at);
        step(&kit);
        let head = kit.ctx.ledger().head().last;
        let answers: Vec<Reply> = reads.iter().map(|path| kit.get(path)).collect();
        assert_eq!(kit.ctx.ledger().head().last, head, "reads record nothing");
        then.push((head, answers));
    }
    kit.set("2026-12-24T00:00:00Z");
    // Not in order, and again: from nearer views, from kept ones, and from the first event on.
    for n in [4, 1, 10, 0, 6, 2, 7, 3, 5, 8, 9, 9] {
        let (head, answers) = &then[n];
        for (path, before) in reads.iter().zip(answers) {
            let now = kit.get(&as_of(path, &head.to_string()));
            assert_eq!(now.status, before.status, "{path} as of {head}: {now:?}");
            assert_eq!(now.body, before.body, "{path} as of {head}");
            assert_eq!(sequence(&now), sequence(before), "{path}");
            assert_eq!(now.headers.get(header::ETAG), before.headers.get(header::ETAG), "{path}");
        }
    }
}

#[test]
fn an_instant_means_the_last_event_at_or_before_it() {
    let kit = Kit::with_computer("2026-09-19T00:00:00Z");
    let before = kit.ctx.ledger().head().last;
    kit.set("2026-10-01T00:00:00Z");
    kit.register("Nexedi", "UTC");
    let shown = |point: &str| kit.get(&as_of("/v1/parties", point)).json()["sequence"].as_u64();
    assert_eq!(shown("2026-09-30T23:59:59Z"), Some(before.0));
    assert_eq!(shown("2026-10-01T00:00:00Z"), Some(before.0 + 1));
    assert_eq!(shown("2026-10-01T02:00:00%2B02:00"), Some(before.0 + 1));
}

#[test]
fn what_cannot_be_asked_of_the_past_is_refused_by_name() {
    let kit = Kit::with_computer("2026-09-19T00:00:00Z");
    let head = kit.ctx.ledger().head().last;
    let most = format!("must be at most {head}, the newest event");
    let form = "must be a sequence such as 40213, or an instant such as 2026-10-01T01:00:00Z";
    for (point, rule) in [
        ("0", "must be at least 1, the first event"),
        ("99999999", most.as_str()),
        ("99999999999999999999999", most.as_str()),
        ("", form),
        ("-1", form),
        ("yesterday", form),
        ("2020-01-01T00:00:00Z", "must not be before the first event"),
        ("2026-09-19T00:00:01Z", "must not be after now"),
        ("3&as_of=3", "must not be given more than once"),
    ] {
        let (status, field, detail) = kit.get(&as_of("/v1/instances", point)).problem();
        assert_eq!((status, field.as_deref(), detail.as_str()), (400, Some("as_of"), rule), "{point}");
    }
    let (status, field, _) = kit.get("/v1/instances?as_of=1&min_sequence=1").problem();
    assert_eq!((status, field.as_deref()), (400, Some("min_sequence")));
    for path in ["/v1/clock", "/v1/usage-receipts", "/v1/log/checkpoint", "/v1/projections", "/v1/backup"] {
        let (status, field, detail) = kit.get(&as_of(path, "1")).problem();
        assert_eq!((status, field.as_deref()), (400, Some("as_of")), "{path}");
        assert!(detail.starts_with("is not a parameter here"), "{path}: {detail}");
    }
    for written in ["as_of", "as%5Fof"] {
        let reply = kit
            .post_json(&format!("/v1/parties?{written}=1"), &json!({"name": "nobody", "time_zone": "UTC"}));
        assert_eq!(reply.problem().1.as_deref(), Some("as_of"));
    }
    let reply = kit.post_json("/v1/parties?as_of=1", &json!({"name": "somebody", "time_zone": "UTC"}));
    assert_eq!(
        reply.problem(),
        (400, Some("as_of".into()), "is not a parameter of a write; leave it out".into())
    );
    assert_eq!(kit.ctx.ledger().head().last, head);
}

#[test]
fn a_page_of_the_past_says_so_and_leads_on_to_the_past() {
    let kit = Kit::with_computer("2026-09-19T00:00:00Z");
    let early = kit.ctx.ledger().head().last;
    kit.set("2026-10-01T00:00:00Z");
    kit.register("Nexedi", "UTC");
    let page = |path: &str| {
        let request = axum::http::Request::get(path).header(header::ACCEPT, "text/html");
        kit.send(request.body(axum::body::Body::empty()).expect("a request"))
    };
    let text = |reply: &Reply| String::from_utf8(reply.body.to_vec()).expect("a page");
    for path in ["/ui/home", "/v1/parties", "/v1/instance-trees", "/ui/usage", "/v1/events"] {
        let reply = page(&as_of(path, "2026-09-30T00:00:00Z"));
        assert_eq!(reply.status, 200, "{path}");
        let shown = text(&reply);
        assert!(shown.contains("page-as-of"), "{path}");
        assert!(shown.contains(&format!("href=\"/v1/parties?as_of={early}\"")), "{path}: {shown}");
        assert!(!shown.contains("data-live="), "{path}");
    }
    // Nothing can be changed there: not even a form of the present is shown.
    let forms =
        |shown: &str| shown[shown.find("<main").expect("a page")..].matches("method=\"post\"").count();
    assert!(forms(&text(&page("/v1/parties"))) > 0 || forms(&text(&page("/v1/invoice-runs"))) > 0);
    for path in ["/v1/parties", "/v1/invoice-runs", "/v1/instance-trees", "/ui/usage"] {
        assert_eq!(forms(&text(&page(&as_of(path, &early.to_string())))), 0, "{path}");
    }
    let parties = text(&page(&as_of("/v1/parties", &early.to_string())));
    assert!(!parties.contains("Nexedi") && text(&page("/v1/parties")).contains("Nexedi"));
    for path in ["/ui/operation", "/ui/request", "/v1/projections", "/ui/home"] {
        assert_eq!(page(&as_of(path, "99999")).status, 400, "{path}");
    }
    assert_eq!(page(&as_of("/ui/request", &early.to_string())).status, 400);
}
