//! `slapledger rebuild`: projections from the log again, and whether they are what was kept.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use slapledger_billing::BillingView;
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::store::EventStore;
use slapledger_projections::replay::replay;
use slapledger_projections::runner;
use slapledger_projections::{Part, SlapViews, View};

use super::table::table;
use super::{client, log, progress};

/// One projection, derived again.
struct Row {
    name: String,
    digest: String,
    /// The digest of the one that was kept, if one was.
    kept: Option<String>,
}

pub(super) fn in_folder(data: &Path, projection: Option<&str>, json: bool) -> anyhow::Result<()> {
    let store = log::open_folder(data)?;
    let state = data.join("state");
    let mut rows = Vec::new();
    let started = std::time::Instant::now();
    let end = store.head()?.last;
    rebuild_view::<SlapViews>("slap", &store, &state, projection, &mut rows)?;
    rebuild_view::<BillingView>("billing", &store, &state, projection, &mut rows)?;
    report(projection, &rows, end.0, json)?;
    if !json {
        println!("{end} events in {:.2} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The names of the projections of a view; known before anything is read.
fn names<V: View>() -> Vec<&'static str> {
    V::default().projections().iter().map(|projection| projection.name()).collect()
}

fn rebuild_view<V: View>(
    view: &'static str,
    store: &dyn EventStore,
    state: &Path,
    projection: Option<&str>,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let wanted = |name: &str| projection.is_none_or(|projection| projection == name);
    if !names::<V>().into_iter().any(wanted) {
        return Ok(());
    }
    let end = store.head()?.last;
    // What was kept may be older than the log: a killed process took no snapshot. It is compared where it stands.
    let kept = runner::kept::<V>(view, store, state)?;
    let bar = progress::bar(view, end);
    let mut fresh = V::default();
    let at = kept.as_ref().map_or(end, |(_, position)| *position);
    replay(store, &mut fresh, (Sequence::ZERO, at), |reached| bar.set_position(reached.0))?;
    let (before, there) = (kept.map(|(parts, _)| parts), fresh.parts());
    replay(store, &mut fresh, (at, end), |reached| bar.set_position(reached.0))?;
    bar.finish_and_clear();
    let digest_of = |parts: &[Part], name: &str| {
        parts.iter().find(|part| part.name == name).map(|part| part.digest.to_string())
    };
    for part in fresh.parts().into_iter().filter(|part| wanted(part.name)) {
        let digest = part.digest.to_string();
        // Equal where the kept one stands is equal: what came after is derived the same way.
        let kept = before.as_deref().and_then(|before| digest_of(before, part.name));
        let kept = kept.map(|kept| {
            if digest_of(&there, part.name).as_ref() == Some(&kept) { digest.clone() } else { kept }
        });
        rows.push(Row { name: part.name.to_owned(), digest, kept });
    }
    Ok(())
}

pub(super) fn on_server(url: &str, projection: Option<&str>, json: bool) -> anyhow::Result<()> {
    let listed = client::get(url, "/v1/projections", &[])?;
    let names: Vec<String> = listed["items"]
        .as_array()
        .context("the server's answer has no items")?
        .iter()
        .filter_map(|item| item["name"].as_str().map(str::to_owned))
        .filter(|name| projection.is_none_or(|projection| projection == name))
        .collect();
    let mut rows = Vec::new();
    let mut sequence = 0;
    for name in names {
        let answer =
            client::post(url, &format!("/v1/projections/{name}/rebuild"), "application/json", b"{}")?;
        let text = |field: &str| answer[field].as_str().map(str::to_owned);
        sequence = answer["sequence"].as_u64().unwrap_or_default();
        let digest = text("digest").context("the server's answer has no digest")?;
        rows.push(Row { name, digest, kept: text("before") });
    }
    report(projection, &rows, sequence, json)
}

fn report(projection: Option<&str>, rows: &[Row], sequence: u64, json: bool) -> anyhow::Result<()> {
    if rows.is_empty() {
        bail!("there is no projection {}", projection.unwrap_or_default());
    }
    if json {
        let items: Vec<Value> = rows
            .iter()
            .map(|row| json!({"name": row.name, "digest": row.digest, "before": row.kept}))
            .collect();
        println!("{}", json!({"items": items, "sequence": sequence}));
    } else {
        let mut list = table(&["projection", "digest", ""], &[]);
        for row in rows {
            let verdict = match &row.kept {
                Some(kept) if *kept == row.digest => "equal to what was kept",
                Some(_) => "DIFFERENT from what was kept",
                None => "nothing was kept",
            };
            list.add_row([row.name.as_str(), row.digest.as_str(), verdict]);
        }
        println!("{list}");
    }
    let different: Vec<_> = rows
        .iter()
        .filter(|row| row.kept.as_ref().is_some_and(|kept| *kept != row.digest))
        .map(|row| row.name.as_str())
        .collect();
    if different.is_empty() { Ok(()) } else { bail!("{} is not what the log gives", different.join(", ")) }
}
