//! Sealed epochs that are open for reading: few at a time, and closed again when nobody reads them.
//!
//! sled's memory grows with its file, so this is what bounds the memory of a rebuild. An epoch that a reader still
//! uses is shared, never opened twice: sled holds a lock on it.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::epoch::EpochDb;
use super::manifest::Sealed;
use crate::log::store::StoreFault;

/// Two readers at different places do not close each other's epoch.
const MOST_OPEN: usize = 2;

/// How long an epoch stays open after it was last read.
const IDLE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Readers {
    dir: PathBuf,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Least recently used first.
    recent: Vec<(Arc<EpochDb>, Instant)>,
    /// Epochs that are no longer recent, while somebody reads them.
    leaving: Vec<Weak<EpochDb>>,
}

impl Readers {
    pub(super) fn new(dir: PathBuf, patience: Duration) -> Self {
        Self { dir, patience, state: Mutex::default() }
    }

    /// The sealed epoch, opened if need be.
    pub(super) fn get(&self, sealed: &Sealed) -> Result<Arc<EpochDb>, StoreFault> {
        let place = sealed.place();
        let mut state = self.state.lock();
        let known = match state.recent.iter().position(|(db, _)| db.number() == place.number) {
            Some(at) => Some(state.recent.remove(at).0),
            None => state.leaving.iter().filter_map(Weak::upgrade).find(|db| db.number() == place.number),
        };
        let db = match known {
            Some(db) => db,
            None => Arc::new(EpochDb::open(&self.dir, place, self.patience)?),
        };
        state.keep(&db);
        Ok(db)
    }

    /// Takes over an epoch that was just sealed.
    pub(super) fn adopt(&self, db: &Arc<EpochDb>) {
        self.state.lock().keep(db);
    }

    /// Closes what nobody has read for a while.
    pub(super) fn close_idle(&self) {
        let mut state = self.state.lock();
        while state.recent.first().is_some_and(|(_, used)| used.elapsed() > IDLE) {
            state.let_go();
        }
    }
}

impl State {
    fn keep(&mut self, db: &Arc<EpochDb>) {
        self.recent.push((Arc::clone(db), Instant::now()));
        while self.recent.len() > MOST_OPEN {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let (db, _) = self.recent.remove(0);
        self.leaving.retain(|left| left.strong_count() > 0);
        self.leaving.push(Arc::downgrade(&db));
    }
}
