//! A master on a folder of its own, asked without a socket. For tests alone.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use slapledger_core::domain::computer::{ConfigureComputer, Offer, RegisterComputer};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{
    InstancePlace, InstanceType, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    WithoutRoom,
};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::Actor;
use slapledger_engine::clock::ManualClock;
use slapledger_engine::{Engine, Open, WriterBounds, accepted, unwatched};
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::access::Gateway;
use crate::rest::openapi::conformity;
use crate::router;

/// A running master, and the runtime it is asked on.
pub(crate) struct Kit {
    pub(crate) ctx: Arc<RequestContext>,
    pub(crate) clock: Arc<ManualClock>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Its body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Its status, field and detail, as a problem has them.
    pub(crate) fn problem(&self) -> (u16, Option<String>, String) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{problem}");
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        (self.status.as_u16(), text("field"), text("detail").expect("a problem has a detail"))
    }
}

/// An instant written out.
pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

impl Kit {
    /// A new master at this time, with the local user in a time zone and nothing else.
    pub(crate) fn new(now: &str, zone: &str) -> Self {
        let clock = Arc::new(ManualClock::new(at(now)));
        let as_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Self::by_clock(clock, as_clock, zone)
    }

    /// The same by a clock that shows what the one set by hand does.
    pub(crate) fn by_clock(clock: Arc<ManualClock>, as_clock: Arc<dyn Clock>, zone: &str) -> Self {
        Self::open(clock, as_clock, zone, WriterBounds::default())
    }

    /// The same with computer `COMP-1`, within other bounds.
    pub(crate) fn within(now: &str, bounds: WriterBounds) -> Self {
        let clock = Arc::new(ManualClock::new(at(now)));
        let as_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let kit = Self::open(clock, as_clock, "UTC", bounds);
        kit.computer("COMP-1", "UTC");
        kit
    }

