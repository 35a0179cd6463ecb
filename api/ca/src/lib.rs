//! The master's own certificate authority: a root, an intermediate that issues, and certificates for users, computers
//! and instances.
//!
//! Invariants: a folder of an authority is complete or not there; a key that others may read, or that does not fit its
//! certificate, is refused; nothing outlives the intermediate; a serial is 127 random bits and positive. The key of
//! the root is needed at creation alone and may be kept elsewhere. Keys are made here and handed out with
//! their certificates, as SLAP has it; they are kept nowhere, never logged, and overwritten when dropped.
//!
//! It does not know what was issued or revoked: that is kept by fingerprint elsewhere. It reads no clock.

mod folder;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::DnsName;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, PartyId};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::secret_files::SecretFileFault;
use time::OffsetDateTime;
use x509_parser::prelude::X509Certificate;
use zeroize::{Zeroize, Zeroizing};

const SECOND: i64 = 1_000_000;
const YEAR_SECONDS: i64 = 31_557_600;
const ROOT_YEARS: i64 = 20;
const INTERMEDIATE_YEARS: i64 = 10;
/// Clocks of others may be behind.
const BEFORE_NOW_SECONDS: i64 = 3600;

/// The longest name of an authority, in bytes: with what is added it fits a common name.
const MOST_NAME_BYTES: usize = 48;
/// What `slapos node register` takes for the beginning of a computer's id, wherever it stands.
const COMPUTER_MARK: &str = "COMP-";
/// `slapos node register` takes the id to end where `/emailAddress` begins. Nobody reads mail there.
const EMAIL: &str = "nobody@slapledger.invalid";
const EMAIL_OID: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// What can go wrong with an authority: all of it ours, or the operator's.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFault {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileFault),
    /// The system has no random bytes to give.
    #[error("cannot draw random bytes: {cause}")]
    NoRandomness {
        /// What the system said.
        cause: getrandom::Error,
    },
    /// A file is gone, or was never there.
    #[error("{} is missing", path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// The creation of an authority did not come to its end; nothing was issued by it.
    #[error("the authority in {} was not created to its end; create it again", path.display())]
    Unfinished {
        /// The folder of the authority.
        path: PathBuf,
    },
    /// There is something in the folder already.
    #[error("{} is not empty; an authority is created in a folder of its own", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Not what it should be.
    #[error("{} is not {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A private key and a certificate are not of the same pair.
    #[error("the key {} does not fit {}", key.display(), certificate.display())]
    OtherKey {
        /// The key.
        key: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
    /// The intermediate was not signed by the root beside it.
    #[error("{} was not issued by {}", certificate.display(), root.display())]
    OtherRoot {
        /// The intermediate.
        certificate: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// The name of the authority.
    #[error("the name of an authority must {rule}")]
    Name {
        /// What it must be.
        rule: &'static str,
    },
    /// A name of a server.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    ServerName {
        /// The name.
        name: String,
    },
    /// A server without a name.
    #[error("a server needs a name")]
    NoServerName,
    /// A certificate would be valid at no time.
    #[error("a certificate cannot be valid from {not_before} to {not_after}")]
    Validity {
        /// The first instant.
        not_before: Timestamp,
        /// The last, held within the validity of the authority.
        not_after: Timestamp,
    },
    /// The library refused.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSubject {
    /// Somebody who requests.
    Person {
        /// Who.
        party: PartyId,
    },
    /// A node.
    Computer {
        /// Which.
        id: ComputerId,
    },
    /// A software instance.
    Instance {
        /// Where it is.
        computer: ComputerId,
        /// And in which of its partitions.
        partition: PartitionId,
        /// Which; its common name.
        id: InstanceId,
    },
}

impl CertificateSubject {
    /// What kind of holder it is.
    fn kind(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::Computer { .. } => "computer",
            Self::Instance { .. } => "instance",
        }
    }
}

