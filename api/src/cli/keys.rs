//! `slapledger keys`: the key ring of a folder that no server is using. Nothing here prints a secret.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;
use slapledger_client::print::say;
use slapledger_client::table::pair_lines;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::{Facts, KeyRing, KeyRingOptions};
use slapledger_core::ledger::Clock;
use slapledger_core::log::store::StoreFault;
use slapledger_core::log::witness::WitnessFault;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::folder;

use super::{Folder, log_key, warnings};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Count the keys and show when the ring was made
    Show {
        #[command(flatten)]
        folder: Folder,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new master key and wrap all keys again
    ///
    /// The previous master key no longer opens the ring, but it still opens earlier backups of the ring. Sealed values
    /// do not change. After an interruption the next start finds the matching pair.
    Rotate {
        #[command(flatten)]
        folder: Folder,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new key for checkpoints of the log
    ///
    /// The next start records it in the log. Give the printed key to those who check checkpoints; earlier checkpoints
    /// keep their signatures.
    RotateLog {
        #[command(flatten)]
        folder: Folder,
    },
}

pub(super) fn run(asked: &Keys) -> anyhow::Result<()> {
    match asked {
        Keys::Show { folder, json } => {
            let (ring, options) = ring(folder)?;
            print(&KeyRing::look(&ring, &options)?, *json);
        }
        Keys::Rotate { folder, json } => {
            let (ring, options) = ring(folder)?;
            print(&KeyRing::rotate(&ring, &options)?, *json);
        }
        Keys::RotateLog { folder } => log_key::rotate(folder)?,
    }
    Ok(())
}

fn ring(folder: &Folder) -> anyhow::Result<(std::path::PathBuf, KeyRingOptions)> {
    let ring = folder.data.join("keys");
    anyhow::ensure!(
        KeyRing::exists(&ring),
        "there is no key ring in {}; --data names the folder of its ledger",
        folder.data.display()
    );
    check_log(&folder.data)?;
    let master_key = folder.master_key().map(Path::to_owned);
    Ok((ring, KeyRingOptions { master_key, now: Some(SystemClock.now()) }))
}

/// A log that lost events needs its keys as they are. One that cannot be read says why, and is nothing to a ring.
fn check_log(data: &Path) -> anyhow::Result<()> {
    warnings::to_stderr();
    if !data.join(folder::LOG).is_dir() {
        return Ok(());
    }
    match folder::read_log(data) {
        Err(error) if error.is::<WitnessFault>() => return Err(error),
        // Then the ring is in use too, which is told when it is opened.
        Err(error) if matches!(error.downcast_ref(), Some(StoreFault::InUse { .. })) => {}
        Err(error) => tracing::warn!("{error:#}"),
        Ok(_) => {}
    }
    Ok(())
}

fn print(facts: &Facts, json: bool) {
    let Facts { format, keys, destroyed, made_at, rotated_at, rotations } = facts;
    if json {
        say!(
            "{}",
            json!({
                "format": format, "keys": keys, "destroyed": destroyed, "made_at": made_at,
                "rotated_at": rotated_at, "rotations": rotations,
            })
        );
        return;
    }
    let instant =
        |at: Option<Timestamp>| at.map_or_else(|| "not known".to_owned(), |at: Timestamp| at.to_string());
    let pairs = [
        ("keys", keys.to_string()),
        ("destroyed", destroyed.to_string()),
        ("format", format.to_string()),
        ("made", instant(*made_at)),
        ("master key since", instant(rotated_at.or(*made_at))),
        ("rotations", rotations.to_string()),
    ];
    say!("{}", pair_lines(&pairs.map(|(name, value)| (name.to_owned(), value))));
}
