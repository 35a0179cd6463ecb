//! The cloud that is asked: a project with everybody in it, and another one beside it with nobody but its admin.
//!
//! It is built once, by those whom it is about and through the routes they use, and copied for whoever changes it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Frame;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use slapledger_core::domain::Command;
use slapledger_core::domain::access::{Holder, IssueCredential, Proof, Purpose, Role};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::log::envelope::Actor;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::access::token::Token;
use crate::access::{Doors, Guesses, Rate, Terminator};
use crate::app::{App, Open};
use crate::ca::Authority;
use crate::certification::Certifier;
use crate::clock::ManualClock;
use crate::config::Requests;
use crate::http::openapi::conformity;
use crate::http::router;
use crate::net::{Peer, PeerCertificate};

/// Those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// Nobody says who.
    Nobody,
    /// An operator, admin of all projects.
    Root,
    /// An operator, admin of the project.
    Admin,
    /// An operator, admin of the other project.
    OtherAdmin,
    /// An operator, auditor of all projects.
    Auditor,
    /// PARTY-4, whose are COMP-1 and COMP-3.
    Provider,
    /// PARTY-5, whose is COMP-2.
    OtherProvider,
    /// PARTY-6.
    Publisher,
    /// PARTY-2, a customer.
    Alice,
    /// PARTY-3, a customer.
    Bob,
    /// COMP-1.
    Node,
    /// COMP-2.
    OtherNode,
    /// SOFTINST-1, which is Alice's.
    Instance,
    /// SOFTINST-3, which is Bob's.
    OtherInstance,
    /// An admin of all projects whose token was revoked.
    Revoked,
    /// An admin of all projects whose token has expired.
    Expired,
    /// PARTY-4 as a customer too. In no column.
    Both,
    /// PARTY-3, who is an auditor too. In no column.
    Prying,
}

/// Those who have a column in the table, in its order.
pub(super) const COLUMNS: [Who; 16] = [
    Who::Nobody,
    Who::Root,
    Who::Admin,
    Who::OtherAdmin,
    Who::Auditor,
    Who::Provider,
    Who::OtherProvider,
    Who::Publisher,
    Who::Alice,
    Who::Bob,
    Who::Node,
    Who::OtherNode,
    Who::Instance,
    Who::OtherInstance,
    Who::Revoked,
    Who::Expired,
];

/// A release that is on COMP-1 and COMP-2.
pub(super) const RELEASE: &str = "https://example.org/a/software.cfg";
/// A release that is to go from COMP-1.
pub(super) const LEAVING: &str = "https://example.org/b/software.cfg";

/// What Alice keeps to herself: parameters, connection parameters and errors of her instances, her name and details.
pub(super) const OF_ALICE: [&str; 7] = [
    "alice-parameter",
    "alice-child",
    "alice-connection",
    "alice-error",
    "alice-ended",
    "alice-name",
    "alice-detail",
];
/// The same of Bob, whose shared instance is on one of Alice's.
pub(super) const OF_BOB: [&str; 5] =
    ["bob-parameter", "bob-shared", "bob-connection", "bob-name", "bob-detail"];
/// What the provider keeps to itself.
pub(super) const OF_PROVIDER: [&str; 2] = ["provider-software-error", "provider-name"];

/// What somebody shows.
#[derive(Clone)]
pub(super) enum Key {
    Token(String),
    Certificate([u8; 32]),
}

type Keys = BTreeMap<Who, Key>;

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// Where it comes from, if that makes a difference.
    pub(super) address: Option<IpAddr>,
}

