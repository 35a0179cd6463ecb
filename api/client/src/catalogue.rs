//! The file of a client, as slapos.core has it: where the master is, and short names of software.
//!
//! ```text
//! [slapos]
//! master_url = http://127.0.0.1:5000/
//!
//! [slapconsole]
//! cert_file = ~/.slapos/client.crt
//! key_file = ~/.slapos/client.key
//! alias =
//!   mysql https://example.com/mysql/software.cfg
//!
//! [software]
//! kvm = https://example.com/kvm/software.cfg
//! ```
//!
//! Names of options are in lower case, as everything that reads such files has them. A short name may be said in any
//! case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use configparser::ini::Ini;

use super::master::{Master, MasterError};

/// Which file, if none is named; as for the clients of slapos.core.
const FILE_VARIABLE: &str = "SLAPOS_CLIENT_CONFIGURATION";
/// The same, under the home of the user.
const FILE: &str = ".slapos/slapos-client.cfg";
/// The longest file that is read, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// What a product of the master begins with, as for the clients of slapos.core.
const PRODUCT: &str = "product.";

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What such a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CatalogueFile {
    /// The master it names.
    pub master: Option<String>,
    /// By what that master knows the caller.
    pub pair: Option<CertificateFiles>,
    releases: BTreeMap<String, String>,
}

impl CatalogueFile {
    /// Reads the file that is named, or the one that is there for the clients of slapos.core, if it is.
    pub fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = named {
            return Self::read(path);
        }
        if let Some(path) = std::env::var_os(FILE_VARIABLE) {
            return Self::read(Path::new(&path)).context(FILE_VARIABLE);
        }
        let path = std::env::home_dir().map(|home| home.join(FILE)).filter(|path| path.is_file());
        path.map_or_else(|| Ok(Self::default()), |path| Self::read(&path))
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            let size = std::fs::metadata(path)?.len();
            ensure!(size <= MOST_BYTES, "it has {size} bytes, more than {MOST_BYTES}");
            Self::parse(&std::fs::read_to_string(path)?)
        };
        read().with_context(|| format!("read {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut ini = Ini::new();
        ini.set_multiline(true);
        // An address may have a fragment.
        ini.set_inline_comment_symbols(Some(&[]));
        ini.read(text.to_owned()).map_err(anyhow::Error::msg)?;
        let pair = match ["cert_file", "key_file"].map(|name| file(&ini, name)) {
            [Some(certificate), Some(key)] => Some(CertificateFiles { certificate, key }),
            _ => None,
        };
        let mut catalogue = Self { master: ini.get("slapos", "master_url"), pair, releases: BTreeMap::new() };
        for line in ini.get("slapconsole", "alias").unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (None, ..) => {}
                (Some(name), Some(release), None) => catalogue.add("[slapconsole] alias", name, release)?,
                _ => bail!("[slapconsole] alias: {line:?} is not a short name and an address"),
            }
        }
        for (name, release) in ini.get_map_ref().get("software").into_iter().flatten() {
            let release = release.as_deref().filter(|release| !release.is_empty());
            let release = release.with_context(|| format!("[software] {name} has no address"))?;
            catalogue.add("[software]", name, release)?;
        }
        Ok(catalogue)
    }

    fn add(&mut self, place: &str, name: &str, release: &str) -> anyhow::Result<()> {
        let before = self.releases.insert(name.to_lowercase(), release.to_owned());
        ensure!(before.is_none_or(|before| before == release), "{place}: {name} is named twice");
        Ok(())
    }

    /// Adds the products of a master, as its `/v1/products` lists them. A name of the file stays what it is.
    pub fn add_products(&mut self, items: &[serde_json::Value]) {
        for item in items {
            if let (Some(name), Some(best)) =
                (item["product"].as_str(), item["software_releases"][0].as_str())
            {
                self.releases.entry(name.to_lowercase()).or_insert_with(|| best.to_owned());
            }
        }
    }

    /// Short names and the releases they stand for, by name.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.releases.iter().map(|(name, release)| (name.as_str(), release.as_str()))
    }

    /// The release of a short name; an address stands for itself.
    fn release(&self, software: &str) -> anyhow::Result<String> {
        if let Some(release) = self.releases.get(&software.to_lowercase()) {
            return Ok(release.clone());
        }
        if software.contains(['/', ':']) {
            return Ok(software.to_owned());
        }
        let known: Vec<_> = self.releases.keys().map(String::as_str).collect();
        match known.as_slice() {
            [] => bail!(
                "software {software:?} is no address, and the master and the catalogue have no short names: give its \
                 address, or publish examples with `slapledger computer example`"
            ),
            known => bail!("software {software:?} is neither an address nor one of {}", known.join(", ")),
        }
    }

    /// The release of a short name or of `product.NAME`, which the master knows; an address stands for itself. A short
    /// name that is not in the file may be a product.
    pub fn release_by(&self, master: &Master, software: &str) -> anyhow::Result<String> {
        let Some(product) = software.strip_prefix(PRODUCT) else {
            return self.release(software).or_else(|unknown| match master.product(software) {
                Ok(releases) => releases.into_iter().next().ok_or(unknown),
                Err(error @ (MasterError::Unreachable { .. } | MasterError::TryAgain(_))) => {
                    Err(error.into())
                }
                // Another master may have no products at all.
                Err(error) => Err(unknown.context(error.to_string())),
            });
        };
        let mut releases = master.product(product)?.into_iter();
        releases.next().with_context(|| format!("the master has no release of product {product}"))
    }

    /// What to call a release: its short name, or else its address.
    pub fn name<'a>(&'a self, release: &'a str) -> &'a str {
        self.names().find(|(_, known)| *known == release).map_or(release, |(name, _)| name)
    }
}

