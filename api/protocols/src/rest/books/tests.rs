//! The books of a master, asked over HTTP: amounts worked out by hand.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use slapledger_core::domain::credit::{CreditId, CreditKind, GrantCredit, PRIORITY, WithdrawCredit};
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::{Answer, Command};
use slapledger_usecases::caller::FIRST_PARTY;

use crate::testing::kit::{Kit, Reply};

const BUYER: PartyId = PartyId(2);
const SAVER: PartyId = PartyId(3);

fn grant(kit: &Kit, minor: i128, code: &str) -> CreditId {
    let currency: Currency = code.parse().expect(code);
    let granted = kit.submit(Command::GrantCredit(GrantCredit {
        seller: FIRST_PARTY,
        customer: SAVER,
        currency,
        amount: Amount::from_minor(minor, currency),
        description: "paid; before | all".into(),
        kind: CreditKind::Paid,
        priority: PRIORITY,
        expires_at: None,
    }));
    match granted {
        Answer::Credit(credit) => credit,
        other => panic!("{other:?}"),
    }
}

/// A seller in Paris sells October, in which an instance is there from the 16th on: 384 of 745 hours, 0.515436242 of
/// 10.00 is 5.15436242, which is 5.15; and 8.5 requests at 0.333 are 2.8305, which is 2.83. Somebody else has credit: 5.00,
/// and 4.00 that is taken back.
fn october() -> Kit {
    let kit = Kit::new("2026-09-20T00:00:00Z", "Europe/Paris");
    kit.computer("COMP-1", "Europe/Paris");
    assert_eq!(kit.register("Nexedi", "Europe/Paris"), BUYER);
    assert_eq!(kit.register("Tiolive", "Europe/Paris"), SAVER);
    let prices = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
        "resources": [{"resource": "service_module/requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"},
            {"kind": "per_unit", "resource": "service_module/requests", "price": "0.333"},
        ],
    });
    assert_eq!(kit.post_json("/v1/price-books", &prices).status, StatusCode::CREATED);
    // An hour after midnight in Paris.
    kit.set("2026-10-15T23:00:00Z");
    kit.instance(BUYER, "shop");
    kit.started("slappart0");
    let usage = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": "a", "subject": "slappart0",
        "data": {"resource": "service_module/requests", "quantity": "8.5",
                 "start": "2026-10-17T00:00:00Z", "stop": "2026-10-17T01:00:00Z"},
    });
    kit.set("2026-10-20T12:00:00Z");
    let sent = kit.post("/v1/usage-events", "application/cloudevents+json", usage.to_string());
    assert_eq!(sent.json()["accepted"], 1, "{sent:?}");
    grant(&kit, 500, "EUR");
    let second = grant(&kit, 400, "EUR");
    kit.submit(Command::WithdrawCredit(WithdrawCredit { credit: second, reason: "by mistake".into() }));
    // Half past midnight of the second in Paris.
    kit.set("2026-11-01T23:30:00Z");
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
    let opened = kit.post_json("/v1/invoice-runs", &run);
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    kit
}

fn close(kit: &Kit, until: &str) -> Reply {
    kit.post_json("/v1/accounting-periods", &json!({"until": until}))
}

/// Two texts of each item.
fn pairs(items: &Value, [name, amount]: [&str; 2]) -> Vec<(String, String)> {
    let text = |item: &Value, member: &str| item[member].as_str().expect(member).to_owned();
    let items = items.as_array().expect("a list").iter();
    items.map(|item| (text(item, name), text(item, amount))).collect()
}

fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned())).collect()
}

