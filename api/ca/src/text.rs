//! A certificate in text, as `openssl ca` writes it in front of the PEM.
//!
//! `slapos node register` finds the id of its computer there: from `COMP-` to `/email` (`get_computer_name` in
//! slapos/cli/register.py). So names are written in the old form, with `/` before the address, which OpenSSL itself
//! has given up; readers of PEM skip the text.

use std::fmt::Write;

use slapledger_core::domain::time::Timestamp;
use x509_parser::oid_registry::{
    OID_PKCS9_EMAIL_ADDRESS, OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::{AuthorityFault, SECOND};

/// The text of a certificate that was made here.
pub(super) fn of(der: &[u8]) -> Result<String, AuthorityFault> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
    let validity = certificate.validity();
    // DER puts a zero before what would be negative without it; the number does not have it.
    let serial = certificate.raw_serial().iter().skip_while(|byte| **byte == 0);
    let serial: Vec<String> = serial.map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        "Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number:\n            {}\n        \
         Signature Algorithm: ecdsa-with-SHA256\n        Issuer: {}\n        Validity\n            \
         Not Before: {}\n            Not After : {}\n        Subject: {}\n",
        serial.join(":"),
        name(certificate.issuer()),
        instant(validity.not_before),
        instant(validity.not_after),
        name(certificate.subject()),
    ))
}

/// `OU=..., CN=.../emailAddress=...`
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let kind = attribute.attr_type();
        let (before, short) = if *kind == OID_PKCS9_EMAIL_ADDRESS {
            ("/", "emailAddress")
        } else if *kind == OID_X509_COMMON_NAME {
            (", ", "CN")
        } else if *kind == OID_X509_ORGANIZATIONAL_UNIT {
            (", ", "OU")
        } else if *kind == OID_X509_ORGANIZATION_NAME {
            (", ", "O")
        } else {
            continue;
        };
        if !text.is_empty() {
            text.push_str(before);
        }
        // There are no control characters in it: a line stays a line.
        let _ = write!(text, "{short}={}", attribute.as_str().unwrap_or_default());
    }
    text
}

fn instant(time: ASN1Time) -> String {
    let instant = Timestamp::from_micros(time.timestamp().saturating_mul(SECOND)).unwrap_or(Timestamp::MAX);
    instant.to_utc().format("%b %e %H:%M:%S %Y GMT").to_string()
}
