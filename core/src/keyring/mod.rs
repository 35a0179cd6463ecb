//! Keys of subjects, kept outside the log: destroying a key erases all that is sealed under it.
//!
//! Invariants: a key that was handed out is durable; one that was destroyed never comes back; a sealed value opens
//! only under its own key, id and digest. Keys come from a pool that is filled ahead of need, with one sync for
//! many, so that a request waits for no disk. Keys left in the pool at a restart are never used.
//!
//! It is not part of the log and not rebuilt from it: a lost ring is lost content. It does not know who a key
//! belongs to; events name keys. Anyone who can read the ring's folder can read everything: it accepts no folder
//! or file that others may read, and backups of it belong apart from those of the log.

mod ring;
mod rotation;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::domain::id::KeyId;
use crate::domain::sealed::Sealed;
use crate::domain::time::Timestamp;
use crate::secret_files::SecretFileFault;
use ring::{BATCH, KeyRingPlace, Opened, RingEntry, RingFile};
use secret::{Secret, random};

/// With this many keys left in the pool, more are made in the background.
const LOW: usize = BATCH / 2;

const COMMANDS: &str = "slapledger digests of commands";
const FINGERPRINTS: &str = "slapledger fingerprints of usage";
const ENCRYPTION: &str = "slapledger encryption";
const DIGEST: &str = "slapledger digest";

/// How a ring is opened.
#[derive(Debug, Clone, Default)]
pub struct KeyRingOptions {
    /// The file of the master key, if it does not lie beside the ring. One that is there before there is a ring becomes
    /// its master key.
    pub master_key: Option<PathBuf>,
    /// What time it is, for a ring to say when it was made.
    pub now: Option<Timestamp>,
}

/// What can be told of a ring to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The format of its file.
    pub format: u32,
    /// How many keys it has; some are ahead of need, and nothing is sealed under those.
    pub keys: usize,
    /// How many were destroyed.
    pub destroyed: usize,
    /// When it was made, if its format says so.
    pub made_at: Option<Timestamp>,
    /// When it last got another master key.
    pub rotated_at: Option<Timestamp>,
    /// How often it did.
    pub rotations: u32,
}

/// What can go wrong with a key ring: all of it ours, or the operator's.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingFault {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileFault),
    /// The system has no random bytes to give.
    #[error("cannot draw random bytes: {cause}")]
    NoRandomness {
        /// What the system said.
        cause: getrandom::Error,
    },
    /// There is none.
    #[error("there is no key ring in {}", path.display())]
    NoRing {
        /// Where.
        path: PathBuf,
    },
    /// One of the two files is gone.
    #[error(
        "{} is missing beside {}; a master key that lies elsewhere is named by --master-key, else restore both from the \
         same backup",
        path.display(),
        beside.display()
    )]
    Missing {
        /// What is missing.
        path: PathBuf,
        /// What is there.
        beside: PathBuf,
    },
    /// Bytes that cannot be what was written.
    #[error("{} is damaged at byte {position}: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its beginning.
        position: u64,
        /// What is wrong there.
        cause: &'static str,
    },
    /// Written by another version of this program.
    #[error("{} has format {format}, which this version does not know", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The format it names.
        format: u32,
    },
    /// The master key is not the one the ring was wrapped with.
    #[error("the master key {} is not the one of {}", master.display(), path.display())]
    OtherMaster {
        /// The ring.
        path: PathBuf,
        /// The master key.
        master: PathBuf,
    },
    /// Another process, or another part of this one, has it open.
    #[error("{} is in use; a server that uses it has to be stopped first", path.display())]
    InUse {
        /// The ring.
        path: PathBuf,
    },
    /// More keys than record numbers.
    #[error("{} has no room for more keys", path.display())]
    Full {
        /// The ring.
        path: PathBuf,
    },
    /// It was opened to be read.
    #[error("{} was opened to be read: it makes no keys", path.display())]
    ReadOnly {
        /// The folder of the ring.
        path: PathBuf,
    },
    /// The ring has never had this key.
    #[error("there is no key {key}")]
    UnknownKey {
        /// The key.
        key: KeyId,
    },
    /// Nothing can be sealed under it any more.
    #[error("the key {key} was destroyed")]
    Destroyed {
        /// The key.
        key: KeyId,
    },
}

