//! A small cloud for tests of handlers: an app in a temporary folder, opened as `slapledger proxy` opens it, a clock that
//! is set by hand, and requests that go through the routes without a network.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, ProjectId};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::log::envelope::Actor;
use slapledger_engine::clock::ManualClock;
use slapledger_engine::{Engine, Open, WriterBounds, accepted, unwatched};
use slapledger_slap_wire::marshal::{self, Value};
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use tower::ServiceExt;

use crate::access::Gateway;
use crate::rest::openapi::conformity;
use crate::router;

/// The computer that exists from the start.
pub(crate) const COMPUTER: &str = "COMP-1";
/// A release that is requested.
pub(crate) const RELEASE: &str = "http://example.com/software.cfg?a=1&b=<2>";
/// When everything begins: the clock of the recorded answers of slapos proxy.
pub(crate) const BEGINNING: &str = "2026-11-23T14:04:10.730000Z";

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

/// The cloud. Not to be used from within a runtime.
pub(crate) struct World {
    pub(crate) ctx: Arc<RequestContext>,
    pub(crate) clock: Arc<ManualClock>,
    routes: Router,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl World {
    /// A cloud of one user and one computer without partitions.
    pub(crate) fn empty(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339(BEGINNING).unwrap()));
        let open = Open {
            data: folder.path(),
            mode,
            clock: Arc::<ManualClock>::clone(&clock),
            master_key: None,
            progress: &unwatched,
            accept: &accepted,
        };
        let mut engine = Engine::open(open).unwrap();
        engine.default_computer = (mode == Mode::Proxy).then(|| ComputerId::new(COMPUTER).unwrap());
        let ctx = Arc::new(RequestContext::local(Arc::new(engine)));
        furnish(&ctx);
        let routes = router::router(Arc::new(Gateway::open(Arc::clone(&ctx.engine))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { ctx, clock, routes, runtime, folder }
    }

    /// Another project, with one user and one computer of the same names. It is seen from everywhere by then.
    pub(crate) fn enter(&self, project: u64) -> Arc<RequestContext> {
        let ctx = Arc::new(self.ctx.within(ProjectId(project)));
        furnish(&ctx);
        ctx.slap_now(|_| ()).unwrap();
        ctx
    }

    /// Asks the program as seen from a project.
    pub(crate) fn get_from(&self, ctx: &Arc<RequestContext>, path: &str) -> Seen {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let gateway = Gateway { local_project: ctx.project, ..Gateway::open(Arc::clone(&ctx.engine)) };
        self.runtime.block_on(answer(router::router(Arc::new(gateway)), request))
    }

    /// As `slapledger proxy`, with so many free partitions.
    pub(crate) fn proxy(partitions: usize) -> Self {
        let world = Self::empty(Mode::Proxy);
        world.format(COMPUTER, partitions);
        world
    }

    /// Stops everything and opens it again.
    pub(crate) fn restart(self) -> Self {
        self.restart_after(|_| {})
    }

    /// The same, with something done to its folder in between.
    pub(crate) fn restart_after(self, between: impl FnOnce(&std::path::Path)) -> Self {
        self.restart_as(between, WriterBounds::default())
    }

    /// The same within other bounds.
    pub(crate) fn restart_with(self, bounds: WriterBounds) -> Self {
        self.restart_as(|_| {}, bounds)
    }

    fn restart_as(self, between: impl FnOnce(&std::path::Path), bounds: WriterBounds) -> Self {
        let Self { ctx, clock, routes, runtime, folder } = self;
        ctx.engine.shut_down().unwrap();
        let (mode, default_computer) = (ctx.mode(), ctx.engine.default_computer.clone());
        drop((routes, ctx));
        between(folder.path());
        let open = Open {
            data: folder.path(),
            mode,
            clock: Arc::<ManualClock>::clone(&clock),
            master_key: None,
            progress: &unwatched,
            accept: &accepted,
        };
        let mut engine = Engine::open_guarded(open, bounds).unwrap();
        engine.default_computer = default_computer;
        let ctx = Arc::new(RequestContext::local(Arc::new(engine)));
        let routes = router::router(Arc::new(Gateway::open(Arc::clone(&ctx.engine))));
        Self { ctx, clock, routes, runtime, folder }
    }

    pub(crate) fn set_clock(&self, instant: &str) {
        self.clock.set(Timestamp::parse_rfc3339(instant).unwrap());
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Seen {
        self.runtime.block_on(answer(self.routes.clone(), request))
    }

    pub(crate) fn get(&self, path: &str) -> Seen {
        self.send(Request::get(path).body(Body::empty()).unwrap())
    }

    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Seen {
        self.send(Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap())
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> Seen {
        self.post_with(path, form, &[])
    }

    pub(crate) fn post_with(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Seen {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post_raw(path, "application/x-www-form-urlencoded", body, headers)
    }

    /// Posts the same form several times, before any of them is answered.
    pub(crate) fn post_at_once(&self, path: &str, form: &[(&str, &str)], times: usize) -> Vec<Seen> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let media_type = "application/x-www-form-urlencoded";
        self.runtime.block_on(async {
            let posts = (0..times).map(|_| {
                let request = Request::post(path).header(header::CONTENT_TYPE, media_type);
                let request = request.body(Body::from(body.clone())).unwrap();
                tokio::spawn(answer(self.routes.clone(), request))
            });
            let posts: Vec<_> = posts.collect();
            let mut answers = Vec::new();
            for post in posts {
                answers.push(post.await.unwrap());
            }
            answers
        })
    }

    pub(crate) fn post_json(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Seen {
        self.post_raw(path, "application/json", body.to_owned(), headers)
    }

    pub(crate) fn post_raw(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> Seen {
        let mut request =
            Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, media_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap())
    }

    /// Publishes a release of a product.
    pub(crate) fn publish(&self, product: &str, release: &str) {
        let (product, release) = (product.parse().unwrap(), release.parse().unwrap());
        let command = PublishSoftwareRelease { product, release, publisher: FIRST_PARTY };
        self.ctx.submit_own(Actor::system(), Command::PublishSoftwareRelease(command)).unwrap();
    }

    /// Publishes partitions, as `slapos node format` does.
    pub(crate) fn format(&self, computer: &str, partitions: usize) {
        let xml = dumps(&configuration(computer, partitions));
        self.post("/loadComputerConfigurationFromXML", &[("xml", &xml)]).expect(200);
    }

    /// Requests an instance as a user does.
    pub(crate) fn request(&self, name: &str, parameters: &[(&str, &str)], state: Option<&str>) -> Seen {
        let form = request_form(name, parameters, state);
        let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.post("/requestComputerPartition", &form)
    }

    /// What a node says of a partition of the computer.
    pub(crate) fn say(&self, path: &str, partition: &str, more: &[(&str, &str)]) -> Seen {
        let mut form = vec![("computer_id", COMPUTER), ("computer_partition_id", partition)];
        form.extend_from_slice(more);
        self.post(path, &form)
    }

    /// A partition of the computer, as its node sees it.
    pub(crate) fn partition(&self, partition: &str) -> Value {
        let path = format!(
            "/registerComputerPartition?computer_reference={COMPUTER}&computer_partition_reference={partition}"
        );
        marshal::read(&self.get(&path).expect(200).body).unwrap()
    }

    /// A member of a partition of the computer.
    pub(crate) fn attribute(&self, partition: &str, name: &str) -> Value {
        let seen = self.partition(partition);
        seen.as_object().and_then(|object| object.get(name)).cloned().unwrap_or(Value::None)
    }

    /// The timestamp of a partition of the computer.
    pub(crate) fn timestamp(&self, partition: &str) -> String {
        let parameters = self.attribute(partition, "_parameter_dict");
        parameters.get("timestamp").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// An instance by its number, from `/v1`.
    pub(crate) fn instance(&self, number: u64) -> serde_json::Value {
        self.get(&format!("/v1/instances/{}", InstanceId(number))).expect(200).json()
    }
}

/// One user and one computer.
fn furnish(ctx: &RequestContext) {
    let name = ctx.keys().seal(ctx.keys().fresh().unwrap(), b"local user").unwrap();
    let party = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
    ctx.submit_own(Actor::system(), Command::RegisterParty(party)).unwrap();
    let computer = ComputerId::new(COMPUTER).unwrap();
    let register = RegisterComputer { computer, owner: FIRST_PARTY, time_zone: TimeZone::UTC };
    ctx.submit_own(Actor::system(), Command::RegisterComputer(register)).unwrap();
}

async fn answer(routes: Router, request: Request<Body>) -> Seen {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = routes.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    conformity::check(&method, &path, &parts);
    let body = body.collect().await.unwrap().to_bytes();
    conformity::check_problem(parts.status, &parts.headers, &body);
    Seen { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// The fields of a request, as slapos.core sends them.
pub(crate) fn request_form(
    name: &str,
    parameters: &[(&str, &str)],
    state: Option<&str>,
) -> Vec<(&'static str, String)> {
    let parameters = parameters.iter().map(|(key, value)| (*key, Value::from(*value)));
    vec![
        ("software_release", RELEASE.to_owned()),
        ("partition_reference", name.to_owned()),
        ("partition_parameter_xml", dumps(&Value::dict(parameters))),
        ("filter_xml", dumps(&Value::Dict(Vec::new()))),
        ("software_type", "default".to_owned()),
        ("state", dumps(&state.map_or(Value::None, Value::from))),
        ("shared_xml", dumps(&Value::Bool(false))),
    ]
}

/// A marshalled value.
pub(crate) fn dumps(value: &Value) -> String {
    marshal::write(value).unwrap()
}

/// What a computer says of itself.
pub(crate) fn configuration(computer: &str, partitions: usize) -> Value {
    let partition = |number: usize| {
        let address = Value::dict([
            ("addr", Value::from(format!("10.0.{number}.1"))),
            ("netmask", Value::from("255.255.255.255")),
        ]);
        Value::dict([
            ("reference", Value::from(format!("slappart{number}"))),
            ("address_list", Value::List(vec![address])),
            (
                "tap",
                Value::dict(
                    [("name", format!("slaptap{number}"))].map(|(key, name)| (key, Value::from(name))),
                ),
            ),
            ("user", Value::dict([("name", Value::from(format!("slapuser{number}")))])),
        ])
    };
    Value::dict([
        ("reference", Value::from(computer)),
        ("address", Value::from("127.0.0.1")),
        ("netmask", Value::from("255.255.255.255")),
        ("partition_list", Value::List((0..partitions).map(partition).collect())),
    ])
}
