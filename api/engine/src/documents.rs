//! The documents that nodes fetch again and again, as they were last written: every node asks for all of its computer
//! every minute, every recipe in a partition for that partition, and mostly nothing has changed.
//!
//! A document is a function of what the views show and of the key ring. It is kept with the sequence the views stood at
//! and a digest of all that was copied out of them to write it, still sealed. It is given out again if the views stand
//! there yet, or if what they show now has the same digest; whatever a document comes to show is covered, because it
//! can come from nowhere else. Two generations of a view may show other things at the same sequence: documents of one are
//! not given to readers of another.
//!
//! A document holds secrets that were opened. So all of them are forgotten before the destruction of any key is over,
//! one that was written meanwhile is not kept, the memory of a forgotten one is overwritten when the last answer that
//! uses it is sent, and those of a kind take no more than a bound together. Anyone who can read the memory of the
//! process finds the keys of all of them there too.
//!
//! Not here: who may see a document; the caller that asks for one says, of the very views it is taken from.

use std::collections::HashMap;
use std::hash::Hash;

use bincode::Encode;
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::{ComputerId, PartitionId, ProjectId, Sequence};
use slapledger_projections::SlapViews;
use slapledger_projections::runner::ReadFault;
use zeroize::Zeroizing;

use super::views::ProjectView;

/// The most bytes of documents of a kind that are kept.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// The most documents of a kind that are kept.
const MOST_DOCUMENTS: usize = 4096;

/// What a document was written from, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SourceDigest([u8; 32]);

impl SourceDigest {
    /// Of all that was copied out of the views.
    fn of(seen: &impl Encode) -> Self {
        let mut hasher = Sha256::new();
        slapledger_projections::view::put(seen, &mut hasher).expect("a hasher takes everything");
        Self(hasher.finalize().into())
    }
}

/// The documents of computers and of their partitions. Many of the one kind do not push out the other.
#[derive(Default)]
pub struct DocumentCaches {
    /// Those of computers.
    pub computers: DocumentCache<(ProjectId, ComputerId)>,
    /// Those of partitions.
    pub partitions: DocumentCache<(ProjectId, (ComputerId, PartitionId))>,
}

impl DocumentCaches {
    /// Forgets all of them: what they show was erased, or shall be read anew.
    pub fn forget(&self) {
        self.computers.forget();
        self.partitions.forget();
    }
}

/// The documents of one kind, by what they are of.
pub struct DocumentCache<K> {
    kept: Mutex<CacheState<K>>,
}

impl<K> Default for DocumentCache<K> {
    fn default() -> Self {
        Self {
            kept: Mutex::new(CacheState {
                all: HashMap::new(),
                bytes: 0,
                generation: 0,
                forgotten: 0,
                asked: 0,
            }),
        }
    }
}

struct CacheState<K> {
    all: HashMap<K, CachedDocument>,
    bytes: usize,
    /// The generation of the views that they were written from.
    generation: u64,
    /// How often all of them were forgotten.
    forgotten: u64,
    /// How often one was asked for.
    asked: u64,
}

struct CachedDocument {
    text: Bytes,
    source: SourceDigest,
    /// The last event in the views when they were last seen to show this.
    at: Sequence,
    /// When it was last asked for, as the count of that time.
    asked: u64,
}

/// What a look at the views came to.
enum CacheLook<S> {
    Kept(Bytes),
    Anew(S, Sequence),
}

/// The right to keep a document that is written from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Permit {
    forgotten: u64,
    generation: u64,
}

impl<K: Eq + Hash + Clone> DocumentCache<(ProjectId, K)> {
    /// The document of something of a project, as its views show it once they have come to `head`, if in the same look
    /// `may` says that it may be shown: the one that is kept, if it is right; else written from what `find` copies out
    /// of the views, and kept. What is not found has none.
    pub async fn text<S: Encode, E: From<ReadFault>>(
        &self,
        (view, project, head): (ProjectView<'_, SlapViews>, ProjectId, Sequence),
        of: &K,
        may: impl FnOnce(&SlapViews) -> Result<(), E>,
        find: impl FnOnce(&SlapViews) -> Result<S, E>,
        write: impl FnOnce(S) -> Result<String, E>,
    ) -> Result<Bytes, E> {
        let of = &(project, of.clone());
        let permit = self.permit(view.number());
        let look = |view: &SlapViews, at| -> Result<CacheLook<S>, E> {
            may(view)?;
            Ok(match self.look(Some(permit), of, |known| known.at == at) {
                Some(text) => CacheLook::Kept(text),
                None => CacheLook::Anew(find(view)?, at),
            })
        };
        let (seen, at) = match view.read_at(head, look).await?? {
            CacheLook::Kept(text) => return Ok(text),
            CacheLook::Anew(seen, at) => (seen, at),
        };
        let source = SourceDigest::of(&seen);
        if let Some(text) = self.of(Some(permit), of, source, at) {
            return Ok(text);
        }
        Ok(self.keep(permit, of, (source, at), write(seen)?))
    }
}

impl<K: Eq + Hash + Clone> DocumentCache<K> {
    /// The document of something, if the views stand where it was last seen to be right.
    pub fn at(&self, of: &K, at: Sequence) -> Option<Bytes> {
        self.look(None, of, |known| known.at == at)
    }

