//! `slapledger restore`: makes the data folder of a ledger from a backup.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use slapledger_client::print::say;
use slapledger_client::table::pair_lines;
use slapledger_core::backup::{RestoreReport, RestoreWish, Until, restore};
use slapledger_core::domain::id::{InvoiceId, ProjectId, Sequence};
use slapledger_core::domain::restore::{LastNumber, RestoreMark};
use slapledger_core::domain::time::Timestamp;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{PROGRAM, random_bytes, random_id};

use super::progress;

#[derive(Args)]
pub(super) struct Restore {
    /// The folder of the backup
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Data folder to create: missing, empty, or half restored
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Restore commands complete at this event or instant (RFC 3339)
    #[arg(long, value_name = "SEQUENCE|INSTANT")]
    until: Option<String>,
    /// Last issued number of a series (PROJ-2/INV-2026-000009); repeatable
    #[arg(long = "last-number", value_name = "NUMBER")]
    last_numbers: Vec<String>,
    /// Confirm a clock that is behind the backup
    #[arg(long)]
    confirm_clock: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &Restore) -> anyhow::Result<()> {
    let wish = RestoreWish {
        source: &asked.source,
        target: &asked.target,
        until: asked.until.as_deref().map(until).transpose()?,
        last_numbers: asked
            .last_numbers
            .iter()
            .map(|told| last_number(told))
            .collect::<anyhow::Result<_>>()?,
        clock_confirmed: asked.confirm_clock,
        mark: RestoreMark::new(u32::from_le_bytes(random_bytes())),
        clock: Arc::new(SystemClock),
        program: PROGRAM.to_owned(),
        command: random_id(),
    };
    let bar = progress::bytes("restore");
    let restored = restore(&wish, &mut |bytes| {
        bar.inc(bytes);
        true
    });
    bar.finish_and_clear();
    print(asked, &restored?);
    Ok(())
}

/// A sequence or an instant.
fn until(told: &str) -> anyhow::Result<Until> {
    if let Ok(sequence) = told.parse() {
        return Ok(Until::Sequence(Sequence(sequence)));
    }
    Timestamp::parse_rfc3339(told).map(Until::Instant).with_context(|| {
        format!(
            "--until {told}: must be a sequence such as 40213, or an instant such as 2026-10-01T01:00:00Z"
        )
    })
}

/// `INV-2026-000412`, or that of another project: `PROJ-2/INV-2026-000009`.
fn last_number(told: &str) -> anyhow::Result<LastNumber> {
    let (project, number) = match told.split_once('/') {
        Some((project, number)) => {
            let project = project
                .parse()
                .map_err(|rule| anyhow::anyhow!("--last-number {told}: the project {rule}"))?;
            (project, number)
        }
        None => (ProjectId::DEFAULT, told),
    };
    let number =
        InvoiceId::new(number).map_err(|rule| anyhow::anyhow!("--last-number {told}: the number {rule}"))?;
    Ok(LastNumber { project, number })
}

fn print(asked: &Restore, report: &RestoreReport) {
    let RestoreReport {
        kept,
        wanted,
        root,
        backup_last,
        mark,
        recorded,
        recorded_at,
        keys_as_of,
        has_keys,
        lacks_master_key,
    } = report;
    let target = asked.target.display();
    if asked.json {
        say!(
            "{}",
            json!({
                "data": asked.target, "kept": kept, "root": root.to_string(), "backup_last": backup_last,
                "mark": mark, "recorded": recorded, "recorded_at": recorded_at, "with_keys": has_keys,
                "keys_as_of": keys_as_of,
            })
        );
        return;
    }
    let numbers = if asked.last_numbers.is_empty() {
        format!("continue in new series with {mark}, such as INV-{mark}-2026-000001")
    } else {
        format!(
            "continue after {}; other series are new ones with {mark}, such as INV-{mark}-2026-000001",
            asked.last_numbers.join(", ")
        )
    };
    let keys = match (has_keys, lacks_master_key) {
        (false, _) => format!(
            "none in this backup: put keys/ into {target} before you start it, and for a master ca/, certificates/ and \
             signing.key"
        ),
        (true, true) => "restored without the master key: start with --master-key FILE".to_owned(),
        (true, false) => "restored".to_owned(),
    };
    let keys = match keys_as_of {
        Some(as_of) => format!("{keys}, as of {as_of}"),
        None => keys,
    };
    let cut = if kept < wanted {
        format!("; the command that goes on after sequence {wanted} is left out whole")
    } else {
        String::new()
    };
    let pairs = [
        ("data", target.to_string()),
        ("kept", format!("sequences 1 to {kept}, of {backup_last} in the backup{cut}")),
        ("root", root.to_string()),
        ("recorded", format!("as sequence {recorded}, at {recorded_at}")),
        ("numbers", numbers),
        ("keys", keys),
    ];
    say!("{}", pair_lines(&pairs.map(|(name, value)| (name.to_owned(), value))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_numbers_are_read() {
        assert_eq!(until("17").unwrap(), Until::Sequence(Sequence(17)));
        let instant = Timestamp::parse_rfc3339("2026-10-01T01:00:00Z").unwrap();
        assert_eq!(until("2026-10-01T01:00:00Z").unwrap(), Until::Instant(instant));
        for wrong in ["", "-1", "yesterday", "2026-10-01"] {
            let error = until(wrong).unwrap_err().to_string();
            assert!(error.contains("must be a sequence such as"), "{wrong}: {error}");
        }
        assert_eq!(last_number("INV-2026-000412").unwrap().to_string(), "INV-2026-000412");
        assert_eq!(last_number("PROJ-2/INV-2026-9").unwrap().to_string(), "PROJ-2/INV-2026-9");
        assert!(
            last_number("x/INV-2026-9")
                .unwrap_err()
                .to_string()
                .contains("the project must look like PROJ-1")
        );
        assert!(last_number("").unwrap_err().to_string().contains("the number must not be empty"));
    }
}
