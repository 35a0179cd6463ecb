//! The files of a key ring, and the bytes of their records.
//!
//! `master` is 32 random bytes, here or wherever it is said to be. `ring` is a row of records of 128 bytes: the header,
//! the ring's own secret, then keys in the order they were made. A record lies within one sector, so that destroying a
//! key in place cannot tear it. Keys are wrapped by the master key, with state and id as associated data.
//!
//! Invariants: a key is handed out only after its record is durable, so what a crash left torn or unwritten at the
//! end of the file is nobody's and is dropped; any other damage is a fault that names its position. `master` becomes
//! durable after the content of `ring` and before its name: a ring without a master, or a master without a
//! ring, is a loss and never silently made anew. The one exception is a master key that was put where it is said to be
//! before there was anything else.
//!
//! It knows nothing of who uses a key. `rotation` gives a ring another master; what a crash left of that is completed or
//! undone here.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroize;

use super::secret::{NONCE_BYTES, SECRET_BYTES, Secret, TAG_BYTES, random};
use super::{Facts, KeyRingFault, KeyRingOptions};
use crate::domain::id::KeyId;
use crate::domain::time::Timestamp;
use crate::secret_files::{self, parent, refuse_exposed, sync_folder, unfinished};

/// How many keys are made durable at a time.
pub(super) const BATCH: usize = 256;

const RECORD_BYTES: usize = 128;
const CHECKSUM_AT: usize = RECORD_BYTES - 4;
const NONCE_AT: usize = 20;
const WRAPPED_AT: usize = NONCE_AT + NONCE_BYTES;
const WRAPPED_END: usize = WRAPPED_AT + SECRET_BYTES + TAG_BYTES;
const MARK: [u8; 8] = *b"slapring";
/// The format that is written. Format 1 has nothing in its header but mark and format; all else is the same.
pub(super) const FORMAT: u32 = 2;
const MADE_AT: usize = 12;
const ROTATED_AT: usize = 20;
const ROTATIONS_AT: usize = 28;

/// How long the lock of a process that was just killed may still be held.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) type Bytes = [u8; RECORD_BYTES];

/// Where the files of a ring are.
#[derive(Debug, Clone)]
pub(super) struct KeyRingPlace {
    dir: PathBuf,
    pub(super) master: PathBuf,
    pub(super) ring: PathBuf,
    /// A ring that has not got its name yet.
    pub(super) new: PathBuf,
    /// Whether somebody said where the master key is.
    master_is_elsewhere: bool,
}

impl KeyRingPlace {
    pub(super) fn of(dir: &Path, options: &KeyRingOptions) -> Self {
        let elsewhere = options.master_key.clone();
        Self {
            dir: dir.to_owned(),
            master_is_elsewhere: elsewhere.is_some(),
            master: elsewhere.unwrap_or_else(|| dir.join("master")),
            ring: dir.join("ring"),
            new: dir.join("ring.new"),
        }
    }

    /// The same, with its master key somewhere else.
    pub(super) fn with_master(&self, master: PathBuf) -> Self {
        Self { master, ..self.clone() }
    }

    /// Whether there is a ring, or one that a crash left without its name.
    pub(super) fn has_ring(&self) -> bool {
        // What cannot be looked at is there, and told as what it is when it is opened.
        let may_exist = |path: &Path| !matches!(path.try_exists(), Ok(false));
        may_exist(&self.ring) || may_exist(&self.new)
    }