    /// The document of something, if it is right and of the generation of a permit.
    fn look(
        &self,
        permit: Option<Permit>,
        of: &K,
        is_right: impl FnOnce(&mut CachedDocument) -> bool,
    ) -> Option<Bytes> {
        let mut kept = self.kept.lock();
        let is_of = permit.is_none_or(|permit| permit.generation == kept.generation);
        if is_of { kept.find(of, is_right) } else { None }
    }

    /// The document of something, if it was written from the same; from where the views stand now.
    fn of(&self, permit: Option<Permit>, of: &K, source: SourceDigest, at: Sequence) -> Option<Bytes> {
        self.look(permit, of, |known| {
            let same = known.source == source;
            if same {
                known.at = known.at.max(at);
            }
            same
        })
    }

    /// To be asked for before anything is opened. Documents of another generation are forgotten.
    fn permit(&self, generation: u64) -> Permit {
        let mut kept = self.kept.lock();
        let mut others = HashMap::new();
        if kept.generation != generation {
            kept.generation = generation;
            kept.bytes = 0;
            others = std::mem::take(&mut kept.all);
        }
        let permit = Permit { forgotten: kept.forgotten, generation };
        drop(kept);
        drop(others);
        permit
    }

    /// Keeps a document, unless all were forgotten since.
    fn keep(&self, permit: Permit, of: &K, (source, at): (SourceDigest, Sequence), text: String) -> Bytes {
        let text = Bytes::from_owner(Zeroizing::new(text.into_bytes()));
        let mut kept = self.kept.lock();
        let is_good = (permit.forgotten, permit.generation) == (kept.forgotten, kept.generation);
        if is_good && text.len() <= MOST_BYTES / 8 {
            kept.insert(of, CachedDocument { text: text.clone(), source, at, asked: 0 });
        }
        text
    }
}

impl<K> DocumentCache<K> {
    /// How many are kept.
    pub fn count(&self) -> usize {
        self.kept.lock().all.len()
    }

    fn forget(&self) {
        let forgotten = {
            let mut kept = self.kept.lock();
            kept.forgotten += 1;
            kept.bytes = 0;
            std::mem::take(&mut kept.all)
        };
        drop(forgotten);
    }
}

impl<K: Eq + Hash + Clone> CacheState<K> {
    fn find(&mut self, of: &K, is_right: impl FnOnce(&mut CachedDocument) -> bool) -> Option<Bytes> {
        self.asked += 1;
        let known = self.all.get_mut(of)?;
        known.asked = self.asked;
        is_right(known).then(|| known.text.clone())
    }

    fn insert(&mut self, of: &K, document: CachedDocument) {
        // One that was written from what the views showed before may come later.
        if self.all.get(of).is_some_and(|known| known.at > document.at) {
            return;
        }
        self.remove(of);
        while self.bytes + document.text.len() > MOST_BYTES || self.all.len() >= MOST_DOCUMENTS {
            let longest_unasked = self.all.iter().min_by_key(|(_, known)| known.asked);
            let Some(unasked) = longest_unasked.map(|(of, _)| of.clone()) else { break };
            self.remove(&unasked);
        }
        self.bytes += document.text.len();
        let asked = self.asked;
        self.all.insert(of.clone(), CachedDocument { asked, ..document });
    }

