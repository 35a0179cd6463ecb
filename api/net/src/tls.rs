//! TLS as it is served: versions 1.2 and 1.3, suites of rustls, certificates of clients where they have one.
//!
//! A client that presents a certificate must prove that it is one of ours and valid now; otherwise the handshake
//! fails with an alert. Sessions may be resumed and keep the certificate they began with: who sent a request is known
//! then as well, and looking its fingerprint up for each request is what makes a revocation take effect.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};

use super::PeerCertificate;

/// What a server shows.
#[derive(Clone, Copy)]
pub struct ServerIdentity<'a> {
    /// Its certificate and those between it and the root, PEM.
    pub chain_pem: &'a str,
    /// The private key of the first of them, PEM.
    pub key_pem: &'a str,
}

impl ServerIdentity<'_> {
    /// As it is used; they fit each other.
    fn certified(self) -> anyhow::Result<Arc<CertifiedKey>> {
        let chain = certificates(self.chain_pem).context("the certificate of the server")?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).context("the key of the server")?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        Ok(Arc::new(certified.context("the certificate and the key of the server")?))
    }
}

/// What a server shows, and may show something else in place of while it serves.
#[derive(Debug)]
pub struct ShownCertificate(RwLock<Arc<CertifiedKey>>);

impl ShownCertificate {
    /// This one.
    pub fn new(identity: ServerIdentity<'_>) -> anyhow::Result<Self> {
        Ok(Self(RwLock::new(identity.certified()?)))
    }

    /// From now on this one, unless there is something wrong with it.
    pub fn replace(&self, identity: ServerIdentity<'_>) -> anyhow::Result<()> {
        let certified = identity.certified()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The certificate alone.
    pub fn leaf(&self) -> CertificateDer<'static> {
        self.current().cert[0].clone()
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// The configuration of a server that trusts clients whose certificates come from one of `client_roots_pem`.
pub fn tls(shown: Arc<ShownCertificate>, client_roots_pem: &str) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(preferring_sha256(rustls::crypto::ring::default_provider()));
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
        .with_cert_resolver(shown);
    config.ignore_client_order = true;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// AES-128 with SHA-256 comes first, whatever clients would rather have: as good as AES-256 with SHA-384 here, and a
/// handshake needs less, as processors know SHA-256.
fn preferring_sha256(mut provider: CryptoProvider) -> CryptoProvider {
    let preferred =
        [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    provider.cipher_suites.sort_by_key(|suite| !preferred.contains(&suite.suite()));
    provider
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