/// From when and until when, both included; whole seconds are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub not_before: Timestamp,
    /// The last.
    pub not_after: Timestamp,
}

/// A certificate and its key, as they are handed out.
pub struct Issued {
    /// The certificate in text, as OpenSSL writes it, then in PEM.
    pub certificate_pem: String,
    /// The private key: PKCS#8 in PEM.
    pub key_pem: Zeroizing<String>,
    /// `certificate_pem` and after it the intermediate, for who must show both.
    pub chain_pem: String,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: [u8; 32],
    /// Its number.
    pub serial: u128,
    /// The last instant at which it is valid: what was asked for, or the end of the authority.
    pub not_after: Timestamp,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// An authority that can issue; see the module.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    intermediate_pem: String,
    /// Of the intermediate.
    valid: Validity,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("valid", &self.valid).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority in a folder that is not there yet, or empty: a root for 20 years and an intermediate for 10.
    /// What the log of a crash leaves behind is made anew.
    pub fn create(dir: &Path, name: &str, now: Timestamp) -> Result<Self, AuthorityFault> {
        check_name(name)?;
        let (root_name, intermediate_name) = (format!("{name} root"), format!("{name} intermediate"));
        let root_key = KeyPair::generate()?;
        let root_params = signer(&root_name, 1, now, ROOT_YEARS)?;
        let root_pem = root_params.self_signed(&root_key)?.pem();
        let root = Issuer::new(root_params, root_key);
        let key = KeyPair::generate()?;
        let intermediate = signer(&intermediate_name, 0, now, INTERMEDIATE_YEARS)?.signed_by(&key, &root)?;
        folder::write(
            dir,
            &folder::AuthorityContent {
                root_pem: &root_pem,
                root_key: &Zeroizing::new(root.key().serialize_pem()),
                intermediate_pem: &intermediate.pem(),
                intermediate_key: &Zeroizing::new(key.serialize_pem()),
            },
        )?;
        Self::open(dir)
    }

    /// Opens what [`Authority::create`] made. The key of the root may have been taken away.
    pub fn open(dir: &Path) -> Result<Self, AuthorityFault> {
        let read = folder::read(dir)?;
        let issuer = Issuer::from_ca_cert_pem(&read.intermediate_pem, read.key)?;
        let (root_pem, intermediate_pem, valid) = (read.root_pem, read.intermediate_pem, read.valid);
        Ok(Self { issuer, root_pem, intermediate_pem, valid })
    }

    /// What clients of the server must trust.
    pub fn roots_pem(&self) -> &str {
        &self.root_pem
    }

    /// What the server must trust to know its clients: the intermediate too, as they send their own certificate alone.
    pub fn client_roots_pem(&self) -> String {
        format!("{}{}", self.intermediate_pem, self.root_pem)
    }