    fn remove(&mut self, of: &K) {
        if let Some(removed) = self.all.remove(of) {
            self.bytes -= removed.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Of = (ProjectId, ComputerId);

    fn computer(name: &str) -> Of {
        (ProjectId::DEFAULT, ComputerId::new(name).unwrap())
    }

    fn keep(documents: &DocumentCache<Of>, name: &str, seen: &str, at: u64, bytes: usize) -> Bytes {
        let text = "x".repeat(bytes);
        documents.keep(documents.permit(1), &computer(name), (SourceDigest::of(&seen), Sequence(at)), text)
    }

    #[test]
    fn a_document_is_right_at_its_sequence_and_for_its_source() {
        let documents = DocumentCache::default();
        let (one, other) = (computer("COMP-1"), computer("COMP-2"));
        let [source, changed] = ["seen", "changed"].map(|seen| SourceDigest::of(&seen));
        assert_eq!(documents.at(&one, Sequence(5)), None);
        let text = keep(&documents, "COMP-1", "seen", 5, 3);
        assert_eq!(text, "xxx");
        assert_eq!(documents.at(&one, Sequence(5)), Some(text.clone()));
        assert_eq!(documents.at(&one, Sequence(4)), None);
        assert_eq!(documents.at(&one, Sequence(6)), None);
        assert_eq!(documents.at(&other, Sequence(5)), None);
        assert_eq!(documents.of(None, &one, changed, Sequence(6)), None);
        assert_eq!(documents.at(&one, Sequence(6)), None);
        assert_eq!(documents.of(None, &one, source, Sequence(7)), Some(text.clone()));
        assert_eq!(documents.at(&one, Sequence(7)), Some(text));
    }

    #[test]
    fn an_earlier_document_takes_the_place_of_no_later_one() {
        let documents = DocumentCache::default();
        keep(&documents, "COMP-1", "later", 7, 7);
        keep(&documents, "COMP-1", "earlier", 6, 6);
        assert_eq!(documents.at(&computer("COMP-1"), Sequence(7)).map(|text| text.len()), Some(7));
        keep(&documents, "COMP-1", "latest", 8, 8);
        assert_eq!(documents.at(&computer("COMP-1"), Sequence(7)), None);
        assert_eq!(documents.at(&computer("COMP-1"), Sequence(8)).map(|text| text.len()), Some(8));
        assert_eq!(documents.kept.lock().bytes, 8);
    }

    #[test]
    fn what_was_written_while_all_were_forgotten_is_not_kept() {
        let documents = DocumentCache::default();
        keep(&documents, "COMP-1", "seen", 5, 3);
        let permit = documents.permit(1);
        documents.forget();
        assert_eq!(documents.at(&computer("COMP-1"), Sequence(5)), None);
        let from = (SourceDigest::of(&"seen"), Sequence(5));
        documents.keep(permit, &computer("COMP-1"), from, "secret".to_owned());
        assert_eq!(documents.at(&computer("COMP-1"), Sequence(5)), None);
        assert_eq!(documents.kept.lock().bytes, 0);
    }

    #[test]
    fn a_document_of_one_generation_is_not_shown_to_readers_of_another() {
        let documents = DocumentCache::default();
        let (one, source) = (computer("COMP-1"), SourceDigest::of(&"seen"));
        let old = documents.permit(1);
        documents.keep(old, &one, (source, Sequence(5)), "old".to_owned());
        let is_there = |permit| documents.look(Some(permit), &one, |known| known.at == Sequence(5)).is_some();
        assert!(is_there(old));
        let new = documents.permit(2);
        assert!(!is_there(new), "it may be another at the same sequence");
        documents.keep(old, &one, (source, Sequence(5)), "old".to_owned());
        assert!(!is_there(new), "a reader of the old one keeps nothing any more");
        documents.keep(new, &one, (source, Sequence(5)), "new".to_owned());
        assert!(is_there(new) && !is_there(old));
    }

    #[test]
    fn memory_is_bounded_and_who_asks_most_lately_stays() {
        let documents = DocumentCache::default();
        let most = MOST_BYTES / 8;
        for n in 0..8 {
            keep(&documents, &format!("COMP-{n}"), "seen", 1, most);
        }
        let is_kept = |n: u64| documents.at(&computer(&format!("COMP-{n}")), Sequence(1)).is_some();
        assert!((0..8).all(is_kept));
        assert!(is_kept(0), "asked for last");
        keep(&documents, "COMP-8", "seen", 1, most);
        assert!(!is_kept(1) && is_kept(0) && (2..9).all(is_kept));
        keep(&documents, "COMP-9", "seen", 1, most + 1);
        assert!(!is_kept(9) && is_kept(0), "too long to be kept");
        documents.forget();
        for n in 0..=MOST_DOCUMENTS {
            keep(&documents, &format!("COMP-{n}"), "seen", 1, 1);
        }
        let kept = documents.kept.lock();
        assert_eq!((kept.all.len(), kept.bytes), (MOST_DOCUMENTS, MOST_DOCUMENTS));
    }

    #[test]
    fn documents_of_both_kinds_are_forgotten_and_take_no_room_of_each_other() {
        let documents = DocumentCaches::default();
        let from = (SourceDigest::of(&"seen"), Sequence(1));
        keep(&documents.computers, "COMP-1", "seen", 1, 1);
        let of_partition = |n: usize| {
            let (project, computer) = computer("COMP-1");
            (project, (computer, PartitionId::new(&format!("p{n}")).unwrap()))
        };
        for n in 0..=MOST_DOCUMENTS {
            documents.partitions.keep(documents.partitions.permit(1), &of_partition(n), from, "x".to_owned());
        }
        assert!(documents.computers.at(&computer("COMP-1"), Sequence(1)).is_some());
        let kept = || (documents.computers.count(), documents.partitions.count());
        assert_eq!(kept(), (1, MOST_DOCUMENTS));
        documents.forget();
        assert_eq!(kept(), (0, 0));
    }
}
