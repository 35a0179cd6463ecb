//! The audit of a log, of a data folder or of an export.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, ensure};
use slapledger_billing::audit::{AuditScope, LogAudit};
use slapledger_client::print::say;
use slapledger_core::domain::id::Sequence;
use slapledger_core::export::{ExportRange, ExportReader};
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::envelope::EventDecoder;
use slapledger_core::log::merkle::Root;
use slapledger_core::log::note::{SignatureKind, SignedNote, Verifier};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::{EventStore, read_frames};
use slapledger_engine::notary::Notary;

use super::progress;

/// A checkpoint that its reader kept, and the key that must have signed it.
pub(super) struct KeptCheckpoint {
    pub(super) checkpoint: Checkpoint,
    pub(super) key: Option<Verifier>,
}

/// Audits the log of a folder from its first event on.
pub(super) fn of_store(store: &SledStore, deep: bool) -> anyhow::Result<LogAudit> {
    let mut audit = LogAudit::new(AuditScope { is_whole: true, deep });
    let mut decoder = EventDecoder::default();
    let bar = progress::bar("audit", store.head()?.last);
    for frame in read_frames(store, Sequence::ZERO) {
        let frame = frame?;
        for (sequence, bytes) in frame.events_after(Sequence::ZERO) {
            audit.take(&decoder.decode(sequence, bytes)?)?;
        }
        bar.set_position(audit.summary().events);
    }
    bar.finish_and_clear();
    say_audit(&audit, deep);
    Ok(audit)
}

fn say_audit(audit: &LogAudit, deep: bool) {
    let (summary, how) = (audit.summary(), if deep { "derived again" } else { "numbered without gaps" });
    say!("audit      {} events follow each other, {} documents {how}", summary.events, summary.documents);
}

/// `slapledger verify FILE`: an export.
pub(super) fn of_file(path: &Path, deep: bool, kept: Option<&KeptCheckpoint>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let checked = check(file, deep, kept).with_context(|| format!("{} does NOT hold", path.display()))?;
    say!("{} holds: {checked}", path.display());
    Ok(())
}

fn check(file: File, deep: bool, kept: Option<&KeptCheckpoint>) -> anyhow::Result<String> {
    let mut reader = ExportReader::open(file)?;
    let range @ ExportRange { after, last, project } = reader.range();
    if deep && !range.is_whole() {
        say!("deep       documents are derived only from an export of the whole log");
    }
    let mut audit = LogAudit::new(AuditScope { is_whole: range.is_whole(), deep });
    let mut decoder = EventDecoder::default();
    let bar = progress::bar("export", last);
    let mut at_kept = None;
    let size = kept.map(|kept| kept.checkpoint.size);
    loop {
        // The tree is where it was when the checkpoint was made.
        if size == Some(reader.size()) {
            at_kept = Some(reader.root_so_far());
        }
        let Some(event) = reader.next_event()? else { break };
        audit.take(&decoder.decode(event.sequence, &event.bytes)?)?;
        bar.set_position(event.sequence.0);
    }
    if size == Some(reader.size()) {
        at_kept = Some(reader.root_so_far());
    }
    bar.finish_and_clear();
    let of_project = project.map_or_else(String::new, |project| format!(" of {project}"));
    say!("log        events {} to {last}{of_project}, root {}", after.next(), reader.root());
    say_audit(&audit, deep && range.is_whole());
    if let Some(note) = reader.note() {
        check_own(note, &audit, (last, reader.root()))?;
    }
    if let Some(kept) = kept {
        check_kept(kept, &audit, (range, at_kept))?;
    }
    Ok(format!("it ends at sequence {last}"))
}

/// The checkpoint that an export brings.
fn check_own(note: &str, audit: &LogAudit, (last, root): (Sequence, Root)) -> anyhow::Result<()> {
    let note = SignedNote::parse(note).context("its checkpoint")?;
    let checkpoint = Checkpoint::parse(note.text())?;
    ensure!(
        (checkpoint.size, checkpoint.root) == (last.0, root),
        "its checkpoint is of {} events with root {}",
        checkpoint.size,
        checkpoint.root
    );
    let (Some(ledger), Some((_, public))) = (audit.ledger(), audit.key_at(last.0)) else {
        say!("checkpoint not checked: the event that set the key is not in it");
        return Ok(());
    };
    let key = Verifier::new(&Notary::origin_of(ledger), SignatureKind::Log, public)?;
    key.check(&note).context("its checkpoint")?;
    say!("checkpoint signed by {key}");
    Ok(())
}

/// A checkpoint that its reader kept.
fn check_kept(
    kept: &KeptCheckpoint,
    audit: &LogAudit,
    (range, found): (ExportRange, Option<Root>),
) -> anyhow::Result<()> {
    let KeptCheckpoint { checkpoint, key } = kept;
    if let Some(ledger) = audit.ledger() {
        let origin = Notary::origin_of(ledger);
        ensure!(
            origin == checkpoint.origin,
            "the checkpoint is of {}, the log is {origin}",
            checkpoint.origin
        );
    }
    if let Some(key) = key {
        check_key(audit, key, checkpoint.size)?;
    }
    ensure!(
        checkpoint.size <= range.last.0,
        "the checkpoint has {} events, the export ends at {}: later events are missing",
        checkpoint.size,
        range.last
    );
    let found = found.with_context(|| {
        format!(
            "the checkpoint has {} events, within what the export hides or before it begins: export the whole log",
            checkpoint.size
        )
    })?;
    ensure!(
        found == checkpoint.root,
        "the first {} events have root {found}, the checkpoint says {}: the log was rewritten",
        checkpoint.size,
        checkpoint.root
    );
    say!("continues  the checkpoint of {} events", checkpoint.size);
    Ok(())
}

/// That a key signed when a log had so many events, as its events say.
pub(super) fn check_key(audit: &LogAudit, key: &Verifier, size: u64) -> anyhow::Result<()> {
    if key.kind() != SignatureKind::Log {
        return Ok(());
    }
    let Some((since, public)) = audit.key_at(size) else { return Ok(()) };
    ensure!(
        public == key.public(),
        "the key did not sign at {size} events: event {since} had set another one; it was revoked, or is not of this log"
    );
    Ok(())
}
