//! Pages of a small cloud, and what a browser is told about them.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use slapledger_core::domain::event::Mode;
use slapledger_kit::code::CODES;
use slapledger_pages::Language;

use crate::testing::world::{Seen, World};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The value of a hidden field.
fn field(seen: &Seen, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let rest = seen.body.split_once(&begin).unwrap_or_else(|| panic!("no field {name}: {}", seen.body)).1;
    rest.split('"').next().expect("it ends").to_owned()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(header::ACCEPT, BROWSER).body(Body::empty()).expect("a request")
}

fn text<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn demo() -> World {
    World::empty(Mode::Demo)
}

/// What every page of ours must be: HTML that no script can get into, under headers that say so.
#[track_caller]
fn is_page(seen: &Seen, status: u16) {
    assert_eq!(seen.status.as_u16(), status, "{}", seen.body);
    assert_eq!(text(seen, "content-type"), "text/html; charset=utf-8");
    let policy = text(seen, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(text(seen, "x-content-type-options"), "nosniff");
    assert!(seen.body.starts_with("<!DOCTYPE html>") && seen.body.contains("<h1>"), "{}", seen.body);
    assert!(!seen.body.contains(" style=") && !seen.body.contains("<style"), "{}", seen.body);
    // Every script is a file, and carries the nonce.
    for script in seen.body.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').expect("it ends");
        assert!(
            tag.contains("src=\"/ui/assets/") && tag.contains("nonce=\"") && rest.starts_with("</script>"),
            "{tag}"
        );
    }
}

#[test]
fn a_browser_gets_pages_and_every_other_client_what_it_got_before() {
    let world = demo();
    let root = world.send(get("/"));
    assert_eq!((root.status.as_u16(), text(&root, "location")), (303, "/ui/home"));
    is_page(&world.send(get("/ui/home")), 200);
    is_page(&world.send(get("/v1/invoices")), 200);
    is_page(&world.send(get("/ui/usage")), 200);
    is_page(&world.send(get("/v1/invoices/INV-1")), 404);
    is_page(&world.send(get("/nothing")), 404);
    is_page(&world.send(get("/v1/invoices?limit=0")), 400);
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let request = Request::get("/v1/invoices").header(header::ACCEPT, accept).body(Body::empty());
        let seen = world.send(request.expect("a request"));
        assert_eq!(text(&seen, "content-type"), "application/json", "{accept}");
    }
    let bare = Request::get("/").body(Body::empty()).expect("a request");
    assert_eq!(world.send(bare).status, StatusCode::NOT_FOUND);
    let french =
        Request::get("/ui/home").header(header::ACCEPT, BROWSER).header(header::ACCEPT_LANGUAGE, "fr");
    let seen = world.send(french.body(Body::empty()).expect("a request"));
    assert!(seen.body.contains("<html lang=\"fr\""), "{}", seen.body);
}

/// The cookie of a browser, as it sends it back.
fn cookie(seen: &Seen) -> String {
    let set: Vec<&str> =
        seen.headers.get_all(header::SET_COOKIE).iter().filter_map(|told| told.to_str().ok()).collect();
    set.iter().filter_map(|told| told.split(';').next()).collect::<Vec<_>>().join("; ")
}

fn form(path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Request<Body> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = Request::post(path).header(header::ACCEPT, BROWSER).header(header::COOKIE, cookie);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::from(body)).expect("a request")
}

#[test]
fn a_form_is_taken_with_the_token_of_its_browser_alone() {
    let world = demo();
    let page = world.send(get("/ui/home"));
    let (cookie, token) = (cookie(&page), field(&page, "csrf"));
    let dark = |token: &str, cookie: &str| {
        form(
            "/ui/preferences",
            cookie,
            &[("csrf", token), ("theme", "dark"), ("next", "//elsewhere.example/")],
        )
    };
    let kept = world.send(dark(&token, &cookie));
    assert_eq!((kept.status.as_u16(), text(&kept, "location")), (303, "/ui/home"), "{}", kept.body);
    assert!(text(&kept, "set-cookie").starts_with("slapledger-theme=dark;"), "{:?}", kept.headers);
    is_page(&world.send(dark(&token, "")), 403);
    is_page(&world.send(dark("", &cookie)), 403);
    let other = "slapledger-browser=00000000000000000000000000000000";
    is_page(&world.send(dark(&token, other)), 403);
    // What a route says of the work itself is a page too.
    let dismissed = |token: &str| {
        form(
            "/v1/usage-suspense/7/dismiss",
            &cookie,
            &[("csrf", token), ("reason", "twice"), ("next", "/ui/usage")],
        )
    };
    is_page(&world.send(dismissed(&token)), 404);
    is_page(&world.send(dismissed("")), 403);
}

