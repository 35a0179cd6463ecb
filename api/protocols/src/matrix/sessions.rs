//! Sessions of browsers, attacked: forms of others, sessions that somebody else chose or that have ended, other sites,
//! places that lead away, and pages of other customers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::http::header;
use serde_json::json;

use super::asking::{Ask, Seen};
use super::world::{OF_ALICE, Who, World};

const SESSION: &str = "__Host-slapledger-session";
const BROWSER: &str = "__Host-slapledger-browser";

/// A browser: it keeps its cookies, and sends them back.
struct FakeBrowser<'a> {
    world: &'a World,
    cookies: RefCell<BTreeMap<String, String>>,
}

fn told(seen: &Seen, name: header::HeaderName) -> &str {
    seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The token in the forms of a page.
fn form_token(seen: &Seen) -> String {
    let rest =
        seen.body.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no form: {seen:?}")).1;
    rest.split('"').next().expect("it ends").to_owned()
}

impl<'a> FakeBrowser<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, cookies: RefCell::default() }
    }

    /// One that somebody signed in with.
    fn of(world: &'a World, who: Who) -> Self {
        let browser = Self::new(world);
        let seen = browser.sign_in(who, "/ui/home");
        assert_eq!((seen.status, told(&seen, header::LOCATION)), (303, "/ui/home"), "{seen:?}");
        browser
    }

    fn send(&self, ask: Ask) -> Seen {
        let cookies =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let is_page = ask.headers.iter().all(|(name, _)| *name != "accept");
        let ask = if is_page { ask.with("accept", "text/html") } else { ask };
        let ask = ask.with("cookie", cookies.join("; "));
        let seen = self.world.ask(Who::Nobody, ask);
        for set in seen.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().expect("a text");
            assert!(
                set.contains("; Secure") && set.contains("; HttpOnly") && set.contains("; SameSite=Strict"),
                "{set}"
            );
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        seen
    }

    fn get(&self, path: &str) -> Seen {
        self.send(Ask::get(path))
    }

    fn sign_in(&self, who: Who, next: &str) -> Seen {
        let token = form_token(&self.get("/ui/sign-in"));
        self.send(Ask::form(
            "/ui/sign-in",
            &[("csrf", &token), ("token", &self.world.token_text(who)), ("next", next)],
        ))
    }

    fn set(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    fn cookie(&self, name: &str) -> String {
        self.cookies.borrow().get(name).cloned().unwrap_or_default()
    }
}

/// Whether somebody is led to the sign-in.
fn is_out(seen: &Seen) -> bool {
    seen.status == 303 && told(seen, header::LOCATION).starts_with("/ui/sign-in?next=")
}

