//! Checkpoints and proofs as their readers check them.

use axum::http::StatusCode;
use serde_json::Value;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::merkle::Root;
use slapledger_core::log::merkle::proof::{check_consistency, check_inclusion};
use slapledger_core::log::note::{SignedNote, Verifier};

use crate::testing::kit::Kit;

/// A key of Ed25519 in PKCS #8 (RFC 8410).
fn pkcs8(filler: u8) -> Vec<u8> {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&HEAD[..], &[filler; 32]].concat()
}

/// A ledger that signs with such a key.
fn kit(filler: u8) -> Kit {
    let kit = Kit::new("2026-10-01T00:00:00Z", "UTC");
    kit.ctx.engine.sign_with(&pkcs8(filler)).expect("a key");
    kit
}

fn hash(value: &Value) -> [u8; 32] {
    let text = value.as_str().expect("a hash");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    std::array::from_fn(|at| digit(2 * at))
}

fn path(value: &Value) -> Vec<[u8; 32]> {
    value.as_array().expect("hashes").iter().map(hash).collect()
}

/// A checkpoint that its key has signed.
fn checkpoint(kit: &Kit) -> (Checkpoint, String) {
    let shown = kit.get("/v1/log/checkpoint").json();
    let key: Verifier = shown["key"].as_str().expect("a key").parse().expect("a key");
    let note = SignedNote::parse(shown["note"].as_str().expect("a note")).expect("a note");
    assert_eq!(key.check(&note), Ok(None));
    (Checkpoint::parse(note.text()).expect("a checkpoint"), key.to_string())
}

#[test]
fn a_reader_who_kept_a_checkpoint_sees_that_nothing_before_it_changed() {
    let kit = kit(1);
    kit.computer("COMP-1", "UTC");
    let (before, key) = checkpoint(&kit);
    for n in 2..9 {
        kit.computer(&format!("COMP-{n}"), "UTC");
    }
    let (after, same) = checkpoint(&kit);
    assert_eq!(key, same);
    assert!(before.size < after.size);
    let proof = kit.get(&format!("/v1/log/proofs/consistency?from={}&to={}", before.size, after.size)).json();
    let hashes = path(&proof["hashes"]);
    assert_eq!(check_consistency((before.size, before.root), (after.size, after.root), &hashes), Ok(()));
    let proof = kit.get(&format!("/v1/log/proofs/inclusion?sequence=3&size={}", after.size)).json();
    let leaf = (2, hash(&proof["leaf_hash"]));
    assert_eq!(Root(hash(&proof["root"])), after.root);
    assert_eq!(check_inclusion(leaf, (after.size, after.root), &path(&proof["hashes"])), Ok(()));
}

#[test]
fn another_key_signs_from_then_on_and_both_are_listed() {
    let kit = kit(1);
    let (_, first) = checkpoint(&kit);
    kit.ctx.engine.sign_with(&pkcs8(1)).expect("the same key");
    kit.ctx.engine.sign_with(&pkcs8(2)).expect("another key");
    let (_, second) = checkpoint(&kit);
    assert_ne!(first, second);
    let keys = kit.get("/v1/log/keys").json();
    let listed: Vec<&str> =
        keys["keys"].as_array().expect("keys").iter().filter_map(|key| key["key"].as_str()).collect();
    assert_eq!(listed, [first, second]);
}

#[test]
fn a_server_without_a_key_says_so() {
    let kit = Kit::new("2026-10-01T00:00:00Z", "UTC");
    assert_eq!(kit.get("/v1/log/checkpoint").status, StatusCode::NOT_FOUND);
    assert_eq!(kit.get("/v1/log/keys").json()["keys"], serde_json::json!([]));
}

#[test]
fn what_the_log_does_not_have_is_refused_with_the_field() {
    let kit = kit(1);
    let cases = [
        ("/v1/log/proofs/inclusion?sequence=1&size=999", "size"),
        ("/v1/log/proofs/inclusion?sequence=0", "sequence"),
        ("/v1/log/proofs/inclusion", "sequence"),
        ("/v1/log/proofs/consistency?from=999", "from"),
        ("/v1/log/proofs/consistency?from=1&to=999", "to"),
        ("/v1/log/proofs/consistency?from=x", "from"),
    ];
    for (path, field) in cases {
        let reply = kit.get(path);
        assert_eq!(
            (reply.status, reply.json()["field"].as_str()),
            (StatusCode::BAD_REQUEST, Some(field)),
            "{path}"
        );
    }
    for path in ["/log/tile/0/000", "/log/tile/9/000", "/log/tile/entries/001", "/log/tile/0/0"] {
        assert_eq!(kit.get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn tiles_have_the_hashes_and_bundles_the_events() {
    let kit = kit(1);
    let tile = kit.get("/log/tile/0/000.p/2");
    assert_eq!((tile.status, tile.body.len()), (StatusCode::OK, 64));
    let bundle = kit.get("/log/tile/entries/000.p/1");
    let length = usize::from(u16::from_be_bytes([bundle.body[0], bundle.body[1]]));
    assert_eq!(bundle.body.len(), 2 + length);
    assert_eq!(slapledger_core::log::merkle::leaf_hash(&bundle.body[2..]), tile.body[..32]);
    let note = kit.get("/log/checkpoint");
    assert!(SignedNote::parse(std::str::from_utf8(&note.body).expect("text")).is_ok());
}
