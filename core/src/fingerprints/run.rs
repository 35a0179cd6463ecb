//! A run: a file of entries sorted by fingerprint, written once and never changed.
//!
//! Blocks of 4096 bytes: a header, then the data, each block with up to 127 entries, its number and a checksum; then
//! the first fingerprint of every block and the filter, each with a checksum in the header. Those two are in
//! memory, so a lookup that the filter lets through is one read of one block.
//!
//! Invariants: fingerprints ascend strictly; the header is written last; no block is believed whose checksum or
//! number differs. A run knows nothing of other runs, nor whether it is durable before it is told to be.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0..12 | `slapseen`, format |
//! | 12..28 | first and last of the span |
//! | 28..52 | entries, data blocks, filter blocks |
//! | 52..60 | checksums of the first fingerprints and of the filter |
//! | 4092.. | checksum |
//!
//! An entry: fingerprint (16), sequence (8), content (8). A block ends with its number (8), count (4), zeros and
//! checksum (4). All numbers are big-endian, checksums CRC-32 of what they follow.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

use super::filter::{self, IdentityFilter};
use super::{Fingerprint, FingerprintFault, KnownUsage};
use crate::domain::id::Sequence;

const BLOCK_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 32;
const ENTRIES_PER_BLOCK: usize = 127;
const NUMBER_AT: usize = ENTRIES_PER_BLOCK * ENTRY_BYTES;
const COUNT_AT: usize = NUMBER_AT + 8;
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;
const MARK: [u8; 8] = *b"slapseen";
const FORMAT: u32 = 1;
const BUFFER_BYTES: usize = 64 * BLOCK_BYTES;

type RunBlock = [u8; BLOCK_BYTES];

/// Which of the tables of recent identities a run holds, counted from the first ever: one, or after a merge several
/// that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct RunSpan {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl RunSpan {
    pub(super) fn file_name(self) -> String {
        format!("run-{}-{}.seen", self.first, self.last)
    }
}

/// The spans of all runs in a folder, finished or not.
pub(super) fn spans(dir: &Path) -> Result<Vec<RunSpan>, FingerprintFault> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_fault("list", dir))?,
    };
    let mut spans = Vec::new();
    for entry in entries {
        let name = entry.map_err(io_fault("list", dir))?.file_name();
        let numbers =
            name.to_str().and_then(|name| name.strip_prefix("run-")?.strip_suffix(".seen")?.split_once('-'));
        if let Some((first, last)) = numbers
            && let (Ok(first), Ok(last)) = (first.parse(), last.parse())
        {
            spans.push(RunSpan { first, last });
        }
    }
    Ok(spans)
}

/// An open run.
#[derive(Debug)]
pub(super) struct SortedRun {
    pub(super) span: RunSpan,
    pub(super) entries: u64,
    path: PathBuf,
    file: File,
    /// The first fingerprint of each block.
    firsts: Vec<Fingerprint>,
    filter: IdentityFilter,
}

impl SortedRun {
    /// Opens a finished run. Reads its header, first fingerprints and filter, not its entries.
    pub(super) fn open(dir: &Path, span: RunSpan) -> Result<Self, FingerprintFault> {
        let path = dir.join(span.file_name());
        let file = File::open(&path).map_err(io_fault("open", &path))?;
        let mut block = [0; BLOCK_BYTES];
        file.read_exact_at(&mut block, 0).map_err(io_fault("read", &path))?;
        let damaged = |what| FingerprintFault::Damaged { path: path.clone(), what };
        let header =
            RunHeader::decode(&block).filter(|header| header.span == span).ok_or(damaged("its header"))?;

        let mut rest = BufReader::with_capacity(BUFFER_BYTES, &file);
        let at = SeekFrom::Start((header.blocks + 1) * BLOCK_BYTES as u64);
        rest.seek(at).map_err(io_fault("read", &path))?;
        let mut rest = Checked { from: rest, checksum: crc32fast::Hasher::new() };
        let mut firsts = Vec::new();
        for _ in 0..header.blocks {
            let first = rest.take().map_err(io_fault("read", &path))?;
            firsts.push(u128::from_be_bytes(first));
        }
        if rest.checksum() != header.firsts_checksum {
            return Err(damaged("its first fingerprints"));
        }
        let filter =
            IdentityFilter::read(header.filter_blocks, || rest.take()).map_err(io_fault("read", &path))?;
        if rest.checksum() != header.filter_checksum {
            return Err(damaged("its filter"));
        }
        drop(rest);
        Ok(Self { span, entries: header.entries, path, file, firsts, filter })
    }

