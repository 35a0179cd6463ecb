//! Publishing checkpoints: when an epoch is sealed and at an interval, a checkpoint is signed, cosigned by witnesses and
//! kept, on a thread that the writer never waits for.
//!
//! A witness that cannot be reached, or refuses, is a fault on the health page until it cosigns again. The checkpoint is
//! kept without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use slapledger_core::ledger::Ledger;
use slapledger_core::log::cosigning::CosigningRequest;
use slapledger_core::log::note::{NoteSignature, SignedNote, Verifier};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::Head;

use crate::kept_checkpoints::PublishedCheckpoint;
use crate::notary::{Notary, NotaryFault, SignedCheckpoint};

/// How often it is looked whether an epoch was sealed.
const EVERY: Duration = Duration::from_secs(2);
/// After a failure the witnesses are asked again no sooner.
const PAUSE: Duration = Duration::from_secs(60);

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// A witness, and how it is reached (C2SP tlog-witness).
pub trait WitnessLink: Send + Sync {
    /// The key that it cosigns with.
    fn key(&self) -> &Verifier;

    /// Sends a request to `add-checkpoint`. The error says why there was no answer.
    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, String>;
}

/// When checkpoints are published, and who cosigns them.
pub struct PublishingOptions {
    /// At the latest after so long, if the log has grown.
    pub interval: Duration,
    /// Who cosigns.
    pub witnesses: Vec<Box<dyn WitnessLink>>,
}

/// What publishes checkpoints.
pub struct Publishing {
    notary: Arc<Notary>,
    options: PublishingOptions,
    state: Mutex<PublishingState>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct PublishingState {
    is_stopping: bool,
    /// Why a checkpoint was not signed or kept.
    fault: Option<String>,
    /// Why witnesses did not cosign the last one, by their names.
    refusals: BTreeMap<Box<str>, String>,
    /// The size that each witness cosigned last.
    cosigned: BTreeMap<Box<str>, u64>,
}

impl Publishing {
    /// Begins to publish checkpoints of a ledger.
    pub fn start(
        notary: &Arc<Notary>,
        ledger: &Arc<Ledger>,
        log: &Arc<SledStore>,
        options: PublishingOptions,
    ) -> std::io::Result<Arc<Self>> {
        let publishing = Arc::new(Self {
            notary: Arc::clone(notary),
            options,
            state: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::default(),
        });
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

    /// Stops it.
    pub fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    fn run(&self, ledger: &Ledger, log: &SledStore) {
        let mut sealed = log.sealed_count();
        let mut published = self.notary.kept.newest(false).map_or(0, |newest| newest.checkpoint.size);
        let mut last = Instant::now();
        while !self.wait(EVERY) {
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
    pub fn publish(&self, head: Head) -> Result<(), String> {
        let told = |fault: NotaryFault| fault.to_string();
        let SignedCheckpoint { checkpoint, mut note, .. } = self.notary.sign(head).map_err(told)?;
        for witness in &self.options.witnesses {
            let name: Box<str> = witness.key().name().into();
            match self.cosign(&**witness, head, &note) {
                Ok(signature) => {
                    note.add(signature);
                    let mut state = self.state.lock();
                    state.cosigned.insert(name.clone(), head.last.0);
                    state.refusals.remove(&name);
                }
                Err(cause) => {
                    tracing::warn!(witness = &*name, cause, "a checkpoint was not cosigned");
                    self.state.lock().refusals.insert(name, cause);
                }
            }
        }
        let kept = self.notary.kept.keep(PublishedCheckpoint { checkpoint, note });
        kept.map_err(|error| format!("keep a checkpoint: {error}"))?;
        self.state.lock().fault = None;
        Ok(())
    }

    /// Asks a witness. It says which tree it knows, if it is not the one that was cosigned last.
    fn cosign(
        &self,
        witness: &dyn WitnessLink,
        head: Head,
        note: &SignedNote,
    ) -> Result<NoteSignature, String> {
        let mut old = self.state.lock().cosigned.get(witness.key().name()).copied().unwrap_or(0);
        for _ in 0..2 {
            if old > head.last.0 {
                return Err(format!(
                    "it has cosigned {old} events, this log has {}: events are missing",
                    head.last
                ));
            }
            let proof = self.notary.consistency(old, head.last.0, head).map_err(|fault| fault.to_string())?;
            let hashes = proof.ok_or("there is no proof of such a size")?.path;
            let request = CosigningRequest { old, hashes, note: note.clone() };
            let WitnessAnswer { status, body } = witness.add_checkpoint(&request.body())?;
            let size = body.trim_end().parse::<u64>();
            match (status, size) {
                (200, _) => return signature_of(witness.key(), note, &body),
                (409, Ok(known)) if known != old => old = known,
                (409, _) => return Err("it has cosigned another root at this size: the log is forked".into()),
                (422, _) => {
                    return Err("it finds that this log does not continue what it cosigned".into());
                }
                _ => return Err(format!("it answered {status}: {}", short(&body))),
            }
        }
        Err("it answered twice that it knows another size".into())
    }
}

/// The signature of a witness in its answer, if it is one of this note.
fn signature_of(key: &Verifier, note: &SignedNote, body: &str) -> Result<NoteSignature, String> {
    let signatures = body.lines().filter_map(|line| line.parse::<NoteSignature>().ok());
    for signature in
        signatures.filter(|signature| *signature.name == *key.name() && signature.key == key.id())
    {
        let mut signed = SignedNote::unsigned(note.text()).map_err(|fault| fault.to_string())?;
        signed.add(signature.clone());
        if key.check(&signed).is_ok() {
            return Ok(signature);
        }
    }
    Err("its answer has no signature of its key".into())
}

fn short(text: &str) -> String {
    text.trim().chars().take(200).collect()
}

impl Publishing {
    /// Waits; whether it is to stop.
    fn wait(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let mut state = self.state.lock();
        while !state.is_stopping {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.is_stopping
    }
}