#[test]
fn the_journal_shows_what_every_event_moved() {
    let kit = october();
    let all = kit.get("/v1/journal").json();
    let items = all["items"].as_array().expect("items");
    let kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["credit_granted", "credit_granted", "credit_withdrawn", "invoice"]);
    let sequence = kit.get("/v1/invoices/INV-2026-000001").json()["sequence"].clone();
    let posting = |account: &str, amount: &str| json!({"account": account, "amount": amount});
    // 5.15 + 2.83 - 5.15436242 - 2.8305 = -0.00486242 is what rounding took.
    let expected = json!({
        "id": format!("{sequence}.EUR"), "kind": "invoice", "at": "2026-11-01T23:30:00Z", "day": "2026-11-02",
        "seller": "PARTY-1", "currency": "EUR", "description": "Invoice INV-2026-000001",
        "document": "INV-2026-000001",
        "postings": [
            posting("Assets:Receivable:PARTY-2", "7.98"),
            posting("Income:Recurring", "-5.15436242"),
            posting("Income:Usage:service_module/requests", "-2.8305"),
            posting("Income:Rounding", "0.00486242"),
        ],
        "sequence": sequence,
    });
    assert_eq!(items[3], expected, "{:#}", items[3]);
    let withdrawn = &items[2];
    assert_eq!(withdrawn["description"], "Prepaid credit CREDIT-2 withdrawn: by mistake");
    assert_eq!((&withdrawn["credit"], withdrawn.get("document")), (&json!("CREDIT-2"), None));
    let moved = rows(&[("Assets:Clearing", "-4.00"), ("Liabilities:Prepaid:PARTY-3", "4.00")]);
    assert_eq!(pairs(&withdrawn["postings"], ["account", "amount"]), moved);

    // Page by page, and by date: the second of November is the invoice's.
    let first = kit.get("/v1/journal?limit=3").json();
    let next = first["next"].as_str().expect("there are more");
    let rest = kit.get(&format!("/v1/journal?limit=3&cursor={next}")).json();
    assert_eq!((&rest["items"], &rest["next"]), (&json!([items[3]]), &Value::Null));
    let count =
        |query: &str| kit.get(&format!("/v1/journal?{query}")).json()["items"].as_array().map(Vec::len);
    let november = ("from=2026-11-02&to=2026-11-03", Some(1));
    let before = ("to=2026-11-02", Some(3));
    let instant = ("from=2026-11-01T23:30:00.000001Z", Some(0));
    for (query, expected) in
        [november, before, instant, ("currency=JPY", Some(0)), ("seller=PARTY-2", Some(0))]
    {
        assert_eq!(count(query), expected, "{query}");
    }
}

