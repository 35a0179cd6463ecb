//! `slapledger keys`: the key ring of a folder that no server is using. Nothing here prints a secret.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::{Facts, KeyRing, Options};
use slapledger_core::ledger::Clock;

use super::Folder;
use super::print::say;
use super::table::pair_lines;
use crate::clock::SystemClock;

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Show how many keys there are, how many were destroyed, and when the ring was made
    Show {
        #[command(flatten)]
        folder: Folder,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new master key, and wrap all keys with it
    ///
    /// The master key before opens nothing of the ring any more; it still opens backups of the ring from before. All that is
    /// sealed stays as it is. When it is interrupted, the next start finds the right pair; done again it makes another.
    Rotate {
        #[command(flatten)]
        folder: Folder,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(asked: &Keys) -> anyhow::Result<()> {
    let (ring, options) = match asked {
        Keys::Show { folder, .. } | Keys::Rotate { folder, .. } => ring(folder)?,
    };
    match asked {
        Keys::Show { json, .. } => print(&KeyRing::look(&ring, &options)?, *json),
        Keys::Rotate { json, .. } => print(&KeyRing::rotate(&ring, &options)?, *json),
    }
    Ok(())
}

fn ring(folder: &Folder) -> anyhow::Result<(std::path::PathBuf, Options)> {
    let ring = folder.data.join("keys");
    anyhow::ensure!(
        KeyRing::exists(&ring),
        "there is no key ring in {}; --data names the folder of its ledger",
        folder.data.display()
    );
    let master_key = folder.master_key().map(Path::to_owned);
    Ok((ring, Options { master_key, now: Some(SystemClock.now()) }))
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
