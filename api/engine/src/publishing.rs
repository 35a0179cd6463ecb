//! Publishing checkpoints: when an epoch is sealed and at an interval, a checkpoint is signed, cosigned by witnesses and
//! kept, on a thread that the writer never waits for.
//!
//! A witness that cannot be reached, or refuses, is a fault on the health page until it cosigns again. The checkpoint is
//! kept without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slapledger_core::ledger::Ledger;
use slapledger_core::log::note::NoteSignature;
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::Head;

use crate::kept_checkpoints::PublishedCheckpoint;
use crate::notary::{Notary, NotaryFault, SignedCheckpoint};
use crate::stop_signal::StopSignal;
use crate::witnesses::{CosigningRound, WitnessLink};

/// How often it is looked whether an epoch was sealed.
const EVERY: Duration = Duration::from_secs(2);
/// After a failure the witnesses are asked again no sooner.
const PAUSE: Duration = Duration::from_secs(60);

/// When checkpoints are published, and who cosigns them.
pub struct PublishingOptions {
    /// At the latest after so long, if the log has grown.
    pub interval: Duration,
    /// Who cosigns; no two have one name.
    pub witnesses: Vec<Arc<dyn WitnessLink>>,
}

/// What publishes checkpoints.
pub struct Publishing {
    notary: Arc<Notary>,
    options: PublishingOptions,
    state: Mutex<PublishingState>,
    stop: StopSignal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct PublishingState {
    /// Why a checkpoint was not signed or kept.
    fault: Option<String>,
    /// Why witnesses did not cosign the last one, by their names.
    refusals: BTreeMap<Box<str>, String>,
    /// The size that each witness cosigned last.
    cosigned: BTreeMap<Box<str>, u64>,
}

impl Publishing {
    fn new(notary: &Arc<Notary>, options: PublishingOptions) -> Self {
        // What was cosigned before this start: a witness that knows less has lost it.
        let cosigned = options.witnesses.iter().filter_map(|witness| {
            let key = witness.key();
            notary.kept.newest_of(key).map(|newest| (key.name().into(), newest.checkpoint.size))
        });
        let state = PublishingState { cosigned: cosigned.collect(), ..PublishingState::default() };
        Self {
            notary: Arc::clone(notary),
            options,
            state: Mutex::new(state),
            stop: StopSignal::default(),
            thread: Mutex::default(),
        }
    }

    /// Begins to publish checkpoints of a ledger.
    pub fn start(
        notary: &Arc<Notary>,
        ledger: &Arc<Ledger>,
        log: &Arc<SledStore>,
        options: PublishingOptions,
    ) -> std::io::Result<Arc<Self>> {
        let publishing = Arc::new(Self::new(notary, options));
        let (ours, ledger, log) = (Arc::clone(&publishing), Arc::clone(ledger), Arc::clone(log));
        let thread = std::thread::Builder::new().name("checkpoints".into());
        *publishing.thread.lock() = Some(thread.spawn(move || ours.run(&ledger, &log))?);
        Ok(publishing)
    }

    /// What is wrong, for the health page.
    pub fn fault(&self) -> Option<String> {
        let state = self.state.lock();
        let refusals = state.refusals.iter().map(|(name, cause)| format!("{name} does not cosign: {cause}"));
        let faults: Vec<String> = state.fault.iter().cloned().chain(refusals).collect();
        (!faults.is_empty()).then(|| format!("checkpoints: {}", faults.join("; ")))
    }

    /// Stops it, whatever witnesses it waits for.
    pub fn stop(&self) {
        self.stop.set();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    fn run(&self, ledger: &Ledger, log: &SledStore) {
        let mut sealed = log.sealed_count();
        let mut published = self.notary.kept.newest(false).map_or(0, |newest| newest.checkpoint.size);
        let mut last = Instant::now();
        while !self.stop.wait(EVERY) {
            let (head, now_sealed) = (ledger.head(), log.sealed_count());
            let failed = self.has_failed();
            let due = last.elapsed()
                >= if failed { PAUSE.min(self.options.interval) } else { self.options.interval };
            let grown = head.last.0 > published || failed;
            if !(now_sealed > sealed || (due && grown)) {
                continue;
            }
            (sealed, last) = (now_sealed, Instant::now());
            match self.publish(head) {
                Ok(()) => published = head.last.0,
                Err(fault) => {
                    tracing::error!(fault, "no checkpoint was published");
                    self.state.lock().fault = Some(fault);
                }
            }
        }
    }

    fn has_failed(&self) -> bool {
        let state = self.state.lock();
        state.fault.is_some() || !state.refusals.is_empty()
    }

    /// Signs a checkpoint, has it cosigned and keeps it.
    fn publish(&self, head: Head) -> Result<(), String> {
        let told = |fault: NotaryFault| fault.to_string();
        let SignedCheckpoint { checkpoint, mut note, .. } = self.notary.sign(head).map_err(told)?;
        // What was cosigned of it before stays, and those who did it are not asked again.
        let before = self.notary.kept.of_size(checkpoint.size);
        let before = before.filter(|before| before.checkpoint == checkpoint);
        for signature in before.iter().flat_map(|before| before.note.signatures()) {
            note.add(signature.clone());
        }
        let missing = self.options.witnesses.iter().filter(|witness| witness.key().check(&note).is_err());
        let missing = missing.map(|witness| {
            let old = self.state.lock().cosigned.get(witness.key().name()).copied().unwrap_or(0);
            (witness, old)
        });
        let missing: Vec<_> = missing.collect();
        let mut signatures: Vec<NoteSignature> = Vec::new();
        let round = CosigningRound { notary: &self.notary, head, note: &note, stop: &self.stop };
        round.ask(&missing, |key, cosigned| match cosigned {
            Ok(signature) => {
                signatures.push(signature);
                let mut state = self.state.lock();
                state.cosigned.insert(key.name().into(), head.last.0);
                state.refusals.remove(key.name());
            }
            Err(cause) => {
                tracing::warn!(witness = key.name(), cause, "a checkpoint was not cosigned");
                self.state.lock().refusals.insert(key.name().into(), cause);
            }
        });
        for signature in signatures {
            note.add(signature);
        }
        let kept = self.notary.kept.keep(PublishedCheckpoint { checkpoint, note });
        kept.map_err(|error| format!("keep a checkpoint: {error}"))?;
        self.state.lock().fault = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
