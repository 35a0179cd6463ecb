//! What every command says that is a client of a running master: which, and who asks.
//!
//! Said once for all of them. The token itself is never an argument, where everybody on the machine could read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use slapledger_core::domain::id::ProjectId;
use slapledger_dto::token::Token;
use ureq::http::HeaderValue;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use zeroize::Zeroizing;

use super::catalogue::{CatalogueFile, CertificateFiles};
use super::master::Master;
use super::private;
use super::server::{Brought, Server};

/// Where a master is, if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:5000";
/// The variable that names a master. What the command line says goes first, also --data.
pub const URL: &str = "SLAPLEDGER_URL";
/// The token itself; there is no option for it.
const TOKEN: &str = "SLAPLEDGER_TOKEN";

#[derive(Args)]
pub struct Client {
    /// The master to ask. Default: `SLAPLEDGER_URL`, else `master_url` of the catalogue, else port 5000 of this machine
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File with short names of software. Default: ~/.slapos/slapos-client.cfg
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_CATALOGUE")]
    catalogue: Option<PathBuf>,
    #[command(flatten)]
    identity: Identity,
}

/// A data folder instead of a master.
#[derive(Args)]
pub struct UnusedFolder {
    /// Use this data folder, which no server is using
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// With --data: the file of the master key. Default: beside the key ring
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_MASTER_KEY_FILE")]
    pub master_key: Option<PathBuf>,
}

/// What a command reads: a running master, or a data folder that no server uses.
#[derive(Args)]
pub struct ReadSourceArgs {
    /// Read as of a sequence (40213) or an instant (2026-10-01T01:00:00Z)
    #[arg(long, value_name = "POINT")]
    as_of: Option<String>,
    #[command(flatten)]
    folder: UnusedFolder,
    #[command(flatten)]
    client: Client,
}

/// A data folder to read.
pub struct FolderAsked<'a> {
    /// Where it is.
    pub data: &'a Path,
    /// The file of its master key, if it does not lie beside the key ring.
    pub master_key: Option<&'a Path>,
    /// The project to read.
    pub project: Option<ProjectId>,
}

