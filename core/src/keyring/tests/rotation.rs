//! Another master key, where it lies, and rings of the first format.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{BATCH, BEFORE_KEYS, RECORD, open, sample, set_mode};
use crate::domain::id::KeyId;
use crate::domain::sealed::Sealed;
use crate::domain::time::Timestamp;
use crate::keyring::{Facts, KeyRing, KeyRingFault, KeyRingOptions, UnreadableValue};
use crate::secret_files::SecretFileFault;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

/// All files of a folder.
fn files(keys: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(keys).unwrap().map(|file| {
        let path = file.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
    });
    files.collect()
}

fn set_files<'a>(keys: &Path, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    for old in fs::read_dir(keys).unwrap() {
        fs::remove_file(old.unwrap().path()).unwrap();
    }
    for (name, bytes) in files {
        fs::write(keys.join(name), bytes).unwrap();
        set_mode(&keys.join(name), 0o600);
    }
}

/// What must be the same under whatever master key.
#[derive(Debug, PartialEq, Eq)]
struct Same {
    id: [u8; 16],
    commands: [u8; 16],
    fingerprints: [u8; 16],
    opened: Vec<Result<Vec<u8>, UnreadableValue>>,
    digests: Vec<[u8; 16]>,
}

impl Same {
    fn of(ring: &KeyRing, sealed: &[Sealed]) -> Self {
        let living = sealed.iter().filter(|sealed| ring.has(sealed.key));
        Self {
            id: ring.id(),
            commands: ring.command_digest(&[b"a", b"command"]),
            fingerprints: ring.fingerprint_key(),
            opened: sealed.iter().map(|sealed| ring.open_sealed(sealed)).collect(),
            digests: living.map(|sealed| ring.seal(sealed.key, b"anew").unwrap().digest).collect(),
        }
    }
}

/// A ring with values under two keys, one of which is destroyed.
fn two() -> (tempfile::TempDir, PathBuf, Vec<Sealed>, Same) {
    let (dir, first) = sample();
    let keys = dir.path().join("keys");
    let ring = open(&keys).unwrap();
    let second = ring.seal(ring.fresh().unwrap(), b"destroyed").unwrap();
    ring.destroy(second.key).unwrap();
    let sealed = vec![first, second];
    let same = Same::of(&ring, &sealed);
    assert_eq!(same.opened, [Ok(b"secret".to_vec()), Err(UnreadableValue::Destroyed)]);
    (dir, keys, sealed, same)
}

#[test]
fn another_master_key_changes_nothing_but_itself() {
    let (_dir, keys, sealed, same) = two();
    let before = files(&keys);
    let now = Some(at("2026-12-01T00:00:00Z"));
    let facts = KeyRing::rotate(&keys, &KeyRingOptions { now, ..KeyRingOptions::default() }).unwrap();
    let after = files(&keys);
    assert_eq!(after.keys().collect::<Vec<_>>(), ["master", "ring"]);
    assert!(before["master"] != after["master"] && after["master"].len() == 32);
    // No record but those of destroyed keys is what it was.
    assert_eq!(before["ring"].len(), after["ring"].len());
    let records = |name: &str| after[name].chunks(RECORD).zip(before[name].chunks(RECORD)).skip(1);
    let kept = records("ring").filter(|(after, before)| after == before).count();
    assert_eq!(kept, 1);
    assert_eq!(
        facts,
        Facts { format: 2, keys: 2 * BATCH - 1, destroyed: 1, made_at: None, rotated_at: now, rotations: 1 }
    );
    assert_eq!(KeyRing::look(&keys, &KeyRingOptions::default()).unwrap(), facts);
    assert_eq!(Same::of(&open(&keys).unwrap(), &sealed), same);
    // The old one opens nothing of it, and the new one nothing of the old ring.
    for (master, ring) in [(&before, &after), (&after, &before)] {
        set_files(&keys, [("master", &*master["master"]), ("ring", &*ring["ring"])]);
        let fault = open(&keys).unwrap_err();
        assert!(matches!(fault, KeyRingFault::OtherMaster { .. }), "{fault}");
        assert!(fault.to_string().contains("keys/master is not the one of"), "{fault}");
    }
    // And again.
    set_files(&keys, [("master", &*after["master"]), ("ring", &*after["ring"])]);
    let again = KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap();
    assert_eq!((again.rotations, again.rotated_at, again.keys), (2, None, facts.keys));
    assert_eq!(Same::of(&open(&keys).unwrap(), &sealed), same);
}

