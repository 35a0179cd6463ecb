mod rotation;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rustc_hash::FxHashSet;

use super::ring::BATCH;
use super::{KeyRing, KeyRingFault, KeyRingOptions, UnreadableValue};
use crate::domain::id::KeyId;
use crate::domain::sealed::Sealed;
use crate::secret_files::SecretFileFault;

const RECORD: usize = 128;
/// The header and the ring's own secret.
const BEFORE_KEYS: usize = 2;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn open(keys: &Path) -> Result<KeyRing, KeyRingFault> {
    KeyRing::open(keys, &KeyRingOptions::default())
}

/// A folder that nobody else can read, with a ring in it that sealed one value.
fn sample() -> (tempfile::TempDir, Sealed) {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir.path().join("keys")).unwrap();
    let key = ring.fresh().unwrap();
    let sealed = ring.seal(key, b"secret").unwrap();
    (dir, sealed)
}

#[test]
fn what_is_sealed_opens_in_this_ring_alone() {
    let (dir, sealed) = sample();
    let ring = open(&dir.path().join("keys")).unwrap();
    assert_eq!(ring.open_sealed(&sealed), Ok(b"secret".to_vec()));
    let other = KeyRing::in_memory();
    assert_eq!(other.open_sealed(&sealed), Err(UnreadableValue::UnknownKey));
    assert!(matches!(other.seal(sealed.key, b""), Err(KeyRingFault::UnknownKey { .. })));
    assert!(matches!(other.destroy(sealed.key), Err(KeyRingFault::UnknownKey { .. })));
}

#[test]
fn digests_tell_equal_content_under_one_key_and_nothing_else() {
    let ring = KeyRing::in_memory();
    let (one, other) = (ring.fresh().unwrap(), ring.fresh().unwrap());
    let seal = |key, plain: &[u8]| ring.seal(key, plain).unwrap();
    assert!(seal(one, b"a").same_content(&seal(one, b"a")));
    assert_ne!(seal(one, b"a").ciphertext, seal(one, b"a").ciphertext);
    assert!(!seal(one, b"a").same_content(&seal(one, b"b")));
    assert_ne!(seal(one, b"a").digest, seal(other, b"a").digest);
}

#[test]
fn any_change_to_a_sealed_value_is_found() {
    let ring = KeyRing::in_memory();
    let (key, other) = (ring.fresh().unwrap(), ring.fresh().unwrap());
    let sealed = ring.seal(key, b"a value").unwrap();
    let check = |name: &str, changed: Sealed, expected| {
        assert_eq!(ring.open_sealed(&changed), Err(expected), "{name}");
    };
    check("other key", Sealed { key: other, ..sealed.clone() }, UnreadableValue::Tampered);
    check("unknown key", Sealed { key: KeyId([0; 16]), ..sealed.clone() }, UnreadableValue::UnknownKey);
    check("empty", Sealed { ciphertext: vec![], ..sealed.clone() }, UnreadableValue::Tampered);
    for bit in 0..sealed.ciphertext.len() * 8 {
        let mut changed = sealed.clone();
        changed.ciphertext[bit / 8] ^= 1 << (bit % 8);
        check("ciphertext", changed, UnreadableValue::Tampered);
    }
    for bit in 0..24 * 8 {
        let mut changed = sealed.clone();
        changed.nonce[bit / 8] ^= 1 << (bit % 8);
        check("nonce", changed, UnreadableValue::Tampered);
    }
    for bit in 0..16 * 8 {
        let mut changed = sealed.clone();
        changed.digest[bit / 8] ^= 1 << (bit % 8);
        check("digest", changed, UnreadableValue::Tampered);
    }
}

#[test]
fn a_destroyed_key_stays_destroyed_and_its_bytes_are_gone() {
    let (dir, sealed) = sample();
    let keys = dir.path().join("keys");
    let ring = open(&keys).unwrap();
    let kept = ring.fresh().unwrap();
    let other = ring.seal(kept, b"kept").unwrap();
    let before = fs::read(keys.join("ring")).unwrap();
    ring.destroy(sealed.key).unwrap();
    ring.destroy(sealed.key).unwrap();
    let after = fs::read(keys.join("ring")).unwrap();
    let changed: Vec<_> = (0..before.len() / RECORD)
        .filter(|record| before[record * RECORD..][..RECORD] != after[record * RECORD..][..RECORD])
        .collect();
    let [record] = changed[..] else { panic!("one record is overwritten: {changed:?}") };
    assert!(after[record * RECORD + 20..][..72].iter().all(|byte| *byte == 0));
    let check = |ring: KeyRing| {
        assert_eq!(ring.open_sealed(&sealed), Err(UnreadableValue::Destroyed));
        assert!(matches!(ring.seal(sealed.key, b""), Err(KeyRingFault::Destroyed { .. })));
        assert_eq!(ring.open_sealed(&other), Ok(b"kept".to_vec()));
    };
    check(ring);
    check(open(&keys).unwrap());
}

