//! `slapledger verify-invoice`: proofs of invoices, checked without the server.
//!
//! The signature of the checkpoint is checked first, then that the events are in its tree, then the document is derived
//! from them again. Nothing that a proof says of itself is believed.

mod explanations;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use serde::Deserialize;
use slapledger_billing::proof::repeat;
use slapledger_client::print::say;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, ProjectId, Sequence};
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::envelope::{EventDecoder, RULES_VERSION, Recorded};
use slapledger_core::log::merkle::several::root_of_several;
use slapledger_core::log::merkle::{Root, leaf_hash};
use slapledger_core::log::note::{SignatureKind, SignedNote, Verifier};
use slapledger_engine::notary::Notary;

use explanations::ToldExplanation;

/// The most bytes of a proof that is read.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// The version of the form that is read.
const FORMAT: u32 = 1;
/// The exit status if nothing is refuted, and events are withheld.
pub(super) const WITHHELD_STATUS: u8 = 3;

#[derive(Args)]
pub(super) struct VerifyInvoice {
    /// Files that `slapledger proof` wrote
    #[arg(required = true, value_name = "PROOF")]
    proofs: Vec<PathBuf>,
    /// The key of the log, as `GET /v1/log/keys` lists it
    #[arg(long, value_name = "KEY")]
    key: Verifier,
    /// Key of a witness that must have cosigned; repeatable
    #[arg(long = "witness", value_name = "KEY")]
    witnesses: Vec<Verifier>,
}

/// A proof as it is written.
#[derive(Deserialize)]
struct ProofFile {
    format: u32,
    invoice: String,
    line: Option<u32>,
    checkpoint: String,
    events: Vec<StoredEvent>,
    #[serde(default)]
    withheld: Vec<HiddenEvent>,
    hashes: Vec<String>,
    #[serde(default)]
    explanations: Vec<ToldExplanation>,
}

#[derive(Deserialize)]
struct StoredEvent {
    sequence: u64,
    bytes: String,
}

#[derive(Deserialize)]
struct HiddenEvent {
    sequence: u64,
    hash: String,
}

/// What is compared between several proofs.
#[derive(Default)]
struct ComparedProofs {
    /// The roots of logs by their names and sizes.
    roots: BTreeMap<(Box<str>, u64), (Root, PathBuf)>,
    /// The events that issued documents, by the names of logs and by projects, each of which has numbers of its own.
    issued: BTreeMap<(Box<str>, ProjectId, InvoiceId), IssuedIn>,
}

/// The event that issued a document, its hash, and the file that has it.
type IssuedIn = (Sequence, [u8; 32], PathBuf);

/// What is known of a proof that is not refuted.
enum ProofVerdict {
    /// The document follows from the events.
    Holds,
    /// The log has the events, and some of them are withheld.
    CannotRepeat,
}

/// Of some proofs the arithmetic cannot be repeated; nothing in them is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{proofs} of {all} proofs cannot be repeated: events are withheld; ask an auditor of the ledger")]
pub(super) struct WithheldProofs {
    proofs: usize,
    all: usize,
}

pub(super) fn run(asked: &VerifyInvoice) -> anyhow::Result<()> {
    ensure!(
        asked.key.kind() == SignatureKind::Log,
        "--key must be the key of a log: {} is that of a witness",
        asked.key.name()
    );
    let (mut compared, mut withheld) = (ComparedProofs::default(), 0);
    for path in &asked.proofs {
        match check(asked, path, &mut compared) {
            Ok(ProofVerdict::Holds) => {}
            Ok(ProofVerdict::CannotRepeat) => withheld += 1,
            Err(fault) => return Err(fault.context(format!("{} does NOT hold", path.display()))),
        }
    }
    match withheld {
        0 => Ok(()),
        proofs => Err(WithheldProofs { proofs, all: asked.proofs.len() }.into()),
    }
}