    /// Whether [`SortedRun::find`] is worth its read: true for all it holds, and for few others.
    #[inline]
    pub(super) fn may_hold(&self, fingerprint: Fingerprint) -> bool {
        self.filter.may_hold(fingerprint)
    }

    /// What it holds under a fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint) -> Result<Option<KnownUsage>, FingerprintFault> {
        let after = self.firsts.partition_point(|first| *first <= fingerprint);
        let Some(number) = after.checked_sub(1) else { return Ok(None) };
        let mut block = [0; BLOCK_BYTES];
        let at = (number as u64 + 1) * BLOCK_BYTES as u64;
        self.file.read_exact_at(&mut block, at).map_err(io_fault("read", &self.path))?;
        let entries = check_block(&block, number as u64).ok_or_else(|| self.damaged_block())?;
        let found = entries.binary_search_by_key(&fingerprint, fingerprint_of);
        Ok(found.ok().map(|found| decode(&entries[found]).1))
    }

    /// Reads every entry, and gives how many there are: as many as were promised.
    pub(super) fn verify(&self, promised: u64) -> Result<u64, FingerprintFault> {
        let (mut read, mut found) = (self.read()?, 0);
        while read.next()?.is_some() {
            found += 1;
        }
        let path = || self.path.clone();
        if found == promised {
            Ok(found)
        } else {
            Err(FingerprintFault::Damaged { path: path(), what: "its number of entries" })
        }
    }

    /// All entries in order. Their checksums are tested on the way.
    pub(super) fn read(&self) -> Result<Entries<'_>, FingerprintFault> {
        // A handle of its own, because reading moves it.
        let mut file = File::open(&self.path).map_err(io_fault("open", &self.path))?;
        file.seek(SeekFrom::Start(BLOCK_BYTES as u64)).map_err(io_fault("read", &self.path))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Entries { run: self, file, block: Box::new([0; BLOCK_BYTES]), count: 0, next: 0, number: 0 })
    }

    pub(super) fn sync(&self) -> Result<(), FingerprintFault> {
        self.file.sync_all().map_err(io_fault("sync", &self.path))
    }

    fn damaged_block(&self) -> FingerprintFault {
        FingerprintFault::Damaged { path: self.path.clone(), what: "one of its blocks" }
    }
}

/// Goes through a run in order.
pub(super) struct Entries<'a> {
    run: &'a SortedRun,
    file: BufReader<File>,
    block: Box<RunBlock>,
    count: usize,
    next: usize,
    number: u64,
}

impl Entries<'_> {
    pub(super) fn next(&mut self) -> Result<Option<(Fingerprint, KnownUsage)>, FingerprintFault> {
        if self.next == self.count {
            if self.number == self.run.firsts.len() as u64 {
                return Ok(None);
            }
            self.file.read_exact(&mut *self.block).map_err(io_fault("read", &self.run.path))?;
            let entries = check_block(&self.block, self.number).ok_or_else(|| self.run.damaged_block())?;
            (self.count, self.next) = (entries.len(), 0);
            self.number += 1;
        }
        let entry = &self.block.as_chunks().0[self.next];
        self.next += 1;
        Ok(Some(decode(entry)))
    }
}

/// Writes a run, entry by entry.
pub(super) struct RunWriter {
    path: PathBuf,
    span: RunSpan,
    file: BufWriter<File>,
    block: Box<RunBlock>,
    count: usize,
    entries: u64,
    firsts: Vec<Fingerprint>,
    filter: IdentityFilter,
}

