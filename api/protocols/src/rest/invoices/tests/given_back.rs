//! Runs that are looked at, refreshed and withdrawn; credit notes, voids and corrections; tax, terms and prepaid credit.

use axum::body::Body;
use axum::http::Request;

use super::*;

/// October in a final invoice of 5.16, 2.40 and 4.25, which makes 11.81.
fn invoiced() -> Kit {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let opened = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    assert_eq!(opened.json()["invoices"], json!(["INV-2026-000001"]), "{opened:?}");
    kit
}

fn amounts(document: &Value) -> Vec<(String, String)> {
    let lines = document["lines"].as_array().expect("lines").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines.map(|line| (text(&line["quantity"]), text(&line["amount"]))).collect()
}

fn shown(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(quantity, amount)| ((*quantity).to_owned(), (*amount).to_owned())).collect()
}

#[test]
fn lines_are_given_back_whole_and_in_part() {
    let kit = invoiced();
    let body = json!({"reason": "not delivered", "lines": [{"n": 3}, {"n": 2, "amount": "0.40"}]});
    let note = kit.post_json("/v1/invoices/INV-2026-000001/credit", &body);
    assert_eq!(note.status, StatusCode::CREATED, "{note:?}");
    assert_eq!(note.headers["location"], "/v1/invoices/INVCN-2026-000001");
    let told = note.json();
    assert_eq!(amounts(&told), shown(&[("1", "0.40"), ("8.5", "4.25")]));
    assert_eq!(
        (&told["document"], &told["net"], &told["total"], &told["due"]),
        (&json!("credit_note"), &json!("4.65"), &json!("4.65"), &json!("4.65"))
    );
    assert_eq!(told["cites"], json!({"invoice": "INV-2026-000001", "reason": "not delivered", "all": false}));
    assert_eq!(told["lines"][0]["cites"], json!({"invoice": "INV-2026-000001", "line": 2}));
    assert_eq!(kit.get("/v1/invoices/INVCN-2026-000001").json(), told);
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!(invoice["credit_notes"], json!(["INVCN-2026-000001"]));
    let ids: Vec<Value> = kit.get("/v1/invoices").json()["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|document| document["id"].clone())
        .collect();
    assert_eq!(ids, ["INV-2026-000001", "INVCN-2026-000001"]);

    let line = |line: Value| json!({"reason": "again", "lines": [line]});
    let rows = [
        ("INV-2026-000001", line(json!({"n": 3})), 409, Some("amount")),
        ("INV-2026-000001", line(json!({"n": 2, "amount": "2.01"})), 409, Some("amount")),
        ("INV-2026-000001", line(json!({"n": 2, "amount": "0.001"})), 400, Some("lines[0].amount")),
        ("INV-2026-000001", line(json!({"n": 9})), 404, Some("lines")),
        ("INV-2026-000001", line(json!({"amount": "1.00"})), 400, Some("lines[0].n")),
        ("INV-2026-000001", line(json!({"n": 1, "price": "1.00"})), 400, Some("lines[0].price")),
        ("INV-2026-000001", json!({"reason": "again", "lines": []}), 400, Some("lines")),
        ("INV-2026-000001", json!({"reason": "again"}), 400, Some("lines")),
        ("INV-2026-000001", json!({"lines": [{"n": 1}]}), 400, Some("reason")),
        ("INV-2026-000009", line(json!({"n": 1})), 404, None),
        ("INVCN-2026-000001", line(json!({"n": 1})), 409, None),
    ];
    let head = kit.ctx.ledger().head().last;
    for (invoice, body, status, field) in rows {
        let refused = kit.post_json(&format!("/v1/invoices/{invoice}/credit"), &body);
        let told = refused.json();
        assert_eq!((refused.status.as_u16(), told["field"].as_str()), (status, field), "{body}: {told}");
    }
    assert_eq!(kit.ctx.ledger().head().last, head, "nothing was recorded");
}

/// What is due, paid and credited of an invoice, and its state; and who is in the list of each state.
#[test]
fn the_balance_of_an_invoice_follows_its_notes() {
    let kit = october();
    kit.post_json(
        "/v1/credits",
        &json!({"customer": "PARTY-2", "currency": "EUR", "amount": "5.00", "description": "paid before"}),
    );
    kit.set("2026-11-02T09:00:00Z");
    kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    let balance = || {
        let told = kit.get("/v1/invoices/INV-2026-000001").json();
        let members = ["state", "balance_state", "credited", "paid", "due"];
        members.map(|member| told[member].as_str().unwrap_or_default().to_owned())
    };
    let listed = |query: &str| {
        let items = kit.get(&format!("/v1/invoices?{query}")).json()["items"].clone();
        let ids = items.as_array().into_iter().flatten().map(|item| item["id"].as_str().map(str::to_owned));
        ids.flatten().collect::<Vec<_>>()
    };
    let (invoice, note) = ("INV-2026-000001", "INVCN-2026-000001");
    assert_eq!(balance(), ["final", "open", "0.00", "5.00", "6.81"]);
    assert_eq!((listed("state=open"), listed("state=void")), (vec![invoice.to_owned()], vec![]));
    let some = json!({"reason": "half", "lines": [{"n": 3}]});
    kit.post_json("/v1/invoices/INV-2026-000001/credit", &some);
    assert_eq!(balance(), ["final", "partly_credited", "4.25", "5.00", "2.56"]);
    assert_eq!(listed("state=partly_credited"), [invoice]);
    let more = json!({"reason": "more", "lines": [{"n": 1}]});
    kit.post_json("/v1/invoices/INV-2026-000001/credit", &more);
    // 5.16 is 2.60 more than was due.
    assert_eq!(balance(), ["final", "paid", "9.41", "2.40", "0.00"]);
    assert_eq!(kit.get("/v1/credits/CREDIT-1").json()["left"], "2.60");
    kit.post_json("/v1/invoices/INV-2026-000001/void", &json!({"reason": "all"}));
    assert_eq!(balance(), ["final", "void", "11.81", "0.00", "0.00"]);
    assert_eq!((listed("state=paid"), listed("state=void")), (vec![], vec![invoice.to_owned()]));
    let told = kit.get("/v1/invoices?state=final&limit=2").json();
    let signs = told["items"].as_array().into_iter().flatten();
    let signs: Vec<_> = signs.map(|item| (&item["sign"], &item["cites"]["invoice"])).collect();
    assert_eq!(signs, [(&json!(1), &Value::Null), (&json!(-1), &json!(invoice))]);
    assert_eq!(listed("period=2026-10-31/2026-11-01&payer=PARTY-2").len(), 4);
    assert_eq!(listed("period=2026-11-01/2026-12-01"), Vec::<String>::new());
    assert_eq!(listed("period=2026-01-01/2027-01-01&limit=2"), [invoice, note]);
}

#[test]
fn a_void_gives_back_the_rest_and_frees_the_period() {
    let kit = invoiced();
    let reason = json!({"reason": "wrong customer"});
    kit.post_json("/v1/invoices/INV-2026-000001/credit", &json!({"reason": "half", "lines": [{"n": 3}]}));
    let void = kit.post_json("/v1/invoices/INV-2026-000001/void", &reason);
    assert_eq!(void.status, StatusCode::CREATED, "{void:?}");
    assert_eq!(amounts(&void.json()), shown(&[("0.516129032", "5.16"), ("1200", "2.40")]));
    assert_eq!(void.json()["cites"]["all"], true);
    let again = kit.post_json("/v1/invoices/INV-2026-000001/void", &reason);
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
    let opened = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    assert_eq!(opened.json()["invoices"], json!(["INV-2026-000002"]), "{opened:?}");
    assert_eq!(kit.get("/v1/invoices/INV-2026-000002").json()["total"], "11.81");
    assert_eq!(kit.post_json("/v1/invoices/RUN-9-PARTY-2/void", &reason).status, StatusCode::NOT_FOUND);
}

#[test]
fn a_line_is_corrected_down_by_a_note_and_up_by_a_charge() {
    let kit = invoiced();
    let correct = |n: u32, amount: &str| {
        let body = json!({"amount": amount, "reason": "agreed"});
        kit.post_json(&format!("/v1/invoices/INV-2026-000001/lines/{n}/correct"), &body)
    };
    let less = correct(3, "4.00");
    assert_eq!(less.status, StatusCode::CREATED, "{less:?}");
    assert_eq!(less.json()["credit_note"], "INVCN-2026-000001");
    assert_eq!(kit.get("/v1/invoices/INVCN-2026-000001").json()["total"], "0.25");
    let more = correct(3, "4.50");
    assert_eq!((&more.json()["charge"], more.status), (&json!("CHARGE-1"), StatusCode::CREATED), "{more:?}");
    let charge = kit.get("/v1/charges/CHARGE-1").json();
    assert_eq!(
        (&charge["amount"], &charge["description"], &charge["cites"]),
        (
            &json!("0.50"),
            &json!("correction of INV-2026-000001 line 3: agreed"),
            &json!({"invoice": "INV-2026-000001", "line": 3})
        )
    );
    // With the charge it is 4.50: said again it is no change, and what is more counts from there.
    assert_eq!(correct(3, "4.50").json()["field"], "amount");
    assert_eq!(correct(3, "4.75").json()["charge"], "CHARGE-2");
    assert_eq!(kit.get("/v1/charges/CHARGE-2").json()["amount"], "0.25");
    // Back to 4.70: the line itself has enough left.
    assert_eq!(correct(3, "4.70").json()["credit_note"], "INVCN-2026-000002");
    assert_eq!(kit.get("/v1/invoices/INVCN-2026-000002").json()["total"], "0.05");
    assert_eq!(correct(9, "4.00").status, StatusCode::NOT_FOUND);
    assert_eq!(correct(3, "four").json()["field"], "amount");
    // It is on the next invoice, once.
    kit.set("2026-12-01T09:00:00Z");
    let november = json!({"period": {"start": "2026-11-01", "stop": "2026-12-01"}, "finalise": true});
    let opened = kit.post_json("/v1/invoice-runs", &november).json();
    let next = opened["invoices"][0].as_str().expect("an invoice").to_owned();
    let invoice = kit.get(&format!("/v1/invoices/{next}")).json();
    let last = invoice["lines"].as_array().and_then(|lines| lines.last()).expect("lines");
    assert_eq!(
        (&last["kind"], &last["charge"], &last["amount"]),
        (&json!("one_off"), &json!("CHARGE-2"), &json!("0.25"))
    );
    let charge = kit.get("/v1/charges/CHARGE-1").json();
    assert_eq!((&charge["state"], &charge["invoice"]), (&json!("invoiced"), &json!(next)));
}

/// A line of a void invoice has nothing left to correct, and what was to correct it is on no invoice.
#[test]
fn a_line_of_a_void_invoice_is_not_corrected() {
    let kit = invoiced();
    let correct = |amount: &str| {
        let body = json!({"amount": amount, "reason": "agreed"});
        kit.post_json("/v1/invoices/INV-2026-000001/lines/3/correct", &body)
    };
    let state = || kit.get("/v1/charges/CHARGE-1").json()["state"].clone();
    assert_eq!(correct("4.50").json()["charge"], "CHARGE-1");
    assert_eq!(state(), "open");
    kit.post_json("/v1/invoices/INV-2026-000001/void", &json!({"reason": "wrong customer"}));
    assert_eq!(state(), "dropped");
    let head = kit.ctx.ledger().head().last;
    for amount in ["5.00", "4.25", "4.50", "0.25", "0.00", "-1.00"] {
        let refused = correct(amount);
        let told = refused.json();
        let problem = (refused.status, &told["type"]);
        assert_eq!(
            problem,
            (StatusCode::CONFLICT, &json!("urn:slapledger:problem:invoice-void")),
            "{amount}: {told}"
        );
    }
    assert_eq!(kit.ctx.ledger().head().last, head, "nothing was recorded");
    kit.set("2026-12-01T09:00:00Z");
    kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    assert_eq!(kit.get("/v1/charges").json()["items"][0]["state"], "dropped");
}

#[test]
fn what_is_given_back_or_corrected_is_answered_again_under_its_name() {
    let kit = invoiced();
    let rows = [
        ("lines/3/correct", json!({"amount": "4.00", "reason": "agreed"})),
        ("lines/3/correct", json!({"amount": "4.50", "reason": "after all"})),
        ("credit", json!({"reason": "not delivered", "lines": [{"n": 2}]})),
        ("void", json!({"reason": "wrong customer"})),
    ];
    for (n, (what, body)) in rows.iter().enumerate() {
        let send = |body: &Value| {
            let key = format!("key {n}");
            let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
            kit.post_with(&format!("/v1/invoices/INV-2026-000001/{what}"), &headers, body.to_string())
        };
        let first = send(body);
        assert_eq!(first.status, StatusCode::CREATED, "{what}: {first:?}");
        let head = kit.ctx.ledger().head().last;
        let again = send(body);
        assert_eq!((again.status, again.json()), (first.status, first.json()), "{what}");
        assert_eq!(kit.ctx.ledger().head().last, head, "{what}: nothing was recorded");
        let mut other = body.clone();
        other["reason"] = json!("another");
        let (status, field, _) = send(&other).problem();
        assert_eq!((status, field.as_deref()), (409, Some("idempotency-key")), "{what}");
    }
}

/// `correction of INV-2026-000001 line 3: ` takes 38 of the 500 bytes of a charge.
#[test]
fn a_reason_that_is_too_long_for_a_charge_is_the_reasons_fault() {
    let kit = invoiced();
    let correct = |amount: &str, bytes: usize| {
        let body = json!({"amount": amount, "reason": "x".repeat(bytes)});
        kit.post_json("/v1/invoices/INV-2026-000001/lines/3/correct", &body)
    };
    let (status, field, detail) = correct("4.50", 463).problem();
    assert_eq!((status, field.as_deref()), (400, Some("reason")), "{detail}");
    assert!(detail.contains("at most 462 bytes"), "{detail}");
    assert_eq!(correct("4.50", 462).json()["charge"], "CHARGE-1");
    // A credit note has it as it is.
    assert_eq!(correct("4.40", 500).json()["credit_note"], "INVCN-2026-000001");
    assert_eq!(correct("4.30", 501).problem().1.as_deref(), Some("reason"));
}

#[test]
fn a_run_with_grace_waits_and_is_refreshed() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let body = json!({"period": run()["period"], "grace_hours": 72, "finalise": true});
    let opened = kit.post_json("/v1/invoice-runs", &body);
    let told = opened.json();
    assert_eq!(
        (&told["state"], &told["grace_until"], &told["finalise"]),
        (&json!("draft"), &json!("2026-11-05T09:00:00Z"), &json!(true)),
        "{opened:?}"
    );
    let early = kit.post_json("/v1/invoice-runs/RUN-1/finalise", &json!({}));
    assert_eq!(early.status, StatusCode::CONFLICT, "{early:?}");
    // Usage that comes meanwhile is in the drafts when they are drawn up again.
    let late =
        usage("late", "service_module/requests", "2", ("2026-10-18T00:00:00Z", "2026-10-18T01:00:00Z"));
    kit.post("/v1/usage-events", "application/x-ndjson", late);
    assert_eq!(kit.get("/v1/invoices/RUN-1-PARTY-2").json()["total"], "11.81");
    kit.set("2026-11-03T09:00:00Z");
    let refreshed = kit.post_json("/v1/invoice-runs/RUN-1/refresh", &json!({}));
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    assert_eq!(refreshed.json()["refreshed_at"], "2026-11-03T09:00:00Z");
    assert_eq!(kit.get("/v1/invoices/RUN-1-PARTY-2").json()["total"], "12.81");
    let withdrawn = kit.post_json("/v1/invoice-runs/RUN-1/withdraw", &json!({}));
    assert_eq!((withdrawn.status, &withdrawn.json()["state"]), (StatusCode::OK, &json!("withdrawn")));
    assert_eq!(kit.get("/v1/invoices").json()["items"], json!([]));
    for step in ["refresh", "finalise"] {
        let refused = kit.post_json(&format!("/v1/invoice-runs/RUN-1/{step}"), &json!({}));
        assert_eq!(refused.status, StatusCode::CONFLICT, "{step}: {refused:?}");
    }
    let long = json!({"period": run()["period"], "grace_hours": 9000});
    assert_eq!(kit.post_json("/v1/invoice-runs", &long).json()["field"], "grace_hours");
    assert_eq!(kit.post_json("/v1/invoice-runs/RUN-7/withdraw", &json!({})).status, StatusCode::NOT_FOUND);
}

