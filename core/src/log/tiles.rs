//! Tiles of the tree (C2SP tlog-tiles): the hashes that proofs are made from, 256 at a time.
//!
//! The hashes of leaves are not kept: they are those of the stored events, and one tile of them is hashed again when it is
//! asked for. The hashes of whole tiles are kept, one for 256 events ([`TileHashes`]), in memory and in a file beside the
//! log. The file is a cache: it is derived from the log, is compared with its root, and may be deleted.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::merkle::proof::SubtreeHashes;
use super::merkle::{leaf_hash, node_hash};
use super::store::{EventStore, StoreFault, read_frames};
use crate::domain::id::Sequence;

/// The leaves of a tile, as a power of two.
const TILE_HEIGHT: u32 = 8;
/// The hashes of a whole tile.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// The file begins with this.
const MAGIC: &[u8; 8] = b"SLTILES1";
const HASH_BYTES: usize = 32;
/// So many tiles of leaves are kept while proofs are made.
const LEAF_TILES_KEPT: usize = 16;

/// A tile: hashes of the tree at a multiple of its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePlace {
    /// 0 has the hashes of leaves, 1 those of whole tiles of level 0, and so on.
    pub level: u8,
    /// Which tile of its level, from 0.
    pub index: u64,
    /// How many hashes: 256 of a whole tile.
    pub width: u16,
}

/// A path is not one of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: LEVEL/NUMBER or LEVEL/NUMBER.p/WIDTH, as in 0/x001/234 and 1/000.p/17")]
pub struct InvalidTilePlace;

impl TilePlace {
    /// Whether a tree of this size has it.
    pub fn is_in(self, size: u64) -> bool {
        let shift = u32::from(self.level) * TILE_HEIGHT;
        let hashes = size.checked_shr(shift).unwrap_or(0);
        let first = self.index.checked_mul(TILE_WIDTH);
        first.and_then(|first| first.checked_add(self.width.into())).is_some_and(|end| end <= hashes)
    }
}

/// A number as paths have it: groups of three digits, all but the last with an `x` before them.
fn number_of(parts: &[&str]) -> Option<u64> {
    let (last, before) = parts.split_last()?;
    let mut digits = String::new();
    for part in before {
        digits.push_str(group(part.strip_prefix('x')?)?);
    }
    digits.push_str(group(last)?);
    let number: u64 = digits.parse().ok()?;
    // There is one way to write each.
    (path_of(number) == parts.join("/")).then_some(number)
}

