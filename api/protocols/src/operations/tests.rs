use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::log::envelope::Actor;
use slapledger_usecases::caller::FIRST_PARTY;

use super::*;
use crate::access::Gateway;
use crate::testing::world::World;

/// Status, header fields and body of an answer to a request without a body.
fn ask(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn health_and_readiness_and_nothing_else() {
    let world = World::empty(Mode::Serve);
    let operations = Operations::start(Arc::clone(&world.ctx.engine), local()).unwrap();
    let ask = |request: &str| ask(operations.address, request);
    let check = |request: &str, expected: u16| {
        let (status, head, body) = ask(request);
        assert_eq!(status, expected, "{request}");
        if status >= 400 {
            assert!(head.contains("content-type: application/problem+json"), "{request}: {head}");
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], expected, "{request}");
        }
        (head, body)
    };
    let (_, health) = check("GET /healthz", 200);
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!((&health["status"], &health["fault_codes"]), (&"ok".into(), &serde_json::json!([])));
    assert!(check("GET /readyz", 200).1.contains("\"ready\":true"));
    assert_eq!(check("HEAD /healthz", 200).1, "");
    assert_eq!(check("HEAD /readyz", 200).1, "");
    for path in ["/", "/v1/events", "/openapi.json", "/healthz/"] {
        check(&format!("GET {path}"), 404);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (head, _) = check(&format!("{method} /healthz"), 405);
        assert!(head.contains("allow: get, head"), "{head}");
    }
    world.ctx.engine.health.stop();
    assert_eq!((ask("GET /readyz").0, ask("GET /healthz").0), (503, 200));
    let address = operations.address;
    drop(operations);
    assert!(TcpStream::connect(address).is_err(), "it ends when it is dropped");
}

#[test]
fn only_loopback_unless_it_is_said() {
    let check = |address: &str, is_exposed| check_address(address.parse().unwrap(), is_exposed).is_ok();
    assert!(check("127.0.0.1:9", false) && check("[::1]:9", false) && check("0.0.0.0:9", true));
    assert!(!check("0.0.0.0:9", false) && !check("[::]:9", false) && !check("192.0.2.1:9", false));
}

/// While something is rated or snapshotted, a view is read for long; as soon as its thread wants to go on, nobody else gets
/// to read it. Health asks for neither.
#[test]
fn a_view_that_is_read_for_long_keeps_nobody_from_health() {
    let world = World::empty(Mode::Proxy);
    let operations = Operations::start(Arc::clone(&world.ctx.engine), local()).unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (go, let_go) = mpsc::channel::<()>();
    let hold = move || {
        begun.send(()).unwrap();
        // Until the sender is dropped.
        let _ = let_go.recv();
    };
    let ctx = Arc::clone(&world.ctx);
    let reader = thread::spawn(move || ctx.slap().read(|_, _| ctx.billing().read(|_, _| hold())));
    has_begun.recv().unwrap();
    // The threads of the views wait for that now, and all readers for them.
    let computer = ComputerId::new("COMP-9").unwrap();
    let register = RegisterComputer { computer, owner: FIRST_PARTY, time_zone: TimeZone::UTC };
    world.ctx.submit_own(Actor::system(), Command::RegisterComputer(register)).unwrap();
    for _ in 0..50 {
        assert_eq!(ask(operations.address, "GET /healthz").0, 200);
        assert_eq!(ask(operations.address, "GET /readyz").0, 200);
    }
    world.get("/healthz").expect(200);
    drop(go);
    reader.join().unwrap();
}

/// The only thread for work that blocks is taken, and so are all requests of the main listener.
#[test]
fn blocking_work_of_others_keeps_nobody_from_health() {
    let world = World::empty(Mode::Proxy);
    let operations = Operations::start(Arc::clone(&world.ctx.engine), local()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (go, let_go) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        // Until the sender is dropped.
        let _ = let_go.recv();
    });
    has_begun.recv().unwrap();
    let main = runtime.block_on(tokio::net::TcpListener::bind(local())).unwrap();
    let address = main.local_addr().unwrap();
    let routes = crate::router::router(Arc::new(Gateway::open(Arc::clone(&world.ctx.engine))));
    runtime.spawn(async move {
        net::serve(main, routes, None, &Connections::default(), std::future::pending()).await
    });
    // Waits for a thread.
    let mut waiting = TcpStream::connect(address).unwrap();
    write!(waiting, "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(ask(operations.address, "GET /healthz").0, 200);
    // Nor of the main listener: health needs no such thread there either.
    assert_eq!(ask(address, "GET /healthz").0, 200);
    drop(go);
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut status = [0; 12];
    waiting.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}