    fn open(clock: Arc<ManualClock>, as_clock: Arc<dyn Clock>, zone: &str, bounds: WriterBounds) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (mode, progress) = (Mode::Proxy, &unwatched);
        let open = Open {
            data: folder.path(),
            mode,
            clock: as_clock,
            master_key: None,
            progress,
            accept: &accepted,
        };
        let engine = Arc::new(Engine::open_guarded(open, bounds).expect("it opens"));
        let ctx = Arc::new(RequestContext::local(Arc::clone(&engine)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let router = router::router(Arc::new(Gateway::open(engine)));
        let kit = Self { ctx, clock, router, runtime: runtime.expect("a runtime"), _folder: folder };
        kit.register("local user", zone);
        kit
    }

    /// The same with computer `COMP-1` in UTC, which offers `slappart0` and `slappart1` of `slapuser0` and `slapuser1`.
    pub(crate) fn with_computer(now: &str) -> Self {
        let kit = Self::new(now, "UTC");
        kit.computer("COMP-1", "UTC");
        kit
    }

    pub(crate) fn set(&self, now: &str) {
        self.clock.set(at(now));
    }

    pub(crate) fn submit(&self, command: Command) -> Answer {
        self.ctx.submit_own(Actor::system(), command).expect("it is carried out").answer
    }

    pub(crate) fn register(&self, name: &str, zone: &str) -> PartyId {
        let name =
            self.ctx.keys().seal(self.ctx.keys().fresh().expect("a key"), name.as_bytes()).expect("sealed");
        let register = RegisterParty { name, time_zone: zone.parse().expect(zone), description: None };
        match self.submit(Command::RegisterParty(register)) {
            Answer::Party(party) => party,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn computer(&self, name: &str, zone: &str) {
        let computer = ComputerId::new(name).expect(name);
        let time_zone = zone.parse().expect(zone);
        let register = RegisterComputer { computer: computer.clone(), owner: FIRST_PARTY, time_zone };
        self.submit(Command::RegisterComputer(register));
        let offer = |n: usize| Offer {
            partition: PartitionId::new(&format!("slappart{n}")).expect("a name"),
            addresses: Vec::new(),
            tap: None,
            user: Some(format!("slapuser{n}").into()),
            capabilities: Vec::new(),
        };
        let (address, netmask) = ("10.0.0.1".into(), "255.255.255.0".into());
        let offers = vec![offer(0), offer(1)];
        let configure =
            ConfigureComputer { computer: computer.clone(), address, netmask, offers, owner_if_new: None };
        self.submit(Command::ConfigureComputer(configure));
        let release = || SoftwareRelease::new("https://example.org/a/software.cfg").expect("an address");
        let supply =
            SupplySoftware { computer: computer.clone(), release: release(), state: SupplyState::Available };
        self.submit(Command::SupplySoftware(supply));
        let state = SoftwareState::Available;
        self.submit(Command::ReportSoftware(ReportSoftware {
            computer,
            release: release(),
            state,
            error: None,
        }));
    }

    /// An instance that `owner` requests now, in production.
    pub(crate) fn instance(&self, owner: PartyId, reference: &str) -> InstanceId {
        let key = self.ctx.keys().fresh().expect("a key");
        let request = RequestInstance {
            requester: Requester::Party(owner),
            reference: Reference::new(reference).expect(reference),
            release: SoftwareRelease::new("https://example.org/a/software.cfg").expect("an address"),
            software_type: SoftwareType::new("default").expect("a type"),
            instance_type: Some(InstanceType::Production),
            parameters: self.ctx.keys().seal(key, b"<instance/>").expect("sealed"),
            filter: Vec::new(),
            state: Some(RequestedState::Started),
            shared: false,
            default_computer: None,
            without_room: WithoutRoom::Refuse,
        };
        match self.submit(Command::RequestInstance(request)) {
            Answer::Instance { instance, .. } => instance,
            other => panic!("{other:?}"),
        }
    }

    /// Says that what is in a partition of `COMP-1` has started.
    pub(crate) fn started(&self, partition: &str) {
        let computer = ComputerId::new("COMP-1").expect("a name");
        let partition = PartitionId::new(partition).expect(partition);
        let report = ReportInstance {
            place: InstancePlace::new(computer, partition),
            state: ReportedState::Started,
            error: None,
        };
        self.submit(Command::ReportInstance(report));
    }

    /// Looks for runs that are due from now on.
    pub(crate) fn watch_runs(&self) {
        self.runtime.spawn(slapledger_usecases::invoicing::due::watch(Arc::clone(&self.ctx)));
    }

    /// Runs something of the program itself.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Reply {
        self.runtime.block_on(async {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let response = self.router.clone().oneshot(request).await.expect("a router always answers");
            let (parts, body) = response.into_parts();
            conformity::check(&method, &path, &parts);
            let body = body.collect().await.expect("a body").to_bytes();
            conformity::check_problem(parts.status, &parts.headers, &body);
            Reply { status: parts.status, headers: parts.headers, body }
        })
    }

    /// The body of an answer that has no end.
    pub(crate) fn endless(&self, request: Request<Body>) -> Body {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("a router always answers");
            assert_eq!(response.status(), StatusCode::OK, "{response:?}");
            response.into_body()
        })
    }

    /// Sends requests before any of them is answered; their statuses, in their order.
    pub(crate) fn send_at_once(&self, requests: impl IntoIterator<Item = Request<Body>>) -> Vec<StatusCode> {
        self.runtime.block_on(async {
            let asked =
                requests.into_iter().map(|request| tokio::spawn(self.router.clone().oneshot(request)));
            let asked: Vec<_> = asked.collect();
            let mut statuses = Vec::new();
            for answer in asked {
                statuses
                    .push(answer.await.expect("it is answered").expect("a router always answers").status());
            }
            statuses
        })
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).expect("a request"))
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Reply {
        self.post_with(path, &[("content-type", content_type)], body)
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "application/json", body.to_string())
    }

    pub(crate) fn patch_json(&self, path: &str, body: &Value) -> Reply {
        self.patch_with(path, &[], body)
    }

    pub(crate) fn patch_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let request = Request::builder().method(Method::PATCH).uri(path);
        let request = request.header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::from(body.to_string())).expect("a request"))
    }

    pub(crate) fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let request = headers
            .iter()
            .fold(Request::builder().method(Method::POST).uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        self.send(request.body(body.into()).expect("a request"))
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        // Anyone who broke it on purpose has looked already.
        let _ = self.ctx.engine.shut_down();
    }
}
