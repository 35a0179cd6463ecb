//! What one customer negotiated is for that customer, the seller and auditors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::asking::{Ask, Key};
use super::world::{Who, World};

#[test]
fn negotiated_prices_are_shown_to_their_customer_the_seller_and_auditors() {
    let world = World::new();
    let fee = |price: &str| json!({"kind": "recurring", "every": "month", "when": "arrears", "price": price});
    let of = |customer: &str, price: &str| {
        let mut rate = fee(price);
        rate["match"] = json!({"customer": customer});
        rate
    };
    let book = json!({
        "name": "dollars", "currency": "USD", "valid_from": "2026-01-01T00:00:00Z",
        "rates": [fee("10"), of("PARTY-2", "7"), of("PARTY-3", "6"), fee_of_customer_nine()],
    });
    world.post(Who::Admin, "/v1/price-books", &book).expect(201);
    let rows = [
        (Who::Root, vec!["10", "7", "6", "5"]),
        (Who::Admin, vec!["10", "7", "6", "5"]),
        (Who::Auditor, vec!["10", "7", "6", "5"]),
        (Who::Provider, vec!["10"]),
        (Who::Alice, vec!["10", "7"]),
        (Who::Bob, vec!["10", "6"]),
    ];
    for (who, prices) in rows {
        let shown = world.get(who, "/v1/price-books/dollars").expect(200).json();
        let listed = world.get(who, "/v1/price-books").expect(200).json();
        let listed = listed["items"].as_array().expect("items").iter().find(|book| book["name"] == "dollars");
        for book in [&shown, listed.expect("the book")] {
            let rates = book["rates"].as_array().expect("rates");
            let seen: Vec<_> = rates.iter().filter_map(|rate| rate["price"].as_str()).collect();
            assert_eq!(seen, prices, "{who:?}");
            let withheld = 4 - prices.len();
            let told = book["rates_withheld"].as_u64().unwrap_or(0);
            assert_eq!(told, withheld as u64, "{who:?}");
        }
    }
}

#[test]
fn codes_are_shown_to_the_seller_and_auditors() {
    let world = World::new();
    let fee = json!({"kind": "recurring", "every": "month", "when": "arrears", "price": "10"});
    let code = json!({"kind": "discount", "percent": "10", "code": "SPRING"});
    let book = json!({
        "name": "dollars", "currency": "USD", "valid_from": "2026-01-01T00:00:00Z", "rates": [fee, code],
    });
    world.post(Who::Admin, "/v1/price-books", &book).expect(201);
    let rows = [
        (Who::Root, true),
        (Who::Admin, true),
        (Who::Auditor, true),
        (Who::Provider, false),
        (Who::Alice, false),
    ];
    for (who, sees) in rows {
        let shown = world.get(who, "/v1/price-books/dollars").expect(200).json();
        assert_eq!(shown.to_string().contains("SPRING"), sees, "{who:?}");
        assert_eq!(shown["rates_withheld"].as_u64(), (!sees).then_some(1), "{who:?}");
    }
}

/// How many events a proof of Alice's first invoice withholds, and whether the others have the code of the price book.
fn proof_of_alice(world: &World, who: Who) -> (usize, bool) {
    let invoices = world.get(Who::Alice, "/v1/invoices?state=final").expect(200).json();
    let invoice = invoices["items"][0]["id"].as_str().expect("an invoice").to_owned();
    let proof = world.get(who, &format!("/v1/invoices/{invoice}/proof")).expect(200).json();
    let events = proof["events"].as_array().expect("events").iter();
    let mut bytes = events.map(|event| event["bytes"].as_str().expect("bytes").to_owned());
    let has_code = |bytes: String| {
        let bytes = BASE64.decode(bytes).expect("base64");
        bytes.windows(7).any(|word| word == b"WELCOME")
    };
    (proof["withheld"].as_array().expect("hashes").len(), bytes.any(has_code))
}

