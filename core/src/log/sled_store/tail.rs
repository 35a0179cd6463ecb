//! The tail: a plain file of the frames of an epoch that is not sealed, and what makes them durable.
//!
//! A record is what one append makes durable: a header, then frames. The file is filled with zeros ahead of the
//! records, so that writing one changes neither its length nor where it lies on the disk: one `fdatasync` of the data
//! is all it takes. A file whose epoch is sealed serves a later epoch, over the old bytes; the header of a record names
//! its epoch, so nobody takes an old record for a new one.
//!
//! Invariants: records follow each other without gaps and continue the tree of the epoch before; what was written is
//! never written again while its epoch is not sealed; reading changes nothing. A read error is a fault, never the end.
//! A record that is not whole is the end only if no later record of the epoch follows it: else it is damage.
//!
//! It does not know what was acknowledged: anyone who opens it compares its end with the witnesses.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::epoch::damaged;
use super::folder::EpochPlace;
use super::folder::{self, io_fault};
use crate::domain::id::Sequence;
use crate::log::frame::Frame;
use crate::log::merkle::{Root, Tree};
use crate::log::store::StoreFault;

/// What the file begins with; the last byte is the version of its format.
const MARK: [u8; 8] = *b"slaptl\x00\x01";
/// The header of the file.
const HEADER_BYTES: usize = 64;
/// What a record begins with.
const RECORD_MARK: [u8; 4] = *b"slrc";
/// The header of a record: mark, epoch, first sequence, length, checksum.
const RECORD_HEADER_BYTES: usize = 24;
const RECORD_CHECKSUM_AT: usize = 20;

/// How much is filled with zeros at a time, and how much is ready at least.
const FILL_BYTES: u64 = 4 * 1024 * 1024;
/// Written at a time, so that the next append does not wait for much.
pub(super) const FILL_PIECE: usize = 1024 * 1024;
/// How much of the file is read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Tail {
    place: EpochPlace,
    root_before: Root,
    path: PathBuf,
    file: File,
    index: RwLock<Index>,
    /// Up to here the file has bytes on the disk.
    filled: AtomicU64,
    filling: Mutex<()>,
    /// The tree at its end, since no more is appended.
    tree_after: OnceLock<Tree>,
}

/// Where the frames are.
#[derive(Debug, Default)]
struct Index {
    slots: Vec<TailSlot>,
    /// Where the next record begins.
    end: u64,
    /// The last sequence, or the one before the first.
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct TailSlot {
    first: u64,
    at: u64,
    bytes: u32,
}

/// A record as read back.
#[derive(Debug)]
struct Record {
    frames: Vec<Frame>,
    /// Where each frame begins in the file.
    places: Vec<u64>,
    /// Where the next record begins.
    end: u64,
}

/// What stands where a record could begin.
enum FoundRecord {
    Record(Record),
    /// Nothing of this epoch, or something that is not whole: why.
    Nothing(String),
}

/// How a tail ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TailEnd {
    /// Where the next record begins.
    pub(super) at: u64,
    /// What stands there instead of a record.
    pub(super) cause: String,
}

impl Tail {
    /// Makes a tail for an epoch, durably, from a spare file if there is one.
    pub(super) fn create(dir: &Path, place: EpochPlace, root_before: Root) -> Result<Self, StoreFault> {
        let path = folder::tail_path(dir, place.number);
        let mut tail = Self::create_unfinished(dir, place, root_before)?;
        folder::rename(&tail.path, &path)?;
        tail.path = path;
        Ok(tail)
    }

    /// The same under an unfinished name, for anyone who fills it before it counts: see [`publish`](Self::publish).
    pub(super) fn create_unfinished(
        dir: &Path,
        place: EpochPlace,
        root_before: Root,
    ) -> Result<Self, StoreFault> {
        let new = folder::unfinished(&folder::tail_path(dir, place.number));
        let spare = folder::spare_path(dir);
        folder::remove(&new)?;
        if spare.exists() {
            std::fs::rename(&spare, &new).map_err(io_fault("rename", &spare))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&new)
            .map_err(io_fault("create", &new))?;
        let length = file.metadata().map_err(io_fault("look at", &new))?.len();
        let index = Index { slots: Vec::new(), end: HEADER_BYTES as u64, last: place.first.0 - 1 };
        let tail = Self {
            place,
            root_before,
            path: new,
            file,
            index: RwLock::new(index),
            filled: AtomicU64::new(length),
            filling: Mutex::default(),
            tree_after: OnceLock::new(),
        };
        tail.fill_to(FILL_BYTES)?;
        tail.file.write_all_at(&encode_header(place, root_before), 0).map_err(tail.fault("write"))?;
        tail.file.sync_all().map_err(tail.fault("sync"))?;
        Ok(tail)
    }

