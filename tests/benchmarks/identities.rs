//! What identities cost: the same load on `proxy`, which knows none, on a master in the clear with a token, and on a
//! master over TLS with a token and with a certificate of the client; in one run, one after the other.
//!
//! A TLS session is never resumed, as the clients of slapos.core resume none.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use slapledger_tests::http::Access;
use slapledger_tests::server::Setup;

use crate::Setting;
use crate::cloud::{self, COMPUTERS, Cloud, computer};
use crate::ingest;
use crate::measure::{Grouped, median, times};
use crate::slap::{KINDS, Load, Measured, Size, print_disk};

/// How clients come in.
const WAYS: [Way; 4] = [Way::Proxy, Way::Token, Way::TlsToken, Way::TlsCertificate];
/// Events of a post, and connections that post.
const POSTS: (u64, usize) = (1000, 4);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Proxy,
    Token,
    TlsToken,
    TlsCertificate,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Token => "serve, token",
            Self::TlsToken => "serve, TLS, token",
            Self::TlsCertificate => "serve, TLS, certificate",
        }
    }

    /// A running one, on a new folder, with the computers that are asked about.
    fn start(self, setting: &Setting, folder: &Path) -> anyhow::Result<Cloud> {
        if self == Self::Proxy {
            let setup = Setup::proxy(setting.binary.clone(), folder, &computer(0));
            let server = setup.start()?;
            return Ok(Cloud { setup, server });
        }
        // The load comes from one sender, and from one address.
        let config = folder.join("serve.toml");
        std::fs::write(
            &config,
            "[requests]\nmost_per_second = 10000000\nmost_per_second_unknown = 10000000\n",
        )?;
        let config = config.to_str().context("a path in UTF-8")?;
        let mut options = vec!["--config", config];
        if self == Self::Token {
            options.push("--plain-http");
        }
        let (mut setup, _) = Setup::master(setting.binary.clone(), folder, &options)?;
        if self != Self::Token {
            setup.access.tls = Some(Arc::new(trusting(&setup.data, None)?));
        }
        let server = setup.start()?;
        let mut admin = server.client(true);
        for n in 0..COMPUTERS {
            let body = serde_json::json!({"reference": computer(n)}).to_string();
            admin.post("/v1/computers", "application/json", body.as_bytes())?.expect(201)?;
        }
        if self != Self::TlsCertificate {
            return Ok(Cloud { setup, server });
        }
        // A person who is an admin too, as nobody else may ask for everything.
        let wanted = serde_json::json!({
            "holder": "PARTY-1", "purpose": "get_certificate", "roles": ["admin", "customer", "provider"],
        });
        let issued =
            admin.post("/v1/tokens", "application/json", wanted.to_string().as_bytes())?.expect(201)?;
        let issued = issued.json()?;
        let token = issued["token"].as_str().context("a token")?;
        let shown = Access { fields: format!("X-Access-Token: {token}\r\n"), ..setup.access.clone() };
        let mut asker = slapledger_tests::http::Client::coming_in(server.address(), false, shown);
        let pair: Value = asker.post_form("/Person_getCertificate", "")?.expect(200)?.json()?;
        setup.access =
            Access { fields: String::new(), tls: Some(Arc::new(trusting(&setup.data, Some(&pair))?)) };
        let server = server.seen_with(setup.access.clone());
        Ok(Cloud { setup, server })
    }
}

/// TLS that trusts the authority of a folder, with the certificate that was handed out, if one was.
fn trusting(data: &Path, pair: Option<&Value>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(data.join("ca/root.pem"))? {
        roots.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots);
    let mut config = match pair {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let text = |name: &str| pair[name].as_str().with_context(|| format!("no {name}"));
            let chain = CertificateDer::pem_slice_iter(text("certificate")?.as_bytes());
            let chain = chain.collect::<Result<Vec<_>, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(text("key")?.as_bytes())?)?
        }
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

pub(crate) fn identities(setting: &Setting, size: Size, events: u64) -> anyhow::Result<()> {
    print_disk(setting)?;
    let (batch, connections) = POSTS;
    println!("\nusage: {} events in posts of {batch}, {connections} connections", Grouped(events));
    println!("\n| | events/s | of proxy |\n| --- | --- | --- |");
    let mut of_proxy = None;
    for way in WAYS {
        let mut rates = Vec::new();
        for run in 0..size.runs {
            let folder = setting.new_folder()?;
            let cloud = way.start(setting, folder.path())?;
            cloud.build()?;
            let seed = setting.seed + run as u64;
            let bodies: Vec<_> =
                (0..events / batch).map(|n| cloud::batch_of_computer(seed, n, batch)).collect();
            rates.push(ingest::send(&cloud, &bodies, connections, batch)?.0.per_second());
        }
        let rate = median(&rates).unwrap_or_default();
        let base = *of_proxy.get_or_insert(rate);
        println!("| {} | {} | {} |", way.name(), Grouped(rate), times(rate, base));
    }
    println!("\nSLAP: medians of requests/s (p50 ms, p99 ms), and the rate beside proxy's\n");
    println!(
        "| clients | keep-alive | | {} | {} | {} | {} |",
        WAYS[0].name(),
        WAYS[1].name(),
        WAYS[2].name(),
        WAYS[3].name()
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (clients, keep_alive) in [(1, false), (1, true), (8, false), (8, true)] {
        let mut measured: [Measured; WAYS.len()] = Default::default();
        for _ in 0..size.runs {
            for (way, into) in WAYS.iter().zip(&mut measured) {
                let folder = setting.new_folder()?;
                let cloud = way.start(setting, folder.path())?;
                let load = Load { size, clients, keep_alive, access: cloud.setup.access.clone() };
                load.run(cloud.server.address(), into)?;
            }
        }
        let word = if keep_alive { "with" } else { "without" };
        for (n, kind) in KINDS.iter().enumerate() {
            let base = median(&measured[0].kinds[n].rates).unwrap_or_default();
            let cells = measured.iter().map(|measured| {
                let figure = &measured.kinds[n];
                format!("{} {}", figure.text(), times(median(&figure.rates).unwrap_or_default(), base))
            });
            println!("| {clients} | {word} | {kind} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        for (way, measured) in WAYS.iter().zip(&measured) {
            if measured.failed > 0 {
                println!("{}: {} failed and are not counted", way.name(), measured.failed);
            }
        }
    }
    Ok(())
}