/// Late usage, then the time of grace is over: nobody does anything, and the invoice is there.
#[test]
fn a_run_becomes_final_by_itself_when_its_grace_is_over() {
    let kit = october();
    kit.set("2026-11-02T09:00:00Z");
    let body = json!({"period": run()["period"], "grace_hours": 72, "finalise": true});
    kit.post_json("/v1/invoice-runs", &body);
    let late =
        usage("late", "service_module/requests", "2", ("2026-10-18T00:00:00Z", "2026-10-18T01:00:00Z"));
    kit.post("/v1/usage-events", "application/x-ndjson", late);
    kit.watch_runs();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(kit.get("/v1/invoice-runs/RUN-1").json()["state"], "draft");
    kit.set("2026-11-05T09:00:00Z");
    let waited = (0..100).find(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        kit.get("/v1/invoice-runs/RUN-1").json()["state"] == "final"
    });
    assert!(waited.is_some(), "it did not become final");
    let invoice = kit.get("/v1/invoices/INV-2026-000001").json();
    assert_eq!((&invoice["total"], &invoice["issued_at"]), (&json!("12.81"), &json!("2026-11-05T09:00:00Z")));
}

#[test]
fn tax_terms_series_and_prepaid_credit_are_in_the_document() {
    let kit = october();
    let from = "2026-01-01T00:00:00Z";
    kit.post_json("/v1/tax-rates", &json!({"rate": "20", "valid_from": from}));
    kit.post_json(
        "/v1/credits",
        &json!({"customer": "PARTY-2", "currency": "EUR", "amount": "10.00", "description": "paid before"}),
    );
    kit.set("2026-11-02T09:00:00Z");
    let opened = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    // The seller charges tax, and does not say under which VAT identifier.
    assert_eq!(opened.status, StatusCode::CONFLICT, "{opened:?}");
    let detail = opened.json()["detail"].as_str().expect("a text").to_owned();
    assert!(
        detail.starts_with("RUN-1 was opened; ") && detail.contains("VAT identifier of the seller"),
        "{detail}"
    );
    let missing = kit.get("/v1/invoice-runs/RUN-1").json()["warnings"].clone();
    assert!(missing.to_string().contains("VAT identifier of the seller"), "{missing}");
    let us = json!({"vat_id": "FR83404833048", "legal_name": "Cloud SAS", "series": "CLD", "terms_days": 10,
        "address": {"country": "FR"}});
    kit.patch_json("/v1/parties/PARTY-1", &us);
    kit.post_json("/v1/invoice-runs/RUN-1/refresh", &json!({}));
    let finalised = kit.post_json("/v1/invoice-runs/RUN-1/finalise", &json!({}));
    assert_eq!(finalised.json()["invoices"], json!(["CLD-2026-000001"]), "{finalised:?}");
    let invoice = kit.get("/v1/invoices/CLD-2026-000001").json();
    // 20 % of 11.81 is 2.362.
    assert_eq!(invoice["tax"], json!([{"category": "S", "rate": "20", "base": "11.81", "amount": "2.36"}]));
    assert_eq!(
        [&invoice["total"], &invoice["prepaid"], &invoice["due"], &invoice["due_at"], &invoice["seller"]],
        [
            &json!("14.17"),
            &json!([{"credit": "CREDIT-1", "amount": "10.00"}]),
            &json!("4.17"),
            &json!("2026-11-12T09:00:00Z"),
            &json!({"party": "PARTY-1", "name": "local user", "legal_name": "Cloud SAS",
                "address": {"country": "FR"}, "vat_id": "FR83404833048"}),
        ]
    );
    assert_eq!(kit.get("/v1/credits/CREDIT-1").json()["left"], "0.00");
    // All of it goes back: what was due, then what was prepaid.
    let void = kit.post_json("/v1/invoices/CLD-2026-000001/void", &json!({"reason": "error"})).json();
    assert_eq!(
        [&void["id"], &void["total"], &void["tax"][0]["amount"], &void["prepaid"], &void["due"]],
        [
            &json!("CLDCN-2026-000001"),
            &json!("14.17"),
            &json!("2.36"),
            &json!([{"credit": "CREDIT-1", "amount": "10.00"}]),
            &json!("4.17"),
        ]
    );
    assert_eq!(kit.get("/v1/credits/CREDIT-1").json()["left"], "10.00");
    // What the document says of the seller is its own: it does not change with the party.
    kit.patch_json("/v1/parties/PARTY-1", &json!({"legal_name": "Other SA"}));
    assert_eq!(kit.get("/v1/invoices/CLD-2026-000001").json()["seller"]["legal_name"], "Cloud SAS");
}