    /// Gives a tail that was made under an unfinished name its own.
    pub(super) fn publish(self, dir: &Path) -> Result<(), StoreFault> {
        self.sync()?;
        folder::rename(&self.path, &folder::tail_path(dir, self.place.number))
    }

    /// Opens the tail of an epoch; its records are read by [`scan`](Self::scan).
    pub(super) fn open(dir: &Path, epoch: u32, to_write: bool) -> Result<Self, StoreFault> {
        let path = folder::tail_path(dir, epoch);
        let file = File::options().read(true).write(to_write).open(&path).map_err(io_fault("open", &path))?;
        let length = file.metadata().map_err(io_fault("look at", &path))?.len();
        let mut header = [0; HEADER_BYTES];
        let damaged = |cause: &str| StoreFault::DamagedFile { path: path.clone(), cause: cause.into() };
        match file.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("it ends within its header"));
            }
            read => read.map_err(io_fault("read", &path))?,
        }
        if header[..7] == MARK[..7] && header[7] > MARK[7] {
            return Err(StoreFault::NewerFile { path, version: header[7].into() });
        }
        let (place, root_before) =
            decode_header(&header).ok_or_else(|| damaged("the checksum of its header is wrong"))?;
        if place.number != epoch {
            return Err(damaged("its header names another epoch"));
        }
        let index =
            Index { slots: Vec::new(), end: HEADER_BYTES as u64, last: place.first.0.saturating_sub(1) };
        Ok(Self {
            place,
            root_before,
            path,
            file,
            index: RwLock::new(index),
            filled: AtomicU64::new(length),
            filling: Mutex::default(),
            tree_after: OnceLock::new(),
        })
    }

    pub(super) fn place(&self) -> EpochPlace {
        self.place
    }

    /// The root of the tree before the first event of the epoch.
    pub(super) fn root_before(&self) -> Root {
        self.root_before
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last sequence in it, or the one before its first.
    pub(super) fn last(&self) -> Sequence {
        Sequence(self.index.read().last)
    }

    /// Whether it holds no record.
    pub(super) fn is_empty(&self) -> bool {
        self.index.read().slots.is_empty()
    }

    /// Up to where it holds records, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.index.read().end
    }

    /// Up to where it holds records with events up to this one, in bytes.
    pub(super) fn end_after(&self, last: Sequence) -> u64 {
        let index = self.index.read();
        let at = index.slots.partition_point(|slot| slot.first <= last.0);
        // What became durable together begins with a record.
        index.slots.get(at).map_or(index.end, |slot| slot.at - RECORD_HEADER_BYTES as u64)
    }

    /// How many bytes of records there are from the frame with this sequence on.
    pub(super) fn bytes_from(&self, sequence: Sequence) -> u64 {
        let index = self.index.read();
        let at = index.slots.partition_point(|slot| slot.first < sequence.0);
        index.slots.get(at).map_or(0, |slot| index.end - slot.at)
    }

    /// Says that nothing more is appended, and with which tree the epoch ends.
    pub(super) fn end_with(&self, tree: Tree) {
        // Once: what ends twice ended the same way.
        let _ = self.tree_after.set(tree);
    }

    /// The tree at the end of the epoch, once nothing more is appended.
    pub(super) fn tree_after(&self) -> Option<&Tree> {
        self.tree_after.get()
    }

    /// Reads all records to the end, hands over the frames of each, and remembers where they are. To be called once,
    /// before anything is appended.
    pub(super) fn scan(
        &self,
        visit: impl FnMut(Vec<Frame>) -> Result<(), StoreFault>,
    ) -> Result<TailEnd, StoreFault> {
        let end = self.scan_live(visit)?;
        match self.later_record(end.at)? {
            None => Ok(end),
            Some((later, sequence)) => Err(StoreFault::DamagedRecord {
                path: self.path.clone(),
                at: end.at,
                epoch: self.place.number,
                sequence: self.last().next(),
                cause: format!(
                    "{}, and the record of sequence {sequence} follows at byte {later}; a copy of the folder of a \
                     running server has to be made with `slapledger backup`",
                    end.cause
                ),
            }),
        }
    }

    /// The same of a tail that somebody may be appending to. Whether a later record follows is not looked at: it may
    /// have been written since.
    pub(super) fn scan_live(
        &self,
        mut visit: impl FnMut(Vec<Frame>) -> Result<(), StoreFault>,
    ) -> Result<TailEnd, StoreFault> {
        let mut reader = Window::new(&self.file);
        loop {
            let (at, expected) = {
                let index = self.index.read();
                (index.end, Sequence(index.last).next())
            };
            match self.record_at(&mut reader, at, expected)? {
                FoundRecord::Record(record) => {
                    self.index.write().add(&record);
                    visit(record.frames)?;
                }
                FoundRecord::Nothing(cause) => return Ok(TailEnd { at, cause }),
            }
        }
    }

    fn record_at(
        &self,
        reader: &mut Window<'_>,
        at: u64,
        expected: Sequence,
    ) -> Result<FoundRecord, StoreFault> {
        let nothing = |cause: &str| Ok(FoundRecord::Nothing(cause.to_owned()));
        let read = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let Some(header) = read(reader.bytes(at, RECORD_HEADER_BYTES).map_err(self.fault("read"))?) else {
            return nothing("the file ends");
        };
        if header.iter().all(|byte| *byte == 0) {
            return nothing("nothing was written there");
        }
        let Some((epoch, first, length)) = decode_record_header(&header) else {
            return nothing("no record begins there");
        };
        if epoch != self.place.number {
            return nothing("a record of an earlier epoch is there");
        }
        let body_at = at + RECORD_HEADER_BYTES as u64;
        let Some(body) = reader.bytes(body_at, length as usize).map_err(self.fault("read"))? else {
            return nothing("the file ends within a record");
        };
        if checksum(&header, body) != header[RECORD_CHECKSUM_AT..] {
            return nothing("the checksum of the record is wrong");
        }
        // From here on the record is as it was written: what does not fit is damage, or a bug.
        let wrong = |cause: String| StoreFault::DamagedRecord {
            path: self.path.clone(),
            at,
            epoch: self.place.number,
            sequence: expected,
            cause,
        };
        if first != expected.0 {
            return Err(wrong(format!("the record there begins with sequence {first}")));
        }
        let (mut frames, mut places) = (Vec::new(), Vec::new());
        let (mut rest, mut frame_at, mut next) = (body, body_at, expected);
        while !rest.is_empty() {
            let length = Frame::stored_length(rest).unwrap_or(rest.len()).min(rest.len());
            let (bytes, after) = rest.split_at(length);
            let frame = Frame::parse(bytes.to_vec()).map_err(|source| damaged(epoch, next, source))?;
            if frame.first() != next {
                return Err(StoreFault::Gap { epoch, expected: next, found: Some(frame.first()) });
            }
            next = frame.last().next();
            places.push(frame_at);
            frame_at += bytes.len() as u64;
            frames.push(frame);
            rest = after;
        }
        Ok(FoundRecord::Record(Record { frames, places, end: frame_at }))
    }

    /// The first whole record of this epoch after `at`, and its first sequence.
    fn later_record(&self, at: u64) -> Result<Option<(u64, Sequence)>, StoreFault> {
        let begins = [RECORD_MARK.as_slice(), &self.place.number.to_be_bytes()].concat();
        let finder = memchr::memmem::Finder::new(&begins);
        let mut piece = vec![0; 4 * READ_BYTES];
        let mut from = at + 1;
        loop {
            let read = read_up_to(&self.file, &mut piece, from).map_err(self.fault("read"))?;
            for found in finder.find_iter(&piece[..read]) {
                let at = from + found as u64;
                if let Some(first) = self.whole_record_at(at)? {
                    return Ok(Some((at, first)));
                }
            }
            if read < piece.len() {
                return Ok(None);
            }
            from += (read - begins.len() + 1) as u64;
        }
    }

    fn whole_record_at(&self, at: u64) -> Result<Option<Sequence>, StoreFault> {
        let mut header = [0; RECORD_HEADER_BYTES];
        if read_up_to(&self.file, &mut header, at).map_err(self.fault("read"))? < header.len() {
            return Ok(None);
        }
        let Some((_, first, length)) = decode_record_header(&header) else { return Ok(None) };
        let left = self.filled.load(Ordering::Relaxed).saturating_sub(at + RECORD_HEADER_BYTES as u64);
        if u64::from(length) > left {
            return Ok(None);
        }
        let mut body = vec![0; length as usize];
        let read = read_up_to(&self.file, &mut body, at + RECORD_HEADER_BYTES as u64);
        let is_whole = read.map_err(self.fault("read"))? == body.len()
            && checksum(&header, &body) == header[RECORD_CHECKSUM_AT..];
        Ok(is_whole.then_some(Sequence(first)))
    }

    /// Makes frames durable, all or none. `buffer` is only there to be used again.
    pub(super) fn append(&self, frames: &[Frame], buffer: &mut Vec<u8>) -> Result<(), StoreFault> {
        let Some(first) = frames.first().map(Frame::first) else { return Ok(()) };
        let at = self.index.read().end;
        let record = write_record(self.place.number, first, at, frames, buffer)
            .ok_or_else(|| self.fault("write")(io::Error::from(io::ErrorKind::FileTooLarge)))?;
        if record.end > self.filled.load(Ordering::Acquire) {
            self.fill_to(record.end)?;
        }
        self.file.write_all_at(buffer, at).map_err(self.fault("write"))?;
        self.sync()?;
        self.index.write().add(&record);
        Ok(())
    }

    /// Makes what is in the file durable.
    pub(super) fn sync(&self) -> Result<(), StoreFault> {
        self.file.sync_data().map_err(self.fault("sync"))
    }

    /// Fills ahead if little is left of what is filled: as much again, because a file that grows often makes appends
    /// wait for the journal of the file system, but no more than a `whole` tail takes.
    pub(super) fn fill_ahead(&self, whole: u64) -> Result<(), StoreFault> {
        let (filled, end) = (self.filled.load(Ordering::Acquire), self.end());
        let enough = if filled < whole { FILL_BYTES.max(filled / 4) } else { FILL_BYTES };
        if filled.saturating_sub(end) >= enough {
            return Ok(());
        }
        self.fill_to((2 * filled).min(whole).max(end + 2 * FILL_BYTES))
    }

    /// Sees to it that the file has bytes on the disk up to here.
    fn fill_to(&self, to: u64) -> Result<(), StoreFault> {
        let _alone = self.filling.lock();
        let zeros = vec![0; FILL_PIECE];
        let mut filled = self.filled.load(Ordering::Acquire);
        while filled < to {
            self.file.write_all_at(&zeros, filled).map_err(self.fault("write"))?;
            self.file.sync_data().map_err(self.fault("sync"))?;
            filled += FILL_PIECE as u64;
            self.filled.store(filled, Ordering::Release);
        }
        Ok(())
    }

    /// Frames from the one that holds `from` on, none that ends after `last`: `max_bytes` of them, but at least one.
    pub(super) fn read(
        &self,
        from: Sequence,
        last: Sequence,
        max_bytes: usize,
    ) -> Result<Vec<Frame>, StoreFault> {
        let epoch = self.place.number;
        let slots: Vec<TailSlot> = {
            let index = self.index.read();
            let at = index.slots.partition_point(|slot| slot.first <= from.0).saturating_sub(1);
            let mut bytes = 0;
            let fits = |slot: &&TailSlot| {
                let is_first = bytes == 0;
                bytes += slot.bytes as usize;
                slot.first <= last.0 && (is_first || bytes <= max_bytes)
            };
            index.slots[at..].iter().take_while(fits).copied().collect()
        };
        let mut frames = Vec::with_capacity(slots.len());
        for slot in slots {
            let mut bytes = vec![0; slot.bytes as usize];
            self.file.read_exact_at(&mut bytes, slot.at).map_err(self.fault("read"))?;
            let frame = Frame::parse(bytes).map_err(|source| damaged(epoch, Sequence(slot.first), source))?;
            if frame.first().0 != slot.first {
                return Err(StoreFault::Gap {
                    epoch,
                    expected: Sequence(slot.first),
                    found: Some(frame.first()),
                });
            }
            if frame.last() > last {
                break;
            }
            frames.push(frame);
        }
        if frames.first().is_none_or(|frame| frame.first() > from || frame.last() < from) {
            return Err(StoreFault::Gap { epoch, expected: from, found: frames.first().map(Frame::first) });
        }
        Ok(frames)
    }

    fn fault(&self, action: &'static str) -> impl FnOnce(io::Error) -> StoreFault + use<> {
        io_fault(action, &self.path)
    }
}