impl RunWriter {
    pub(super) fn create(dir: &Path, span: RunSpan, at_most: u64) -> Result<Self, FingerprintFault> {
        let path = dir.join(span.file_name());
        let created = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, created.map_err(io_fault("create", &path))?);
        file.write_all(&[0; BLOCK_BYTES]).map_err(io_fault("write", &path))?;
        let blocks = at_most.div_ceil(ENTRIES_PER_BLOCK as u64);
        Ok(Self {
            path,
            span,
            file,
            block: Box::new([0; BLOCK_BYTES]),
            count: 0,
            entries: 0,
            firsts: Vec::with_capacity(usize::try_from(blocks).expect("an index of blocks fits in memory")),
            filter: IdentityFilter::for_entries(at_most),
        })
    }

    /// The next entry; its fingerprint is above all before it.
    pub(super) fn push(
        &mut self,
        fingerprint: Fingerprint,
        seen: KnownUsage,
    ) -> Result<(), FingerprintFault> {
        if self.count == 0 {
            self.firsts.push(fingerprint);
        }
        self.filter.add(fingerprint);
        let entry = &mut self.block[self.count * ENTRY_BYTES..][..ENTRY_BYTES];
        entry[..16].copy_from_slice(&fingerprint.to_be_bytes());
        entry[16..24].copy_from_slice(&seen.sequence.0.to_be_bytes());
        entry[24..].copy_from_slice(&seen.content.to_be_bytes());
        self.count += 1;
        self.entries += 1;
        if self.count == ENTRIES_PER_BLOCK { self.end_block() } else { Ok(()) }
    }

    /// Waits until what was written so far is on disk, so that a long merge does not leave the system with much to
    /// write when somebody else waits for a sync.
    pub(super) fn settle(&mut self) -> Result<(), FingerprintFault> {
        self.file.flush().map_err(io_fault("write", &self.path))?;
        self.file.get_ref().sync_data().map_err(io_fault("sync", &self.path))
    }

    /// The finished run; not durable yet.
    pub(super) fn finish(mut self) -> Result<SortedRun, FingerprintFault> {
        if self.count > 0 {
            self.end_block()?;
        }
        let Self { path, span, mut file, entries, firsts, filter, .. } = self;
        let firsts_bytes = firsts.iter().map(|first| first.to_be_bytes());
        let firsts_checksum = write_all(&mut file, firsts_bytes).map_err(io_fault("write", &path))?;
        let filter_checksum = write_all(&mut file, filter.bytes()).map_err(io_fault("write", &path))?;
        let file = file.into_inner().map_err(|error| io_fault("write", &path)(error.into_error()))?;
        let header = RunHeader {
            span,
            entries,
            blocks: firsts.len() as u64,
            filter_blocks: (filter.size() / filter::BLOCK_BYTES) as u64,
            firsts_checksum,
            filter_checksum,
        };
        file.write_all_at(&header.encode(), 0).map_err(io_fault("write", &path))?;
        Ok(SortedRun { span, entries, path, file, firsts, filter })
    }

    fn end_block(&mut self) -> Result<(), FingerprintFault> {
        self.block[self.count * ENTRY_BYTES..].fill(0);
        let number = self.firsts.len() as u64 - 1;
        let count = u32::try_from(self.count).expect("a block has few entries");
        self.block[NUMBER_AT..COUNT_AT].copy_from_slice(&number.to_be_bytes());
        self.block[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
        put_checksum(&mut self.block);
        self.count = 0;
        self.file.write_all(&*self.block).map_err(io_fault("write", &self.path))
    }
}

/// Writes these entries, whose fingerprints ascend, as a run; not durable yet.
pub(super) fn write(
    dir: &Path,
    span: RunSpan,
    sorted: &[(Fingerprint, KnownUsage)],
) -> Result<SortedRun, FingerprintFault> {
    let mut writer = RunWriter::create(dir, span, sorted.len() as u64)?;
    for (fingerprint, seen) in sorted {
        writer.push(*fingerprint, *seen)?;
    }
    writer.finish()
}

