//! The cloud that is asked: a project with everybody in it, and another one beside it with nobody but its admin.
//!
//! It is built once, by those whom it is about and through the routes they use, and copied for anyone who changes it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use sha2::{Digest, Sha256};
use slapledger_ca::Authority;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::time::Timestamp;
use slapledger_dto::token::Token;
use slapledger_engine::certifier::Certifier;
use slapledger_engine::clock::ManualClock;
use slapledger_engine::{Engine, Open, accepted, unwatched};
use slapledger_net::{Peer, PeerCertificate};
use slapledger_usecases::contacts;
use slapledger_usecases::context::RequestContext;
use tempfile::TempDir;
use tower::ServiceExt;

use super::asking::{After, Ask, Key, Seen, answered};
use crate::access::{AccessControl, FailedAttempts, Gateway, RateLimits, RequestLimits, ReverseProxy};
use crate::router;
use crate::testing::streamed::EventBody;

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

type Keys = BTreeMap<Who, Key>;

/// The cloud. Not to be used from within a runtime.
pub(super) struct World {
    pub(super) ctx: Arc<RequestContext>,
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
pub(super) const NOW: &str = "2026-12-02T09:00:00Z";

/// How long what is answered meanwhile may take; what has to wait waits for longer.
const IN_TIME: Duration = Duration::from_secs(8);
/// How long it is looked whether something has to wait.
const A_WHILE: Duration = Duration::from_millis(500);

fn access(terminator: Option<ReverseProxy>, most_per_second: NonZeroU32) -> AccessControl {
    AccessControl {
        https: true,
        names: vec!["master.example".to_owned()],
        reverse_proxy: terminator,
        failed_attempts: FailedAttempts::default(),
        rate: RateLimits::new(most_per_second, most_per_second),
    }
}

impl World {
    /// A copy of it.
    pub(super) fn new() -> Self {
        let many = NonZeroU32::new(1_000_000).expect("not zero");
        Self::behind(None, many)
    }

    /// The same, behind a terminator of TLS or not, that takes so many requests a second of each.
    pub(super) fn behind(terminator: Option<ReverseProxy>, most_per_second: NonZeroU32) -> Self {
        let (folder, keys) = Self::built();
        let access = access(terminator, most_per_second);
        Self::open(folder, keys, NOW, (access, RequestLimits::default()))
    }

    /// The same, with so many requests under way of each holder.
    pub(super) fn with_shares(most_at_a_time_of_one: usize) -> Self {
        Self::within(RequestLimits { most_at_a_time_of_one, ..RequestLimits::default() })
    }

    /// The same, within these bounds.
    pub(super) fn within(requests: RequestLimits) -> Self {
        let (folder, keys) = Self::built();
        let many = NonZeroU32::new(1_000_000).expect("not zero");
        Self::open(folder, keys, NOW, (access(None, many), requests))
    }

    fn built() -> (TempDir, Keys) {
        static BUILT: OnceLock<(Arc<TempDir>, Keys)> = OnceLock::new();
        let (built, keys) = BUILT.get_or_init(|| {
            let folder = TempDir::new().expect("a folder");
            let many = NonZeroU32::new(1_000_000).expect("not zero");
            let bounds = (access(None, many), RequestLimits::default());
            let mut world = Self::open(folder, Keys::new(), "2026-09-20T00:00:00Z", bounds);
            world.furnish();
            // The rest of it is shut down and closed here.
            (Arc::clone(&world.folder), world.keys.clone())
        });
        let folder = TempDir::new().expect("a folder");
        copy(built.path(), folder.path());
        (folder, keys.clone())
    }

    fn open(
        folder: TempDir,
        keys: Keys,
        now: &str,
        (access, limits): (AccessControl, RequestLimits),
    ) -> Self {
        let clock = Arc::new(ManualClock::new(at(now)));
        let as_clock = Arc::<ManualClock>::clone(&clock);
        let open = Open {
            data: folder.path(),
            mode: Mode::Serve,
            clock: as_clock,
            master_key: None,
            progress: &unwatched,
            accept: &accepted,
        };
        let mut engine = Engine::open(open).expect("it opens");
        let ca = folder.path().join("ca");
        let authority =
            if ca.exists() { Authority::open(&ca) } else { Authority::create(&ca, "test", at(now)) };
        let authority = authority.expect("an authority");
        let certificates = folder.path().join("certificates");
        engine.certifier = Some(Arc::new(Certifier::new(authority, &certificates).expect("a folder")));
        engine.sign_with(&log_key()).expect("a key of the log");
        let engine = Arc::new(engine);
        let ctx = Arc::new(RequestContext::local(Arc::clone(&engine)));
        let gateway = Gateway { access: Some(access), limits, ..Gateway::open(engine) };
        let router = router::router(Arc::new(gateway));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { ctx, clock, router, runtime, keys, folder: Arc::new(folder) }
    }