#[test]
fn a_crash_at_any_step_leaves_the_old_pair_or_the_new_one() {
    let (_dir, keys, sealed, same) = two();
    let old = files(&keys);
    KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap();
    let new = files(&keys);
    let (old_master, old_ring) = (&*old["master"], &*old["ring"]);
    let (new_master, new_ring) = (&*new["master"], &*new["ring"]);
    let half = new_ring.len() / 2 + 7;
    let check = |name: &str, files: &[(&str, &[u8])], expected: &[u8]| {
        set_files(&keys, files.iter().copied());
        for _ in 0..2 {
            let ring = open(&keys).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(Same::of(&ring, &sealed), same, "{name}");
            ring.seal(ring.fresh().unwrap(), b"x").unwrap();
        }
        let left = self::files(&keys);
        assert_eq!(left.keys().collect::<Vec<_>>(), ["master", "ring"], "{name}");
        assert_eq!(left["master"], expected, "{name}");
        // From here it can be rotated like any other.
        KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(Same::of(&open(&keys).unwrap(), &sealed), same, "{name}");
    };
    let old_pair = [("master", old_master), ("ring", old_ring)];
    for length in [0, 1, RECORD, 2 * RECORD - 1, 2 * RECORD, half, new_ring.len()] {
        let torn = ("ring.new", &new_ring[..length]);
        check(&format!("ring.new of {length} bytes"), &[old_pair[0], old_pair[1], torn], old_master);
    }
    for length in [0, 5, 32] {
        let (ring, master) = (("ring.new", new_ring), ("master.new", &new_master[..length]));
        let name = format!("master.new of {length} bytes");
        check(&name, &[old_pair[0], old_pair[1], ring, master], old_master);
    }
    let (master, ring, waiting) = (("master", new_master), ("ring", new_ring), ("ring.new", new_ring));
    check("the new master has its name", &[master, old_pair[1], waiting], new_master);
    check("so has the ring", &[master, ring], new_master);
}

#[test]
fn a_ring_that_neither_pair_explains_is_left_as_it_is() {
    let (_dir, keys, ..) = two();
    let old = files(&keys);
    KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap();
    let new = files(&keys);
    let odd = [7; 32];
    let all: [(&str, &[u8]); 3] = [("master", &odd), ("ring", &old["ring"]), ("ring.new", &new["ring"])];
    set_files(&keys, all);
    for _ in 0..2 {
        assert!(matches!(open(&keys), Err(KeyRingFault::OtherMaster { .. })));
        let fault = KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap_err();
        assert!(matches!(fault, KeyRingFault::OtherMaster { .. }), "{fault}");
        let left = files(&keys);
        assert!(all.iter().all(|(name, bytes)| left[*name] == **bytes));
    }
}

#[test]
fn a_ring_in_use_and_no_ring_get_no_other_master() {
    let (dir, keys, ..) = two();
    let ring = open(&keys).unwrap();
    let before = files(&keys);
    for fault in [
        KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap_err(),
        KeyRing::look(&keys, &KeyRingOptions::default()).unwrap_err(),
    ] {
        assert!(matches!(fault, KeyRingFault::InUse { .. }), "{fault}");
    }
    drop(ring);
    assert_eq!(files(&keys), before);
    let none = dir.path().join("none");
    assert!(matches!(KeyRing::rotate(&none, &KeyRingOptions::default()), Err(KeyRingFault::NoRing { .. })));
    assert!(!none.exists());
}

