//! Asking witnesses to cosign a checkpoint (C2SP tlog-witness).
//!
//! All are asked at the same time, each on a thread that holds nothing of the ledger: a witness that is slow or silent
//! delays no other one, and no shutdown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use slapledger_core::log::cosigning::CosigningRequest;
use slapledger_core::log::note::{NoteSignature, SignedNote, Verifier};
use slapledger_core::log::store::Head;

use crate::notary::Notary;
use crate::stop_signal::StopSignal;

/// How often it is looked, while witnesses are asked, whether the server stops.
const LOOK: Duration = Duration::from_millis(100);
/// How often a witness is asked about one checkpoint: it may know another size than is remembered here.
const MOST_ASKED: u8 = 2;

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// A witness, and how it is reached.
pub trait WitnessLink: Send + Sync {
    /// The key that it cosigns with.
    fn key(&self) -> &Verifier;

    /// Sends a request to `add-checkpoint`. The error says why there was no answer.
    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, String>;
}

/// What came of asking a witness.
pub(crate) type Cosigned = Result<NoteSignature, String>;

/// A checkpoint for which witnesses are asked.
pub(crate) struct CosigningRound<'a> {
    pub(crate) notary: &'a Notary,
    /// The end of the log that the checkpoint is of.
    pub(crate) head: Head,
    pub(crate) note: &'a SignedNote,
    pub(crate) stop: &'a StopSignal,
}

/// A witness that is asked, by its place in the list of all.
struct AskedWitness<'a> {
    link: &'a Arc<dyn WitnessLink>,
    at: usize,
    /// The size that it cosigned last, as far as is known.
    old: u64,
    /// How often it was asked.
    times: u8,
}

/// What to do after an answer.
enum NextStep {
    /// Nothing.
    Done(Cosigned),
    /// Ask again: it knows this size.
    Again(u64),
}

type AnswerSender = Sender<(usize, Result<WitnessAnswer, String>)>;

impl CosigningRound<'_> {
    /// Asks witnesses that cosigned these sizes last, and tells what came of each. If the server stops, those that have
    /// not answered are told no more.
    pub(crate) fn ask(
        &self,
        witnesses: &[(&Arc<dyn WitnessLink>, u64)],
        mut told: impl FnMut(&Verifier, Cosigned),
    ) {
        let (sender, answers) = channel();
        let asked = witnesses.iter().enumerate();
        let mut asked: Vec<AskedWitness<'_>> =
            asked.map(|(at, (link, old))| AskedWitness { link, at, old: *old, times: 0 }).collect();
        let mut waiting = 0_usize;
        let send = |witness: &mut AskedWitness<'_>, waiting: &mut usize| match self.send(witness, &sender) {
            Ok(()) => {
                *waiting += 1;
                None
            }
            Err(cause) => Some(cause),
        };
        for witness in &mut asked {
            if let Some(cause) = send(witness, &mut waiting) {
                told(witness.link.key(), Err(cause));
            }
        }
        while waiting > 0 && !self.stop.is_set() {
            let (at, answer) = match answers.recv_timeout(LOOK) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            waiting -= 1;
            let witness = &mut asked[at];
            match self.next_step(witness, answer) {
                NextStep::Done(cosigned) => told(witness.link.key(), cosigned),
                NextStep::Again(_) if witness.times == MOST_ASKED => {
                    let cause = "it answered twice that it knows another size".to_owned();
                    told(witness.link.key(), Err(cause));
                }
                NextStep::Again(known) => {
                    witness.old = known;
                    if let Some(cause) = send(witness, &mut waiting) {
                        told(witness.link.key(), Err(cause));
                    }
                }
            }
        }
    }

    /// Sends a request on a thread of its own.
    fn send(&self, witness: &mut AskedWitness<'_>, answers: &AnswerSender) -> Result<(), String> {
        let AskedWitness { link, at, old, times } = witness;
        let size = self.head.last.0;
        if *old > size {
            return Err(format!("it has cosigned {old} events, this log has {size}: events are missing"));
        }
        let proof = self.notary.consistency(*old, size, self.head).map_err(|fault| fault.to_string())?;
        let hashes = proof.ok_or("there is no proof of such a size")?.path;
        let body = CosigningRequest { old: *old, hashes, note: self.note.clone() }.body();
        let (link, at, answers) = (Arc::clone(link), *at, answers.clone());
        *times += 1;
        let asking = std::thread::Builder::new().name("cosigning".into()).spawn(move || {
            let answer = catch_unwind(AssertUnwindSafe(|| link.add_checkpoint(&body)));
            // Nobody waits for it any more, if the server stops.
            let _ = answers.send((at, answer.unwrap_or_else(|_| Err("asking it panicked".to_owned()))));
        });
        asking.map(drop).map_err(|error| format!("start a thread to ask it: {error}"))
    }

    fn next_step(&self, witness: &AskedWitness<'_>, answer: Result<WitnessAnswer, String>) -> NextStep {
        let failed = |cause: &str| NextStep::Done(Err(cause.to_owned()));
        let WitnessAnswer { status, body } = match answer {
            Ok(answer) => answer,
            Err(cause) => return NextStep::Done(Err(cause)),
        };
        let size = body.trim_end().parse::<u64>();
        match (status, size) {
            (200, _) => NextStep::Done(signature_of(witness.link.key(), self.note, &body)),
            (409, Ok(known)) if known != witness.old => {
                if known < witness.old {
                    let (name, cosigned) = (witness.link.key().name(), witness.old);
                    tracing::error!(
                        witness = name,
                        known,
                        cosigned,
                        "a witness has forgotten what it cosigned: its folder was set back, and its key proves nothing from \
                         now on"
                    );
                }
                NextStep::Again(known)
            }
            (409, _) => failed("it has cosigned another root at this size: the log is forked"),
            (422, _) => failed("it finds that this log does not continue what it cosigned"),
            _ => NextStep::Done(Err(format!("it answered {status}: {}", short(&body)))),
        }
    }
}

/// The signature of a witness in its answer, if it is one of this note.
fn signature_of(key: &Verifier, note: &SignedNote, body: &str) -> Cosigned {
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