#[test]
fn a_form_counts_with_the_token_of_its_own_session_alone() {
    let world = World::new();
    let (alice, bob) = (FakeBrowser::of(&world, Who::Alice), FakeBrowser::of(&world, Who::Bob));
    let stop = |token: &str| {
        let pairs =
            [("csrf", token), ("method", "PATCH"), ("state", "stopped"), ("next", "/v1/instance-trees")];
        alice.send(Ask::form("/v1/instances/SOFTINST-1", &pairs))
    };
    let before = form_token(&FakeBrowser::new(&world).get("/ui/sign-in"));
    let of_bob = form_token(&bob.get("/ui/home"));
    for token in ["", "0", &before, &of_bob] {
        let seen = stop(token);
        assert_eq!(seen.status, 403, "{token}: {seen:?}");
    }
    // The session does not authenticate what is no form, whatever it says that it is.
    let stopped = json!({"state": "stopped"});
    let by_json = Ask::json("PATCH", "/v1/instances/SOFTINST-1", &stopped).with("accept", "application/json");
    assert_eq!(alice.send(by_json).status, 401);
    let plain = Ask::new("POST", "/v1/instances").with("content-type", "text/plain").saying("{}");
    assert_eq!(alice.send(plain.with("accept", "*/*")).status, 401);
    // A page of another site knows no token; if it did, it would be told apart by where it is from.
    let own = form_token(&alice.get("/ui/home"));
    let pairs = [("csrf", own.as_str()), ("method", "PATCH"), ("state", "stopped")];
    for (name, value) in
        [("origin", "https://elsewhere.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        let seen = alice.send(Ask::form("/v1/instances/SOFTINST-1", &pairs).with(name, value));
        assert_eq!(seen.status, 403, "{name}: {value}: {seen:?}");
    }
    assert_eq!(stop(&own).status, 303, "its own is taken");
}

#[test]
fn a_session_is_nobody_s_to_choose() {
    let world = World::new();
    let bob = FakeBrowser::of(&world, Who::Bob);
    let alice = FakeBrowser::new(&world);
    // An id that somebody planted is not the session afterwards.
    alice.set(SESSION, &"a".repeat(64));
    assert_eq!(alice.sign_in(Who::Alice, "/ui/home").status, 303);
    assert_ne!(alice.cookie(SESSION), "a".repeat(64));
    // Signing in again ends the session before.
    let first = alice.cookie(SESSION);
    assert_eq!(alice.sign_in(Who::Alice, "/ui/home").status, 303);
    let other = FakeBrowser::new(&world);
    other.set(SESSION, &first);
    assert!(is_out(&other.get("/ui/home")));
    // Under the name that a site beside this one could set, a session is none.
    let planted = FakeBrowser::new(&world);
    planted.set("slapledger-session", &bob.cookie(SESSION));
    assert!(is_out(&planted.get("/ui/home")));
    planted.set("slapledger-browser", &"0".repeat(32));
    planted.get("/ui/sign-in");
    assert_ne!(planted.cookie(BROWSER), "0".repeat(32));
}

#[test]
fn a_session_ends_with_its_credential_and_by_signing_out() {
    let world = World::new();
    let alice = FakeBrowser::of(&world, Who::Alice);
    assert_eq!(alice.get("/v1/invoices").status, 200);
    let revoke = format!("/v1/credentials/{}/revoke", world.credential(Who::Alice));
    world.ask(Who::Admin, Ask::json("POST", &revoke, &json!({}))).expect(200);
    for path in ["/v1/invoices", "/ui/home", "/v1/invoices/INV-2026-000002"] {
        assert!(is_out(&alice.get(path)), "{path}");
    }
    assert_eq!(alice.send(Ask::get("/v1/events/stream?after=0")).status, 401);
    let bob = FakeBrowser::of(&world, Who::Bob);
    let copied = FakeBrowser::new(&world);
    copied.set(SESSION, &bob.cookie(SESSION));
    assert_eq!(copied.get("/ui/home").status, 200);
    let token = form_token(&bob.get("/ui/home"));
    assert_eq!(bob.send(Ask::form("/ui/sign-out", &[("csrf", &token)])).status, 303);
    assert!(is_out(&copied.get("/ui/home")), "it is over for all who know it");
    // A token that is no more opens none.
    let again = FakeBrowser::new(&world);
    assert_eq!(again.sign_in(Who::Alice, "/ui/home").status, 401);
    assert_eq!(again.sign_in(Who::Expired, "/ui/home").status, 401);
}

#[test]
fn nobody_is_led_away() {
    let world = World::new();
    for next in [
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "javascript:alert(1)",
        "",
        "ui/home",
        " //elsewhere.example",
        "/\r\nset-cookie: a=b",
    ] {
        let browser = FakeBrowser::new(&world);
        let seen = browser.sign_in(Who::Alice, next);
        assert_eq!((seen.status, told(&seen, header::LOCATION)), (303, "/ui/home"), "{next:?}");
        let token = form_token(&browser.get("/ui/home"));
        let seen = browser
            .send(Ask::form("/ui/preferences", &[("csrf", &token), ("theme", "dark"), ("next", next)]));
        assert_eq!((seen.status, told(&seen, header::LOCATION)), (303, "/ui/home"), "{next:?}");
    }
    let browser = FakeBrowser::new(&world);
    let seen = browser.sign_in(Who::Alice, "/v1/invoices?state=open#top");
    assert_eq!(told(&seen, header::LOCATION), "/v1/invoices?state=open#top");
    let seen = FakeBrowser::new(&world).get("//elsewhere.example/..%2f");
    assert!(!told(&seen, header::LOCATION).contains("next=%2F%2F"), "{seen:?}");
}

#[test]
fn what_somebody_signed_in_for_is_kept_nowhere() {
    let world = World::new();
    let alice = FakeBrowser::of(&world, Who::Alice);
    for path in ["/ui/home", "/v1/invoices", "/v1/invoices/INV-2026-000002", "/v1/invoices/INV-9", "/nothing"]
    {
        let seen = alice.get(path);
        assert_eq!(told(&seen, header::CACHE_CONTROL), "no-store", "{path}");
        assert!(told(&seen, header::VARY).contains("cookie"), "{path}");
    }
    let seen = FakeBrowser::new(&world).get("/ui/home");
    assert_eq!((seen.status, told(&seen, header::CACHE_CONTROL)), (303, "no-store"));
    // The same as data; and what a token or a certificate is shown is for no cache on the way.
    let data = || Ask::get("/v1/invoices").with("accept", "application/json");
    assert_eq!(told(&alice.send(data()), header::CACHE_CONTROL), "no-store");
    assert_eq!(told(&world.ask(Who::Alice, data()), header::CACHE_CONTROL), "private, no-cache");
    let page = Ask::get("/v1/invoices").with("accept", "text/html");
    assert_eq!(told(&world.ask(Who::Alice, page), header::CACHE_CONTROL), "no-store");
}

#[test]
fn a_customer_reads_no_page_of_another_by_its_address() {
    let world = World::new();
    let bob = FakeBrowser::of(&world, Who::Bob);
    for (path, status) in [
        ("/v1/invoices/INV-2026-000002", 404),
        ("/v1/invoices/INV-2026-000002?line=1", 404),
        ("/v1/instance-trees/SOFTINST-1", 404),
        ("/v1/instance-trees/SOFTINST-1?connection=show", 404),
        ("/v1/instance-trees?q=SOFTINST-1", 200),
        ("/v1/instance-trees?owner=PARTY-2", 200),
        ("/v1/invoices?payer=PARTY-2", 200),
        ("/v1/parties", 200),
        ("/v1/catalogue", 200),
        ("/v1/accounts/Assets:Receivable:PARTY-2", 403),
        ("/v1/journal", 403),
        ("/v1/events?stream=invoice", 403),
        ("/v1/computers/COMP-1", 404),
        ("/ui/usage", 403),
        ("/ui/operation", 403),
        ("/ui/home", 200),
    ] {
        let seen = bob.get(path);
        assert_eq!(seen.status, status, "{path}: {seen:?}");
        for secret in OF_ALICE {
            assert!(!seen.body.contains(secret), "{path} tells {secret}");
        }
    }
    for filter in [
        "stream=instance/SOFTINST-1",
        "stream=invoice/INV-2026-000002",
        "actor=PARTY-2",
        "stream=party/PARTY-2",
    ] {
        let seen = bob.send(
            Ask::get(&format!("/v1/events/stream?after=0&{filter}")).with("accept", "text/event-stream"),
        );
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(!seen.body.contains("\ndata:"), "{filter}: {}", seen.body);
    }
}