/// What is wrong with one draft keeps none of the others.
#[test]
fn a_draft_that_lacks_something_keeps_none_of_the_others() {
    let kit = october();
    let other = kit.register("Reverse", "UTC");
    kit.instance(other, "blog");
    let from = "2026-01-01T00:00:00Z";
    kit.post_json("/v1/tax-rates", &json!({"rate": "20", "valid_from": from}));
    kit.patch_json("/v1/parties/PARTY-1", &json!({"vat_id": "FR83404833048"}));
    let reverse = json!({"category": "AE", "reason": "Reverse charge", "valid_from": from});
    kit.post_json("/v1/parties/PARTY-2/tax-treatments", &reverse);
    kit.set("2026-11-02T09:00:00Z");
    let opened = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    let detail = opened.json()["detail"].as_str().expect("a text").to_owned();
    assert!(detail.contains("1 of 2 drafts were not finalised") && detail.contains("PARTY-2"), "{detail}");
    let told = kit.get("/v1/invoice-runs/RUN-1").json();
    assert_eq!(
        (&told["state"], &told["invoices"]),
        (&json!("draft"), &json!(["RUN-1-PARTY-2", "INV-2026-000001"]))
    );
    // Withdrawn, the run is final with what it has issued; the other is invoiced by another.
    let closed = kit.post_json("/v1/invoice-runs/RUN-1/withdraw", &json!({})).json();
    assert_eq!((&closed["state"], &closed["invoices"]), (&json!("final"), &json!(["INV-2026-000001"])));
    kit.patch_json("/v1/parties/PARTY-2", &json!({"vat_id": "DE123456789"}));
    let again = kit.post_json("/v1/invoice-runs", &json!({"period": run()["period"], "finalise": true}));
    assert_eq!(again.json()["invoices"], json!(["INV-2026-000002"]), "{again:?}");
    let invoice = kit.get("/v1/invoices/INV-2026-000002").json();
    assert_eq!(
        invoice["tax"],
        json!([{"category": "AE", "rate": "0", "base": "11.81", "amount": "0.00",
            "exemption": {"reason": "Reverse charge"}}])
    );
}