#[test]
fn fresh_keys_are_durable_and_never_handed_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let mut seen = FxHashSet::default();
    for _ in 0..3 {
        let ring = Arc::new(open(&keys).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ring = Arc::clone(&ring);
                std::thread::spawn(move || (0..500).map(|_| ring.fresh().unwrap()).collect::<Vec<_>>())
            })
            .collect();
        for key in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert!(seen.insert(key));
        }
    }
    let ring = open(&keys).unwrap();
    for key in seen {
        ring.seal(key, b"x").unwrap();
    }
}

#[test]
fn digests_of_commands_are_of_the_ring_and_keep_parts_apart() {
    let (dir, _) = sample();
    let keys = dir.path().join("keys");
    let [first, second] = [(); 2].map(|()| {
        let ring = open(&keys).unwrap();
        (ring.command_digest(&[b"ab", b"c"]), ring.fingerprint_key())
    });
    assert_eq!(first, second);
    let ring = open(&keys).unwrap();
    assert_ne!(ring.command_digest(&[b"a", b"bc"]), first.0);
    assert_ne!(ring.command_digest(&[b"abc"]), first.0);
    let other = KeyRing::in_memory();
    assert_ne!(other.command_digest(&[b"ab", b"c"]), first.0);
    assert_ne!(other.fingerprint_key(), first.1);
}

#[test]
fn nothing_shows_a_secret() {
    let ring = KeyRing::in_memory();
    ring.fresh().unwrap();
    assert_eq!(format!("{ring:?}"), format!("KeyRing({BATCH} keys)"));
}

#[test]
fn what_others_may_read_is_refused() {
    let (dir, _) = sample();
    let keys = dir.path().join("keys");
    for name in ["", "master", "ring"] {
        let path = if name.is_empty() { keys.clone() } else { keys.join(name) };
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.is_empty() { 0o700 } else { 0o600 }, "{name}");
        for bit in [0o40, 0o20, 0o4, 0o1] {
            set_mode(&path, mode | bit);
            let fault = open(&keys).unwrap_err();
            assert!(
                matches!(fault, KeyRingFault::File(SecretFileFault::Exposed { .. })),
                "{name} {bit:o}: {fault}"
            );
            assert!(fault.to_string().contains(&format!("(mode {:04o})", mode | bit)), "{fault}");
        }
        set_mode(&path, mode);
    }
    open(&keys).unwrap();
}

#[test]
fn a_ring_is_open_once() {
    let (dir, _) = sample();
    let keys = dir.path().join("keys");
    let ring = open(&keys).unwrap();
    assert!(matches!(open(&keys), Err(KeyRingFault::InUse { .. })));
    drop(ring);
    open(&keys).unwrap();
}

#[test]
fn half_a_ring_is_a_loss_and_not_a_new_one() {
    let (dir, _) = sample();
    let keys = dir.path().join("keys");
    for (name, other) in [("master", "ring"), ("ring", "master")] {
        let aside = dir.path().join("aside");
        fs::rename(keys.join(name), &aside).unwrap();
        let fault = open(&keys).unwrap_err().to_string();
        assert!(fault.contains(&format!("{name} is missing beside")) && fault.contains(other), "{fault}");
        fs::rename(&aside, keys.join(name)).unwrap();
    }
    fs::write(keys.join("master"), [7; 32]).unwrap();
    assert!(matches!(open(&keys), Err(KeyRingFault::OtherMaster { .. })));
    fs::write(keys.join("master"), [7; 31]).unwrap();
    assert!(matches!(open(&keys), Err(KeyRingFault::Damaged { .. })));
}

#[test]
fn a_crash_while_it_is_created_leaves_nothing_in_the_way() {
    let (dir, sealed) = sample();
    let keys = dir.path().join("keys");
    // After the master was durable, before the ring had its name.
    fs::rename(keys.join("ring"), keys.join("ring.new")).unwrap();
    assert_eq!(open(&keys).unwrap().open_sealed(&sealed), Ok(b"secret".to_vec()));
    // Before the master was.
    fs::remove_file(keys.join("master")).unwrap();
    fs::rename(keys.join("ring"), keys.join("ring.new")).unwrap();
    fs::write(keys.join("master.new"), [1; 5]).unwrap();
    assert_eq!(open(&keys).unwrap().open_sealed(&sealed), Err(UnreadableValue::UnknownKey));
}

#[test]
fn what_a_crash_left_unfinished_at_the_end_is_dropped() {
    let (dir, sealed) = sample();
    let keys = dir.path().join("keys");
    let path = keys.join("ring");
    let whole = fs::read(&path).unwrap();
    let complete = BEFORE_KEYS * RECORD + BATCH * RECORD;
    assert_eq!(whole.len(), complete);
    let torn = |extra: &[u8]| [&whole, extra].concat();
    let hole = [&whole[..], &[0; 3 * RECORD], &whole[complete - RECORD..]].concat();
    for (name, bytes) in [
        ("a torn record", torn(&[9; 50])),
        ("an unwritten record", torn(&[0; RECORD])),
        ("an unwritten batch, torn", torn(&vec![0; BATCH * RECORD - 5])),
        ("written out of order", hole),
    ] {
        fs::write(&path, &bytes).unwrap();
        for _ in 0..3 {
            let ring = open(&keys).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(ring.open_sealed(&sealed), Ok(b"secret".to_vec()), "{name}");
            assert!(ring.seal(ring.fresh().unwrap(), b"x").is_ok(), "{name}");
        }
        // What was dropped has been written over.
        assert_eq!(fs::read(&path).unwrap().len(), complete + 3 * BATCH * RECORD, "{name}");
    }
}