#[test]
fn a_secret_is_shown_once_and_kept_by_no_browser() {
    let world = demo();
    let page = world.send(get("/v1/credentials"));
    is_page(&page, 200);
    let (cookie, token) = (cookie(&page), field(&page, "csrf"));
    let fields = [("csrf", token.as_str()), ("holder", "carol"), ("roles[]", "auditor"), ("label", "<b>")];
    let issued = world.send(form("/v1/tokens", &cookie, &fields));
    is_page(&issued, 200);
    assert_eq!(text(&issued, "cache-control"), "no-store");
    let secret = issued.body.split("data-testid=\"token-secret\">").nth(1).expect("a secret");
    let secret = secret.split('<').next().expect("it ends");
    assert!(secret.starts_with("slap_") && issued.body.contains("<bdi>&lt;b&gt;</bdi>"), "{}", issued.body);
    let again = world.send(get("/v1/credentials"));
    assert!(again.body.contains("carol") && !again.body.contains(secret), "{}", again.body);
    is_page(&world.send(form("/v1/tokens", &cookie, &[("csrf", "x"), ("holder", "carol")])), 403);
}

#[test]
fn a_form_about_an_instance_says_what_its_reader_has_seen() {
    let world = World::proxy(2);
    world.request("shop", &[], None);
    let page = world.send(get("/v1/instance-trees/SOFTINST-1"));
    is_page(&page, 200);
    let (cookie, token, seen) = (cookie(&page), field(&page, "csrf"), field(&page, "if-match"));
    let tag = seen.replace("&quot;", "\"");
    let stop = |key: &str| {
        let fields = [("csrf", token.as_str()), ("key", key), ("if-match", &tag), ("method", "PATCH")];
        let fields = [&fields[..], &[("state", "stopped"), ("next", "/v1/instance-trees")]].concat();
        world.send(form("/v1/instances/SOFTINST-1", &cookie, &fields))
    };
    assert_eq!(stop("one").status.as_u16(), 303);
    // By now it is another one.
    is_page(&stop("two"), 412);
}

#[test]
fn names_of_others_are_text_and_isolated() {
    let world = demo();
    let body = serde_json::json!({"name": "<script>alert(1)</script>\u{202e}"}).to_string();
    let party = world.post_json("/v1/parties", &body, &[]).expect(201).json();
    let party = party["id"].as_str().expect("an id");
    let seen = world.send(get(&format!("/v1/invoices?payer={party}")));
    is_page(&seen, 200);
    assert!(seen.body.contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}</bdi>"), "{}", seen.body);
}

#[test]
fn a_problem_is_told_in_french_with_its_remedy() {
    for row in CODES {
        let words = slapledger_pages::problem_words(Language::French, row.code.as_str());
        assert!(words.is_some(), "locales/problems.fr.ftl has no {}", row.code.as_str());
    }
    let world = demo();
    let french = |path: &str| {
        let request =
            Request::get(path).header(header::ACCEPT, BROWSER).header(header::ACCEPT_LANGUAGE, "fr");
        world.send(request.body(Body::empty()).expect("a request"))
    };
    let seen = french("/v1/invoices/INV-1");
    is_page(&seen, 404);
    for text in ["Corrigez le numéro", "ne nomme aucun document définitif"] {
        assert!(seen.body.contains(text), "{text} is not in {}", seen.body);
    }
    let seen = french("/v1/invoices?limit=0");
    assert!(seen.body.contains("doit être un nombre de 1 à 1000"), "{}", seen.body);
    let seen = french("/v1/invoices?colour=red");
    assert!(seen.body.contains("<span lang=\"en\">is not a parameter here"), "{}", seen.body);
}

#[test]
#[should_panic(expected = "pages without a route, and so without a policy: /ui/home, ")]
fn a_page_without_a_policy_does_not_start() {
    let world = demo();
    let known = slapledger_pages::PAGES.iter().map(|page| page.route).filter(|route| *route != "/ui/home");
    // Of two that are planted the first is named first.
    let known: Vec<&str> = known.filter(|route| *route != "/ui/usage").collect();
    let gateway = crate::access::Gateway::open(std::sync::Arc::clone(&world.ctx.engine));
    let _ = super::around(Router::new(), std::sync::Arc::new(gateway), &known);
}
