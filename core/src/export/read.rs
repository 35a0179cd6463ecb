//! Reading an export: every event is hashed, and at the end the root must be the one that the file names.

use std::io::{ErrorKind, Read};

use super::{END, EVENT, ExportFault, ExportRange, HIDDEN, MAGIC, MAX_NOTE_BYTES, io};
use crate::domain::id::{ProjectId, Sequence};
use crate::log::merkle::{Root, Tree};

/// The bytes of a header after the magic, without the frontier.
const HEADER_BYTES: usize = 56;

/// What is wrong with a file that ends in the middle.
const CUT_SHORT: &str = "the file ends in the middle: copy or write it again";

/// The fault of reading on after an event.
fn cut_short(after: Sequence) -> impl Fn(std::io::Error) -> ExportFault {
    move |error| match error.kind() {
        ErrorKind::UnexpectedEof => ExportFault::Damaged { after, cause: CUT_SHORT },
        _ => io("read")(error),
    }
}

/// An export that is being read.
pub struct ExportReader<R: Read> {
    from: zstd::stream::read::Decoder<'static, std::io::BufReader<R>>,
    range: ExportRange,
    root: Root,
    tree: Tree,
    note: Option<Box<str>>,
    ended: bool,
}

/// An event of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedEvent {
    /// Its place in the log.
    pub sequence: Sequence,
    /// As it is stored.
    pub bytes: Vec<u8>,
}

impl<R: Read> ExportReader<R> {
    /// Reads the header.
    pub fn open(from: R) -> Result<Self, ExportFault> {
        let mut from = zstd::stream::read::Decoder::new(from).map_err(io("read"))?;
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(|_| ExportFault::NotAnExport)?;
        let (version, name) = magic.split_last().expect("it has bytes");
        if name != &MAGIC[..MAGIC.len() - 1] {
            return Err(ExportFault::NotAnExport);
        }
        if *version != MAGIC[MAGIC.len() - 1] {
            return Err(ExportFault::Newer { version: *version });
        }
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).map_err(cut_short(Sequence::ZERO))?;
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| header[at + byte]));
        let (after, last, project) = (Sequence(number(0)), Sequence(number(8)), number(16));
        let root = Root(std::array::from_fn(|byte| header[24 + byte]));
        let project = (project > 0).then_some(ProjectId(project));
        let damaged = |cause| ExportFault::Damaged { after, cause };
        if after > last {
            return Err(damaged("it ends before it begins"));
        }
        let mut frontier = vec![[0; 32]; after.0.count_ones() as usize];
        frontier.iter_mut().try_for_each(|hash| from.read_exact(hash)).map_err(cut_short(after))?;
        let tree =
            Tree::from_parts(after.0, frontier).ok_or_else(|| damaged("its frontier is of no tree"))?;
        let range = ExportRange { after, last, project };
        Ok(Self { from, range, root, tree, note: None, ended: false })
    }

    /// What it is of.
    pub fn range(&self) -> ExportRange {
        self.range
    }

    /// The root that it must come to.
    pub fn root(&self) -> Root {
        self.root
    }

    /// How many events the log has up to here.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the log up to here.
    pub fn root_so_far(&self) -> Root {
        self.tree.root()
    }

    /// The signed checkpoint at its end, once it was read; nothing of it is checked.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The next event; none, when all were read and the root is the one that the file names.
    pub fn next_event(&mut self) -> Result<Option<ExportedEvent>, ExportFault> {
        while !self.ended {
            let [tag] = self.take()?;
            match tag {
                EVENT => {
                    let length = u16::from_be_bytes(self.take()?);
                    let mut bytes = vec![0; length.into()];
                    self.from.read_exact(&mut bytes).map_err(cut_short(Sequence(self.tree.size())))?;
                    self.room(1)?;
                    self.tree.push(&bytes);
                    return Ok(Some(ExportedEvent { sequence: Sequence(self.tree.size()), bytes }));
                }
                HIDDEN => {
                    let count = u64::from_be_bytes(self.take()?);
                    self.room(count)?;
                    self.skip(count)?;
                }
                END => self.end()?,
                _ => return Err(self.damaged("an unknown tag follows")),
            }
        }
        Ok(None)
    }

    /// Takes events over of which only hashes are there: the largest perfect subtrees that they make up.
    fn skip(&mut self, count: u64) -> Result<(), ExportFault> {
        if self.range.project.is_none() || count == 0 {
            return Err(self.damaged("it hides events without being of one project"));
        }
        let stop = self.tree.size() + count;
        while self.tree.size() < stop {
            let (at, left) = (self.tree.size(), stop - self.tree.size());
            let height = if at == 0 { left.ilog2() } else { at.trailing_zeros().min(left.ilog2()) };
            let hash = self.take()?;
            self.tree.push_subtree(height, hash);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), ExportFault> {
        self.ended = true;
        let ExportRange { last, .. } = self.range;
        if self.tree.size() != last.0 {
            return Err(self.damaged("events are missing at its end"));
        }
        let found = self.tree.root();
        if found != self.root {
            return Err(ExportFault::OtherRoot { last, expected: self.root, found });
        }
        let length = u32::from_be_bytes(self.take()?);
        if length > MAX_NOTE_BYTES {
            return Err(self.damaged("its checkpoint is longer than 64 KiB"));
        }
        let mut note = Vec::new();
        (&mut self.from).take(length.into()).read_to_end(&mut note).map_err(cut_short(last))?;
        if note.len() as u64 != u64::from(length) {
            return Err(self.damaged(CUT_SHORT));
        }
        let note = String::from_utf8(note).map_err(|_| self.damaged("its checkpoint is not text"))?;
        self.note = Some(note).filter(|note| !note.is_empty()).map(Into::into);
        // The checksum of zstd stands after the last byte.
        match self.from.read(&mut [0]).map_err(cut_short(last))? {
            0 => Ok(()),
            _ => Err(self.damaged("bytes follow its end")),
        }
    }

    fn room(&self, count: u64) -> Result<(), ExportFault> {
        let fits = self.tree.size().checked_add(count).is_some_and(|size| size <= self.range.last.0);
        if fits { Ok(()) } else { Err(self.damaged("it has more events than it says")) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ExportFault> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(cut_short(Sequence(self.tree.size())))?;
        Ok(bytes)
    }

    fn damaged(&self, cause: &'static str) -> ExportFault {
        ExportFault::Damaged { after: Sequence(self.tree.size()), cause }
    }
}
