//! `slapledger export`: the log of a folder, or a part of it, as one file.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use slapledger_client::print::say;
use slapledger_client::private::SecretFile;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::export::{ExportRange, ExportSummary, ExportWish, export};
use slapledger_core::log::envelope::EventDecoder;
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::{EventStore, read_frames, root_at};

use super::{DEFAULT_DATA, log, log_key, progress};

#[derive(Args)]
pub(super) struct ExportArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Only events after this sequence
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Only events up to this sequence
    #[arg(long, value_name = "N")]
    until: Option<u64>,
    /// Only events of this project (PROJ-2)
    #[arg(long, value_name = "PROJECT")]
    project: Option<ProjectId>,
    /// Write one JSON object per line instead
    #[arg(long)]
    ndjson: bool,
}

pub(super) fn run(asked: &ExportArgs) -> anyhow::Result<()> {
    let store = log::open_folder(&asked.data)?;
    let end = store.head()?.last;
    let last = asked.until.map_or(end, Sequence);
    ensure!(last <= end, "--until {last}: the log ends at sequence {end}");
    ensure!(asked.after <= last.0, "--after {}: must be at most {last}", asked.after);
    let range = ExportRange { after: Sequence(asked.after), last, project: asked.project };
    let mut place = SecretFile::at(&asked.file)?;
    let ExportSummary { events, owned, hidden, root } = write(asked, &store, range, &mut place)?;
    let is_all = asked.after == 0 && last == end;
    if let Some(project) = asked.project.filter(|_| is_all && owned == 0) {
        bail!(
            "--project {project}: the log has no events of it; `slapledger project list` lists the projects"
        );
    }
    place.take()?;
    say!("{}: {events} events, up to sequence {last}", asked.file.display());
    if hidden > 0 {
        say!("hidden     {hidden} events of other projects, as hashes");
    }
    if !asked.ndjson {
        say!("root       {root}");
    }
    Ok(())
}

fn write(
    asked: &ExportArgs,
    store: &SledStore,
    range: ExportRange,
    place: &mut SecretFile,
) -> anyhow::Result<ExportSummary> {
    let of_file = || format!("write {}", asked.file.display());
    let mut out = BufWriter::new(&mut *place);
    let bar = progress::bar("export", range.last);
    let mut reached = |sequence: Sequence| bar.set_position(sequence.0);
    let summary = if asked.ndjson {
        lines(store, range, &mut out, &mut reached).with_context(of_file)?
    } else {
        let note = log_key::note(&asked.data, store, range.last)?;
        let wish = ExportWish { range, note: note.as_deref() };
        export(store, &wish, &mut out, &mut reached).with_context(of_file)?
    };
    bar.finish_and_clear();
    out.flush().with_context(of_file)?;
    drop(out);
    place.sync()?;
    Ok(summary)
}

/// One JSON object for each event, as `slapledger log --json` prints them.
fn lines(
    store: &SledStore,
    range: ExportRange,
    out: &mut impl Write,
    reached: &mut dyn FnMut(Sequence),
) -> anyhow::Result<ExportSummary> {
    let mut decoder = EventDecoder::default();
    let (mut events, mut owned, mut hidden) = (0, 0, 0);
    'log: for frame in read_frames(store, range.after) {
        for (sequence, bytes) in frame?.events_after(range.after) {
            if sequence > range.last {
                break 'log;
            }
            let home = decoder.owner(sequence, bytes)?;
            if range.project.is_some() && home.is_some() && home != range.project {
                hidden += 1;
                continue;
            }
            writeln!(out, "{}", serde_json::to_string(&decoder.decode(sequence, bytes)?)?)?;
            (events, owned) = (events + 1, owned + u64::from(home.is_some()));
            reached(sequence);
        }
    }
    let root = root_at(store, range.last)?.unwrap_or(store.head()?.root);
    Ok(ExportSummary { events, owned, hidden, root })
}
