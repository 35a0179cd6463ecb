//! `slapledger rebuild`: projections from the log again, and whether they are what was kept.

use std::num::NonZeroU32;
use std::path::Path;
use std::thread;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use indicatif::MultiProgress;
use serde_json::{Value, json};
use slapledger_billing::BillingView;
use slapledger_client::print::{note, say};
use slapledger_client::table::table;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::store::EventStore;
use slapledger_engine::folder;
use slapledger_engine::past::last_before;
use slapledger_projections::replay::replay;
use slapledger_projections::{AccessView, Projects, SlapViews, View, ViewPart, runner};

use super::{ReadSource, log, progress};

#[derive(Args)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    pub(super) source: ReadSource,
    /// inventory, instances, catalogue, metering, billing, journal or access. Default: all
    pub(super) projection: Option<String>,
    #[command(flatten)]
    pub(super) serving: RebuildServing,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What concerns a server that rebuilds while it serves.
#[derive(Args)]
#[group(multiple = true)]
pub(super) struct RebuildServing {
    /// Read at most so many events per second
    #[arg(long, value_name = "EVENTS")]
    pub(super) throttle: Option<NonZeroU32>,
    /// Leave the swap to a later --swap
    #[arg(long)]
    pub(super) keep: bool,
    #[command(flatten)]
    pub(super) change: GenerationChange,
}

/// What becomes of generations that are there.
#[derive(Args)]
#[group(multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line, and at most one is set"
)]
pub(super) struct GenerationChange {
    /// Show generations and their progress
    #[arg(long, conflicts_with_all = ["throttle", "keep"])]
    pub(super) status: bool,
    /// Stop a rebuild, or discard what waits for a swap
    #[arg(long, conflicts_with_all = ["throttle", "keep"])]
    pub(super) cancel: bool,
    /// Swap in a generation that waits, even if it differs
    #[arg(long, conflicts_with_all = ["throttle", "keep"])]
    pub(super) swap: bool,
    /// Discard the previous generation
    #[arg(long, conflicts_with_all = ["throttle", "keep"])]
    pub(super) confirm: bool,
    /// Return to the previous generation
    #[arg(long, conflicts_with_all = ["throttle", "keep"])]
    pub(super) swap_back: bool,
}

impl RebuildServing {
    fn is_asked_for(&self) -> bool {
        let GenerationChange { status, cancel, swap, confirm, swap_back } = self.change;
        self.keep || self.throttle.is_some() || status || cancel || swap || confirm || swap_back
    }
}

/// One projection, derived again.
pub(super) struct RebuiltProjection {
    pub(super) name: String,
    pub(super) digest: String,
    /// The digest of the one that was kept, if one was.
    pub(super) kept: Option<String>,
}

impl RebuiltProjection {
    /// Whether the log gives another projection than the one that was kept.
    pub(super) fn is_different(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| *kept != self.digest)
    }
}