    /// Whether there never was a ring, as far as the folder tells.
    fn is_untouched(&self) -> Result<bool, KeyRingFault> {
        let entries = fs::read_dir(&self.dir).map_err(io_fault("list", &self.dir))?;
        for entry in entries {
            if entry.map_err(io_fault("list", &self.dir))?.path() != self.new {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a ring, and its master key, when there are none.
    fn prepare(&self, now: Option<Timestamp>) -> Result<(), KeyRingFault> {
        let Self { dir, master, ring, new, .. } = self;
        if !dir.exists() {
            create_folder(dir)?;
        }
        refuse_exposed(dir)?;
        match (master.exists(), ring.exists()) {
            (true, true) => Ok(()),
            (false, false) => {
                let key = Secret::random()?;
                write_new(new, &empty(&key, now)?)?;
                write_new(&unfinished(master), &key.0)?;
                rename(&unfinished(master), master)?;
                rename(new, ring)
            }
            (true, false) => {
                refuse_exposed(master)?;
                let key = read_master(master)?;
                if is_wrapped_by(new, &key.subkey(WRAPPING)) {
                    // The crash came after the master was durable, and so is all that it wraps.
                    return rename(new, ring);
                }
                if !(self.master_is_elsewhere && self.is_untouched()?) {
                    return Err(KeyRingFault::Missing { path: ring.clone(), beside: master.clone() });
                }
                write_new(new, &empty(&key, now)?)?;
                rename(new, ring)
            }
            (false, true) => Err(KeyRingFault::Missing { path: master.clone(), beside: ring.clone() }),
        }
    }
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RingState {
    /// The ring's own secret.
    Ring = 1,
    /// A key.
    Key = 2,
    /// What was a key.
    Destroyed = 3,
}

impl RingState {
    fn read(byte: u8) -> Option<Self> {
        [Self::Ring, Self::Key, Self::Destroyed].into_iter().find(|state| *state as u8 == byte)
    }
}

/// A key and the record it lies in; no secret when it was destroyed.
#[derive(Debug)]
pub(super) struct RingEntry {
    pub(super) id: KeyId,
    pub(super) record: u32,
    pub(super) secret: Option<Secret>,
}

/// The open files.
#[derive(Debug)]
pub(super) struct RingFile {
    path: PathBuf,
    /// Holds the lock of the ring too.
    file: File,
    wrapping: Secret,
    /// The next record to be written.
    end: u32,
}

/// What [`RingFile::open`] found.
pub(super) struct Opened {
    pub(super) file: RingFile,
    /// The ring's own secret.
    pub(super) secret: Secret,
    pub(super) entries: Vec<RingEntry>,
    pub(super) header: RingHeader,
}

/// What the first record says of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingHeader {
    pub(super) format: u32,
    /// When the ring was made, if that is known.
    pub(super) made_at: Option<Timestamp>,
    /// When it got another master key.
    pub(super) rotated_at: Option<Timestamp>,
    /// How often it did.
    pub(super) rotations: u32,
}

impl Opened {
    pub(super) fn facts(&self) -> Facts {
        let RingHeader { format, made_at, rotated_at, rotations } = self.header;
        let keys = self.entries.iter().filter(|entry| entry.secret.is_some()).count();
        Facts { format, keys, destroyed: self.entries.len() - keys, made_at, rotated_at, rotations }
    }
}

impl RingFile {
    /// Opens the files of a ring; creates them when there are none. A rotation that did not come to its end is brought
    /// there, or undone.
    pub(super) fn open(place: &KeyRingPlace, now: Option<Timestamp>) -> Result<Opened, KeyRingFault> {
        place.prepare(now)?;
        loop {
            let path = place.ring.clone();
            refuse_exposed(&place.master)?;
            refuse_exposed(&path)?;
            let file = File::options().read(true).write(true).open(&path).map_err(io_fault("open", &path))?;
            lock(&file, &path)?;
            if !is_file_at(&file, &path)? {
                // It got another master while this one waited.
                continue;
            }
            let wrapping = read_master(&place.master)?.subkey(WRAPPING);
            match finish_rotation(place, &wrapping)? {
                Interrupted::No => {
                    return read(Self { path, file, wrapping, end: 0 }, &place.master);
                }
                Interrupted::Completed => {}
            }
        }
    }

    /// Reads a ring and writes nothing. Of a rotation that did not come to its end, the ring is read that the master key
    /// opens.
    pub(super) fn open_read_only(place: &KeyRingPlace) -> Result<Opened, KeyRingFault> {
        let (dir, master) = (&place.dir, &place.master);
        if !place.has_ring() {
            return Err(KeyRingFault::NoRing { path: dir.clone() });
        }
        if !master.exists() {
            return Err(KeyRingFault::Missing { path: master.clone(), beside: place.ring.clone() });
        }
        refuse_exposed(dir)?;
        refuse_exposed(master)?;
        let wrapping = read_master(master)?.subkey(WRAPPING);
        let is_new = !is_wrapped_by(&place.ring, &wrapping) && is_wrapped_by(&place.new, &wrapping);
        let path = if is_new { place.new.clone() } else { place.ring.clone() };
        refuse_exposed(&path)?;
        let file = File::open(&path).map_err(io_fault("open", &path))?;
        // A file system that knows no locks has nobody on it who writes.
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(KeyRingFault::InUse { path });
        }
        read(Self { path, file, wrapping, end: 0 }, master)
    }

    /// Reads a ring that has not got its name yet.
    pub(super) fn read_back(place: &KeyRingPlace, wrapping: Secret) -> Result<Opened, KeyRingFault> {
        let path = place.new.clone();
        let file = File::open(&path).map_err(io_fault("open", &path))?;
        read(Self { path, file, wrapping, end: 0 }, &place.master)
    }

    /// Makes keys durable, all with one sync.
    pub(super) fn append(&mut self, keys: &[(KeyId, Secret)]) -> Result<Vec<RingEntry>, KeyRingFault> {
        let mut bytes = Vec::with_capacity(keys.len() * RECORD_BYTES);
        let mut entries = Vec::with_capacity(keys.len());
        let mut record = self.end;
        for (id, secret) in keys {
            bytes.extend(seal_record(&self.wrapping, RingState::Key, *id, secret)?);
            entries.push(RingEntry { id: *id, record, secret: Some(secret.clone()) });
            record = record.checked_add(1).ok_or_else(|| KeyRingFault::Full { path: self.path.clone() })?;
        }
        // When this fails the end stays: the next keys take the place of what may have been written.
        self.file.write_all_at(&bytes, position(self.end)).map_err(io_fault("write", &self.path))?;
        self.file.sync_data().map_err(io_fault("sync", &self.path))?;
        self.end = record;
        Ok(entries)
    }

    /// Overwrites a wrapped key where it lies. Whether the device keeps what was there before is up to the
    /// device; copies in backups are out of reach.
    pub(super) fn destroy(&self, record: u32, id: KeyId) -> Result<(), KeyRingFault> {
        let bytes = destroyed_record(id);
        self.file.write_all_at(&bytes, position(record)).map_err(io_fault("write", &self.path))?;
        self.file.sync_data().map_err(io_fault("sync", &self.path))
    }
}

/// What was left of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    /// Nothing, any more.
    No,
    /// All but the name of the new ring, which it has now.
    Completed,
}

/// Brings a rotation to its end that a crash left, or undoes it. `wrapping` is of the master key that has the name.
fn finish_rotation(place: &KeyRingPlace, wrapping: &Secret) -> Result<Interrupted, KeyRingFault> {
    if !place.new.exists() {
        return Ok(Interrupted::No);
    }
    if is_wrapped_by(&place.ring, wrapping) {
        tracing::warn!(ring = %place.ring.display(), "undoes a rotation of the master key that did not come to its end");
        undo_rotation(place)?;
        return Ok(Interrupted::No);
    }
    if !is_wrapped_by(&place.new, wrapping) {
        return Ok(Interrupted::No);
    }
    refuse_exposed(&place.new)?;
    tracing::warn!(ring = %place.ring.display(), "brings a rotation of the master key to its end");
    rename(&place.new, &place.ring)?;
    Ok(Interrupted::Completed)
}

/// Nothing of the new pair counts yet. The ring goes last: while it is there the rest is looked for.
pub(super) fn undo_rotation(place: &KeyRingPlace) -> Result<(), KeyRingFault> {
    remove(&unfinished(&place.master))?;
    remove(&place.new)
}

pub(super) const WRAPPING: &str = "slapledger wrapping of keys";

/// Where a record begins: the header comes first. Record 0 is the ring's own secret.
fn position(record: u32) -> u64 {
    (u64::from(record) + 1) * RECORD_BYTES as u64
}

fn create_folder(dir: &Path) -> Result<(), KeyRingFault> {
    let parent = parent(dir);
    fs::create_dir_all(parent).map_err(io_fault("create", parent))?;
    secret_files::create_folder(dir)?;
    Ok(sync_folder(parent)?)
}

/// The bytes of a ring without keys.
fn empty(master: &Secret, now: Option<Timestamp>) -> Result<Vec<u8>, KeyRingFault> {
    let record =
        seal_record(&master.subkey(WRAPPING), RingState::Ring, KeyId(random()?), &Secret::random()?)?;
    let header = RingHeader { format: FORMAT, made_at: now, rotated_at: None, rotations: 0 };
    Ok([encode_header(header), record].concat())
}

/// Whether there is a ring at this path that opens with this key.
pub(super) fn is_wrapped_by(path: &Path, wrapping: &Secret) -> bool {
    let begins = || -> Option<bool> {
        let mut file = File::open(path).ok()?;
        let (mut header, mut record) = ([0; RECORD_BYTES], [0; RECORD_BYTES]);
        file.read_exact(&mut header).ok()?;
        file.read_exact(&mut record).ok()?;
        read_header(&header, path).ok()?;
        Some(matches!(open_record(wrapping, &record), Ok((RingState::Ring, _, Some(_)))))
    };
    begins().unwrap_or(false)
}

/// Whether this is the file that has this name now.
fn is_file_at(file: &File, path: &Path) -> Result<bool, KeyRingFault> {
    let here = file.metadata().map_err(io_fault("look at", path))?;
    let there = fs::metadata(path).map_err(io_fault("look at", path))?;
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyRingFault> {
    // One that an earlier crash left may have been made with other permissions.
    remove(path)?;
    Ok(secret_files::write_new(path, content, 0o600)?)
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> Result<(), KeyRingFault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), KeyRingFault> {
    fs::rename(from, to).map_err(io_fault("rename", from))?;
    Ok(sync_folder(parent(to))?)
}

fn read_master(path: &Path) -> Result<Secret, KeyRingFault> {
    let mut bytes = fs::read(path).map_err(io_fault("read", path))?;
    let secret = <[u8; SECRET_BYTES]>::try_from(bytes.as_slice()).map(Secret);
    bytes.zeroize();
    secret.map_err(|_| KeyRingFault::Damaged {
        path: path.to_owned(),
        position: 0,
        cause: "a master key has 32 bytes",
    })
}

fn lock(file: &File, path: &Path) -> Result<(), KeyRingFault> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(io_fault("lock", path)(error)),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => {
                return Err(KeyRingFault::InUse { path: path.to_owned() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn read(mut ring: RingFile, master: &Path) -> Result<Opened, KeyRingFault> {
    let path = ring.path.clone();
    let damaged = |position, cause| KeyRingFault::Damaged { path: path.clone(), position, cause };
    let length = ring.file.metadata().map_err(io_fault("look at", &path))?.len();
    let total = u32::try_from(length / RECORD_BYTES as u64).map_err(|_| damaged(length, "it is too long"))?;
    let mut records = BufReader::with_capacity(512 * RECORD_BYTES, &ring.file);
    let mut next = || {
        let mut bytes = [0; RECORD_BYTES];
        records.read_exact(&mut bytes).map(|()| bytes).map_err(io_fault("read", &path))
    };
    if total < 2 {
        return Err(damaged(length, "it ends before its own secret"));
    }
    let header = read_header(&next()?, &path)?;
    let first = open_record(&ring.wrapping, &next()?);
    let secret = match first {
        Ok((RingState::Ring, _, Some(secret))) => secret,
        Err("it does not unwrap") => {
            return Err(KeyRingFault::OtherMaster { path, master: master.to_owned() });
        }
        other => return Err(damaged(position(0), other.err().unwrap_or("it is not the ring's own secret"))),
    };
    let count = total - 1;
    let mut entries = Vec::new();
    let mut end = count;
    for record in 1..count {
        let bytes = next()?;
        if bytes == [0; RECORD_BYTES] && (count - record) as usize <= BATCH {
            // Never written: the sync of this batch did not come to its end, so nobody has a key of it.
            tracing::warn!(path = %path.display(), record, "drops keys a crash left unwritten");
            end = record;
            break;
        }
        match open_record(&ring.wrapping, &bytes) {
            Ok((RingState::Ring, ..)) => {
                return Err(damaged(position(record), "it is a second secret of the ring"));
            }
            Ok((_, id, secret)) => entries.push(RingEntry { id, record, secret }),
            Err(cause) => return Err(damaged(position(record), cause)),
        }
    }
    drop(records);
    ring.end = end;
    Ok(Opened { file: ring, secret, entries, header })
}

pub(super) fn encode_header(header: RingHeader) -> Bytes {
    let RingHeader { format, made_at, rotated_at, rotations } = header;
    let instant = |at: Option<Timestamp>| at.map_or(0, Timestamp::micros).to_be_bytes();
    let mut bytes = [0; RECORD_BYTES];
    bytes[..8].copy_from_slice(&MARK);
    bytes[8..MADE_AT].copy_from_slice(&format.to_be_bytes());
    bytes[MADE_AT..ROTATED_AT].copy_from_slice(&instant(made_at));
    bytes[ROTATED_AT..ROTATIONS_AT].copy_from_slice(&instant(rotated_at));
    bytes[ROTATIONS_AT..ROTATIONS_AT + 4].copy_from_slice(&rotations.to_be_bytes());
    with_checksum(bytes)
}

fn read_header(bytes: &Bytes, path: &Path) -> Result<RingHeader, KeyRingFault> {
    let damaged = |cause| KeyRingFault::Damaged { path: path.to_owned(), position: 0, cause };
    let format = u32::from_be_bytes(part(bytes, 8));
    if part(bytes, 0) != MARK {
        return Err(damaged("it is not a key ring"));
    }
    if !checksum_holds(bytes) {
        return Err(damaged("its checksum differs"));
    }
    if !(1..=FORMAT).contains(&format) {
        return Err(KeyRingFault::OtherFormat { path: path.to_owned(), format });
    }
    let instant =
        |at| Some(i64::from_be_bytes(part(bytes, at))).filter(|at| *at != 0).and_then(Timestamp::from_micros);
    let (made_at, rotated_at) = (instant(MADE_AT), instant(ROTATED_AT));
    Ok(RingHeader { format, made_at, rotated_at, rotations: u32::from_be_bytes(part(bytes, ROTATIONS_AT)) })
}

pub(super) fn seal_record(
    wrapping: &Secret,
    state: RingState,
    id: KeyId,
    secret: &Secret,
) -> Result<Bytes, KeyRingFault> {
    let nonce = random()?;
    let wrapped = wrapping.encrypt(&nonce, &about(state, id), &secret.0);
    Ok(encode(state, id, &nonce, &wrapped))
}

fn open_record(wrapping: &Secret, bytes: &Bytes) -> Result<(RingState, KeyId, Option<Secret>), &'static str> {
    if !checksum_holds(bytes) {
        return Err("its checksum differs");
    }
    let id = KeyId(part(bytes, 0));
    let state = RingState::read(bytes[16]).ok_or("its state is unknown")?;
    if state == RingState::Destroyed {
        return Ok((state, id, None));
    }
    let wrapped = &bytes[WRAPPED_AT..WRAPPED_END];
    let plain = wrapping.decrypt(&part(bytes, NONCE_AT), &about(state, id), wrapped);
    let mut plain = plain.ok_or("it does not unwrap")?;
    let secret = <[u8; SECRET_BYTES]>::try_from(plain.as_slice()).map(Secret);
    plain.zeroize();
    Ok((state, id, Some(secret.map_err(|_| "its key has another length")?)))
}

fn about(state: RingState, id: KeyId) -> [u8; 17] {
    let mut about = [state as u8; 17];
    about[..16].copy_from_slice(&id.0);
    about
}

/// What is left of a key.
pub(super) fn destroyed_record(id: KeyId) -> Bytes {
    encode(RingState::Destroyed, id, &[0; NONCE_BYTES], &[0; SECRET_BYTES + TAG_BYTES])
}

fn encode(state: RingState, id: KeyId, nonce: &[u8; NONCE_BYTES], wrapped: &[u8]) -> Bytes {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..16].copy_from_slice(&id.0);
    bytes[16] = state as u8;
    bytes[NONCE_AT..WRAPPED_AT].copy_from_slice(nonce);
    bytes[WRAPPED_AT..WRAPPED_END].copy_from_slice(wrapped);
    with_checksum(bytes)
}

fn with_checksum(mut bytes: Bytes) -> Bytes {
    let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn checksum_holds(bytes: &Bytes) -> bool {
    u32::from_be_bytes(part(bytes, CHECKSUM_AT)) == crc32fast::hash(&bytes[..CHECKSUM_AT])
}

fn part<const N: usize>(bytes: &Bytes, at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

pub(super) fn io_fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyRingFault {
    let fault = secret_files::io_fault(action, path);
    move |source| fault(source).into()
}