#[test]
fn proofs_show_codes_to_the_seller_and_auditors_and_to_who_redeemed_them() {
    let world = World::new();
    for (who, seen) in [(Who::Root, true), (Who::Admin, true), (Who::Auditor, true), (Who::Alice, false)] {
        assert_eq!(proof_of_alice(&world, who), (usize::from(!seen), seen), "{who:?}");
    }
    let wanted = json!({"customer": "PARTY-2", "code": "WELCOME"});
    world.post(Who::Admin, "/v1/discount-codes/redeem", &wanted).expect(200);
    assert_eq!(proof_of_alice(&world, Who::Alice), (0, true));
}

#[test]
fn overrides_are_shown_to_their_customer_the_seller_and_auditors() {
    let world = World::new();
    let path = "/v1/price-books/standard/overrides";
    for (customer, price) in [("PARTY-2", "7"), ("PARTY-3", "6")] {
        let wanted = json!({
            "customer": customer, "valid_from": "2030-01-01T00:00:00Z",
            "rate": {"kind": "recurring", "every": "month", "when": "arrears", "price": price},
        });
        world.post(Who::Admin, path, &wanted).expect(201);
    }
    let rows = [
        (Who::Root, vec!["7", "6"]),
        (Who::Admin, vec!["7", "6"]),
        (Who::Auditor, vec!["7", "6"]),
        (Who::Provider, vec![]),
        (Who::Alice, vec!["7"]),
        (Who::Bob, vec!["6"]),
    ];
    for (who, prices) in rows {
        let listed = world.get(who, path).expect(200).json();
        let items = listed["items"].as_array().expect("items");
        // Alice has another one, which the world is furnished with.
        let seen: Vec<_> = items.iter().filter_map(|own| own["rate"]["price"].as_str()).collect();
        let seen: Vec<_> = seen.into_iter().filter(|price| *price != "3").collect();
        assert_eq!(seen, prices, "{who:?}");
    }
    // After the last number there can be, there is none.
    let last = world.get(Who::Admin, &format!("{path}?cursor=OVERRIDE-{}", u64::MAX)).expect(200).json();
    assert_eq!(last["items"], json!([]));
}

/// The proof of an invoice, for those who may read it: the seller gets no more of the customer than its lines name.
#[test]
fn the_seller_gets_no_usage_beside_the_lines_of_an_invoice() {
    let world = World::new();
    let seller = world.token(Who::Root, None, &json!({"holder": "PARTY-1", "roles": ["provider"]}));
    let Key::Token(token) = seller else { panic!("a token") };
    let of_seller =
        |path: &str| world.ask(Who::Nobody, Ask::get(path).with("authorization", format!("Bearer {token}")));
    let path = "/v1/invoices/INV-2026-000002/proof";
    let proof = of_seller(path).expect(200).json();
    let whole = world.get(Who::Admin, path).expect(200).json();
    let sequences = |proof: &serde_json::Value| {
        let events = proof["events"].as_array().expect("events").iter();
        events.map(|event| event["sequence"].as_u64().expect("a sequence")).collect::<Vec<_>>()
    };
    let (proof, whole) = (sequences(&proof), sequences(&whole));
    assert!(!proof.is_empty() && proof.iter().all(|one| whole.contains(one)), "{proof:?} of {whole:?}");
    let all = format!("{path}?usage=all");
    let refused = of_seller(&all).expect(403).json();
    let told = refused["detail"].as_str().unwrap_or_default();
    assert!(told.starts_with("usage=all is for the customer, admins and auditors"), "{refused}");
    for who in [Who::Alice, Who::Admin, Who::Auditor] {
        world.get(who, &all).expect(200);
    }
    world.get(Who::Bob, &all).expect(404);
}

fn fee_of_customer_nine() -> serde_json::Value {
    json!({"kind": "recurring", "every": "month", "when": "arrears", "price": "5", "match": {"customer": "PARTY-9"}})
}