impl Ask {
    pub(super) fn new(method: &str, path: &str) -> Self {
        let method = method.parse().expect("a method");
        Self { method, path: path.to_owned(), headers: Vec::new(), body: String::new(), address: None }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(super) fn json(method: &str, path: &str, body: &Value) -> Self {
        Self::new(method, path).with("content-type", "application/json").saying(body.to_string())
    }

    pub(super) fn form(path: &str, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::new("POST", path).with("content-type", "application/x-www-form-urlencoded").saying(body)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn from(self, address: &str) -> Self {
        Self { address: Some(address.parse().expect("an address")), ..self }
    }

    pub(super) fn saying(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The members of this name of the items of a list.
    pub(super) fn items(&self, name: &str) -> Vec<String> {
        let list = self.json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        items.iter().map(|item| item[name].as_str().map_or(item[name].to_string(), str::to_owned)).collect()
    }
}

/// The cloud. Not to be used from within a runtime.
pub(super) struct World {
    pub(super) app: Arc<App>,
    pub(super) clock: Arc<ManualClock>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    keys: Keys,
    folder: Arc<TempDir>,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

/// When everything is asked.
const NOW: &str = "2026-12-02T09:00:00Z";

/// How long what is answered meanwhile may take.
const IN_TIME: Duration = Duration::from_millis(500);

/// A body that comes after something else has happened.
struct After(Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>);

impl hyper::body::Body for After {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(first) = &mut self.0 else { return Poll::Ready(None) };
        let bytes = ready!(first.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

async fn answered(router: Router, request: Request<Body>) -> Seen {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.oneshot(request).await.expect("a router always answers");
    let (parts, body) = response.into_parts();
    conformity::check(&method, &path, parts.status, &parts.headers);
    let body = body.collect().await.expect("a body").to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    Seen { status: StatusCode::as_u16(&parts.status), headers: parts.headers, body }
}

fn doors(terminator: Option<Terminator>, most_per_second: NonZeroU32) -> Doors {
    Doors {
        https: true,
        names: vec!["master.example".to_owned()],
        terminator,
        guesses: Guesses::default(),
        rate: Rate::new(most_per_second, most_per_second),
    }
}

impl World {
    /// A copy of it.
    pub(super) fn new() -> Self {
        let many = NonZeroU32::new(1_000_000).expect("not zero");
        Self::behind(None, many)
    }

    /// The same, behind a terminator of TLS or not, that takes so many requests a second of each.
    pub(super) fn behind(terminator: Option<Terminator>, most_per_second: NonZeroU32) -> Self {
        let (folder, keys) = Self::built();
        let doors = doors(terminator, most_per_second);
        Self::open(folder, keys, NOW, (doors, Requests::default()))
    }

    /// The same, with so many requests under way of each holder.
    pub(super) fn with_shares(most_at_a_time_of_one: usize) -> Self {
        Self::within(Requests { most_at_a_time_of_one, ..Requests::default() })
    }

    /// The same, within these bounds.
    pub(super) fn within(requests: Requests) -> Self {
        let (folder, keys) = Self::built();
        let many = NonZeroU32::new(1_000_000).expect("not zero");
        Self::open(folder, keys, NOW, (doors(None, many), requests))
    }

    fn built() -> (TempDir, Keys) {
        static BUILT: OnceLock<(Arc<TempDir>, Keys)> = OnceLock::new();
        let (built, keys) = BUILT.get_or_init(|| {
            let folder = TempDir::new().expect("a folder");
            let many = NonZeroU32::new(1_000_000).expect("not zero");
            let bounds = (doors(None, many), Requests::default());
            let mut world = Self::open(folder, Keys::new(), "2026-09-20T00:00:00Z", bounds);
            world.furnish();
            // The rest of it is shut down and closed here.
            (Arc::clone(&world.folder), world.keys.clone())
        });
        let folder = TempDir::new().expect("a folder");
        copy(built.path(), folder.path());
        (folder, keys.clone())
    }

    fn open(folder: TempDir, keys: Keys, now: &str, (doors, requests): (Doors, Requests)) -> Self {
        let clock = Arc::new(ManualClock::new(at(now)));
        let as_clock = Arc::<ManualClock>::clone(&clock);
        let open = Open { data: folder.path(), mode: Mode::Serve, clock: as_clock, master_key: None };
        let mut app = App::open(open).expect("it opens");
        app.doors = Some(Arc::new(doors));
        app.requests = Arc::new(requests);
        let ca = folder.path().join("ca");
        let authority =
            if ca.exists() { Authority::open(&ca) } else { Authority::create(&ca, "test", at(now)) };
        let authority = authority.expect("an authority");
        let certificates = folder.path().join("certificates");
        app.certifier = Some(Arc::new(Certifier::new(authority, &certificates).expect("a folder")));
        let app = Arc::new(app);
        let router = router::router(Arc::clone(&app));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { app, clock, router, runtime, keys, folder: Arc::new(folder) }
    }

    pub(super) fn set(&self, now: &str) {
        self.clock.set(at(now));
    }

    /// The last event.
    pub(super) fn head(&self) -> u64 {
        self.app.ledger.head().last.0
    }

    /// The credential of somebody who has a token.
    pub(super) fn credential(&self, who: Who) -> String {
        match &self.keys[&who] {
            Key::Token(token) => Token::read(token).expect("a token").credential.to_string(),
            Key::Certificate(_) => panic!("{who:?} has no token"),
        }
    }

    /// Gives somebody another key.
    pub(super) fn keep(&mut self, who: Who, key: Key) {
        self.keys.insert(who, key);
    }

    pub(super) fn ask(&self, who: Who, ask: Ask) -> Seen {
        assert!(who == Who::Nobody || self.keys.contains_key(&who), "{who:?} has no key yet");
        self.ask_with(self.keys.get(&who), ask)
    }

    pub(super) fn ask_with(&self, key: Option<&Key>, ask: Ask) -> Seen {
        self.runtime.block_on(answered(self.router.clone(), Self::request(key, ask)))
    }

    /// Several at the same time.
    pub(super) fn ask_together(&self, asks: Vec<Ask>) -> Vec<Seen> {
        self.runtime.block_on(async {
            let asks = asks.into_iter().map(|ask| answered(self.router.clone(), Self::request(None, ask)));
            let asks: Vec<_> = asks.map(tokio::spawn).collect();
            let mut seen = Vec::new();
            for ask in asks {
                seen.push(ask.await.expect("it is answered"));
            }
            seen
        })
    }

    /// Sends the head of a request, and its body when another was answered meanwhile; `None`, if that was not in time.
    pub(super) fn ask_while(
        &self,
        (key, ask): (Option<&Key>, Ask),
        (other_key, other): (Option<&Key>, Ask),
    ) -> (Seen, Option<Seen>) {
        let other = answered(self.router.clone(), Self::request(other_key, other));
        let (told, meanwhile) = tokio::sync::oneshot::channel();
        let bytes = ask.body.clone().into();
        let body = After(Some(Box::pin(async move {
            let _ = told.send(tokio::time::timeout(IN_TIME, other).await.ok());
            bytes
        })));
        let request = Self::request(key, ask).map(|_| Body::new(body));
        self.runtime.block_on(async {
            let seen = answered(self.router.clone(), request).await;
            (seen, meanwhile.await.expect("the body is read"))
        })
    }

    fn request(key: Option<&Key>, ask: Ask) -> Request<Body> {
        let Ask { method, path, headers, body, address } = ask;
        let mut request =
            Request::builder().method(&method).uri(&path).header(header::HOST, "master.example");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(body)).expect("a request");
        if let Some(address) = address {
            let peer = Peer { address: SocketAddr::new(address, 50_000), certificate: None, tls: false };
            request.extensions_mut().insert(peer);
        }
        match key {
            None => {}
            Some(Key::Token(token)) => {
                let value = format!("Bearer {token}").parse().expect("a header");
                request.headers_mut().append(header::AUTHORIZATION, value);
            }
            Some(Key::Certificate(fingerprint)) => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
                let certificate = PeerCertificate { fingerprint: *fingerprint, der: Vec::new() };
                let peer = Peer { address, certificate: Some(Arc::new(certificate)), tls: true };
                request.extensions_mut().insert(peer);
            }
        }
        request
    }

    #[track_caller]
    pub(super) fn get(&self, who: Who, path: &str) -> Seen {
        self.ask(who, Ask::get(path))
    }

    #[track_caller]
    pub(super) fn post(&self, who: Who, path: &str, body: &Value) -> Seen {
        self.ask(who, Ask::json("POST", path, body))
    }

    /// A token that somebody issues.
    #[track_caller]
    pub(super) fn token(&self, issuer: Who, project: Option<&str>, wanted: &Value) -> Key {
        let ask = Ask::json("POST", "/v1/tokens", wanted);
        let ask = project.into_iter().fold(ask, |ask, project| ask.with("slapledger-project", project));
        let told = self.ask(issuer, ask).expect(201).json();
        Key::Token(told["token"].as_str().expect("a token").to_owned())
    }

    /// The certificate that a call answers with.
    #[track_caller]
    pub(super) fn certificate(&self, who: Who, path: &str, body: &Value) -> Key {
        Self::key_of(&self.post(who, path, body).expect(200).json())
    }

    /// The certificate in an answer.
    pub(super) fn key_of(told: &Value) -> Key {
        let pem = told["certificate"].as_str().expect("a certificate");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
        Key::Certificate(Sha256::digest(&der).into())
    }

    /// Where the pair of an instance of the first project is kept.
    pub(super) fn kept_of(&self, instance: &str) -> PathBuf {
        self.folder.path().join("certificates").join(format!("PROJ-1.{instance}"))
    }

    /// The sequence of the usage that is suspended.
    pub(super) fn suspended(&self) -> String {
        self.get(Who::Root, "/v1/usage-suspense").expect(200).items("sequence")[0].clone()
    }

    /// A path with what stands for something of this cloud in place.
    pub(super) fn filled(&self, path: &str) -> String {
        let path = path.replace("$alice", &self.credential(Who::Alice));
        if path.contains("$suspended") { path.replace("$suspended", &self.suspended()) } else { path }
    }

    fn furnish(&mut self) {
        self.let_root_in();
        self.let_others_in();
        self.bring_computers();
        self.run_instances();
        self.invoice();
        self.ask(
            Who::Root,
            Ask::new("POST", &format!("/v1/credentials/{}/revoke", self.credential(Who::Revoked))),
        )
        .expect(200);
    }

    fn let_root_in(&mut self) {
        let app = &self.app;
        let name = app.keys.seal(app.keys.fresh().expect("a key"), b"the operator").expect("sealed");
        let party = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
        app.submit_own(Actor::system(), Command::RegisterParty(party)).expect("it is carried out");
        let token = Token::random();
        let issue = IssueCredential {
            credential: token.credential,
            holder: Holder::Operator("root".into()),
            roles: Role::Admin.into(),
            all_projects: true,
            purpose: Purpose::Access,
            proof: Proof::Token { digest: token.digest() },
            label: None,
            expires_at: None,
            spends: None,
            renews: false,
        };
        let issue = Command::IssueCredential(Box::new(issue));
        let issued = app.submit_own(Actor::system(), issue).expect("it is carried out");
        app.access.read_at_blocking(issued.sequence, |_, _| ()).expect("it is shown");
        self.keep(Who::Root, Key::Token(token.text().to_string()));
    }

    fn let_others_in(&mut self) {
        for (name, detail) in [
            ("alice-name", "alice-detail"),
            ("bob-name", "bob-detail"),
            ("provider-name", "p"),
            ("other-provider", "q"),
            ("publisher", "u"),
            ("nobody's", "z"),
        ] {
            let party = json!({"name": name, "contact": detail});
            self.post(Who::Root, "/v1/parties", &party).expect(201);
        }
        self.post(Who::Root, "/v1/projects", &json!({"title": "other"})).expect(201);
        let of_party = |party: &str, roles: &[&str]| json!({"holder": party, "roles": roles});
        let expires = json!({
            "holder": "eve", "roles": ["admin"], "all_projects": true, "expires_at": "2026-11-15T00:00:00Z",
        });
        let wide = |name: &str, role: &str| json!({"holder": name, "roles": [role], "all_projects": true});
        let tokens = [
            (Who::Admin, None, of_party("anna", &["admin"])),
            (Who::OtherAdmin, Some("PROJ-2"), of_party("otto", &["admin"])),
            (Who::Auditor, None, wide("audra", "auditor")),
            (Who::Provider, None, of_party("PARTY-4", &["provider"])),
            (Who::OtherProvider, None, of_party("PARTY-5", &["provider"])),
            (Who::Publisher, None, of_party("PARTY-6", &["publisher"])),
            (Who::Alice, None, of_party("PARTY-2", &["customer"])),
            (Who::Bob, None, of_party("PARTY-3", &["customer"])),
            (Who::Revoked, None, wide("rita", "admin")),
            (Who::Expired, None, expires),
            (Who::Both, None, of_party("PARTY-4", &["customer", "provider"])),
            (Who::Prying, None, of_party("PARTY-3", &["customer", "auditor"])),
        ];
        for (who, project, wanted) in tokens {
            let key = self.token(Who::Root, project, &wanted);
            self.keep(who, key);
        }
    }

    fn bring_computers(&mut self) {
        let enter = |provider, name: &str| {
            self.post(provider, "/v1/computers", &json!({"reference": name})).expect(201);
        };
        enter(Who::Provider, "COMP-1");
        enter(Who::Provider, "COMP-3");
        enter(Who::OtherProvider, "COMP-2");
        for (provider, node, name, free) in
            [(Who::Provider, Who::Node, "COMP-1", 10), (Who::OtherProvider, Who::OtherNode, "COMP-2", 2)]
        {
            let certify = "/slapos.post.v0.compute_node_certificate";
            let key = self.certificate(provider, certify, &json!({"computer_guid": name}));
            self.keep(node, key);
            let partitions: Vec<Value> = (0..free)
                .map(|n| json!({"id": format!("slappart{n}"), "addresses": [{"address": format!("10.0.0.{n}")}]}))
                .collect();
            let path = |what: &str| format!("/v1/computers/{name}/{what}");
            let configured = json!({"address": "10.0.0.1", "partitions": partitions});
            self.ask(node, Ask::json("PUT", &path("configuration"), &configured)).expect(200);
            let open = json!({"scope": "open"});
            self.ask(provider, Ask::json("PUT", &path("allocation-scope"), &open)).expect(200);
            let supply = json!({"software_release": RELEASE, "state": "available"});
            self.post(provider, &path("software"), &supply).expect(200);
            self.post(node, &path("software-reports"), &supply).expect(200);
        }
        let leaving = json!({"software_release": LEAVING, "state": "available"});
        self.post(Who::Provider, "/v1/computers/COMP-1/software", &leaving).expect(200);
        let error =
            json!({"software_release": LEAVING, "state": "error", "error": "provider-software-error"});
        self.post(Who::Node, "/v1/computers/COMP-1/software-reports", &error).expect(200);
        let leaving = json!({"software_release": LEAVING, "state": "destroyed"});
        self.post(Who::Provider, "/v1/computers/COMP-1/software", &leaving).expect(200);
        let product = json!({"product": "kvm", "software_release": RELEASE});
        self.post(Who::Publisher, "/v1/products", &product).expect(200);
    }

    /// SOFTINST-1 to 7: Alice's, its child, Bob's, his on hers, one of his on COMP-2, one of hers that has ended, and one
    /// of the operator's.
    fn run_instances(&mut self) {
        self.set("2026-10-16T00:00:00Z");
        let request = |who, name: &str, parameter: &str, sla: Value, shared: bool| {
            let wanted = json!({
                "software_release": RELEASE, "instance_id": name, "instance_type": "production",
                "parameters": {"secret": parameter}, "sla": sla, "shared": shared,
            });
            self.post(who, "/v1/instances", &wanted).expect(201)
        };
        let on = |computer: &str| json!({"computer_guid": computer});
        request(Who::Alice, "shop", "alice-parameter", on("COMP-1"), false);
        let instance = self.instance_certificate("SOFTINST-1");
        self.keep(Who::Instance, instance);
        let request = |who, name: &str, parameter: &str, sla: Value, shared: bool| {
            let wanted = json!({
                "software_release": RELEASE, "instance_id": name, "instance_type": "production",
                "parameters": {"secret": parameter}, "sla": sla, "shared": shared,
            });
            self.post(who, "/v1/instances", &wanted).expect(201)
        };
        request(Who::Instance, "db", "alice-child", on("COMP-1"), false);
        request(Who::Bob, "shop", "bob-parameter", on("COMP-1"), false);
        request(Who::Bob, "site", "bob-shared", json!({"instance_guid": "SOFTINST-1"}), true);
        request(Who::Bob, "far", "bob-parameter", on("COMP-2"), false);
        request(Who::Alice, "gone", "alice-ended", on("COMP-1"), false);
        request(Who::Root, "shop", "of the operator", on("COMP-1"), false);
        let instance = self.instance_certificate("SOFTINST-3");
        self.keep(Who::OtherInstance, instance);
        let says = |instance: &str, what: &str, body: &Value| {
            self.post(Who::Node, &format!("/v1/instances/{instance}/{what}"), body).expect(200);
        };
        for instance in ["SOFTINST-1", "SOFTINST-2", "SOFTINST-3", "SOFTINST-6"] {
            says(instance, "reports", &json!({"state": "started"}));
        }
        for (instance, connection) in [("SOFTINST-1", "alice-connection"), ("SOFTINST-3", "bob-connection")] {
            let path = format!("/v1/instances/{instance}/connection-parameters");
            let told = json!({"connection_parameters": {"url": connection}});
            self.ask(Who::Node, Ask::json("PUT", &path, &told)).expect(200);
        }
        says("SOFTINST-2", "reports", &json!({"state": "error", "error": "alice-error"}));
        self.set("2026-10-20T00:00:00Z");
        self.ask(Who::Alice, Ask::new("DELETE", "/v1/instances/SOFTINST-6")).expect(200);
        says("SOFTINST-6", "reports", &json!({"state": "destroyed"}));
    }

    fn instance_certificate(&self, instance: &str) -> Key {
        let path = "/slapos.get.v0.software_instance_certificate";
        self.certificate(Who::Node, path, &json!({"instance_guid": instance}))
    }

    fn invoice(&mut self) {
        self.post(Who::Root, "/v1/price-books", &prices("standard", "10.00")).expect(201);
        for (customer, amount) in [("PARTY-2", "1.00"), ("PARTY-3", "2.00")] {
            let told =
                json!({"customer": customer, "currency": "EUR", "amount": amount, "description": "by hand"});
            self.post(Who::Root, "/v1/credits", &told).expect(201);
            self.post(Who::Root, "/v1/charges", &told).expect(201);
        }
        let usage = [
            usage("COMP-1", "a", "slappart0", "7"),
            usage("COMP-1", "b", "slappart2", "8"),
            usage("COMP-1", "c", "slappart0", "NaN"),
        ];
        self.report(Who::Node, &usage).expect(200);
        self.report(Who::OtherNode, &[usage_of_no_one("COMP-2")]).expect(200);
        self.set("2026-11-02T00:00:00Z");
        let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
        self.post(Who::Root, "/v1/invoice-runs", &run).expect(201);
        self.set(NOW);
        for (customer, amount) in [("PARTY-2", "1.00"), ("PARTY-3", "2.00")] {
            let told =
                json!({"customer": customer, "currency": "EUR", "amount": amount, "description": "by hand"});
            self.post(Who::Root, "/v1/credits", &told).expect(201);
            self.post(Who::Root, "/v1/charges", &told).expect(201);
        }
        let run = json!({"period": {"start": "2026-11-01", "stop": "2026-12-01"}});
        self.post(Who::Root, "/v1/invoice-runs", &run).expect(201);
    }

    pub(super) fn report(&self, who: Who, events: &[Value]) -> Seen {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let ask = Ask::new("POST", "/v1/usage-events").with("content-type", "application/x-ndjson");
        self.ask(who, ask.saying(lines.join("\n")))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.app.shut_down();
    }
}

/// Prices.
pub(super) fn prices(name: &str, price: &str) -> Value {
    json!({
        "name": name, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price},
            {"kind": "per_unit", "resource": "requests", "price": "0.5"},
        ],
    })
}

/// Usage that a computer reports of one of its partitions.
pub(super) fn usage(computer: &str, id: &str, subject: &str, quantity: &str) -> Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": computer, "id": id, "subject": subject,
        "data": {
            "resource": "requests", "quantity": quantity,
            "start": "2026-10-17T00:00:00Z", "stop": "2026-10-17T01:00:00Z",
        },
    })
}

/// Usage that is suspended.
fn usage_of_no_one(computer: &str) -> Value {
    usage(computer, "d", "slappart9", "1")
}

/// A folder with all that is in it, as open or closed as it is.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().expect("a type").is_dir() {
            fs::create_dir(&target).expect("a folder");
            fs::set_permissions(&target, entry.metadata().expect("it is there").permissions())
                .expect("permissions");
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a file");
        }
    }
}