#[test]
fn damage_is_named_with_its_position() {
    let (dir, _) = sample();
    let keys = dir.path().join("keys");
    let path = keys.join("ring");
    let whole = fs::read(&path).unwrap();
    for record in [0, 1, 2, 100, BEFORE_KEYS + BATCH - 1] {
        for byte in [0, 16, 18, 20, 44, 91, 100, 127] {
            let mut changed = whole.clone();
            changed[record * RECORD + byte] ^= 4;
            fs::write(&path, &changed).unwrap();
            let fault = open(&keys).unwrap_err();
            let KeyRingFault::Damaged { position, .. } = fault else { panic!("{record} {byte}: {fault}") };
            assert_eq!(position, (record * RECORD) as u64);
        }
    }
    let mut newer = whole.clone();
    newer[11] = 3;
    let checksum = crc32fast::hash(&newer[..RECORD - 4]);
    newer[RECORD - 4..RECORD].copy_from_slice(&checksum.to_be_bytes());
    let short = whole[..=RECORD].to_vec();
    // Zeros where keys were durable long ago.
    let mut zeroed = [&whole[..], &whole[BEFORE_KEYS * RECORD..]].concat();
    zeroed[5 * RECORD..6 * RECORD].fill(0);
    for (bytes, part) in [
        (newer, "format 3"),
        (short, "at byte 129: it ends"),
        (vec![], "at byte 0: it ends"),
        (zeroed, "at byte 640: its checksum differs"),
    ] {
        fs::write(&path, bytes).unwrap();
        let fault = open(&keys).unwrap_err().to_string();
        assert!(fault.contains(part), "{part}: {fault}");
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..600)) {
        let ring = KeyRing::in_memory();
        let sealed = ring.seal(ring.fresh().unwrap(), &plain).unwrap();
        prop_assert_eq!(ring.open_sealed(&sealed), Ok(plain));
    }
}

/// All that is in a folder, by name.
fn content(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn a_ring_that_is_read_is_not_written_to() {
    let (dir, sealed) = sample();
    let keys = dir.path().join("keys");
    let before = content(&keys);
    let ring = KeyRing::open_read_only(&keys, &KeyRingOptions::default()).unwrap();
    assert_eq!(ring.open_sealed(&sealed), Ok(b"secret".to_vec()));
    assert_eq!(ring.id(), open(&keys).unwrap().id());
    // A start alone makes no keys: many of them would fill the disk.
    assert_eq!(content(&keys), before);
    assert!(matches!(ring.fresh(), Err(KeyRingFault::ReadOnly { .. })));
    ring.destroy(sealed.key).unwrap();
    assert_eq!(ring.open_sealed(&sealed), Err(UnreadableValue::Destroyed));
    drop(ring);
    assert_eq!(content(&keys), before);
    let again = KeyRing::open_read_only(&keys, &KeyRingOptions::default()).unwrap();
    assert_eq!(again.open_sealed(&sealed), Ok(b"secret".to_vec()), "for that process alone");

    let absent = KeyRing::open_read_only(&dir.path().join("absent"), &KeyRingOptions::default());
    assert!(matches!(absent, Err(KeyRingFault::NoRing { .. })));
    assert!(!dir.path().join("absent").exists());
    let _in_use = open(&keys).unwrap();
    let refused = KeyRing::open_read_only(&keys, &KeyRingOptions::default());
    assert!(matches!(refused, Err(KeyRingFault::InUse { .. })));
}

/// Of a rotation that a crash interrupted, the pair that counts is read, and left as it is.
#[test]
fn an_interrupted_rotation_is_read_as_it_stands() {
    let (dir, sealed) = sample();
    let keys = dir.path().join("keys");
    let old = fs::read(keys.join("ring")).unwrap();
    KeyRing::rotate(&keys, &KeyRingOptions::default()).unwrap();
    // As it was before the new ring took the name of the old one.
    fs::rename(keys.join("ring"), keys.join("ring.new")).unwrap();
    fs::write(keys.join("ring"), old).unwrap();
    set_mode(&keys.join("ring"), 0o600);
    let before = content(&keys);
    let ring = KeyRing::open_read_only(&keys, &KeyRingOptions::default()).unwrap();
    assert_eq!(ring.open_sealed(&sealed), Ok(b"secret".to_vec()));
    drop(ring);
    assert_eq!(content(&keys), before);
}