/// Why a sealed value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableValue {
    /// Its key was destroyed: the content is erased.
    #[error("its key was destroyed")]
    Destroyed,
    /// The ring has never had its key.
    #[error("its key is unknown")]
    UnknownKey,
    /// The caller may not read sealed values.
    #[error("it is sealed")]
    Withheld,
    /// Ciphertext, nonce, digest or key id are not what was sealed.
    #[error("it is not what was sealed")]
    Tampered,
}

/// A ring of keys; see the module. Shared by reference between threads.
pub struct KeyRing {
    shared: Arc<KeyRingShared>,
    /// Nothing is opened.
    withheld: bool,
}

struct KeyRingShared {
    commands: Secret,
    fingerprints: Secret,
    keys: RwLock<FxHashMap<KeyId, Key>>,
    pool: Mutex<Pool>,
    /// None when it lives in memory alone. Locked before the others, for as long as keys are made or destroyed.
    file: Mutex<Option<RingFile>>,
    in_memory: bool,
    /// The folder of a ring that is only read.
    read_only: Option<PathBuf>,
    /// Told of every key that is destroyed.
    erasing: RwLock<Vec<Box<dyn Fn() + Send + Sync>>>,
}

struct Key {
    record: u32,
    /// None once destroyed.
    secret: Option<Secret>,
}

#[derive(Default)]
struct Pool {
    ready: Vec<KeyId>,
    refilling: bool,
}

impl KeyRing {
    /// Opens the ring in this folder, for this process alone. Makes the folder (0700), a master key and an empty ring
    /// (0600) when there are none. Keys are made ahead of need from the first one on, so that starts alone do not fill
    /// the disk.
    pub fn open(dir: &Path, options: &KeyRingOptions) -> Result<Self, KeyRingFault> {
        let Opened { file, secret, entries, .. } =
            RingFile::open(&KeyRingPlace::of(dir, options), options.now)?;
        let ring = Self::new(&secret, Some(file));
        ring.shared.take_in(entries);
        Ok(ring)
    }

    /// Opens the ring in this folder to be read, and writes nothing: it gives no fresh keys, and what is destroyed in
    /// it is destroyed for this process alone.
    pub fn open_read_only(dir: &Path, options: &KeyRingOptions) -> Result<Self, KeyRingFault> {
        let Opened { secret, entries, .. } = RingFile::open_read_only(&KeyRingPlace::of(dir, options))?;
        let mut shared = KeyRingShared::new(&secret, None);
        shared.read_only = Some(dir.to_owned());
        let ring = Self { shared: Arc::new(shared), withheld: false };
        ring.shared.take_in(entries);
        Ok(ring)
    }

    /// Whether there is a ring in this folder.
    pub fn exists(dir: &Path) -> bool {
        KeyRingPlace::of(dir, &KeyRingOptions::default()).has_ring()
    }

    /// What can be told of the ring in this folder, which nobody may have open. Its master key must be there.
    pub fn look(dir: &Path, options: &KeyRingOptions) -> Result<Facts, KeyRingFault> {
        Ok(Self::open_existing(dir, options)?.1.facts())
    }

    /// Gives the ring in this folder, which nobody may have open, another master key; the one before opens nothing of
    /// it any more. Keys and all that is derived from the ring's secret stay as they are. A crash leaves the ring under
    /// one of the two, and the next who opens it finds the right one.
    pub fn rotate(dir: &Path, options: &KeyRingOptions) -> Result<Facts, KeyRingFault> {
        let (place, opened) = Self::open_existing(dir, options)?;
        rotation::rotate(&place, opened, options.now)
    }

