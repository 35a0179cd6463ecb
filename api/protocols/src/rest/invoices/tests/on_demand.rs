//! Invoices of some customers before the month is over: on demand, and at the threshold of the price book.

use serde_json::{Value, json};
use slapledger_usecases::invoicing::{due, threshold};

use super::prices;
use crate::testing::kit::Kit;

/// Two customers with an instance each since the beginning of October, at 10.00 a month.
fn two_customers(threshold: Option<&str>) -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    let mut book = prices();
    if let Some(threshold) = threshold {
        book["threshold"] = json!(threshold);
    }
    assert_eq!(kit.post_json("/v1/price-books", &book).status, 201);
    let customers = ["Nexedi", "Rapid"].map(|name| kit.register(name, "UTC"));
    kit.set("2026-10-01T00:00:00Z");
    for (customer, reference) in customers.into_iter().zip(["shop", "mail"]) {
        kit.instance(customer, reference);
    }
    kit
}

fn invoices(kit: &Kit) -> Vec<(String, Value, String)> {
    let list = kit.get("/v1/invoices?state=final").json();
    let items = list["items"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    items.map(|it| (text(&it["buyer"]["party"]), it["period"].clone(), text(&it["net"]))).collect()
}

#[test]
fn one_customer_is_invoiced_until_now_and_for_the_rest_of_the_month_later() {
    let kit = two_customers(None);
    kit.set("2026-10-11T00:00:00Z");
    let run = kit.post_json("/v1/invoice-runs", &json!({"payers": ["PARTY-2"], "finalise": true})).json();
    let period = json!({"start": "2026-10-01", "stop": "2026-10-11T00:00:00Z"});
    assert_eq!(
        (&run["state"], &run["payers"], &run["period"]),
        (&json!("final"), &json!(["PARTY-2"]), &period)
    );
    kit.set("2026-11-01T00:00:00Z");
    let month = kit.post_json("/v1/invoice-runs", &json!({"period": "2026-10", "finalise": true})).json();
    assert_eq!((&month["state"], &month["reason"]), (&json!("final"), &json!("period")), "{month:#}");
    let of = |start: &str, stop: &str| json!({"start": start, "stop": stop});
    let (first, middle, last) = ("2026-10-01T00:00:00Z", "2026-10-11T00:00:00Z", "2026-11-01T00:00:00Z");
    assert_eq!(
        invoices(&kit),
        [
            ("PARTY-2".to_owned(), of(first, middle), "3.23".to_owned()),
            ("PARTY-2".to_owned(), of(middle, last), "6.77".to_owned()),
            ("PARTY-3".to_owned(), of(first, last), "10.00".to_owned()),
        ]
    );
    let told = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!(
        told["subtotals"],
        json!([{"tree": "SOFTINST-1", "reference": "shop", "net": "3.23"}]),
        "{told:#}"
    );
}

#[test]
fn bad_payers_are_refused() {
    let kit = two_customers(None);
    kit.set("2026-10-11T00:00:00Z");
    let rows = [
        (json!({"payers": []}), 400, Some("payers"), "must name at least one party"),
        (json!({"payers": ["PARTY-9"]}), 400, Some("period"), "is missing"),
        (json!({"payers": ["PARTY-9"], "period": "2026-10"}), 404, None, "there is no party PARTY-9"),
        (json!({"payers": ["Nexedi"]}), 400, Some("payers[0]"), "PARTY-"),
    ];
    for (body, status, field, detail) in rows {
        let told = kit.post_json("/v1/invoice-runs", &body).problem();
        assert_eq!((told.0, told.1.as_deref()), (status, field), "{body}: {told:?}");
        assert!(told.2.contains(detail), "{body}: {told:?}");
    }
}

/// 10.00 for 31 days: after the 16th 5.16 are charged. Each look takes one of two customers.
#[test]
fn who_reaches_the_threshold_is_invoiced_once() {
    let kit = two_customers(Some("5.00"));
    let mut rounds = threshold::ThresholdRounds::new();
    let mut refused = due::RefusedRuns::new();
    let mut look = || {
        kit.block_on(async {
            for _ in 0..2 {
                threshold::look(&kit.ctx, &mut rounds).await.expect("it is not refused");
            }
            let head = kit.ctx.ledger().head().last;
            kit.ctx.billing().reach(head).await.expect("it follows");
            assert!(kit.ctx.engine.billing.settle(std::time::Duration::from_secs(60)));
            due::look(&kit.ctx, &mut refused).await;
        });
        invoices(&kit).len()
    };
    kit.set("2026-10-16T00:00:00Z");
    assert_eq!(look(), 0);
    kit.set("2026-10-17T00:00:00Z");
    assert_eq!(look(), 2);
    let run = kit.get("/v1/invoice-runs/RUN-1").json();
    assert_eq!(
        (&run["state"], &run["reason"], &run["payers"]),
        (&json!("final"), &json!("threshold"), &json!(["PARTY-2"]))
    );
    assert_eq!(invoices(&kit)[0].2, "5.16");
    // What is invoiced does not count for the threshold again.
    kit.set("2026-10-31T00:00:00Z");
    assert_eq!(look(), 2);
    kit.set("2026-11-01T00:00:00Z");
    let month = kit.post_json("/v1/invoice-runs", &json!({"period": "2026-10", "finalise": true})).json();
    assert_eq!(month["state"], "final", "{month:#}");
    let nets: Vec<String> = invoices(&kit).into_iter().map(|(.., net)| net).collect();
    assert_eq!(nets, ["5.16", "5.16", "4.84", "4.84"]);
}
