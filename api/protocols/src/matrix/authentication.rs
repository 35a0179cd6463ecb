//! How somebody comes in: at a terminator of TLS, after wrong guesses, and more often than they may.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::NON_ALPHANUMERIC;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::asking::{Ask, Key};
use super::world::{Who, World};
use crate::access::ReverseProxy;

const SECRET: &str = "the secret of the terminator";
const MANY: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// A certificate of Alice, as a terminator hands it on.
fn certificate_of_alice(world: &World) -> String {
    let Key::Token(once) = world.token(Who::Alice, None, &json!({"purpose": "get_certificate"})) else {
        panic!("a token")
    };
    let given = world.ask(Who::Nobody, Ask::form("/Person_getCertificate", &[]).with("x-access-token", once));
    let given = given.expect(200).json();
    let pem = given["certificate"].as_str().expect("a certificate");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
    format!(":{}:", BASE64.encode(&der))
}

/// The same as PEM.
fn pem_of(handed_on: &str) -> String {
    let encoded = handed_on.trim_matches(':').as_bytes();
    let lines: Vec<_> = encoded.chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn a_certificate_is_taken_of_the_terminator_alone() {
    let terminator = ReverseProxy {
        addresses: vec!["10.0.0.7".parse().expect("an address")],
        secret: Zeroizing::new(Sha256::digest(SECRET).into()),
    };
    let world = World::behind(Some(terminator), MANY);
    let certificate = certificate_of_alice(&world);
    let ask = |address: &str, secret: &str, certificate: &str| {
        let ask = Ask::get("/v1/instances").from(address);
        let ask = ask.with("slapledger-terminator", secret).with("client-cert", certificate);
        world.ask(Who::Nobody, ask)
    };
    let seen = ask("10.0.0.7", SECRET, &certificate).expect(200);
    assert_eq!(seen.items("owner"), world.get(Who::Alice, "/v1/instances").expect(200).items("owner"));
    ask("10.0.0.7", "the secret of the terminatoR", &certificate).expect(401);
    ask("10.0.0.8", SECRET, &certificate).expect(401);
    // As nginx writes it; and of a client without one.
    let escaped =
        percent_encoding::percent_encode(pem_of(&certificate).as_bytes(), NON_ALPHANUMERIC).to_string();
    ask("10.0.0.7", SECRET, &escaped).expect(200);
    ask("10.0.0.7", "another secret of somebody", &escaped).expect(401);
    ask("10.0.0.7", SECRET, "").expect(401);
    for malformed in [certificate.trim_matches(':'), ":not base64:", &escaped[..escaped.len() / 2]] {
        let problem = ask("10.0.0.7", SECRET, malformed).expect(400).json();
        assert_eq!(problem["field"], "client-cert", "{malformed:?}");
    }
    let unknown = format!(":{}:", BASE64.encode(b"somebody else's"));
    ask("10.0.0.7", SECRET, &unknown).expect(401);
    let alone = |name, value: &str| {
        world.ask(Who::Nobody, Ask::get("/v1/instances").from("10.0.0.7").with(name, value))
    };
    alone("client-cert", &certificate).expect(401);
    alone("slapledger-terminator", SECRET).expect(401);
    let of = |path: &str| Ask::get(path).from("10.0.0.7").with("slapledger-terminator", SECRET);
    world.ask(Who::Nobody, of("/healthz")).expect(200);
    // Whose word counts must be said once.
    world.ask(Who::Nobody, of("/healthz").with("slapledger-terminator", "another")).expect(401);
    let twice = of("/v1/instances").with("client-cert", &certificate).with("client-cert", &certificate);
    world.ask(Who::Nobody, twice).expect(400);
    // Where none is configured, nobody is one.
    let world = World::new();
    let certificate = certificate_of_alice(&world);
    let handed_on = Ask::get("/v1/instances").from("127.0.0.1").with("client-cert", certificate);
    world.ask(Who::Nobody, handed_on).expect(401);
}

#[test]
fn who_guesses_is_slowed_and_nobody_else_is() {
    let world = World::new();
    let Key::Token(right) = world.token(Who::Alice, None, &json!({})) else { panic!("a token") };
    let wrong = format!("{}{}", &right[..right.len() - 1], if right.ends_with('0') { '1' } else { '0' });
    let ask = |token: &str, address: &str| {
        let ask = Ask::get("/v1/instances").from(address);
        world.ask_with(Some(&Key::Token(token.to_owned())), ask)
    };
    for _ in 0..10 {
        ask(&wrong, "10.0.0.9").expect(401);
    }
    let slowed = ask(&wrong, "10.0.0.9").expect(429);
    assert_eq!(slowed.headers["retry-after"], "6");
    ask(&right, "10.0.0.9").expect(200);
    ask(&wrong, "10.0.0.10").expect(401);
    // So are those who guess tokens that register.
    let register = |address: &str| {
        let ask = Ask::form("/Person_requestComputer", &[("title", "x")]).from(address);
        world.ask(Who::Nobody, ask.with("x-access-token", wrong.clone())).status
    };
    assert_eq!((register("10.0.0.9"), register("10.0.0.11")), (429, 403));
}

#[test]
fn each_sends_as_many_requests_as_they_may() {
    let world = World::behind(None, NonZeroU32::MIN);
    let of_alice = || world.get(Who::Alice, "/v1/instances");
    assert_eq!([of_alice().status, of_alice().status], [200, 200]);
    let refused = of_alice().expect(429);
    let wait: u32 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    world.get(Who::Bob, "/v1/instances").expect(200);
    let of_nobody = |address: &str| world.ask(Who::Nobody, Ask::get("/healthz").from(address)).status;
    assert_eq!([of_nobody("10.0.0.1"), of_nobody("10.0.0.1"), of_nobody("10.0.0.1")], [200, 200, 429]);
    assert_eq!(of_nobody("10.0.0.2"), 200);
}

#[test]
fn whom_a_terminator_speaks_for_is_bounded_by_their_own_address() {
    let terminator = || ReverseProxy {
        addresses: vec!["10.0.0.7".parse().expect("an address")],
        secret: Zeroizing::new(Sha256::digest(SECRET).into()),
    };
    let world = World::behind(Some(terminator()), NonZeroU32::MIN);
    let of = |client: &str| {
        let ask = Ask::get("/healthz").from("10.0.0.7").with("slapledger-terminator", SECRET);
        world.ask(Who::Nobody, ask.with("x-forwarded-for", client)).status
    };
    assert_eq!([of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.1")], [200, 200, 429]);
    // What stands before the last is what a client said of itself.
    assert_eq!(of("192.0.2.9, 192.0.2.1"), 429);
    assert_eq!((of("192.0.2.1, 192.0.2.2"), of("[2001:db8::1]")), (200, 200));
    // Without the secret it is anybody's word.
    let claimed = || {
        let ask = Ask::get("/healthz").from("10.0.0.8").with("x-forwarded-for", "192.0.2.3");
        world.ask(Who::Nobody, ask).status
    };
    assert_eq!([claimed(), claimed(), claimed()], [200, 200, 429]);
    assert_eq!(of("192.0.2.3"), 200);
    // Wrong guesses of one client do not slow another.
    let world = World::behind(Some(terminator()), MANY);
    let guess = |client: &str| {
        let ask = Ask::get("/v1/instances").from("10.0.0.7").with("slapledger-terminator", SECRET);
        let wrong = Key::Token(format!("slap_{}_{}", "0".repeat(32), "0".repeat(64)));
        world.ask_with(Some(&wrong), ask.with("x-forwarded-for", client)).status
    };
    for _ in 0..10 {
        assert_eq!(guess("192.0.2.1"), 401);
    }
    assert_eq!((guess("192.0.2.1"), guess("192.0.2.2")), (429, 401));
}