#[test]
fn damage_is_told_before_anything_is_done() {
    let (_dir, keys, ..) = two();
    let mut damaged = files(&keys);
    damaged.get_mut("ring").unwrap()[9 * RECORD + 50] ^= 1;
    set_files(&keys, damaged.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let fault = KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap_err();
    assert!(matches!(fault, KeyRingFault::Damaged { position: 1152, .. }), "{fault}");
    assert_eq!(files(&keys), damaged);
}

#[test]
fn the_master_key_may_lie_elsewhere() {
    let (dir, keys, sealed, same) = two();
    let elsewhere = dir.path().join("other disk");
    fs::create_dir(&elsewhere).unwrap();
    let master = elsewhere.join("key.bin");
    let options = KeyRingOptions { master_key: Some(master.clone()), now: None };
    let missing = KeyRing::open(&keys, &options).unwrap_err();
    assert!(matches!(&missing, KeyRingFault::Missing { path, .. } if *path == master), "{missing}");
    fs::rename(keys.join("master"), &master).unwrap();
    assert_eq!(Same::of(&KeyRing::open(&keys, &options).unwrap(), &sealed), same);
    assert!(matches!(open(&keys), Err(KeyRingFault::Missing { .. })));
    for bit in [0o40, 0o4] {
        set_mode(&master, 0o600 | bit);
        assert!(matches!(
            KeyRing::open(&keys, &options),
            Err(KeyRingFault::File(SecretFileFault::Exposed { .. }))
        ));
    }
    set_mode(&master, 0o400);
    // A link to it stays a link.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&master, &link).unwrap();
    let linked = KeyRingOptions { master_key: Some(link.clone()), now: None };
    let before = fs::read(&master).unwrap();
    assert_eq!(KeyRing::rotate(&keys, &linked).unwrap().rotations, 1);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read(&master).unwrap(), before);
    assert_eq!(files(&elsewhere).len(), 1);
    assert_eq!(Same::of(&KeyRing::open(&keys, &options).unwrap(), &sealed), same);
}

#[test]
fn a_master_key_that_is_there_first_becomes_that_of_a_new_ring() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, master) = (dir.path().join("keys"), dir.path().join("key.bin"));
    fs::write(&master, [9; 32]).unwrap();
    let options = KeyRingOptions { master_key: Some(master.clone()), now: Some(at("2026-10-01T00:00:00Z")) };
    set_mode(&master, 0o644);
    assert!(matches!(
        KeyRing::open(&keys, &options),
        Err(KeyRingFault::File(SecretFileFault::Exposed { .. }))
    ));
    set_mode(&master, 0o400);
    // A crash in the middle of it leaves nothing in the way.
    fs::write(keys.join("ring.new"), b"slapring").unwrap();
    let id = KeyRing::open(&keys, &options).unwrap().id();
    assert_eq!(fs::read(&master).unwrap(), [9; 32]);
    assert_eq!(files(&keys).keys().collect::<Vec<_>>(), ["ring"]);
    let facts = KeyRing::look(&keys, &options).unwrap();
    assert_eq!((facts.made_at, facts.rotated_at, facts.keys), (options.now, None, 0));
    assert_eq!(KeyRing::open(&keys, &options).unwrap().id(), id);
    // But a ring that was lost is not made anew, whatever else is there.
    fs::rename(keys.join("ring"), keys.join("aside")).unwrap();
    assert!(matches!(KeyRing::open(&keys, &options), Err(KeyRingFault::Missing { .. })));
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_ring_of_the_first_format_opens_for_ever() {
    let golden = include_str!("../../../../fixtures/golden/key-ring-v1.txt");
    let golden: BTreeMap<_, _> = golden
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, hex)| (name, unhex(hex)))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    fs::create_dir(&keys).unwrap();
    set_mode(&keys, 0o700);
    set_files(&keys, [("master", &*golden["master"]), ("ring", &*golden["ring"])]);
    let facts = KeyRing::look(&keys, &KeyRingOptions::default()).unwrap();
    let first = Facts { format: 1, keys: 1, destroyed: 0, made_at: None, rotated_at: None, rotations: 0 };
    assert_eq!(facts, first);
    let key = KeyId(golden["key"].as_slice().try_into().unwrap());
    let check = |format| {
        let ring = open(&keys).unwrap();
        assert_eq!(ring.id().as_slice(), golden["id"]);
        assert_eq!(ring.seal(key, b"local user").unwrap().digest.as_slice(), golden["digest"]);
        drop(ring);
        let facts = KeyRing::look(&keys, &KeyRingOptions::default()).unwrap();
        assert_eq!(facts.format, format);
    };
    // It goes on as it is, until it gets another master.
    check(1);
    assert_eq!(files(&keys)["ring"].len(), (BEFORE_KEYS + 1) * RECORD);
    let now = Some(at("2026-12-01T00:00:00Z"));
    let facts = KeyRing::rotate(&keys, &KeyRingOptions { now, ..KeyRingOptions::default() }).unwrap();
    assert_eq!((facts.format, facts.made_at, facts.rotated_at), (2, None, now));
    check(2);
}
