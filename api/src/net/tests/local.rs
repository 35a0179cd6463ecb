use crate::ca::{Authority, Subject, Validity};
use crate::clock::SystemClock;
use crate::net::{self, Connections, Identity};
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use slapledger_core::ledger::Clock;
use std::path::Path;
use std::sync::Arc;

#[test]
#[ignore]
fn local() {
    let args: Vec<String> = std::env::var("LISTENER").unwrap().split(' ').map(str::to_owned).collect();
    if args[1] == "bench" {
        use std::io::{Read, Write};
        let (threads, seconds): (usize, u64) = (args[3].parse().unwrap(), args[4].parse().unwrap());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let a = args[2].clone();
                std::thread::spawn(move || {
                    let mut s = std::net::TcpStream::connect(a).unwrap();
                    s.set_nodelay(true).unwrap();
                    let mut n = 0u64;
                    let mut b = [0; 4096];
                    while std::time::Instant::now() < end {
                        s.write_all(
                            b"GET / HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\n\r\n",
                        )
                        .unwrap();
                        let mut got = 0;
                        while !b[..got].ends_with(b"hello") {
                            let r = s.read(&mut b[got..]).unwrap();
                            assert!(r > 0);
                            got += r;
                        }
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let n: u64 = workers.into_iter().map(|w| w.join().unwrap()).sum();
        println!("{} a second", n / seconds);
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(args[2].as_str()).await.unwrap();
        let routes = Router::new()
            .route("/", get(async || "hello"))
            .route("/body", axum::routing::post(async |b: axum::body::Bytes| b.len().to_string()));
        println!("{}", std::process::id());
        match args[1].as_str() {
            "axum" => {
                let listener = listener.tap_io(|s| {
                    let _ = s.set_nodelay(true);
                });
                tokio::spawn(async move { axum::serve(listener, routes).await }).await.unwrap().unwrap();
            }
            "net" => {
                tokio::spawn(async move {
                    net::serve(listener, routes, None, &Connections::default(), std::future::pending()).await
                })
                .await
                .unwrap()
                .unwrap();
            }
            dir => {
                let now = SystemClock.now();
                let dir = Path::new(dir);
                let ca =
                    if dir.exists() { Authority::open(dir) } else { Authority::create(dir, "Test", now) }
                        .unwrap();
                let validity = Validity { not_before: now, not_after: now.plus_micros(86_400_000_000) };
                let shown =
                    ca.server_certificate(&["localhost".into(), "127.0.0.1".into()], validity).unwrap();
                let client =
                    ca.issue(&Subject::Computer { id: "COMP-1".parse().unwrap() }, validity).unwrap();
                std::fs::write(dir.join("client.pem"), &client.certificate_pem).unwrap();
                std::fs::write(dir.join("client.key"), client.key_pem.as_bytes()).unwrap();
                let config = net::tls(
                    Identity { chain_pem: &shown.chain_pem, key_pem: &shown.key_pem },
                    &ca.client_roots_pem(),
                )
                .unwrap();
                tokio::spawn(async move {
                    net::serve(
                        listener,
                        routes,
                        Some(Arc::new(config)),
                        &Connections::default(),
                        std::future::pending(),
                    )
                    .await
                })
                .await
                .unwrap()
                .unwrap();
            }
        }
    });
}