    fn open_existing(dir: &Path, options: &KeyRingOptions) -> Result<(KeyRingPlace, Opened), KeyRingFault> {
        let place = KeyRingPlace::of(dir, options);
        if !place.has_ring() {
            return Err(KeyRingFault::NoRing { path: dir.to_owned() });
        }
        let opened = RingFile::open(&place, options.now)?;
        Ok((place, opened))
    }

    /// A ring that ends with the process, for tests.
    pub fn in_memory() -> Self {
        let secret = Secret::random().expect("a system that runs tests has random bytes");
        Self::new(&secret, None)
    }

    fn new(secret: &Secret, file: Option<RingFile>) -> Self {
        Self { shared: Arc::new(KeyRingShared::new(secret, file)), withheld: false }
    }

    /// The same ring for somebody who may not read what is sealed: it seals, and opens nothing. Cheap.
    #[must_use]
    pub fn withheld(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), withheld: true }
    }

    /// A durable key that nobody uses. Waits for the disk only when keys are taken faster than it makes them.
    pub fn fresh(&self) -> Result<KeyId, KeyRingFault> {
        if let Some(path) = &self.shared.read_only {
            return Err(KeyRingFault::ReadOnly { path: path.clone() });
        }
        loop {
            if let Some(key) = self.take() {
                return Ok(key);
            }
            let mut file = self.shared.file.lock();
            // Somebody else may have filled it while this one waited.
            if self.shared.pool.lock().ready.is_empty() {
                self.shared.refill(&mut file)?;
            }
        }
    }

    fn take(&self) -> Option<KeyId> {
        let mut pool = self.shared.pool.lock();
        let key = pool.ready.pop();
        // Anyone who finds it empty refills it.
        if key.is_some() && pool.ready.len() <= LOW && !pool.refilling && !self.shared.in_memory {
            pool.refilling = true;
            drop(pool);
            self.refill_in_background();
        }
        key
    }

    fn refill_in_background(&self) {
        let shared = Arc::clone(&self.shared);
        let refill = move || {
            let refilled = shared.refill(&mut shared.file.lock());
            shared.pool.lock().refilling = false;
            if let Err(fault) = refilled {
                // Anyone who finds the pool empty tries again, and is told.
                tracing::warn!(%fault, "cannot make keys ahead of need");
            }
        };
        if let Err(error) = thread::Builder::new().name("keys".into()).spawn(refill) {
            tracing::warn!(%error, "cannot start a thread that makes keys");
            self.shared.pool.lock().refilling = false;
        }
    }

    /// Seals a value under a key, with a fresh nonce.
    pub fn seal(&self, key: KeyId, plain: &[u8]) -> Result<Sealed, KeyRingFault> {
        let secret = match self.shared.keys.read().get(&key) {
            None => return Err(KeyRingFault::UnknownKey { key }),
            Some(Key { secret: None, .. }) => return Err(KeyRingFault::Destroyed { key }),
            Some(Key { secret: Some(secret), .. }) => secret.clone(),
        };
        let nonce = random()?;
        Ok(Sealed {
            key,
            digest: secret.subkey(DIGEST).digest(plain),
            nonce,
            ciphertext: secret.subkey(ENCRYPTION).encrypt(&nonce, &key.0, plain),
        })
    }

    /// What was sealed.
    pub fn open_sealed(&self, sealed: &Sealed) -> Result<Vec<u8>, UnreadableValue> {
        if self.withheld {
            return Err(UnreadableValue::Withheld);
        }
        let secret = match self.shared.keys.read().get(&sealed.key) {
            None => return Err(UnreadableValue::UnknownKey),
            Some(Key { secret: None, .. }) => return Err(UnreadableValue::Destroyed),
            Some(Key { secret: Some(secret), .. }) => secret.clone(),
        };
        let opened = secret.subkey(ENCRYPTION).decrypt(&sealed.nonce, &sealed.key.0, &sealed.ciphertext);
        let plain = opened.ok_or(UnreadableValue::Tampered)?;
        // Decisions believe the digest, so a value with another one is not what was sealed.
        if secret.subkey(DIGEST).digest(&plain) != sealed.digest {
            return Err(UnreadableValue::Tampered);
        }
        Ok(plain)
    }

    /// Destroys a key: what is sealed under it cannot be read any more, by anybody. Durable when it returns; done
    /// again it changes nothing. After an error it may or may not be destroyed: do it again.
    pub fn destroy(&self, key: KeyId) -> Result<(), KeyRingFault> {
        let file = self.shared.file.lock();
        let record = match self.shared.keys.read().get(&key) {
            None => return Err(KeyRingFault::UnknownKey { key }),
            Some(Key { secret: None, .. }) => return Ok(()),
            Some(Key { record, .. }) => *record,
        };
        if let Some(file) = &*file {
            file.destroy(record, key)?;
        }
        self.shared.keys.write().insert(key, Key { record, secret: None });
        self.shared.erasing.read().iter().for_each(|forget| forget());
        Ok(())
    }

    /// Has somebody who holds opened values forget them whenever a key is destroyed: after nothing more can be opened
    /// with it, and before [`destroy`](Self::destroy) returns.
    pub fn on_destroy(&self, forget: impl Fn() + Send + Sync + 'static) {
        self.shared.erasing.write().push(Box::new(forget));
    }

    /// Names the content of a command in the log, without letting anybody who lacks the ring test guesses: HMAC
    /// over the parts, each after its length, under a secret of the ring; first 16 bytes.
    pub fn command_digest(&self, parts: &[&[u8]]) -> [u8; 16] {
        self.shared.commands.digest_of_parts(parts)
    }

    /// Names this ring without giving anything of it away: a log says which ring its values are sealed with.
    pub fn id(&self) -> [u8; 16] {
        self.command_digest(&[b"slapledger key ring"])
    }

    /// Whether a key is or was in the ring, destroyed or not.
    pub fn knows(&self, key: KeyId) -> bool {
        self.shared.keys.read().contains_key(&key)
    }

    /// Whether a key is in the ring and not destroyed.
    pub fn has(&self, key: KeyId) -> bool {
        self.shared.keys.read().get(&key).is_some_and(|key| key.secret.is_some())
    }

    /// The key of usage fingerprints: the same for the life of the ring.
    pub fn fingerprint_key(&self) -> [u8; 16] {
        self.shared.fingerprints.digest(&[])
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.shared.keys.read().len())
    }
}

impl KeyRingShared {
    fn new(secret: &Secret, file: Option<RingFile>) -> Self {
        Self {
            commands: secret.subkey(COMMANDS),
            fingerprints: secret.subkey(FINGERPRINTS),
            keys: RwLock::default(),
            pool: Mutex::default(),
            in_memory: file.is_none(),
            read_only: None,
            erasing: RwLock::default(),
            file: Mutex::new(file),
        }
    }

    /// Makes a batch of keys durable, then known, then ready.
    fn refill(&self, file: &mut Option<RingFile>) -> Result<(), KeyRingFault> {
        let mut keys = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            keys.push((KeyId(random()?), Secret::random()?));
        }
        let entries = match file {
            Some(file) => file.append(&keys)?,
            None => keys
                .iter()
                .map(|(id, secret)| RingEntry { id: *id, record: 0, secret: Some(secret.clone()) })
                .collect(),
        };
        self.take_in(entries);
        self.pool.lock().ready.extend(keys.iter().map(|(id, _)| *id));
        Ok(())
    }

    fn take_in(&self, entries: Vec<RingEntry>) {
        let known = entries.into_iter().map(|RingEntry { id, record, secret }| (id, Key { record, secret }));
        self.keys.write().extend(known);
    }
}