    pub(super) fn set(&self, now: &str) {
        self.clock.set(at(now));
    }

    /// The last event.
    pub(super) fn head(&self) -> u64 {
        self.ctx.ledger().head().last.0
    }

    /// The credential of somebody who has a token.
    pub(super) fn credential(&self, who: Who) -> String {
        match &self.keys[&who] {
            Key::Token(token) => Token::read(token).expect("a token").credential.to_string(),
            Key::Certificate(_) => panic!("{who:?} has no token"),
        }
    }

    /// The token of somebody who has one.
    pub(super) fn token_text(&self, who: Who) -> String {
        match &self.keys[&who] {
            Key::Token(token) => token.clone(),
            Key::Certificate(_) => panic!("{who:?} has no token"),
        }
    }

    /// Gives somebody another key.
    pub(super) fn keep(&mut self, who: Who, key: Key) {
        self.keys.insert(who, key);
    }

    /// Looks for computers that are silent or heard of again, as the program does from time to time.
    pub(super) fn look_for_silence(&self) {
        self.runtime.block_on(contacts::look(&self.ctx, at(NOW), 3_600_000_000)).expect("it is noticed");
    }

    pub(super) fn ask(&self, who: Who, ask: Ask) -> Seen {
        assert!(who == Who::Nobody || self.keys.contains_key(&who), "{who:?} has no key yet");
        self.ask_with(self.keys.get(&who), ask)
    }

    pub(super) fn ask_with(&self, key: Option<&Key>, ask: Ask) -> Seen {
        self.runtime.block_on(answered(self.router.clone(), Self::request(key, ask)))
    }

    /// The stream of events of somebody.
    #[track_caller]
    pub(super) fn stream(&self, key: &Key, ask: Ask) -> EventBody {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(Self::request(Some(key), ask)).await;
            let response = response.expect("a router always answers");
            assert_eq!(response.status(), 200, "{response:?}");
            EventBody::of(response.into_body())
        })
    }

    /// Reads a stream until something is in it, or its end.
    pub(super) fn wait_for(&self, stream: &mut EventBody, text: &str) {
        self.runtime.block_on(stream.wait_for(text));
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

    /// Sends the head of a request, and its body when another was answered meanwhile.
    pub(super) fn ask_while(&self, one: (Option<&Key>, Ask), other: (Option<&Key>, Ask)) -> (Seen, Seen) {
        let (seen, meanwhile) = self.beside(IN_TIME, one, other);
        (seen, meanwhile.expect("it does not wait"))
    }

    /// Whether a request has to wait while another is under way, which is answered then.
    pub(super) fn waits_for(&self, other: (Option<&Key>, Ask), one: (Option<&Key>, Ask)) -> bool {
        self.beside(A_WHILE, one, other).1.is_none()
    }

    fn beside(
        &self,
        in_time: Duration,
        (key, ask): (Option<&Key>, Ask),
        (other_key, other): (Option<&Key>, Ask),
    ) -> (Seen, Option<Seen>) {
        let other = answered(self.router.clone(), Self::request(other_key, other));
        let (told, meanwhile) = tokio::sync::oneshot::channel();
        let bytes = ask.body.clone().into();
        let body = After(Some(Box::pin(async move {
            let _ = told.send(tokio::time::timeout(in_time, other).await.ok());
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

    pub(super) fn report(&self, who: Who, events: &[Value]) -> Seen {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let ask = Ask::new("POST", "/v1/usage-events").with("content-type", "application/x-ndjson");
        self.ask(who, ask.saying(lines.join("\n")))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let closed = self.ctx.engine.shut_down();
        if !std::thread::panicking() {
            closed.expect("it shuts down");
        }
    }
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

/// A key of Ed25519 in PKCS #8 (RFC 8410).
fn log_key() -> Vec<u8> {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&HEAD[..], &[7; 32]].concat()
}