/// A file that an option of clients names; below the home of the user, if it begins with `~/`.
fn file(ini: &Ini, name: &str) -> Option<PathBuf> {
    let told = ini.get("slapconsole", name).or_else(|| ini.get("slapos", name))?;
    let told = told.trim();
    match told.strip_prefix("~/") {
        Some(below) => Some(std::env::home_dir()?.join(below)),
        None => Some(PathBuf::from(told)).filter(|_| !told.is_empty()),
    }
}

/// Where files of the user's state are kept (XDG Base Directory Specification), if that is known.
pub fn state_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(folder.join("slapledger"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KVM: &str = "https://example.com/kvm/software.cfg#a1;b2";

    #[test]
    fn the_file_of_slapos_core_is_read() {
        let text = format!(
            "# of the console\n[slapos]\nmaster_url = http://127.0.0.1:5000/\n[slapconsole]\ncert_file = a\n\
             key_file = ~/b\n\
             alias =\n  apache-frontend http://example.com:8080/a.cfg\n  mysql\thttp://example.com/m.cfg\n\
             [software]\nKVM = {KVM}\nlocal: ~/software.cfg\n"
        );
        let catalogue = CatalogueFile::parse(&text).unwrap();
        assert_eq!(catalogue.master.as_deref(), Some("http://127.0.0.1:5000/"));
        let pair = catalogue.pair.as_ref().unwrap();
        assert_eq!(pair.certificate, Path::new("a"));
        assert_eq!(pair.key, std::env::home_dir().unwrap().join("b"));
        let names: Vec<_> = catalogue.names().collect();
        let expected = [
            ("apache-frontend", "http://example.com:8080/a.cfg"),
            ("kvm", KVM),
            ("local", "~/software.cfg"),
            ("mysql", "http://example.com/m.cfg"),
        ];
        assert_eq!(names, expected);
        assert_eq!(catalogue.release("Kvm").unwrap(), KVM);
        assert_eq!(catalogue.release("./software.cfg").unwrap(), "./software.cfg");
        assert_eq!(catalogue.name(KVM), "kvm");
        assert_eq!(catalogue.name("http://other"), "http://other");
        let error = catalogue.release("kwm").unwrap_err().to_string();
        assert_eq!(
            error,
            "software \"kwm\" is neither an address nor one of apache-frontend, kvm, local, mysql"
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |text: &str, expected: &str| {
            let error = CatalogueFile::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("[slapconsole]\nalias =\n  kvm\n", "[slapconsole] alias: \"kvm\" is not a short name");
        check("[slapconsole]\nalias = a b c\n", "\"a b c\" is not a short name and an address");
        check("[software]\nkvm\n", "[software] kvm has no address");
        check("[slapconsole]\nalias = kvm a\n[software]\nkvm = b\n", "[software]: kvm is named twice");
        let none = CatalogueFile::parse("").unwrap();
        assert_eq!(none, CatalogueFile::default());
        assert!(none.release("kvm").unwrap_err().to_string().contains("publish examples with"));
    }
}