#[test]
fn accounts_have_statements_and_balances_at_any_date() {
    let kit = october();
    let accounts = kit.get("/v1/accounts").json();
    let expected = rows(&[
        ("Assets:Receivable:PARTY-2", "7.98"),
        ("Assets:Clearing", "5.00"),
        ("Liabilities:Prepaid:PARTY-3", "-5.00"),
        ("Income:Recurring", "-5.15436242"),
        ("Income:Usage:service_module/requests", "-2.8305"),
        ("Income:Rounding", "0.00486242"),
    ]);
    assert_eq!(pairs(&accounts["items"], ["id", "balance"]), expected);
    let first = json!({"id": "Assets:Receivable:PARTY-2", "seller": "PARTY-1", "currency": "EUR", "kind": "asset",
                       "normal_side": "debit", "balance": "7.98"});
    assert_eq!(accounts["items"][0], first);
    let mut paged = Vec::new();
    let mut path = "/v1/accounts?limit=4".to_owned();
    loop {
        let page = kit.get(&path).json();
        paged.extend(pairs(&page["items"], ["id", "balance"]));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/accounts?limit=4&cursor={next}");
    }
    assert_eq!(paged, expected);
    let before = kit.get("/v1/accounts?at=2026-11-02").json();
    assert_eq!(pairs(&before["items"], ["id", "balance"]).len(), 2);

    // Names may have a slash, which is escaped.
    let usage = kit.get("/v1/accounts/Income:Usage:service_module%2Frequests").json();
    assert_eq!((&usage["opening"], &usage["closing"]), (&json!("0.00"), &json!("-2.8305")));
    let credit =
        kit.get("/v1/accounts/Liabilities:Prepaid:PARTY-3?from=2026-10-20&to=2026-11-01&limit=1").json();
    assert_eq!(
        (&credit["from"], &credit["to"]),
        (&json!("2026-10-19T22:00:00Z"), &json!("2026-10-31T23:00:00Z"))
    );
    assert_eq!((&credit["opening"], &credit["closing"]), (&json!("0.00"), &json!("-5.00")));
    assert_eq!(pairs(&credit["items"], ["amount", "balance"]), rows(&[("-5.00", "-5.00")]));
    let next = credit["next"].as_str().expect("there are more");
    let rest = kit.get(&format!(
        "/v1/accounts/Liabilities:Prepaid:PARTY-3?from=2026-10-20&to=2026-11-01&cursor={next}"
    ));
    let rest = rest.json();
    assert_eq!(pairs(&rest["items"], ["amount", "balance"]), rows(&[("-4.00", "-9.00"), ("4.00", "-5.00")]));
    assert_eq!(rest["items"][0]["description"], "Prepaid credit CREDIT-2: paid; before | all");
    let at = kit.get("/v1/accounts/Liabilities:Prepaid:PARTY-3?at=2026-10-21").json();
    assert_eq!(
        (&at["opening"], &at["closing"], &at["items"]),
        (&json!("-5.00"), &json!("-5.00"), &json!([]))
    );

    // In two currencies, one has to be said.
    grant(&kit, 700, "JPY");
    let (status, field, detail) = kit.get("/v1/accounts/Assets:Clearing").problem();
    assert_eq!((status, field.as_deref()), (400, Some("currency")));
    assert_eq!(detail, "must be said: the account is used in EUR, JPY");
    assert_eq!(kit.get("/v1/accounts/Assets:Clearing?currency=JPY").json()["closing"], "700");
}

#[test]
fn a_trial_balance_adds_up_in_every_currency() {
    let kit = october();
    grant(&kit, 700, "JPY");
    let all = kit.get("/v1/trial-balance").json();
    assert_eq!((&all["seller"], &all["at"]), (&json!("PARTY-1"), &Value::Null));
    let euros = &all["books"][0];
    assert_eq!(
        (&euros["currency"], &euros["debits"], &euros["credits"]),
        (&json!("EUR"), &json!("12.98486242"), &json!("12.98486242"))
    );
    let yen = json!({
        "currency": "JPY", "debits": "700", "credits": "700",
        "accounts": [
            {"account": "Assets:Clearing", "kind": "asset", "balance": "700"},
            {"account": "Liabilities:Prepaid:PARTY-3", "kind": "liability", "balance": "-700"},
        ],
    });
    assert_eq!(all["books"][1], yen);
    assert_eq!(kit.get("/v1/trial-balance?currency=JPY").json()["books"], json!([yen]));
    let then = kit.get("/v1/trial-balance?at=2026-11-01").json();
    assert_eq!(then["at"], "2026-10-31T23:00:00Z");
    let balances = rows(&[("Assets:Clearing", "5.00"), ("Liabilities:Prepaid:PARTY-3", "-5.00")]);
    assert_eq!(pairs(&then["books"][0]["accounts"], ["account", "balance"]), balances);
}