/// Opens a data folder so that it answers as its server would.
pub type FolderOpener = fn(&FolderAsked<'_>) -> anyhow::Result<Server>;

/// What opens data folders: the program that has an engine says so at its start.
static FOLDER_OPENER: OnceLock<FolderOpener> = OnceLock::new();

/// Sets what opens data folders.
pub fn open_folders_by(opener: FolderOpener) {
    // The first one stays; there is one engine in a program.
    let _ = FOLDER_OPENER.set(opener);
}

impl ReadSourceArgs {
    /// What answers.
    pub fn server(&self) -> anyhow::Result<Server> {
        Ok(self.server_of(&self.client.catalogue()?)?.as_of(self.as_of.as_deref()))
    }

    /// The same as a SLAP client sees it, and the catalogue.
    pub fn open(&self) -> anyhow::Result<(Master, CatalogueFile)> {
        let catalogue = self.client.catalogue()?;
        let server = self.server_of(&catalogue)?.as_of(self.as_of.as_deref());
        Ok((Master::new(server), catalogue))
    }

    fn server_of(&self, catalogue: &CatalogueFile) -> anyhow::Result<Server> {
        let Some(data) = &self.folder.data else { return self.client.server_of(catalogue) };
        let open = FOLDER_OPENER.get().context("--data: this program opens no data folders")?;
        open(&FolderAsked {
            data,
            master_key: self.folder.master_key.as_deref(),
            project: self.client.project()?,
        })
    }
}

#[derive(Args)]
pub struct ReadOptions {
    #[command(flatten)]
    pub client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct QueryOptions {
    #[command(flatten)]
    pub client: Client,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Who asks, and whom they trust.
#[derive(Args, Default)]
pub struct Identity {
    /// File of the token (mode 0600); or set `SLAPLEDGER_TOKEN`
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Client certificate, PEM. Default: `cert_file` of the catalogue
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_CERT")]
    cert: Option<PathBuf>,
    /// Key of the client certificate, PEM (mode 0600). Default: `key_file` of the catalogue
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_KEY")]
    key: Option<PathBuf>,
    /// Root certificate of the master, PEM. Default: the roots that this system trusts
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Project (PROJ-2); for credentials of all projects
    #[arg(long, value_name = "PROJECT", env = "SLAPLEDGER_PROJECT")]
    project: Option<String>,
}

impl Client {
    /// The master and the catalogue that are meant.
    pub fn open(&self) -> anyhow::Result<(Master, CatalogueFile)> {
        let catalogue = self.catalogue()?;
        Ok((Master::new(self.server_of(&catalogue)?), catalogue))
    }

    /// The master that is meant.
    pub fn server(&self) -> anyhow::Result<Server> {
        self.server_of(&self.catalogue()?)
    }

    fn catalogue(&self) -> anyhow::Result<CatalogueFile> {
        CatalogueFile::open(self.catalogue.as_deref())
    }

    /// The project that is chosen.
    pub fn project(&self) -> anyhow::Result<Option<ProjectId>> {
        self.identity.project()
    }

    fn server_of(&self, catalogue: &CatalogueFile) -> anyhow::Result<Server> {
        // Not read by clap, which would take it for an option that contradicts --data.
        let named = self.url.clone().or_else(|| std::env::var(URL).ok().filter(|url| !url.is_empty()));
        let url = named.as_deref().or(catalogue.master.as_deref()).unwrap_or(DEFAULT_URL);
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        // A certificate is shown to the master it is of.
        let theirs =
            catalogue.pair.as_ref().filter(|_| catalogue.master.as_deref().map(bare) == Some(bare(url)));
        self.identity.server(url, theirs)
    }
}

impl Identity {
    /// The master at an address. A pair of the catalogue is shown if nothing else is said.
    pub fn server(&self, url: &str, theirs: Option<&CertificateFiles>) -> anyhow::Result<Server> {
        let token = self.token()?;
        let pair = match (&self.cert, &self.key) {
            (Some(certificate), Some(key)) => {
                Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) => theirs.filter(|_| token.is_none()).cloned(),
            (Some(_), None) => bail!("--cert goes with --key"),
            (None, Some(_)) => bail!("--key goes with --cert"),
        };
        ensure!(
            token.is_none() || pair.is_none(),
            "a token ({}) and a certificate (--cert, SLAPLEDGER_CERT) are given; one of them says who asks",
            self.token_source()
        );
        let authorization = token.map(|token| -> anyhow::Result<HeaderValue> {
            let text = Zeroizing::new(format!("Bearer {}", *token.text()));
            let mut value = HeaderValue::from_str(&text)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let project = self.project()?.map(|project| HeaderValue::from_str(&project.to_string()));
        let is_encrypted = url.starts_with("https://");
        ensure!(
            is_encrypted || self.cert.is_none(),
            "--cert: a certificate is shown over TLS, and {url} does not begin with https://"
        );
        let tls = is_encrypted.then(|| self.tls(pair.as_ref()));
        Server::new(
            url,
            Brought {
                tls: tls.transpose()?,
                authorization: authorization.transpose()?,
                project: project.transpose()?,
            },
        )
    }

    fn project(&self) -> anyhow::Result<Option<ProjectId>> {
        let read = |project: &str| {
            let wrong = |_| anyhow::anyhow!("--project {project}: must look like PROJ-1");
            project.parse::<ProjectId>().map_err(wrong)
        };
        self.project.as_deref().map(read).transpose()
    }

    /// Where the token comes from.
    fn token_source(&self) -> String {
        let of_file =
            |path: &PathBuf| format!("of --token-file or SLAPLEDGER_TOKEN_FILE, {}", path.display());
        self.token_file.as_ref().map_or_else(|| format!("in {TOKEN}"), of_file)
    }

    fn token(&self) -> anyhow::Result<Option<Token>> {
        let (from, text) = match (&self.token_file, std::env::var(TOKEN)) {
            (Some(path), _) => (path.display().to_string(), private::secret(path)?),
            (None, Ok(text)) if !text.is_empty() => (TOKEN.to_owned(), Zeroizing::new(text)),
            (None, _) => return Ok(None),
        };
        let token = Token::read(text.trim());
        token.with_context(|| format!("{from} holds no token; one looks like slap_..._...")).map(Some)
    }

    fn tls(&self, pair: Option<&CertificateFiles>) -> anyhow::Result<TlsConfig> {
        let roots = match &self.ca_file {
            Some(path) => {
                let roots = certificates(path)?;
                let mut store = RootCertStore::empty();
                let mut all = roots.iter().cloned();
                all.try_for_each(|root| store.add(root))
                    .with_context(|| format!("read {}", path.display()))?;
                roots
            }
            None => roots_of_the_system()?,
        };
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(pair.map(client_certificate).transpose()?)
            .build())
    }
}

/// TLS to anybody whom the system trusts.
pub fn tls_of_the_system() -> anyhow::Result<TlsConfig> {
    let roots = roots_of_the_system()?;
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .build())
}

/// The certificates of a file; at least one.
pub fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let read: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .with_context(|| format!("read {}", path.display()))?;
    ensure!(!read.is_empty(), "{} holds no certificate in PEM", path.display());
    Ok(read)
}

fn roots_of_the_system() -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    ensure!(
        !found.certs.is_empty(),
        "this system has no certificates that it trusts; --ca-file names the root of the master"
    );
    Ok(found.certs)
}

/// A certificate and its key, which fit together.
pub fn client_certificate(
    CertificateFiles { certificate, key }: &CertificateFiles,
) -> anyhow::Result<ClientCert> {
    let chain = certificates(certificate)?;
    let text = private::secret(key)?;
    let read = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .with_context(|| format!("{} holds no private key in PEM", key.display()))?;
    let provider = rustls::crypto::ring::default_provider();
    rustls::sign::CertifiedKey::from_der(chain.clone(), read, &provider)
        .with_context(|| format!("{} is not the key of {}", key.display(), certificate.display()))?;
    let key = PrivateKey::from_pem(text.as_bytes())
        .with_context(|| format!("{} holds no private key in PEM", key.display()))?;
    let chain: Vec<_> = chain.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    Ok(ClientCert::new_with_certs(&chain, key))
}
