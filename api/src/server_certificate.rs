//! The certificate that the server shows, and how it is replaced while it serves.
//!
//! It comes from the own authority, or from files that somebody else keeps (an ACME client, say). One of the own
//! authority is made anew long before it ends; files are read again when they have changed. Invariant: what is shown is
//! always a certificate with its key. Files that do not fit each other, or cannot be read, are logged once, and the
//! certificate before them stays.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use slapledger_ca::{Authority, Validity};
use slapledger_client::private;
use slapledger_core::domain::time::Timestamp;
use slapledger_engine::certifier::Certifier;
use slapledger_net::{ServerIdentity, ShownCertificate};
use slapledger_usecases::context::RequestContext;
use zeroize::Zeroizing;

use crate::config::OwnCertificate;

const DAY_MICROS: i64 = 86_400_000_000;
/// How long one of the own authority is good.
const DAYS: i64 = 397;
/// It is made anew when it is good for less.
const REPLACED_DAYS: i64 = 30;
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(60);

/// Where the certificate comes from.
pub enum CertificateSource {
    /// The own authority, for these names.
    Own(Vec<String>),
    /// Files from elsewhere.
    Files {
        /// Which.
        files: OwnCertificate,
        /// What it must be for.
        names: Vec<String>,
    },
}

/// The certificate, and what is known of where it comes from.
pub struct ServerCertificate {
    source: CertificateSource,
    shown: Arc<ShownCertificate>,
    /// When it is to be looked for again, if it is our own.
    replaced_at: Timestamp,
    /// Of the files that were read last, good or not.
    read: Option<[u8; 32]>,
    /// Of the files that are shown.
    taken: Option<[u8; 32]>,
}

impl ServerCertificate {
    /// Makes it, or reads it.
    pub fn open(source: CertificateSource, authority: &Authority, now: Timestamp) -> anyhow::Result<Self> {
        match &source {
            CertificateSource::Own(names) => {
                let (shown, replaced_at) = issue(names, authority, now, ShownCertificate::new)?;
                Ok(Self { shown: Arc::new(shown), replaced_at, read: None, taken: None, source })
            }
            CertificateSource::Files { files, names } => {
                let pair = ServerCertificateFiles::read(files)?;
                pair.check(names, now)
                    .with_context(|| format!("certificate: {}", files.chain_file.display()))?;
                let shown = Arc::new(ShownCertificate::new(pair.identity())?);
                let read = Some(pair.digest());
                Ok(Self { source, shown, replaced_at: now, read, taken: read })
            }
        }
    }

    /// What connections are shown.
    pub fn shown(&self) -> Arc<ShownCertificate> {
        Arc::clone(&self.shown)
    }

