//! The folder of an authority: `root.pem`, `root.key`, `intermediate.pem`, `intermediate.key`.
//!
//! Invariants: all files are written and durable under another name beside it before the folder has its own, so that a
//! crash leaves a whole authority or one that was never used; the folder and the keys belong to their owner alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData};
use slapledger_core::secret_files::{
    create_folder, io_fault, parent, refuse_exposed, sync_folder, unfinished, write_new,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use super::{AuthorityFault, Validity, validity};

const ROOT_PEM: &str = "root.pem";
const ROOT_KEY: &str = "root.key";
const INTERMEDIATE_PEM: &str = "intermediate.pem";
const INTERMEDIATE_KEY: &str = "intermediate.key";

/// What is written.
pub(super) struct AuthorityContent<'a> {
    pub(super) root_pem: &'a str,
    pub(super) root_key: &'a str,
    pub(super) intermediate_pem: &'a str,
    pub(super) intermediate_key: &'a str,
}

/// What is read, and fits together.
pub(super) struct Read {
    pub(super) root_pem: String,
    pub(super) intermediate_pem: String,
    /// Of the intermediate.
    pub(super) key: KeyPair,
    /// Of the intermediate.
    pub(super) valid: Validity,
}

/// Makes the folder, whole or not at all.
pub(super) fn write(dir: &Path, content: &AuthorityContent<'_>) -> Result<(), AuthorityFault> {
    if dir.exists() && !is_empty(dir)? {
        return Err(AuthorityFault::Exists { path: dir.to_owned() });
    }
    let parent = parent(dir);
    fs::create_dir_all(parent).map_err(io_fault("create", parent))?;
    let new = new_folder(dir)?;
    // Of a creation that was interrupted: nobody has used it.
    if new.exists() {
        fs::remove_dir_all(&new).map_err(io_fault("remove", &new))?;
    }
    create_folder(&new)?;
    let files = [
        (ROOT_PEM, content.root_pem, 0o644),
        (ROOT_KEY, content.root_key, 0o600),
        (INTERMEDIATE_PEM, content.intermediate_pem, 0o644),
        (INTERMEDIATE_KEY, content.intermediate_key, 0o600),
    ];
    for (name, text, mode) in files {
        write_new(&new.join(name), text.as_bytes(), mode)?;
    }
    sync_folder(&new)?;
    // In the place of an empty folder, too.
    fs::rename(&new, dir).map_err(io_fault("rename", &new))?;
    Ok(sync_folder(parent)?)
}

/// Reads the folder, but for the key of the root.
pub(super) fn read(dir: &Path) -> Result<Read, AuthorityFault> {
    let [root, root_key, intermediate, intermediate_key] =
        [ROOT_PEM, ROOT_KEY, INTERMEDIATE_PEM, INTERMEDIATE_KEY].map(|name| dir.join(name));
    if !dir.exists() {
        let path = dir.to_owned();
        let begun = new_folder(dir)?.exists();
        return Err(if begun {
            AuthorityFault::Unfinished { path }
        } else {
            AuthorityFault::Missing { path }
        });
    }
    refuse_exposed(dir)?;
    let root_pem = read_file(&root)?;
    let intermediate_pem = read_file(&intermediate)?;
    let key_pem =
        read_key(&intermediate_key)?.ok_or(AuthorityFault::Missing { path: intermediate_key.clone() })?;
    let (root_block, intermediate_block) =
        (block(&root, &root_pem)?, block(&intermediate, &intermediate_pem)?);
    let (root_certificate, certificate) =
        (parse(&root, &root_block)?, parse(&intermediate, &intermediate_block)?);
    if certificate.verify_signature(Some(root_certificate.public_key())).is_err() || !certificate.is_ca() {
        return Err(AuthorityFault::OtherRoot { certificate: intermediate, root });
    }
    if let Some(root_key_pem) = read_key(&root_key)? {
        fits(&root_key, &root_key_pem, &root, &root_certificate)?;
    }
    let key = fits(&intermediate_key, &key_pem, &intermediate, &certificate)?;
    let valid = validity(&certificate)
        .ok_or(AuthorityFault::Damaged { path: intermediate, what: "valid at a time" })?;
    Ok(Read { root_pem, intermediate_pem, key, valid })
}

fn is_empty(dir: &Path) -> Result<bool, AuthorityFault> {
    Ok(fs::read_dir(dir).map_err(io_fault("read", dir))?.next().is_none())
}

/// What the folder is called until it is whole.
fn new_folder(dir: &Path) -> Result<PathBuf, AuthorityFault> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "it has no name of its own");
    dir.file_name().ok_or_else(no_name).map_err(io_fault("use", dir))?;
    Ok(unfinished(dir))
}

fn read_file(path: &Path) -> Result<String, AuthorityFault> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => AuthorityFault::Missing { path: path.to_owned() },
        _ => io_fault("read", path)(source).into(),
    })
}

/// `None` if it is not there.
fn read_key(path: &Path) -> Result<Option<Zeroizing<String>>, AuthorityFault> {
    if !path.exists() {
        return Ok(None);
    }
    refuse_exposed(path)?;
    read_file(path).map(|text| Some(Zeroizing::new(text)))
}

fn block(path: &Path, pem: &str) -> Result<Pem, AuthorityFault> {
    let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
    let one = blocks.next().and_then(Result::ok).filter(|block| block.label == "CERTIFICATE");
    one.ok_or_else(|| not_a_certificate(path))
}

fn parse<'a>(path: &Path, block: &'a Pem) -> Result<X509Certificate<'a>, AuthorityFault> {
    block.parse_x509().map_err(|_| not_a_certificate(path))
}

fn not_a_certificate(path: &Path) -> AuthorityFault {
    AuthorityFault::Damaged { path: path.to_owned(), what: "a certificate in PEM" }
}

/// The key, if it is the certificate's.
fn fits(
    path: &Path,
    pem: &str,
    certificate_path: &Path,
    certificate: &X509Certificate<'_>,
) -> Result<KeyPair, AuthorityFault> {
    // What the library says of it could hold a part of it.
    let key = KeyPair::from_pem(pem)
        .map_err(|_| AuthorityFault::Damaged { path: path.to_owned(), what: "a private key in PEM" })?;
    if key.subject_public_key_info() == certificate.public_key().raw {
        return Ok(key);
    }
    Err(AuthorityFault::OtherKey { key: path.to_owned(), certificate: certificate_path.to_owned() })
}