fn check(asked: &VerifyInvoice, path: &Path, compared: &mut ComparedProofs) -> anyhow::Result<ProofVerdict> {
    let proof = read(path)?;
    let checkpoint = check_signatures(asked, &proof.checkpoint)?;
    compared.tree(&checkpoint, path)?;
    let events = check_tree(&proof, &checkpoint)?;
    check_log_key(&events, asked, &checkpoint)?;
    compared.documents(&events, &checkpoint, path)?;
    if let Some(newer) = events.iter().find(|recorded| recorded.meta.rules > RULES_VERSION) {
        bail!(
            "event {} was decided by rules {}, and this program knows {RULES_VERSION}: use a newer version of it",
            newer.sequence,
            newer.meta.rules
        );
    }
    if !proof.withheld.is_empty() {
        let sequences: Vec<String> = proof.withheld.iter().map(|event| event.sequence.to_string()).collect();
        say!(
            "{} cannot be repeated: the log has the events, and {} of them name other customers or discount codes \
             and are withheld",
            proof.invoice,
            sequences.len()
        );
        say!("withheld   events {}", sequences.join(", "));
        say!("log        {} events, root {}", checkpoint.size, checkpoint.root);
        return Ok(ProofVerdict::CannotRepeat);
    }
    let repeated = repeat(&events, &proof.invoice, proof.line)?;
    let explained = explanations::compare(&proof.explanations, &events, (&proof.invoice, proof.line))?;
    let what = match (proof.line, repeated.by_hand) {
        (Some(line), _) => format!("{} line {line}", proof.invoice),
        (None, true) => format!("{} (credits what somebody decided)", proof.invoice),
        (None, false) => proof.invoice.clone(),
    };
    say!("{what} holds: {} lines from {} usage events", repeated.lines, repeated.usage);
    if !explained {
        say!("explained  no: the proof has no explanations to compare");
    }
    if proof.line.is_none() {
        say!("total      {}, due {}", repeated.total, repeated.due);
    }
    say!("issued     by event {} of {} in {}", repeated.issued, checkpoint.origin, repeated.project);
    say!("log        {} events, root {}", checkpoint.size, checkpoint.root);
    say!(
        "not shown  that no other key replaced --key: compare the keys that the ledger lists (/v1/log/keys)"
    );
    Ok(ProofVerdict::Holds)
}

fn read(path: &Path) -> anyhow::Result<ProofFile> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).context("it is not text")?;
    ensure!(text.len() as u64 <= MAX_BYTES, "it has more than {MAX_BYTES} bytes");
    let proof: ProofFile = serde_json::from_str(&text).context("it is not a proof of an invoice")?;
    ensure!(proof.format == FORMAT, "its format {} is of another version of this program", proof.format);
    Ok(proof)
}

fn check_signatures(asked: &VerifyInvoice, note: &str) -> anyhow::Result<Checkpoint> {
    let note = SignedNote::parse(note).context("checkpoint")?;
    let checkpoint = Checkpoint::parse(note.text())?;
    ensure!(
        *checkpoint.origin == *asked.key.name(),
        "the checkpoint is of {}, the key of {}",
        checkpoint.origin,
        asked.key.name()
    );
    if let Err(fault) = asked.key.check(&note) {
        let other = note.signatures().iter().any(|signature| *signature.name == *checkpoint.origin);
        return Err(fault).context(if other {
            "the checkpoint is signed with another key of the log than --key: an earlier one, or a forged one"
        } else {
            "the checkpoint is not signed by the log"
        });
    }
    for witness in &asked.witnesses {
        witness
            .check(&note)
            .with_context(|| format!("the checkpoint is not cosigned by {}", witness.name()))?;
    }
    Ok(checkpoint)
}

/// The events, after it is known that all of them are in the tree.
fn check_tree(proof: &ProofFile, checkpoint: &Checkpoint) -> anyhow::Result<Vec<Recorded>> {
    let mut decoder = EventDecoder::default();
    let mut events = Vec::new();
    let mut leaves = Vec::new();
    for StoredEvent { sequence, bytes } in &proof.events {
        let leaf = leaf_of(*sequence, checkpoint.size)?;
        let bytes = BASE64.decode(bytes).with_context(|| format!("event {sequence} is not in base64"))?;
        leaves.push((leaf, leaf_hash(&bytes)));
        events.push(decoder.decode(Sequence(*sequence), &bytes)?);
    }
    for HiddenEvent { sequence, hash } in &proof.withheld {
        leaves.push((leaf_of(*sequence, checkpoint.size)?, hash_of(hash)?));
    }
    leaves.sort_by_key(|(leaf, _)| *leaf);
    let rises = events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
    ensure!(rises, "the events are not in the order of the log");
    let hashes = proof.hashes.iter().map(|hash| hash_of(hash)).collect::<Result<Vec<_>, _>>()?;
    let found = root_of_several(&leaves, checkpoint.size, &hashes)?;
    ensure!(
        found == checkpoint.root,
        "the events are not those of the log: they lead to root {found}, the checkpoint says {}",
        checkpoint.root
    );
    Ok(events)
}

fn leaf_of(sequence: u64, size: u64) -> anyhow::Result<u64> {
    ensure!(
        (1..=size).contains(&sequence),
        "event {sequence} is not in the checkpoint, which is of {size} events: it is an older one"
    );
    Ok(sequence - 1)
}