#[test]
fn closing_moves_income_to_earnings_once() {
    let kit = october();
    kit.set("2026-12-01T09:00:00Z");
    let closed = close(&kit, "2026-11-03");
    assert_eq!(closed.status, StatusCode::CREATED, "{closed:?}");
    let closed = closed.json();
    let expected = json!({
        "seller": "PARTY-1", "from": null, "until": "2026-11-02T23:00:00Z", "closed_at": "2026-12-01T09:00:00Z",
        "earnings": [{"currency": "EUR", "amount": "7.98"}], "sequence": closed["sequence"],
    });
    assert_eq!(closed, expected);
    let balances = |at: &str| {
        let told = kit.get(&format!("/v1/trial-balance?at={at}")).json();
        pairs(&told["books"][0]["accounts"], ["account", "balance"])
    };
    let kept = rows(&[
        ("Assets:Receivable:PARTY-2", "7.98"),
        ("Assets:Clearing", "5.00"),
        ("Liabilities:Prepaid:PARTY-3", "-5.00"),
        ("Equity:Earnings", "-7.98"),
    ]);
    assert_eq!(balances("2026-11-03"), kept);
    // Before the last microsecond of the period it is income still.
    assert_eq!(balances("2026-11-02T22:59:59Z").len(), 6);

    // Nothing new to move: a period without earnings.
    assert_eq!(close(&kit, "2026-12-01").json()["earnings"], json!([]));
    let periods = kit.get("/v1/accounting-periods?limit=1").json();
    assert_eq!(periods["items"], json!([expected]));
    let next = periods["next"].as_str().expect("there are more");
    let rest = kit.get(&format!("/v1/accounting-periods?cursor={next}")).json();
    let (from, until) = (&rest["items"][0]["from"], &rest["items"][0]["until"]);
    assert_eq!((from, until), (&json!("2026-11-02T23:00:00Z"), &json!("2026-11-30T23:00:00Z")));
    assert_eq!(rest["next"], Value::Null);
}

#[test]
fn nothing_is_dated_in_closed_books_though_the_clock_goes_back() {
    let kit = october();
    assert_eq!(close(&kit, "2026-11-02").status, StatusCode::CREATED);
    let closed = kit.get("/v1/trial-balance?at=2026-11-02").json();
    kit.set("2026-10-25T00:00:00Z");
    grant(&kit, 300, "EUR");
    let journal = kit.get("/v1/journal?from=2026-11-02").json();
    let last = journal["items"].as_array().and_then(|items| items.last()).expect("the credit");
    assert_eq!((&last["kind"], &last["at"]), (&json!("credit_granted"), &json!("2026-11-01T23:30:00Z")));
    assert_eq!(kit.get("/v1/trial-balance?at=2026-11-02").json()["books"], closed["books"]);
}

#[test]
fn a_closing_is_repeated_under_its_name_alone() {
    let kit = october();
    let body = json!({"until": "2026-11-01"}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "close-october")];
    let first = kit.post_with("/v1/accounting-periods", &headers, body.clone());
    let again = kit.post_with("/v1/accounting-periods", &headers, body);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.json(), again.json());
    let (status, field, detail) = close(&kit, "2026-11-01").problem();
    assert_eq!((status, field.as_deref()), (409, Some("until")));
    assert_eq!(detail, "the books are closed up to 2026-10-31T23:00:00Z already");
}

#[test]
fn programs_for_plain_text_get_all_of_it() {
    let kit = october();
    for (format, beginning) in [
        ("hledger", "; Books of PARTY-1\n\ndecimal-mark .\n"),
        ("ledger", "; Books of PARTY-1\n\ntag sequence\n"),
        ("beancount", "option \"title\" \"Books of PARTY-1\"\n"),
    ] {
        let reply = kit.get(&format!("/v1/journal?format={format}"));
        assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(reply.headers["slapledger-sequence"], kit.ctx.ledger().head().last.to_string());
        let text = String::from_utf8(reply.body.to_vec()).expect("UTF-8");
        assert!(text.starts_with(beginning), "{text}");
        assert!(text.contains("\n2026-11-02 * "), "{text}");
    }
    let accept = |path: &str, accept: &str| {
        kit.send(Request::get(path).header("accept", accept).body(Body::empty()).expect("a request"))
    };
    let text = accept("/v1/journal?format=ledger", "text/plain");
    assert_eq!(
        (text.status, &text.headers["content-type"]),
        (StatusCode::OK, &"text/plain; charset=utf-8".parse().expect("a value"))
    );
    for (path, accepted) in [("/v1/journal", "text/plain"), ("/v1/journal?format=ledger", "text/html")] {
        assert_eq!(accept(path, accepted).problem().0, 406, "{path} as {accepted}");
    }
    let later = kit.get("/v1/journal?format=ledger&from=2026-11-01&to=2026-11-02");
    let text = String::from_utf8(later.body.to_vec()).expect("UTF-8");
    assert!(text.contains("2026-11-01 * Opening balances") && !text.contains("INV-"), "{text}");
    assert_eq!(kit.get("/v1/journal?format=json").json(), kit.get("/v1/journal").json());
}