pub(super) fn in_folder(asked: &RebuildArgs) -> anyhow::Result<()> {
    ensure!(
        !asked.serving.is_asked_for(),
        "only a running server has generations: add --url, or set SLAPLEDGER_URL"
    );
    let (data, projection, json) = (asked.source.folder(), asked.projection.as_deref(), asked.json);
    let store = log::open_folder(data)?;
    let started = std::time::Instant::now();
    let rows = derive_all(&store, &data.join(folder::STATE), projection)?;
    let end = store.head()?.last;
    if !rows.is_empty() {
        note!("{}", folder::end_of(&store)?);
    }
    report(projection, &rows, end.0, json)?;
    if !json {
        say!("{end} events in {:.2} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// `slapledger replay --until`: the projections as they were at an event.
pub(super) fn until(data: &Path, told: &str, json: bool) -> anyhow::Result<()> {
    let store = log::open_folder(data)?;
    let end = store.head()?.last;
    let until = last_until(&store, told)?;
    if until > end {
        bail!("--until {until}: the log ends at sequence {end}");
    }
    let bar = progress::bar("replay", until);
    let reached = |sequence: Sequence| bar.set_position(sequence.0);
    let mut parts = replayed::<Projects<SlapViews>>(&store, until, reached)?;
    parts.extend(replayed::<Projects<BillingView>>(&store, until, reached)?);
    parts.extend(replayed::<AccessView>(&store, until, reached)?);
    bar.finish_and_clear();
    let rows = parts.into_iter().map(|part| RebuiltProjection {
        name: part.name.to_owned(),
        digest: part.digest.to_string(),
        kept: None,
    });
    let rows: Vec<RebuiltProjection> = rows.collect();
    if json {
        let items: Vec<Value> =
            rows.iter().map(|row| json!({"name": row.name, "digest": row.digest})).collect();
        say!("{}", json!({"items": items, "sequence": until}));
        return Ok(());
    }
    let mut list = table(&["projection", "digest"], &[]);
    for row in rows {
        list.add_row([row.name.as_str(), row.digest.as_str()]);
    }
    list.print();
    say!("as of sequence {until}");
    Ok(())
}

fn replayed<V: View>(
    store: &dyn EventStore,
    until: Sequence,
    reached: impl FnMut(Sequence),
) -> anyhow::Result<Vec<ViewPart>> {
    let mut view = V::default();
    replay(store, &mut view, (Sequence::ZERO, until), reached)?;
    Ok(view.parts())
}

/// A sequence, or the last event that was recorded at or before an instant.
fn last_until(store: &dyn EventStore, told: &str) -> anyhow::Result<Sequence> {
    if let Ok(sequence) = told.parse() {
        return Ok(Sequence(sequence));
    }
    let instant = Timestamp::parse_rfc3339(told).with_context(|| {
        format!(
            "--until {told}: must be a sequence such as 40213, or an instant such as 2026-10-01T01:00:00Z"
        )
    })?;
    Ok(last_before(store, instant.plus_micros(1), store.head()?.last)?)
}

/// Derives the projections of a log, all or one, and compares them with what a folder of snapshots keeps.
pub(super) fn derive_all(
    store: &dyn EventStore,
    state: &Path,
    projection: Option<&str>,
) -> anyhow::Result<Vec<RebuiltProjection>> {
    let bars = MultiProgress::new();
    // Views know nothing of each other: each is derived on a thread of its own.
    let (slap, access, billing) = thread::scope(|scope| {
        let slap =
            scope.spawn(|| rebuild_view::<Projects<SlapViews>>("slap", store, state, projection, &bars));
        let access = scope.spawn(|| rebuild_view::<AccessView>("access", store, state, projection, &bars));
        let billing = rebuild_view::<Projects<BillingView>>("billing", store, state, projection, &bars);
        (slap.join(), access.join(), billing)
    });
    let joined = |rows: thread::Result<anyhow::Result<Vec<RebuiltProjection>>>| {
        rows.map_err(|_| anyhow!("the thread of a view panicked"))?
    };
    let mut rows = joined(slap)?;
    rows.extend(billing?);
    rows.extend(joined(access)?);
    Ok(rows)
}

/// The names of the projections of a view; known before anything is read.
fn names<V: View>() -> Vec<&'static str> {
    V::default().projections().iter().map(|projection| projection.name()).collect()
}

/// A projection of each view, which stands for all that are rebuilt with it.
pub(super) fn of_each_view() -> [Option<&'static str>; 3] {
    let views = [names::<Projects<SlapViews>>(), names::<Projects<BillingView>>(), names::<AccessView>()];
    views.map(|names| names.first().copied())
}

fn rebuild_view<V: View>(
    view: &'static str,
    store: &dyn EventStore,
    state: &Path,
    projection: Option<&str>,
    bars: &MultiProgress,
) -> anyhow::Result<Vec<RebuiltProjection>> {
    let wanted = |name: &str| projection.is_none_or(|projection| projection == name);
    if !names::<V>().into_iter().any(wanted) {
        return Ok(Vec::new());
    }
    let end = store.head()?.last;
    let bar = bars.add(progress::bar(view, end));
    let derive = |until| -> anyhow::Result<Vec<ViewPart>> {
        let mut fresh = V::default();
        replay(store, &mut fresh, (Sequence::ZERO, until), |reached| bar.set_position(reached.0))?;
        Ok(fresh.parts())
    };
    // What was kept is read meanwhile.
    let (here, kept) = thread::scope(|scope| {
        let kept = scope.spawn(|| runner::kept::<V>(view, store, state));
        (derive(end), kept.join())
    });
    let (here, kept) = (here?, kept.map_err(|_| anyhow!("the thread of a snapshot panicked"))??);
    // It may be older than the log: a killed process took no snapshot. Then it is compared where it stands.
    let there = match &kept {
        Some((_, position)) if *position < end => derive(*position)?,
        _ => here.clone(),
    };
    let before = kept.map(|(parts, _)| parts);
    bar.finish_and_clear();
    let digest_of = |parts: &[ViewPart], name: &str| {
        parts.iter().find(|part| part.name == name).map(|part| part.digest.to_string())
    };
    let rows = here.into_iter().filter(|part| wanted(part.name)).map(|part| {
        let digest = part.digest.to_string();
        // Equal where the kept one stands is equal: what came after is derived the same way.
        let kept = before.as_deref().and_then(|before| digest_of(before, part.name));
        let kept = kept.map(|kept| {
            if digest_of(&there, part.name).as_ref() == Some(&kept) { digest.clone() } else { kept }
        });
        RebuiltProjection { name: part.name.to_owned(), digest, kept }
    });
    Ok(rows.collect())
}

pub(super) fn report(
    projection: Option<&str>,
    rows: &[RebuiltProjection],
    sequence: u64,
    json: bool,
) -> anyhow::Result<()> {
    if rows.is_empty() {
        bail!("there is no projection {}", projection.unwrap_or_default());
    }
    if json {
        let items: Vec<Value> = rows
            .iter()
            .map(|row| json!({"name": row.name, "digest": row.digest, "before": row.kept}))
            .collect();
        say!("{}", json!({"items": items, "sequence": sequence}));
    } else {
        let mut list = table(&["projection", "digest", "|compared"], &[]);
        for row in rows {
            let verdict = match &row.kept {
                Some(kept) if *kept == row.digest => "equal to what was kept",
                Some(_) => "DIFFERENT from what was kept",
                None => "nothing was kept",
            };
            list.add_row([row.name.as_str(), row.digest.as_str(), verdict]);
        }
        list.print();
    }
    let different: Vec<_> =
        rows.iter().filter(|row| row.is_different()).map(|row| row.name.as_str()).collect();
    if different.is_empty() { Ok(()) } else { bail!("{} is not what the log gives", different.join(", ")) }
}