impl Index {
    fn add(&mut self, record: &Record) {
        for (frame, at) in record.frames.iter().zip(&record.places) {
            let bytes = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
            self.slots.push(TailSlot { first: frame.first().0, at: *at, bytes });
            self.last = frame.last().0;
        }
        self.end = record.end;
    }
}

/// Writes a record into the buffer, in place of what is there. `None` if it is too long for one.
fn write_record(
    epoch: u32,
    first: Sequence,
    at: u64,
    frames: &[Frame],
    buffer: &mut Vec<u8>,
) -> Option<Record> {
    let length: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
    buffer.clear();
    buffer.extend_from_slice(&RECORD_MARK);
    buffer.extend_from_slice(&epoch.to_be_bytes());
    buffer.extend_from_slice(&first.0.to_be_bytes());
    buffer.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    buffer.resize(RECORD_HEADER_BYTES, 0);
    let mut places = Vec::with_capacity(frames.len());
    for frame in frames {
        places.push(at + buffer.len() as u64);
        buffer.extend_from_slice(frame.bytes());
    }
    let (header, body) = buffer.split_at(RECORD_HEADER_BYTES);
    let checksum = checksum(header, body);
    buffer[RECORD_CHECKSUM_AT..RECORD_HEADER_BYTES].copy_from_slice(&checksum);
    let end = at + buffer.len() as u64;
    Some(Record { frames: frames.to_vec(), places, end })
}