#[test]
fn what_is_wrong_is_named_with_its_rule() {
    let kit = october();
    let bound = "must be a day such as 2026-10-01, or an RFC 3339 instant with its offset";
    let account =
        "there is no account Assets:Cash; there are such as Assets:Receivable:PARTY-2 and Income:Recurring";
    let rows = [
        ("/v1/journal?from=yesterday", 400, Some("from"), bound),
        ("/v1/journal?from=2026-11-02&to=2026-11-01", 400, Some("to"), "must not be before from"),
        ("/v1/journal?format=csv", 400, Some("format"), "must be json, hledger, ledger or beancount"),
        (
            "/v1/journal?format=ledger&limit=3",
            400,
            Some("limit"),
            "goes with format json alone: a text is whole",
        ),
        ("/v1/journal?cursor=7", 400, Some("cursor"), "must be the next of an earlier answer"),
        ("/v1/journal?seller=PARTY-9", 404, Some("seller"), "there is no party PARTY-9"),
        ("/v1/accounts?cursor=EUR.Assets", 400, Some("cursor"), "must be the next of an earlier answer"),
        ("/v1/accounts?at=2026-13-01", 400, Some("at"), bound),
        ("/v1/accounts/Assets:Cash", 404, None, account),
        (
            "/v1/accounts/Equity:Earnings",
            404,
            None,
            "there is no account Equity:Earnings in the books of PARTY-1",
        ),
        (
            "/v1/accounts/Assets:Clearing?currency=JPY",
            404,
            None,
            "there is no account Assets:Clearing in JPY in the books of PARTY-1",
        ),
        (
            "/v1/accounts/Assets:Clearing?at=2026-11-01&to=2026-11-02",
            400,
            Some("at"),
            "cannot be combined with `period`, `from` or `to`; leave it out, or them",
        ),
        ("/v1/trial-balance?at=", 400, Some("at"), bound),
        (
            "/v1/trial-balance?from=2026-11-01",
            400,
            Some("from"),
            "is not a parameter here; there are at, seller, currency, limit, cursor, min_sequence",
        ),
    ];
    for (path, status, field, detail) in rows {
        let (told, blamed, rule) = kit.get(path).problem();
        assert_eq!((told, blamed.as_deref(), rule.as_str()), (status, field, detail), "{path}");
    }
    let rows = [
        (json!({}), 400, Some("until"), "is missing"),
        (json!({"until": "2026-11-01T00:00:00Z"}), 400, Some("until"), "must be a day such as 2026-11-01"),
        (json!({"until": 20_261_101}), 400, Some("until"), "must be a string, not a number"),
        (json!({"until": "2026-11-01", "from": "2026-10-01"}), 400, Some("from"), "is not a field here"),
        (
            json!({"until": "2026-11-01", "seller": "PARTY-9"}),
            404,
            Some("seller"),
            "there is no party PARTY-9",
        ),
        (
            json!({"until": "2026-11-03"}),
            409,
            Some("until"),
            "the books cannot be closed up to 2026-11-02T23:00:00Z, which is not over",
        ),
    ];
    for (body, status, field, detail) in rows {
        let (told, blamed, rule) = kit.post_json("/v1/accounting-periods", &body).problem();
        assert_eq!((told, blamed.as_deref(), rule.as_str()), (status, field, detail), "{body}");
    }
    assert_eq!(kit.get("/v1/accounting-periods").json()["items"], json!([]));
}
