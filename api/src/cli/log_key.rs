//! The key that signs checkpoints of the log: a file of the data folder, which only its owner may read.
//!
//! The log records its public part when a server starts with it. Another file in its place is another key from the next
//! start on.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use slapledger_client::print::say;
use slapledger_client::private;
use slapledger_core::domain::id::Sequence;
use slapledger_core::ledger::created;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::merkle::proof;
use slapledger_core::log::note::{SignatureKind, SignedNote, Signer};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::tiles::{TileHashes, TileReader};
use slapledger_engine::notary::Notary;
use slapledger_engine::{Engine, folder};
use zeroize::Zeroizing;

use super::Folder;

/// Where the key is, in a data folder.
pub(super) const SIGNING_KEY: &str = "signing.key";

/// Makes a key, if there is none.
pub(super) fn make(path: &Path) -> anyhow::Result<()> {
    if path.exists() { Ok(()) } else { write(path) }
}

fn write(path: &Path) -> anyhow::Result<()> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).context("make a signing key")?;
    private::write(path, Zeroizing::new(key.serialize_pem()).as_bytes())
}

/// The key of a folder in PKCS #8.
fn read(data: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    read_file(&data.join(SIGNING_KEY))
}

/// A key in PKCS #8.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    ensure!(path.exists(), "{} is missing; restore it from a backup", path.display());
    let pem = private::secret(path)?;
    let key = rcgen::KeyPair::from_pem(&pem).ok().filter(|key| key.is_compatible(&rcgen::PKCS_ED25519));
    let key = key
        .with_context(|| format!("{} is no Ed25519 key in PEM; restore it from a backup", path.display()))?;
    Ok(Zeroizing::new(key.serialize_der()))
}

/// That the key is one, and its owner's alone.
pub(super) fn check(data: &Path) -> anyhow::Result<()> {
    read(data).map(drop)
}

/// Signs with the key of a folder.
pub(super) fn take_up(engine: &Engine, data: &Path) -> anyhow::Result<()> {
    engine.sign_with(&read(data)?).context("sign checkpoints")
}

/// The same for a folder that is only read, if its key is the one that the log records.
pub(super) fn take_up_to_read(engine: &Engine, data: &Path) {
    if let Ok(key) = read(data)
        && let Err(fault) = engine.sign_as_recorded(&key)
    {
        tracing::debug!("no checkpoints are signed: {fault}");
    }
}

/// A checkpoint of the log of a folder at a sequence, signed with the key of the folder, if it has one.
pub(super) fn note(data: &Path, store: &SledStore, last: Sequence) -> anyhow::Result<Option<String>> {
    if !data.join(SIGNING_KEY).exists() || last == Sequence::ZERO {
        return Ok(None);
    }
    let origin = Notary::origin_of(created(store)?.ledger);
    let signer = Signer::from_pkcs8(&origin, SignatureKind::Log, &read(data)?)?;
    let mut hashes = TileHashes::default();
    hashes.extend(store, last, || true)?;
    let root = proof::root(&mut TileReader::new(&hashes, store), last.0)?;
    let mut note = SignedNote::unsigned(&Checkpoint { origin, size: last.0, root }.text())?;
    note.add(signer.sign(note.text(), 0));
    Ok(Some(note.to_string()))
}

/// `slapledger keys rotate-log`: another key in the place of the one before. The next start records it.
pub(super) fn rotate(folder: &Folder) -> anyhow::Result<()> {
    let data = &folder.data;
    // Refuses a folder that a server is using.
    let store = folder::read_log(data)?;
    check(data)?;
    let path = data.join(SIGNING_KEY);
    let new = data.join("signing.key.next");
    if new.symlink_metadata().is_ok() {
        // What an interrupted rotation left signs nothing.
        fs::remove_file(&new).with_context(|| format!("remove {}", new.display()))?;
    }
    write(&new)?;
    fs::rename(&new, &path).with_context(|| format!("write {}", path.display()))?;
    let origin = Notary::origin_of(created(&store)?.ledger);
    let signer = Signer::from_pkcs8(&origin, SignatureKind::Log, &read(data)?)?;
    say!("key  {}", signer.verifier());
    Ok(())
}