fn hash_of(text: &str) -> anyhow::Result<[u8; 32]> {
    let digit = |at: usize| text.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len() / 2).map(digit).collect();
    let hash = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    hash.with_context(|| format!("{text} is not a hash: it has 64 hexadecimal digits"))
}

/// That the log is the one of its first event, and that no event of the proof replaced the key. A proof may leave such an
/// event out.
fn check_log_key(events: &[Recorded], asked: &VerifyInvoice, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let created = events.first().filter(|recorded| recorded.sequence == Sequence(1));
    let created = created.and_then(|recorded| match &recorded.event {
        Event::LedgerCreated(event) => Some(Notary::origin_of(event.ledger)),
        _ => None,
    });
    let created = created.context("the event that created the ledger is missing")?;
    ensure!(
        created == checkpoint.origin,
        "its first event is of {created}, the checkpoint of {}",
        checkpoint.origin
    );
    let mut set = events.iter().filter_map(|recorded| match &recorded.event {
        Event::LogKeySet(event) => Some((recorded.sequence, event.public)),
        _ => None,
    });
    let (since, newest) = set.next_back().context("the event that set the key of the log is missing")?;
    ensure!(
        newest == asked.key.public(),
        "the key was revoked: event {since} set another one, and the checkpoint is of {} events",
        checkpoint.size
    );
    Ok(())
}

impl ComparedProofs {
    /// A log has one root at each size.
    fn tree(&mut self, checkpoint: &Checkpoint, path: &Path) -> anyhow::Result<()> {
        let key = (checkpoint.origin.clone(), checkpoint.size);
        let (root, other) = self.roots.entry(key).or_insert_with(|| (checkpoint.root, path.to_owned()));
        ensure!(
            *root == checkpoint.root,
            "the log is forked: at {} events its root is {} here, and {root} in {}",
            checkpoint.size,
            checkpoint.root,
            other.display()
        );
        Ok(())
    }

    /// A number is given to one document.
    fn documents(&mut self, events: &[Recorded], checkpoint: &Checkpoint, path: &Path) -> anyhow::Result<()> {
        for recorded in events {
            let Event::InvoiceFinalised(event) = &recorded.event else { continue };
            let hash = leaf_hash(&recorded.encode());
            let key = (checkpoint.origin.clone(), recorded.project(), event.invoice.id.clone());
            let (sequence, known, other) =
                self.issued.entry(key).or_insert_with(|| (recorded.sequence, hash, path.to_owned()));
            ensure!(
                (*sequence, *known) == (recorded.sequence, hash),
                "{} is issued by event {} here, and by event {sequence} in {}: the number was issued twice",
                event.invoice.id,
                recorded.sequence,
                other.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use slapledger_core::domain::event::Stream;
    use slapledger_core::domain::id::{ProjectId, Sequence};
    use slapledger_core::log::checkpoint::Checkpoint;
    use slapledger_core::log::envelope::{EventDecoder, Meta, Recorded};
    use slapledger_core::log::merkle::Root;

    use super::ComparedProofs;

    const GOLDEN: &str = include_str!("../../../fixtures/golden/events-v1.txt");
    /// The sequence in the golden bytes of the event.
    const WRITTEN_AT: u64 = 24_001;

    /// The event that issues an invoice, at a sequence of a project.
    fn issued(sequence: u64, project: u64) -> Recorded {
        let line = GOLDEN.lines().find_map(|line| line.strip_prefix("InvoiceFinalised.v3 ")).expect("a line");
        let digits = (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16));
        let bytes: Vec<u8> = digits.collect::<Result<_, _>>().expect("hexadecimal");
        let recorded = EventDecoder::default().decode(Sequence(WRITTEN_AT), &bytes).expect("an event");
        let meta = Arc::new(Meta { project: ProjectId(project), ..(*recorded.meta).clone() });
        let stream = Arc::new(Stream::Invoice("INV-2026-000001".parse().expect("an id")));
        Recorded { sequence: Sequence(sequence), meta, stream, ..recorded }
    }

    #[test]
    fn each_project_has_numbers_of_its_own() {
        let checkpoint = Checkpoint { origin: "slapledger/one".into(), size: 9, root: Root([0; 32]) };
        let mut compared = ComparedProofs::default();
        let mut take = |recorded| compared.documents(&[recorded], &checkpoint, Path::new("a.proof"));
        assert!(take(issued(5, 1)).is_ok());
        assert!(take(issued(6, 2)).is_ok(), "another project");
        assert!(take(issued(5, 1)).is_ok(), "the same event again");
        let told = take(issued(7, 2)).expect_err("the same number again").to_string();
        assert!(told.contains("the number was issued twice"), "{told}");
    }
}