    /// A certificate and key for a client.
    pub fn issue(&self, subject: &CertificateSubject, validity: Validity) -> Result<Issued, AuthorityFault> {
        let mut name = DistinguishedName::new();
        // What kind of holder it is must not have to be guessed from the name.
        name.push(DnType::OrganizationName, subject.kind());
        match subject {
            CertificateSubject::Person { party } => name.push(DnType::CommonName, party.to_string()),
            CertificateSubject::Computer { id } => name.push(DnType::CommonName, id.as_str()),
            CertificateSubject::Instance { computer, partition, id } => {
                name.push(DnType::OrganizationalUnitName, format!("{computer} {partition}"));
                name.push(DnType::CommonName, id.to_string());
            }
        }
        let email = EMAIL.try_into().map_err(AuthorityFault::Certificate)?;
        name.push(DnType::CustomDnType(EMAIL_OID.to_vec()), DnValue::Ia5String(email));
        self.make(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    /// A certificate and key for a server of these names: DNS names (also `*.example.org`) and IP addresses.
    pub fn server_certificate(&self, names: &[String], validity: Validity) -> Result<Issued, AuthorityFault> {
        let alternatives = names.iter().map(|name| alternative(name)).collect::<Result<Vec<_>, _>>()?;
        let first = names.first().ok_or(AuthorityFault::NoServerName)?;
        let mut name = DistinguishedName::new();
        // The names that count are the alternatives; a long one is no common name.
        let common = if first.len() <= 64 { first.as_str() } else { "server" };
        name.push(DnType::CommonName, common);
        self.make(name, alternatives, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    fn make(
        &self,
        subject: DistinguishedName,
        alternatives: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Issued, AuthorityFault> {
        let not_before = whole_seconds(validity.not_before.max(self.valid.not_before));
        let not_after = whole_seconds(validity.not_after.min(self.valid.not_after));
        if not_before >= not_after {
            return Err(AuthorityFault::Validity { not_before, not_after });
        }
        let serial = serial()?;
        let mut params = CertificateParams::default();
        params.not_before = date(not_before);
        params.not_after = date(not_after);
        params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
        params.subject_alt_names = alternatives;
        params.distinguished_name = subject;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let mut key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let certificate_pem = format!("{}{}", text::of(certificate.der())?, certificate.pem());
        let key_pem = Zeroizing::new(key.serialize_pem());
        key.zeroize();
        Ok(Issued {
            chain_pem: format!("{certificate_pem}{}", self.intermediate_pem),
            certificate_pem,
            key_pem,
            fingerprint: Sha256::digest(certificate.der()).into(),
            serial,
            not_after,
        })
    }
}

/// What root and intermediate have in common.
fn signer(name: &str, below: u8, now: Timestamp, years: i64) -> Result<CertificateParams, AuthorityFault> {
    let mut params = CertificateParams::default();
    params.not_before = date(now.plus_micros(-BEFORE_NOW_SECONDS * SECOND));
    params.not_after = date(now.plus_micros(years * YEAR_SECONDS * SECOND));
    params.serial_number = Some(SerialNumber::from_slice(&serial()?.to_be_bytes()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What an authority may be called.
pub fn check_name(name: &str) -> Result<(), AuthorityFault> {
    let rule = if name.trim().is_empty() {
        "not be empty"
    } else if name.len() > MOST_NAME_BYTES {
        "have at most 48 bytes"
    } else if name.chars().any(char::is_control) {
        "have no control characters"
    } else if name.contains(COMPUTER_MARK) {
        "not contain COMP-, by which clients find the id of a computer"
    } else {
        return Ok(());
    };
    Err(AuthorityFault::Name { rule })
}

/// Whether a certificate can be for a server that clients call so.
pub fn check_server_name(name: &str) -> Result<(), AuthorityFault> {
    alternative(name).map(drop)
}

fn alternative(name: &str) -> Result<SanType, AuthorityFault> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let wrong = || AuthorityFault::ServerName { name: name.to_owned() };
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| wrong())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| wrong())?))
}

/// Random, positive in the 16 bytes it takes, and not 0.
fn serial() -> Result<u128, AuthorityFault> {
    loop {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|cause| AuthorityFault::NoRandomness { cause })?;
        let serial = u128::from_be_bytes(bytes) >> 1;
        if serial != 0 {
            return Ok(serial);
        }
    }
}

fn whole_seconds(instant: Timestamp) -> Timestamp {
    instant.plus_micros(-instant.micros().rem_euclid(SECOND))
}

fn date(instant: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(instant.micros().div_euclid(SECOND))
        .expect("the years 1 to 9999 have dates")
}

/// The validity that a certificate tells.
fn validity(certificate: &X509Certificate<'_>) -> Option<Validity> {
    let instant = |seconds: i64| Timestamp::from_micros(seconds.checked_mul(SECOND)?);
    let told = certificate.validity();
    Some(Validity {
        not_before: instant(told.not_before.timestamp())?,
        not_after: instant(told.not_after.timestamp())?,
    })
}
