//! Another master key for a ring: all keys are wrapped anew, and the master key before opens nothing of it any more.
//!
//! First `ring.new` is written, wrapped by the new master; then the new master, under a name of its own. Both are durable
//! when the new master takes the name of the old one: that is the instant it counts from. Then `ring.new` becomes `ring`.
//!
//! Invariant: at every step one of `ring` and `ring.new` is whole and is wrapped by the master key that has the name.
//! The next opening (`ring`) finds out which, and completes or undoes the rotation. A ring that neither fits is left as
//! it is.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::ring::{
    FORMAT, KeyRingPlace, Opened, RingFile, RingHeader, RingState, WRAPPING, destroyed_record, encode_header,
    io_fault, rename, seal_record, undo_rotation, write_new,
};
use super::secret::{SECRET_BYTES, Secret, random};
use super::{Facts, KeyRingFault};
use crate::domain::id::KeyId;
use crate::domain::time::Timestamp;
use crate::secret_files::unfinished;

/// Gives a ring that is open, and so locked, another master key.
pub(super) fn rotate(
    place: &KeyRingPlace,
    opened: Opened,
    now: Option<Timestamp>,
) -> Result<Facts, KeyRingFault> {
    // A link to the master key stays one.
    let master = fs::canonicalize(&place.master).map_err(io_fault("find", &place.master))?;
    let place = place.with_master(master);
    let prepared = prepare(&place, &opened, now);
    let facts = prepared.inspect_err(|_| {
        if let Err(fault) = undo_rotation(&place) {
            tracing::warn!(%fault, "cannot remove what is left of a rotation");
        }
    })?;
    // Best effort: its bytes lie on the disk until something else does.
    let before = File::options().write(true).open(&place.master);
    rename(&unfinished(&place.master), &place.master)?;
    rename(&place.new, &place.ring)?;
    let wiped = before.and_then(|file| {
        if file.metadata()?.nlink() > 0 {
            // Somebody keeps it under another name.
            return Ok(());
        }
        file.write_all_at(&[0; SECRET_BYTES], 0)?;
        file.sync_all()
    });
    if let Err(error) = wiped {
        tracing::warn!(%error, "the old master key has no name any more, but could not be overwritten");
    }
    // The lock of the old ring is held until here.
    drop(opened);
    Ok(facts)
}

/// Makes the new ring and the new master durable, under names that do not count.
fn prepare(place: &KeyRingPlace, opened: &Opened, now: Option<Timestamp>) -> Result<Facts, KeyRingFault> {
    let key = Secret::random()?;
    let wrapping = key.subkey(WRAPPING);
    let rotations = opened.header.rotations.saturating_add(1);
    let header = RingHeader { format: FORMAT, rotated_at: now, rotations, ..opened.header };
    let mut bytes = encode_header(header).to_vec();
    bytes.extend(seal_record(&wrapping, RingState::Ring, KeyId(random()?), &opened.secret)?);
    for entry in &opened.entries {
        bytes.extend(match &entry.secret {
            Some(secret) => seal_record(&wrapping, RingState::Key, entry.id, secret)?,
            None => destroyed_record(entry.id),
        });
    }
    write_new(&place.new, &bytes)?;
    let written = RingFile::read_back(place, wrapping)?;
    check(&written, opened, place)?;
    write_new(&unfinished(&place.master), &key.0)?;
    Ok(written.facts())
}

/// What was written is what was read, before the old one goes.
fn check(written: &Opened, opened: &Opened, place: &KeyRingPlace) -> Result<(), KeyRingFault> {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0);
    let mut pairs = written.entries.iter().zip(&opened.entries);
    let same = written.secret.0 == opened.secret.0
        && written.entries.len() == opened.entries.len()
        && pairs.all(|(new, old)| new.id == old.id && secret(&new.secret) == secret(&old.secret));
    let cause = "it does not hold what was written";
    let damaged = || KeyRingFault::Damaged { path: place.new.clone(), position: 0, cause };
    same.then_some(()).ok_or_else(damaged)
}
