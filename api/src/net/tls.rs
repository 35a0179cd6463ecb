//! TLS as it is served: versions 1.2 and 1.3, suites of rustls, certificates of clients where they have one.
//!
//! A client that presents a certificate must prove that it is one of ours and valid now; otherwise the handshake
//! fails with an alert. Sessions may be resumed and keep the certificate they began with: who sent a request is known
//! then as well, and looking its fingerprint up for each request is what makes a revocation take effect.

use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};

use super::PeerCertificate;

/// What a server shows.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Its certificate and those between it and the root, PEM.
    pub chain_pem: &'a str,
    /// The private key of the first of them, PEM.
    pub key_pem: &'a str,
}

/// The configuration of a server that trusts clients whose certificates come from one of `client_roots_pem`.
pub fn tls(identity: Identity<'_>, client_roots_pem: &str) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(identity.chain_pem).context("the certificate of the server")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).context("the key of the server")?;
    let mut roots = RootCertStore::empty();
    for root in certificates(client_roots_pem).context("the roots of clients")? {
        roots.add(root).context("a root of clients")?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .context("the roots of clients")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .context("the versions of TLS")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .context("the certificate and the key of the server")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!read.is_empty(), "there is no certificate in it");
    Ok(read)
}

/// What the client has proved to own in the handshake, or in that of the session it resumes.
pub(super) fn peer_certificate(connection: &ServerConnection) -> Option<Arc<PeerCertificate>> {
    let der = connection.peer_certificates()?.first()?.to_vec();
    Some(Arc::new(PeerCertificate { fingerprint: Sha256::digest(&der).into(), der }))
}