/// Over the header up to the checksum, then the body.
fn checksum(header: &[u8], body: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..RECORD_CHECKSUM_AT]);
    hasher.update(body);
    hasher.finalize().to_be_bytes()
}

/// Epoch, first sequence, length.
fn decode_record_header(header: &[u8]) -> Option<(u32, u64, u32)> {
    let (mark, rest) = header.split_first_chunk::<4>()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    (*mark == RECORD_MARK)
        .then(|| (u32::from_be_bytes(*epoch), u64::from_be_bytes(*first), u32::from_be_bytes(*length)))
}

fn encode_header(place: EpochPlace, root_before: Root) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MARK);
    bytes[8..12].copy_from_slice(&place.number.to_be_bytes());
    bytes[12..20].copy_from_slice(&place.first.0.to_be_bytes());
    bytes[20..52].copy_from_slice(&root_before.0);
    let checksum = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode_header(bytes: &[u8; HEADER_BYTES]) -> Option<(EpochPlace, Root)> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if u32::from_be_bytes(*checksum) != crc32fast::hash(body) {
        return None;
    }
    let (mark, rest) = body.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (root, _) = rest.split_first_chunk()?;
    let place =
        EpochPlace { number: u32::from_be_bytes(*number), first: Sequence(u64::from_be_bytes(*first)) };
    (*mark == MARK && place.first > Sequence::ZERO).then_some((place, Root(*root)))
}

/// A file read forwards in large pieces, with `pread`.
struct Window<'a> {
    file: &'a File,
    piece: Vec<u8>,
    from: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, piece: Vec::new(), from: 0 }
    }

    /// Bytes of the file; `None` if it ends before.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let is_here = at >= self.from && at + length as u64 <= self.from + self.piece.len() as u64;
        if !is_here {
            // A damaged length is no reason to ask for memory: no more than the file has.
            let left = usize::try_from(self.file.metadata()?.len().saturating_sub(at)).unwrap_or(usize::MAX);
            if length > left {
                return Ok(None);
            }
            self.piece.resize(length.max(READ_BYTES).min(left), 0);
            let read = read_up_to(self.file, &mut self.piece, at)?;
            self.piece.truncate(read);
            self.from = at;
        }
        let start = usize::try_from(at - self.from).unwrap_or(usize::MAX);
        Ok(self.piece.get(start..start + length))
    }
}

/// Fills the buffer, or what the file has.
fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