fn group(digits: &str) -> Option<&str> {
    (digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

fn path_of(number: u64) -> String {
    let mut path = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// A number and how much of a tile, as the end of a path.
fn place_of(path: &str) -> Option<(u64, u16)> {
    let (number, width) = match path.split_once(".p/") {
        None => (path, 256),
        Some((number, width)) => {
            let parsed: u16 = width.parse().ok()?;
            (number, Some(parsed).filter(|parsed| (1..256).contains(parsed) && parsed.to_string() == width)?)
        }
    };
    Some((number_of(&number.split('/').collect::<Vec<_>>())?, width))
}

impl FromStr for TilePlace {
    type Err = InvalidTilePlace;

    fn from_str(path: &str) -> Result<Self, InvalidTilePlace> {
        let parsed = || {
            let (level, rest) = path.split_once('/')?;
            let parsed: u8 = level.parse().ok()?;
            let level = Some(parsed).filter(|parsed| *parsed < 8 && parsed.to_string() == level)?;
            let (index, width) = place_of(rest)?;
            Some(Self { level, index, width })
        };
        parsed().ok_or(InvalidTilePlace)
    }
}

impl fmt::Display for TilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, path_of(self.index))?;
        if self.width < 256 { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// A bundle of entries: the events of a tile of leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundlePlace {
    /// Which tile.
    pub index: u64,
    /// How many events: 256 of a whole one.
    pub width: u16,
}

impl BundlePlace {
    /// Whether a log of this size has it.
    pub fn is_in(self, size: u64) -> bool {
        TilePlace { level: 0, index: self.index, width: self.width }.is_in(size)
    }

    /// The events of it, each after its length in two bytes, the larger first.
    pub fn read(self, store: &dyn EventStore) -> Result<Vec<u8>, StoreFault> {
        let mut bundle = Vec::new();
        for_leaves(store, self.index, self.width.into(), |leaf| {
            let length = u16::try_from(leaf.len()).expect("an event is at most 65,535 bytes");
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(leaf);
        })?;
        Ok(bundle)
    }
}

impl FromStr for BundlePlace {
    type Err = InvalidTilePlace;

    fn from_str(path: &str) -> Result<Self, InvalidTilePlace> {
        place_of(path).map(|(index, width)| Self { index, width }).ok_or(InvalidTilePlace)
    }
}

/// Does something with the stored bytes of the first events of a tile of leaves.
fn for_leaves(
    store: &dyn EventStore,
    tile: u64,
    count: u64,
    mut each: impl FnMut(&[u8]),
) -> Result<(), StoreFault> {
    let after = Sequence(tile * TILE_WIDTH);
    let mut left = count;
    for frame in read_frames(store, after) {
        let frame = frame?;
        for (_, leaf) in frame.events_after(after) {
            if left == 0 {
                return Ok(());
            }
            each(leaf);
            left -= 1;
        }
    }
    Ok(())
}

/// The hash of the subtree of these hashes, whose number is a power of two.
fn fold(mut hashes: Vec<[u8; 32]>) -> [u8; 32] {
    while hashes.len() > 1 {
        hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    hashes[0]
}

/// The hashes of whole tiles: of those of leaves, of those of these, and so on. A clone is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileHashes {
    /// Level 1 first.
    levels: Vec<TileLevel>,
}

/// The hashes of one level, 256 by 256.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct TileLevel {
    whole: Vec<Arc<[[u8; 32]]>>,
    rest: Vec<[u8; 32]>,
}

impl TileLevel {
    fn len(&self) -> u64 {
        self.whole.len() as u64 * TILE_WIDTH + self.rest.len() as u64
    }

    fn get(&self, at: u64) -> Option<[u8; 32]> {
        let (tile, at) = (usize::try_from(at / TILE_WIDTH).ok()?, usize::try_from(at % TILE_WIDTH).ok()?);
        let hashes = if tile == self.whole.len() { &self.rest } else { &**self.whole.get(tile)? };
        hashes.get(at).copied()
    }

    /// Adds a hash; returns that of the tile, if it is whole with it.
    fn push(&mut self, hash: [u8; 32]) -> Option<[u8; 32]> {
        self.rest.push(hash);
        if (self.rest.len() as u64) < TILE_WIDTH {
            return None;
        }
        let whole = std::mem::take(&mut self.rest);
        self.whole.push(whole.as_slice().into());
        Some(fold(whole))
    }
}

impl TileHashes {
    /// How many tiles of leaves are hashed.
    pub fn tiles(&self) -> u64 {
        self.levels.first().map_or(0, TileLevel::len)
    }

    /// How many events are in them.
    pub fn events(&self) -> u64 {
        self.tiles() * TILE_WIDTH
    }

    fn push(&mut self, hash: [u8; 32]) {
        let mut hash = Some(hash);
        for level in 0.. {
            let Some(next) = hash else { return };
            if self.levels.len() == level {
                self.levels.push(TileLevel::default());
            }
            hash = self.levels[level].push(next);
        }
    }

    /// Hashes the whole tiles up to an event, for as long as `goes_on` says.
    pub fn extend(
        &mut self,
        store: &dyn EventStore,
        until: Sequence,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), StoreFault> {
        let whole = until.0 / TILE_WIDTH;
        if self.tiles() >= whole {
            return Ok(());
        }
        let after = Sequence(self.events());
        let mut leaves = Vec::new();
        for frame in read_frames(store, after) {
            let frame = frame?;
            for (_, leaf) in frame.events_after(after) {
                leaves.push(leaf_hash(leaf));
                if leaves.len() as u64 == TILE_WIDTH {
                    self.push(fold(std::mem::take(&mut leaves)));
                    if self.tiles() == whole {
                        return Ok(());
                    }
                }
            }
            if !goes_on() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The hashes of the tree of a log: those of tiles are at hand, those of leaves are made from the log.
pub struct TileReader<'a> {
    hashes: &'a TileHashes,
    store: &'a dyn EventStore,
    /// Tiles of leaves, the one used last at the end.
    leaves: Vec<(u64, Vec<[u8; 32]>)>,
}

impl<'a> TileReader<'a> {
    /// Reads the tree of a log whose whole tiles are hashed.
    pub fn new(hashes: &'a TileHashes, store: &'a dyn EventStore) -> Self {
        Self { hashes, store, leaves: Vec::new() }
    }

    fn leaf_tile(&mut self, tile: u64) -> Result<&[[u8; 32]], StoreFault> {
        if let Some(at) = self.leaves.iter().position(|(known, _)| *known == tile) {
            let known = self.leaves.remove(at);
            self.leaves.push(known);
        } else {
            let mut hashes = Vec::new();
            for_leaves(self.store, tile, TILE_WIDTH, |leaf| hashes.push(leaf_hash(leaf)))?;
            if self.leaves.len() == LEAF_TILES_KEPT {
                self.leaves.remove(0);
            }
            self.leaves.push((tile, hashes));
        }
        Ok(self.leaves.last().map_or(&[], |(_, hashes)| hashes))
    }

    /// The hashes of a tile, one after the other.
    pub fn tile(&mut self, place: TilePlace) -> Result<Vec<u8>, StoreFault> {
        let width = usize::from(place.width);
        let hashes = match place.level.checked_sub(1) {
            None => self.leaf_tile(place.index)?.iter().take(width).copied().collect::<Vec<_>>(),
            Some(level) => {
                let first = place.index * TILE_WIDTH;
                (first..first + width as u64).filter_map(|at| self.kept(usize::from(level), at)).collect()
            }
        };
        Ok(hashes.concat())
    }

    fn kept(&self, level: usize, at: u64) -> Option<[u8; 32]> {
        self.hashes.levels.get(level)?.get(at)
    }
}

impl SubtreeHashes for TileReader<'_> {
    type Fault = StoreFault;

    fn subtree(&mut self, height: u32, index: u64) -> Result<[u8; 32], StoreFault> {
        let (level, above) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let first = index << above;
        let count = 1_u64 << above;
        let hashes: Vec<[u8; 32]> = match level.checked_sub(1) {
            None => {
                let (tile, at) =
                    (first / TILE_WIDTH, usize::try_from(first % TILE_WIDTH).unwrap_or_default());
                self.leaf_tile(tile)?.iter().skip(at).take(1 << above).copied().collect()
            }
            Some(level) => (first..first + count).filter_map(|at| self.kept(level as usize, at)).collect(),
        };
        // What the log does not have has no hash; its root tells.
        Ok(if hashes.len() as u64 == count { fold(hashes) } else { [0; 32] })
    }
}

/// The file of the hashes of whole tiles of leaves.
#[derive(Debug)]
pub struct TileFile {
    path: PathBuf,
    /// How many of them are in it.
    written: u64,
}

impl TileFile {
    /// The file of a data folder, and what it holds. A file that is none is begun again.
    pub fn open(folder: &Path) -> io::Result<(Self, TileHashes)> {
        let path = folder.join("tiles");
        let mut hashes = TileHashes::default();
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => drop(file.read_to_end(&mut bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if let Some(known) = bytes.strip_prefix(MAGIC) {
            known.as_chunks::<HASH_BYTES>().0.iter().for_each(|hash| hashes.push(*hash));
        }
        let written = hashes.tiles();
        Ok((Self { path, written }, hashes))
    }

    /// Adds what was hashed since.
    pub fn append(&mut self, hashes: &TileHashes) -> io::Result<()> {
        let Some(level) = hashes.levels.first().filter(|level| level.len() > self.written) else {
            return Ok(());
        };
        let mut file =
            OpenOptions::new().create(true).append(false).write(true).truncate(false).open(&self.path)?;
        if self.written == 0 {
            file.set_len(0)?;
            file.write_all(MAGIC)?;
        } else {
            // A write that was cut short is written again.
            let end = MAGIC.len() as u64 + self.written * HASH_BYTES as u64;
            file.set_len(end)?;
            io::Seek::seek(&mut file, io::SeekFrom::Start(end))?;
        }
        let new: Vec<[u8; 32]> = (self.written..level.len()).filter_map(|at| level.get(at)).collect();
        file.write_all(new.as_flattened())?;
        self.written = level.len();
        Ok(())
    }

    /// Forgets all: it is not of this log.
    pub fn clear(&mut self) -> io::Result<()> {
        self.written = 0;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::contract::Scribe;
    use crate::log::memory::MemoryStore;
    use crate::log::merkle::{Root, Tree, proof};

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        let place = |level, index, width| TilePlace { level, index, width };
        let known = [
            (place(0, 0, 256), "0/000"),
            (place(0, 1_234_067, 256), "0/x001/x234/067"),
            (place(1, 42, 17), "1/042.p/17"),
            (place(7, 1000, 1), "7/x001/000.p/1"),
        ];
        for (place, path) in known {
            assert_eq!((place.to_string().as_str(), path.parse()), (path, Ok(place)));
        }
        for path in [
            "",
            "0",
            "0/",
            "0/0",
            "0/0000",
            "8/000",
            "00/000",
            "0/x000/000",
            "0/001/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/-01",
            "0/000/",
        ] {
            assert_eq!(path.parse::<TilePlace>(), Err(InvalidTilePlace), "{path:?}");
        }
        assert_eq!("x001/234.p/3".parse(), Ok(BundlePlace { index: 1234, width: 3 }));
    }

    #[test]
    fn a_tile_is_there_when_all_its_hashes_are() {
        let place = |level, index, width| TilePlace { level, index, width };
        assert!(place(0, 0, 10).is_in(10) && !place(0, 0, 11).is_in(10));
        assert!(place(1, 0, 1).is_in(256) && !place(1, 0, 1).is_in(255));
        assert!(place(0, 3, 256).is_in(1024) && !place(0, 3, 256).is_in(1023));
        assert!(!place(7, u64::MAX, 1).is_in(u64::MAX));
    }

    fn log(events: u64) -> MemoryStore {
        let store = MemoryStore::new();
        let mut writer = Scribe::new(&store);
        let mut n = 0_u64;
        while n < events {
            let count = (events - n).min(97);
            let leaves: Vec<Vec<u8>> = (n..n + count).map(|n| n.to_be_bytes().to_vec()).collect();
            writer.write(&store, &leaves);
            n += count;
        }
        store
    }

    #[test]
    fn roots_proofs_and_tiles_of_a_log_agree_with_its_tree() {
        let events = 2000;
        let store = log(events);
        let mut hashes = TileHashes::default();
        hashes.extend(&store, Sequence(700), || true).expect("read");
        assert_eq!(hashes.tiles(), 2);
        hashes.extend(&store, Sequence(events), || true).expect("read");
        assert_eq!(hashes.tiles(), 7);
        let mut tree = Tree::new();
        for size in 0..=events {
            if size % 37 == 0 || size == events {
                let mut reader = TileReader::new(&hashes, &store);
                assert_eq!(proof::root(&mut reader, size).expect("read"), tree.root(), "{size}");
                if size > 3 {
                    let path = proof::inclusion(&mut reader, size - 3, size).expect("read");
                    let leaf = (size - 3, leaf_hash(&(size - 3).to_be_bytes()));
                    assert_eq!(proof::check_inclusion(leaf, (size, tree.root()), &path), Ok(()));
                }
            }
            tree.push(&size.to_be_bytes());
        }
        let mut reader = TileReader::new(&hashes, &store);
        let tile = reader.tile(TilePlace { level: 0, index: 7, width: 208 }).expect("read");
        assert_eq!(tile[..32], leaf_hash(&1792_u64.to_be_bytes()));
        assert_eq!(tile.len(), 208 * 32);
        let above = reader.tile(TilePlace { level: 1, index: 0, width: 7 }).expect("read");
        assert_eq!(above[..32], reader.subtree(8, 0).expect("read"));
        let bundle = BundlePlace { index: 7, width: 2 }.read(&store).expect("read");
        assert_eq!(bundle, [&[0, 8][..], &1792_u64.to_be_bytes(), &[0, 8], &1793_u64.to_be_bytes()].concat());
    }

    #[test]
    fn the_file_is_taken_up_again_and_mended_where_it_was_cut() {
        let store = log(1500);
        let folder = tempfile::tempdir().expect("a folder");
        let (mut file, mut hashes) = TileFile::open(folder.path()).expect("open");
        hashes.extend(&store, Sequence(600), || true).expect("read");
        file.append(&hashes).expect("write");
        let path = folder.path().join("tiles");
        // A write that a crash cut short.
        OpenOptions::new().append(true).open(&path).expect("open").write_all(&[1; 40]).expect("write");
        let (mut file, mut again) = TileFile::open(folder.path()).expect("open");
        assert_eq!(again.tiles(), 3);
        assert_ne!(again, hashes);
        file.clear().expect("remove");
        again = TileHashes::default();
        again.extend(&store, Sequence(1500), || true).expect("read");
        file.append(&again).expect("write");
        let (_, read) = TileFile::open(folder.path()).expect("open");
        assert_eq!(read, again);
        let mut reader = TileReader::new(&read, &store);
        assert_ne!(proof::root(&mut reader, 1500).expect("read"), Root::EMPTY);
    }
}