/// Removes what was written of a run that did not come to its end, so that it takes no room.
pub(super) fn remove(dir: &Path, span: RunSpan) {
    let path = dir.join(span.file_name());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished run");
        }
        _ => {}
    }
}

/// Writes parts and gives their checksum.
fn write_all<const N: usize>(to: &mut impl Write, parts: impl Iterator<Item = [u8; N]>) -> io::Result<u32> {
    let mut checksum = crc32fast::Hasher::new();
    for part in parts {
        checksum.update(&part);
        to.write_all(&part)?;
    }
    Ok(checksum.finalize())
}

/// Reads parts and remembers their checksum.
struct Checked<R> {
    from: R,
    checksum: crc32fast::Hasher,
}

impl<R: Read> Checked<R> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    /// Of all parts since it was asked before.
    fn checksum(&mut self) -> u32 {
        std::mem::take(&mut self.checksum).finalize()
    }
}

struct RunHeader {
    span: RunSpan,
    entries: u64,
    blocks: u64,
    filter_blocks: u64,
    firsts_checksum: u32,
    filter_checksum: u32,
}

impl RunHeader {
    fn encode(&self) -> RunBlock {
        let mut block = [0; BLOCK_BYTES];
        let mut rest = &mut block[..];
        let mut put = |bytes: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            rest = after;
        };
        put(&MARK);
        put(&FORMAT.to_be_bytes());
        for number in [self.span.first, self.span.last, self.entries, self.blocks, self.filter_blocks] {
            put(&number.to_be_bytes());
        }
        put(&self.firsts_checksum.to_be_bytes());
        put(&self.filter_checksum.to_be_bytes());
        put_checksum(&mut block);
        block
    }

    fn decode(block: &RunBlock) -> Option<Self> {
        if !checksum_holds(block) || part(block, 0) != MARK || u32::from_be_bytes(part(block, 8)) != FORMAT {
            return None;
        }
        let number = |at| u64::from_be_bytes(part(block, at));
        Some(Self {
            span: RunSpan { first: number(12), last: number(20) },
            entries: number(28),
            blocks: number(36),
            filter_blocks: number(44),
            firsts_checksum: u32::from_be_bytes(part(block, 52)),
            filter_checksum: u32::from_be_bytes(part(block, 56)),
        })
    }
}

/// The entries of a block that is whole and where it belongs.
fn check_block(block: &RunBlock, number: u64) -> Option<&[[u8; ENTRY_BYTES]]> {
    let here = checksum_holds(block) && u64::from_be_bytes(part(block, NUMBER_AT)) == number;
    let count = usize::try_from(u32::from_be_bytes(part(block, COUNT_AT))).ok()?;
    block[..NUMBER_AT].as_chunks().0.get(..count).filter(|_| here)
}

fn put_checksum(block: &mut RunBlock) {
    let checksum = crc32fast::hash(&block[..CHECKSUM_AT]);
    block[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
}

fn checksum_holds(block: &RunBlock) -> bool {
    u32::from_be_bytes(part(block, CHECKSUM_AT)) == crc32fast::hash(&block[..CHECKSUM_AT])
}

fn fingerprint_of(entry: &[u8; ENTRY_BYTES]) -> Fingerprint {
    u128::from_be_bytes(part(entry, 0))
}

fn decode(entry: &[u8; ENTRY_BYTES]) -> (Fingerprint, KnownUsage) {
    let sequence = Sequence(u64::from_be_bytes(part(entry, 16)));
    (fingerprint_of(entry), KnownUsage { sequence, content: u64::from_be_bytes(part(entry, 24)) })
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

pub(super) fn io_fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FingerprintFault {
    let path = path.to_owned();
    move |source| FingerprintFault::Io { action, path, source }
}