#[test]
fn an_instance_is_asked_for_by_its_owner() {
    let kit = Kit::with_computer("2026-10-15T12:00:00Z");
    kit.register("Nexedi", "UTC");
    let wanted = |more: Value| {
        let mut body =
            json!({"software_release": "https://example.org/a/software.cfg", "instance_id": "web"});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        kit.post_json("/v1/instances", &body)
    };
    let made = wanted(json!({"owner": "PARTY-2"}));
    assert_eq!((&made.json()["owner"], made.status), (&json!("PARTY-2"), StatusCode::CREATED), "{made:?}");
    // Another owner, another instance of the same name.
    assert_eq!(wanted(json!({})).json()["owner"], "PARTY-1");
    assert_eq!(wanted(json!({"owner": "PARTY-9"})).status, StatusCode::NOT_FOUND);
    assert_eq!(wanted(json!({"owner": "Nexedi"})).json()["field"], "owner");
    let both = wanted(json!({"owner": "PARTY-2", "requester": "SOFTINST-1"}));
    assert_eq!(both.json()["field"], "owner", "{both:?}");
}

/// Whoever corrects a line at the same time as others corrects what they made of it: the amounts are not added up.
#[test]
fn corrections_at_the_same_time_are_made_one_after_the_other() {
    let kit = invoiced();
    let correct = |amount: &str| {
        let body = json!({"amount": amount, "reason": "agreed"});
        let request = Request::post("/v1/invoices/INV-2026-000001/lines/3/correct");
        let request = request.header("content-type", "application/json");
        request.body(Body::from(body.to_string())).expect("a request")
    };
    // From 4.25 to 5.00, eight times: one charge, and seven that have nothing to change.
    let statuses = kit.send_at_once((0..8).map(|_| correct("5.00")));
    let made = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    let unchanged = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((made, unchanged), (1, 7), "{statuses:?}");
    // To seven amounts: whichever is last is what is charged.
    let statuses = kit.send_at_once((0..7).map(|n| correct(&format!("{}.00", n + 10))));
    assert!(statuses.iter().all(|status| *status == StatusCode::CREATED), "{statuses:?}");
    let charges = kit.get("/v1/charges").json();
    let charges = charges["items"].as_array().expect("charges").iter();
    let corrected: i64 = charges.map(|charge| cents(&charge["amount"])).sum();
    let notes = kit.get("/v1/invoices/INV-2026-000001").json();
    let notes = notes["credit_notes"].as_array().map_or(0, Vec::len);
    let credited =
        (1..=notes).map(|n| cents(&kit.get(&format!("/v1/invoices/INVCN-2026-{n:06}")).json()["total"]));
    let now = 425 + corrected - credited.sum::<i64>();
    assert!((10..17).any(|euros| now == euros * 100), "{now}");
}

fn cents(amount: &Value) -> i64 {
    amount.as_str().and_then(|text| text.replace('.', "").parse().ok()).expect("an amount with two digits")
}
