//! Witnesses as the configuration names them, over HTTP (C2SP tlog-witness).

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::Uri;
use axum::http::uri::Scheme;
use slapledger_client::options::tls_of_the_system;
use slapledger_core::log::note::{MAX_BYTES, SignatureKind, Verifier};
use slapledger_engine::witnesses::{WitnessAnswer, WitnessLink};

/// How long a witness may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A witness, reached over HTTP.
pub(crate) struct HttpWitness {
    key: Verifier,
    place: String,
    agent: ureq::Agent,
}

impl HttpWitness {
    /// The witness of a configuration, which was checked.
    pub(crate) fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let key = key_of(url, key)?;
        let place = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let mut agent = agent.timeout_global(Some(PATIENCE));
        if place.starts_with("https://") {
            agent = agent.tls_config(tls_of_the_system()?);
        }
        Ok(Self { key, place, agent: agent.build().into() })
    }
}

/// The key of a witness, if address and key are such.
pub(crate) fn key_of(url: &str, key: &str) -> anyhow::Result<Verifier> {
    let key: Verifier = key.parse().context("witnesses.key")?;
    ensure!(
        key.kind() == SignatureKind::Cosignature,
        "witnesses.key: {} must be the key of a witness, as `slapledger witness` prints it",
        key.name()
    );
    let parsed: Uri = url.parse().with_context(|| format!("witnesses.url: {url}"))?;
    let is_http = parsed.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    ensure!(
        is_http && parsed.authority().is_some(),
        "witnesses.url: {url} must begin with https:// or http://"
    );
    // The health page and the log show the address.
    let has_user = parsed.authority().is_some_and(|authority| authority.as_str().contains('@'));
    ensure!(!has_user, "witnesses.url: must not have a user or a password");
    ensure!(parsed.query().is_none(), "witnesses.url: {url} must not have a query");
    Ok(key)
}

impl WitnessLink for HttpWitness {
    fn key(&self) -> &Verifier {
        &self.key
    }

    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, String> {
        let asked = self.agent.post(&self.place).content_type("text/plain; charset=utf-8").send(body);
        let mut answer = asked.map_err(|error| format!("ask {}: {error}", self.place))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_BYTES as u64).read_to_string();
        let body = body.map_err(|error| format!("read the answer of {}: {error}", self.place))?;
        Ok(WitnessAnswer { status, body })
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::log::note::Signer;

    use super::*;

    #[test]
    fn only_the_address_and_the_key_of_a_witness_are_taken() {
        let of = |kind| Signer::new("w.example", kind, &[1; 32]).expect("a key").verifier().to_string();
        let key = of(SignatureKind::Cosignature);
        for url in ["https://w.example", "http://127.0.0.1:5010/", "https://w.example/below"] {
            assert!(key_of(url, &key).is_ok(), "{url}");
        }
        for url in
            ["", "w.example", "ftp://w.example", "https://", "https://a:b@w.example", "https://w.example?a"]
        {
            let fault = format!("{:#}", key_of(url, &key).expect_err(url));
            assert!(fault.starts_with("witnesses.url"), "{url}: {fault}");
            assert!(!fault.contains("a:b"), "{fault}");
        }
        let fault = key_of("https://w.example", &of(SignatureKind::Log)).expect_err("it is of a log");
        assert!(fault.to_string().contains("must be the key of a witness"), "{fault}");
    }
}