    /// Replaces it, if it is time to; whether it did.
    fn look(&mut self, authority: &Authority, now: Timestamp) -> anyhow::Result<bool> {
        let shown = &self.shown;
        match &self.source {
            CertificateSource::Own(names) => {
                if now < self.replaced_at {
                    return Ok(false);
                }
                let replace = |identity: ServerIdentity<'_>| shown.replace(identity);
                ((), self.replaced_at) = issue(names, authority, now, replace)?;
            }
            CertificateSource::Files { files, names } => {
                // What was read before is not said to be wrong again; it may be good by now.
                let pair = ServerCertificateFiles::read(files)?;
                let digest = Some(pair.digest());
                if self.taken == digest {
                    return Ok(false);
                }
                let is_new = std::mem::replace(&mut self.read, digest) != digest;
                match pair.check(names, now).and_then(|()| shown.replace(pair.identity())) {
                    Ok(()) => self.taken = digest,
                    Err(_) if !is_new => return Ok(false),
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(true)
    }
}

/// Checks a certificate from elsewhere without a server: that it is valid now, for these names, and fits its key.
pub fn check_files(files: &OwnCertificate, names: &[String], now: Timestamp) -> anyhow::Result<()> {
    let pair = ServerCertificateFiles::read(files)?;
    pair.check(names, now).with_context(|| format!("certificate: {}", files.chain_file.display()))?;
    ShownCertificate::new(pair.identity()).map(drop)
}

/// One of the own authority, and when it is to be replaced.
fn issue<T>(
    names: &[String],
    authority: &Authority,
    now: Timestamp,
    show: impl FnOnce(ServerIdentity<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Timestamp)> {
    let validity = Validity { not_before: now, not_after: now.plus_micros(DAYS * DAY_MICROS) };
    let issued = authority.server_certificate(names, validity)?;
    let shown = show(ServerIdentity { chain_pem: &issued.chain_pem, key_pem: &issued.key_pem })?;
    // Of an authority that is about to end itself there is none that is good for longer.
    let soonest = now.plus_micros(DAY_MICROS);
    Ok((shown, issued.not_after.plus_micros(-REPLACED_DAYS * DAY_MICROS).max(soonest)))
}

/// A certificate and its key, as they lie in files.
struct ServerCertificateFiles {
    chain: String,
    key: Zeroizing<String>,
}

impl ServerCertificateFiles {
    fn read(files: &OwnCertificate) -> anyhow::Result<Self> {
        let text =
            |path: &Path| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
        Ok(Self { chain: text(&files.chain_file)?, key: private::secret(&files.key_file)? })
    }

    /// That it is good now, for a server, and for these names.
    fn check(&self, names: &[String], now: Timestamp) -> anyhow::Result<()> {
        let der =
            CertificateDer::from_pem_slice(self.chain.as_bytes()).context("there is no certificate in it")?;
        let (_, known) = x509_parser::parse_x509_certificate(&der).context("it is no X.509 certificate")?;
        let seconds = now.micros().div_euclid(1_000_000);
        let (from, until) = (known.validity().not_before, known.validity().not_after);
        ensure!(seconds >= from.timestamp(), "it is not good before {from}");
        ensure!(seconds <= until.timestamp(), "it ended on {until}");
        let usage = known.extended_key_usage().context("it is no X.509 certificate")?;
        let serves = usage.is_none_or(|usage| usage.value.server_auth || usage.value.any);
        ensure!(serves, "it is that of a client, and not of a server");
        let parsed = ParsedCertificate::try_from(&der)?;
        for name in names {
            // One for all names below another is for this one too.
            let asked = name.strip_prefix("*.").map_or_else(|| name.clone(), |below| format!("any.{below}"));
            let asked = ServerName::try_from(asked).with_context(|| format!("names: {name}"))?;
            let is = rustls::client::verify_server_name(&parsed, &asked).is_ok();
            ensure!(is, "it is not for {name}, which is in names");
        }
        Ok(())
    }

    fn identity(&self) -> ServerIdentity<'_> {
        ServerIdentity { chain_pem: &self.chain, key_pem: &self.key }
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [self.chain.as_bytes(), self.key.as_bytes()].map(Sha256::digest);
        Sha256::digest(parts.concat()).into()
    }
}

/// Replaces it when it is time to, as long as the program runs.
pub async fn watch(mut certificate: ServerCertificate, ctx: Arc<RequestContext>, certifier: Arc<Certifier>) {
    let mut told = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let (authority, now) = (Arc::clone(&certifier), ctx.now());
        let look = tokio::task::spawn_blocking(move || {
            let looked = certificate.look(&authority.authority, now);
            (certificate, looked)
        });
        let looked;
        (certificate, looked) = match look.await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "the certificate of the server is not looked after any more");
                return;
            }
        };
        match looked.map_err(|error| format!("{error:#}")) {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!("the server shows another certificate from now on");
                told = None;
            }
            Err(error) if told.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!(%error, "the certificate of the server was not replaced");
                told = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use slapledger_ca::CertificateSubject;
    use slapledger_core::domain::id::PartyId;
    use tempfile::TempDir;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-28T00:00:00Z").expect("an instant")
    }

    fn authority(folder: &TempDir) -> Authority {
        Authority::create(&folder.path().join("ca"), "Test", now()).expect("an authority is made")
    }

    fn names() -> Vec<String> {
        vec!["localhost".to_owned()]
    }

    fn of(files: &OwnCertificate) -> CertificateSource {
        CertificateSource::Files { files: files.clone(), names: names() }
    }

    #[test]
    fn one_from_elsewhere_is_good_for_what_it_is_shown_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = authority(&folder);
        let files = OwnCertificate {
            chain_file: folder.path().join("chain.pem"),
            key_file: folder.path().join("key.pem"),
        };
        let after = |days: i64| now().plus_micros(days * DAY_MICROS);
        let opened_at = |at: Timestamp, chain: &str, key: &str| {
            fs::write(&files.chain_file, chain).expect("it is written");
            fs::write(&files.key_file, key).expect("it is written");
            fs::set_permissions(&files.key_file, fs::Permissions::from_mode(0o600)).expect("they are set");
            let opened = ServerCertificate::open(of(&files), &authority, at);
            opened.map(drop).map_err(|error| format!("{error:#}"))
        };
        let opened = |chain: &str, key: &str| opened_at(after(1), chain, key);
        let made = |names: &[&str], days: i64| {
            let validity = Validity { not_before: after(1), not_after: after(2) };
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = authority.server_certificate(&names, validity).expect("it is made");
            opened_at(after(days), &made.chain_pem, &made.key_pem)
        };
        assert_eq!(made(&["localhost", "a.example"], 1), Ok(()));
        let refused = |told: Result<(), String>, rule: &str| {
            let told = told.expect_err(rule);
            assert!(told.starts_with("certificate: ") && told.contains(rule), "{told}");
        };
        refused(made(&["a.example"], 1), "it is not for localhost, which is in names");
        refused(made(&["localhost"], 0), "it is not good before ");
        refused(made(&["localhost"], 3), "it ended on ");
        let validity = Validity { not_before: after(0), not_after: after(2) };
        let of_client =
            authority.issue(&CertificateSubject::Person { party: PartyId(1) }, validity).expect("it is made");
        refused(opened(&of_client.chain_pem, &of_client.key_pem), "it is that of a client");
        refused(opened("", "x"), "there is no certificate in it");
    }

    #[test]
    fn our_own_is_replaced_a_month_before_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = authority(&folder);
        let mut certificate =
            ServerCertificate::open(CertificateSource::Own(names()), &authority, now()).expect("it is made");
        let first = certificate.shown.leaf();
        let after = |days: i64| now().plus_micros(days * DAY_MICROS);
        assert!(!certificate.look(&authority, after(366)).expect("it is looked at"));
        assert_eq!(certificate.shown.leaf(), first);
        assert!(certificate.look(&authority, after(367)).expect("it is looked at"));
        assert_ne!(certificate.shown.leaf(), first);
        assert!(!certificate.look(&authority, after(368)).expect("it is looked at"));
    }

    #[test]
    fn files_are_read_when_they_have_changed_and_wrong_ones_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = authority(&folder);
        let files = OwnCertificate {
            chain_file: folder.path().join("chain.pem"),
            key_file: folder.path().join("key.pem"),
        };
        let after = |days: i64| now().plus_micros(days * DAY_MICROS);
        let made_for = |first: i64, last: i64| {
            let validity = Validity { not_before: after(first), not_after: after(last) };
            authority.server_certificate(&names(), validity).expect("it is made")
        };
        let made = || made_for(0, 1);
        let write_key = |key: &str| {
            fs::write(&files.key_file, key).expect("it is written");
            fs::set_permissions(&files.key_file, fs::Permissions::from_mode(0o600)).expect("they are set");
        };
        let (first, second) = (made(), made());
        fs::write(&files.chain_file, &first.chain_pem).expect("it is written");
        write_key(&first.key_pem);
        let mut certificate = ServerCertificate::open(of(&files), &authority, now()).expect("it is read");
        let look = |certificate: &mut ServerCertificate| {
            certificate.look(&authority, now()).map_err(|error| format!("{error:#}"))
        };
        let shown = certificate.shown.leaf();
        assert_eq!(look(&mut certificate), Ok(false));
        // Its key is written after it: between them they do not fit.
        fs::write(&files.chain_file, &second.chain_pem).expect("it is written");
        assert!(look(&mut certificate).is_err());
        assert_eq!(look(&mut certificate), Ok(false), "it is said once");
        assert_eq!(certificate.shown.leaf(), shown);
        write_key(&second.key_pem);
        assert_eq!(look(&mut certificate), Ok(true));
        assert_ne!(certificate.shown.leaf(), shown);
        // One of tomorrow is shown tomorrow.
        let (shown, tomorrow) = (certificate.shown.leaf(), made_for(1, 2));
        fs::write(&files.chain_file, &tomorrow.chain_pem).expect("it is written");
        write_key(&tomorrow.key_pem);
        assert!(look(&mut certificate).expect_err("it is early").starts_with("it is not good before "));
        assert_eq!((look(&mut certificate), certificate.shown.leaf()), (Ok(false), shown.clone()));
        assert!(certificate.look(&authority, after(1)).expect("it is time"));
        assert_ne!(certificate.shown.leaf(), shown);
        fs::remove_file(&files.chain_file).expect("it is removed");
        assert!(look(&mut certificate).expect_err("it is gone").starts_with("read "));
    }
}
