//! `slapledger clock`: whether the clock of a master can be believed, and that an operator says so.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use slapledger_client::invoices::{print_json, text_of};
use slapledger_client::options::{Client, QueryOptions, UnusedFolder};
use slapledger_client::print::say;
use slapledger_client::table::pair_lines;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::{Clock as _, created};
use slapledger_core::log::envelope::Actor;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{Engine, Open, accepted};

use super::{log, progress};

#[derive(Subcommand)]
pub(super) enum ClockCommand {
    /// Show the clock of a server and its faults
    Show(QueryOptions),
    /// Confirm the time that the clock shows
    ///
    /// A server records nothing while its clock is in doubt: it stepped, or was far from the last event at the start.
    /// Correct the clock first, if it is wrong: the server then resumes without a restart. With --data the folder of a
    /// server that is stopped is confirmed, by the clock of this machine.
    Confirm(Confirm),
}

#[derive(Args)]
pub(super) struct Confirm {
    /// The time now. Default: the clock of this machine
    #[arg(long, value_name = "INSTANT")]
    now: Option<String>,
    #[command(flatten)]
    folder: UnusedFolder,
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &ClockCommand) -> anyhow::Result<()> {
    match asked {
        ClockCommand::Show(shown) => print(&shown.client.server()?.get("/v1/clock", &[])?, shown.json),
        ClockCommand::Confirm(asked) => {
            let now = stated(asked.now.as_deref())?;
            let Some(data) = &asked.folder.data else {
                let server = asked.client.server()?;
                let body = json!({"now": now.to_string()});
                return print(&server.post_json("/v1/clock/confirm", &body)?, asked.json);
            };
            confirm_in_folder(data, asked.folder.master_key.as_deref(), now, asked.json)
        }
    }
}

fn stated(now: Option<&str>) -> anyhow::Result<Timestamp> {
    let Some(text) = now else { return Ok(SystemClock.now()) };
    let rule =
        || format!("--now {text}: must be an RFC 3339 instant with its offset, such as 2027-01-01T00:00:00Z");
    Timestamp::parse_rfc3339(text).with_context(rule)
}

fn print(clock: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(clock);
    }
    let members = ["state", "now", "expected", "recorded_at", "fault"];
    let lines = members.map(|name| (name.replace('_', " "), text_of(&clock[name]).to_owned()));
    let lines: Vec<_> = lines.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    say!("{}", pair_lines(&lines));
    Ok(())
}

/// What the ledger in a folder is run as.
fn mode_of(data: &Path) -> anyhow::Result<Mode> {
    Ok(created(&log::open_folder(data)?).with_context(|| data.display().to_string())?.mode)
}

/// Without a server.
fn confirm_in_folder(
    data: &Path,
    master_key: Option<&Path>,
    stated: Timestamp,
    json: bool,
) -> anyhow::Result<()> {
    let mode = mode_of(data)?;
    ensure!(mode != Mode::Demo, "{} holds a demo, whose clock is not watched", data.display());
    let (clock, progress) = (Arc::new(SystemClock), progress::of_views());
    let engine = Engine::open(Open { data, mode, clock, master_key, progress: &progress, accept: &accepted })
        .with_context(|| format!("open {}", data.display()))?;
    let meta = Arc::new(engine.meta(ProjectId::DEFAULT, Actor::system(), [0; 16]));
    let confirmed = engine.ledger.confirm_clock_blocking(meta, stated);
    let closed = engine.shut_down();
    let status = engine.ledger.clock_status();
    let confirmed = confirmed?.is_some();
    closed?;
    if json {
        return print_json(&json!({"confirmed": confirmed, "now": status.now.to_string()}));
    }
    if confirmed {
        say!("the clock is confirmed: it shows {}", status.now);
    } else {
        say!("there is nothing to confirm: the clock shows {}", status.now);
    }
    if status.behind {
        say!("no document is issued before it has passed {}", status.recorded_at);
    }
    Ok(())
}
