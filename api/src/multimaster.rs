//! The other masters of a proxy, as slapos.cfg names them: `[multimaster/URL]`.
//!
//! Of such a section the same options count as for slapos proxy: `software_release_list`, `key` and `cert` with https,
//! `computer` and `partition`. `ca` besides names the root that the certificate of the master must come from; without it
//! that is not verified, as slapos.core never does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use configparser::ini::{Ini, IniDefault};
use slapledger_client::catalogue::CertificateFiles;
use slapledger_client::options::{certificates, client_certificate};
use slapledger_protocols::multimaster::{OtherMaster, OtherMasters};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// How long a master may take to answer. Clients of SLAP hang up after 60 seconds.
const PATIENCE: Duration = Duration::from_secs(45);

/// The masters that a file names.
pub(crate) fn read(path: &Path) -> anyhow::Result<OtherMasters> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| format!("read {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<OtherMasters> {
    let mut defaults = IniDefault::default();
    defaults.case_sensitive = true;
    defaults.multiline = true;
    // Addresses have colons and number signs in them.
    defaults.delimiters = vec!['='];
    defaults.inline_comment_symbols = Some(Vec::new());
    let mut file = Ini::new_from_defaults(defaults);
    let sections = file.read(text.to_owned()).map_err(|cause| anyhow::anyhow!(cause))?;
    let mut masters = Vec::new();
    for (section, options) in sections {
        let Some(url) = section.strip_prefix("multimaster/") else { continue };
        let get = |name: &str| {
            options.get(name).and_then(Option::as_deref).map(str::trim).filter(|text| !text.is_empty())
        };
        let list = get("software_release_list").unwrap_or_default();
        let pair = match (get("cert"), get("key")) {
            (Some(certificate), Some(key)) => {
                Some(CertificateFiles { certificate: PathBuf::from(certificate), key: PathBuf::from(key) })
            }
            (None, None) => None,
            _ => bail!("[{section}] needs cert and key, or neither"),
        };
        let from = match (get("computer"), get("partition")) {
            (Some(computer), Some(partition)) => Some((computer.to_owned(), partition.to_owned())),
            _ => None,
        };
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let mut config = config.timeout_global(Some(PATIENCE));
        if url.starts_with("https://") {
            let pair =
                pair.with_context(|| format!("[{section}] needs cert and key: its address is https"))?;
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .client_cert(Some(client_certificate(&pair).with_context(|| format!("[{section}]"))?));
            let tls = match get("ca") {
                Some(ca) => {
                    let roots = certificates(Path::new(ca)).with_context(|| format!("[{section}]"))?;
                    let roots: Vec<_> =
                        roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
                    tls.root_certs(RootCerts::new_with_certs(&roots))
                }
                None => tls.disable_verification(true),
            };
            config = config.tls_config(tls.build());
        } else {
            ensure!(
                url.starts_with("http://"),
                "[{section}] must be multimaster/ and an address with http:// or https://"
            );
            ensure!(pair.is_none(), "[{section}] has cert and key, and its address is plain http");
        }
        masters.push(OtherMaster {
            url: url.to_owned(),
            software_releases: list
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
            from,
            agent: config.build().into(),
        });
    }
    masters.sort_by(|one, other| one.url.cmp(&other.url));
    Ok(OtherMasters(masters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_of_slapos_proxy_are_read() {
        let text = "[slapos]\ncomputer_id = computer\n# a comment\n\n[slapproxy]\nport = 8080\n\n\
            [multimaster/http://127.0.0.1:8281]\n# No certificate here: it is http.\nsoftware_release_list =\n  \
            http://a/software.cfg#1\n  /local/path\n\n[multimaster/http://127.0.0.1:8281/]\ncomputer = other\n\
            partition = slappart0\nsoftware_release_list =\n  https://b/s.cfg\n";
        let OtherMasters(masters) = parse(text).unwrap();
        let told: Vec<_> = masters
            .iter()
            .map(|master| (master.url.as_str(), master.software_releases.join(" "), master.from.clone()))
            .collect();
        let from = Some(("other".to_owned(), "slappart0".to_owned()));
        assert_eq!(
            told,
            [
                ("http://127.0.0.1:8281", "http://a/software.cfg#1 /local/path".to_owned(), None),
                ("http://127.0.0.1:8281/", "https://b/s.cfg".to_owned(), from),
            ]
        );
        assert!(parse("[slapos]\na = b\n").unwrap().0.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |text: &str, expected: &str| {
            let refused = parse(text).map(drop).unwrap_err();
            assert!(format!("{refused:#}").contains(expected), "{text}: {refused:#}");
        };
        check("[multimaster/ftp://a/]\nx = y\n", "an address with http:// or https://");
        check("[multimaster/https://a/]\nx = y\n", "needs cert and key: its address is https");
        check("[multimaster/https://a/]\nkey = y\n", "needs cert and key, or neither");
        check("[multimaster/http://a/]\nkey = y\ncert = z\n", "its address is plain http");
    }
}
