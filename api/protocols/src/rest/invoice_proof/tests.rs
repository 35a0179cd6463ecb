//! A proof holds all that its reader needs, in a form that does not change by itself.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use slapledger_billing::proof::repeat;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::invoice::FinaliseInvoice;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::envelope::{EventDecoder, Recorded};
use slapledger_core::log::merkle::leaf_hash;
use slapledger_core::log::merkle::several::root_of_several;
use slapledger_core::log::note::{SignedNote, Verifier};

use crate::testing::kit::Kit;

/// A key of Ed25519 in PKCS #8 (RFC 8410).
fn pkcs8() -> Vec<u8> {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&HEAD[..], &[3; 32]].concat()
}

/// October of a customer, invoiced.
fn invoiced() -> Kit {
    let kit = Kit::with_computer("2026-09-20T00:00:00Z");
    kit.ctx.engine.sign_with(&pkcs8()).expect("a key");
    let customer = kit.register("Nexedi", "UTC");
    let prices = json!({
        "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"},
            {"kind": "per_unit", "resource": "requests", "price": "0.5"},
        ],
    });
    assert_eq!(kit.post_json("/v1/price-books", &prices).status, StatusCode::CREATED);
    kit.set("2026-10-16T00:00:00Z");
    kit.instance(customer, "shop");
    kit.set("2026-10-20T00:00:00Z");
    let usage = json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": "a", "subject": "slappart0",
        "data": {"resource": "requests", "quantity": "7", "start": "2026-10-17T00:00:00Z",
                 "stop": "2026-10-17T01:00:00Z"},
    });
    let reply = kit.post("/v1/usage-events", "application/x-ndjson", usage.to_string());
    assert_eq!(reply.json()["accepted"], 1, "{reply:?}");
    kit.set("2026-11-02T09:00:00Z");
    let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}});
    assert_eq!(kit.post_json("/v1/invoice-runs", &run).status, StatusCode::CREATED);
    kit
}

fn hash(value: &Value) -> [u8; 32] {
    let text = value.as_str().expect("a hash");
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

/// The events of a proof, all of them in the log of its checkpoint.
fn events(proof: &Value) -> Vec<Recorded> {
    let key: Verifier = proof["key"].as_str().expect("a key").parse().expect("a key");
    let note = SignedNote::parse(proof["checkpoint"].as_str().expect("a note")).expect("a note");
    assert_eq!(key.check(&note), Ok(None));
    let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
    let mut decoder = EventDecoder::default();
    let mut leaves = Vec::new();
    let items = proof["events"].as_array().expect("events").iter();
    let events = items.map(|item| {
        let sequence = item["sequence"].as_u64().expect("a sequence");
        let bytes = BASE64.decode(item["bytes"].as_str().expect("bytes")).expect("base64");
        leaves.push((sequence - 1, leaf_hash(&bytes)));
        decoder.decode(Sequence(sequence), &bytes).expect("an event")
    });
    let events = events.collect();
    let hashes: Vec<[u8; 32]> = proof["hashes"].as_array().expect("hashes").iter().map(hash).collect();
    assert_eq!(root_of_several(&leaves, checkpoint.size, &hashes), Ok(checkpoint.root));
    events
}

#[test]
fn an_invoice_and_a_line_are_proved() {
    let kit = invoiced();
    let draft = kit.get("/v1/invoices/RUN-1-PARTY-2/proof");
    assert_eq!(draft.status, StatusCode::CONFLICT, "{draft:?}");
    assert_eq!(kit.post("/v1/invoice-runs/RUN-1/finalise", "application/json", "").status, StatusCode::OK);
    let proof = kit.get("/v1/invoices/INV-2026-000001/proof");
    assert_eq!(proof.status, StatusCode::OK, "{proof:?}");
    let proof = proof.json();
    let repeated = repeat(&events(&proof), "INV-2026-000001", None).expect("it is as it was issued");
    assert_eq!((repeated.lines, repeated.usage), (2, 1));
    assert_eq!((&proof["format"], &proof["withheld"]), (&json!(1), &json!([])));
    let line = kit.get("/v1/invoices/INV-2026-000001/proof?line=1").json();
    let repeated = repeat(&events(&line), "INV-2026-000001", Some(1)).expect("it is as it was issued");
    assert_eq!((repeated.lines, repeated.usage), (1, 0));
    let explained = kit.get("/v1/invoices/INV-2026-000001/explanation").json();
    let explained = |n: usize| json!({"line": n + 1, "explanation": explained["items"][n]["explanation"]});
    assert_eq!(proof["explanations"], json!([explained(0), explained(1)]));
    assert_eq!(line["explanations"], json!([explained(0)]));
    let none = kit.get("/v1/invoices/INV-2026-000001/proof?line=9");
    assert_eq!((none.status, none.json()["field"].as_str()), (StatusCode::BAD_REQUEST, Some("line")));
    assert_eq!(kit.get("/v1/invoices/INV-2026-000009/proof").status, StatusCode::NOT_FOUND);
}

/// A document that is not its draft has no proof, and the server hands out none that it has not tried.
#[test]
fn a_document_that_its_events_do_not_give_has_no_proof() {
    let kit = invoiced();
    let head = kit.ctx.ledger().head().last;
    let draft =
        kit.block_on(kit.ctx.billing().read_at(head, |view, _| {
            view.billing.document("RUN-1-PARTY-2").expect("a draft").invoice.clone()
        }));
    let mut draft = draft.expect("it is read");
    draft.lines[0].description = "something else".into();
    kit.submit(Command::FinaliseInvoice(Box::new(FinaliseInvoice { draft, alone: false })));
    for path in ["proof", "proof?usage=all", "proof?line=1"] {
        let refused = kit.get(&format!("/v1/invoices/INV-2026-000001/{path}"));
        let (status, _, detail) = refused.problem();
        assert_eq!(status, 409, "{path}: {refused:?}");
        let said = "INV-2026-000001 line 1: description is \"something else\", the events give ";
        assert!(
            detail.contains("its events do not give it again") && detail.contains(said),
            "{path}: {detail}"
        );
    }
    // The usage of the other line is as it was.
    assert_eq!(kit.get("/v1/invoices/INV-2026-000001/proof?line=2").status, StatusCode::OK);
}
