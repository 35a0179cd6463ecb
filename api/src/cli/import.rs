//! `slapledger import`: a ledger from an export of a whole log.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use slapledger_client::print::say;
use slapledger_core::backup::PRIVATE;
use slapledger_core::domain::id::Sequence;
use slapledger_core::export::{ExportReader, import};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::EventStore;
use slapledger_engine::folder;

use super::progress;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// An export of a whole log
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Data folder to create
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Data folder whose keys and authority are copied
    #[arg(long, value_name = "DIR")]
    keys_of: Option<PathBuf>,
}

pub(super) fn run(asked: &ImportArgs) -> anyhow::Result<()> {
    let (file, target) = (&asked.file, &asked.target);
    ensure!(
        target.symlink_metadata().is_err(),
        "{} is there already; name a folder that does not exist",
        target.display()
    );
    let opened = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let mut reader = ExportReader::open(opened).with_context(|| format!("{}", file.display()))?;
    let mut name = target.clone().into_os_string();
    name.push(".new");
    let staging = PathBuf::from(name);
    if staging.exists() {
        // Nothing but an interrupted import makes it.
        fs::remove_dir_all(&staging).with_context(|| format!("remove {}", staging.display()))?;
    }
    private_folder(&staging)?;
    let filled = fill(asked, &mut reader, &staging);
    if filled.is_err() {
        let _ = fs::remove_dir_all(&staging);
    }
    let last = filled?;
    fs::rename(&staging, target).with_context(|| format!("write {}", target.display()))?;
    say!("{}: {last} events, root {}", target.display(), reader.root());
    if asked.keys_of.is_none() {
        say!("keys       none: names and parameters stay sealed, and it cannot be served");
    }
    Ok(())
}

fn fill(asked: &ImportArgs, reader: &mut ExportReader<File>, staging: &Path) -> anyhow::Result<Sequence> {
    let of_file = || format!("{} does NOT hold", asked.file.display());
    let log = staging.join(folder::LOG);
    private_folder(&log)?;
    let store = SledStore::open(&log)?;
    let bar = progress::bar("import", reader.range().last);
    let head = import(reader, &store, &mut |reached| bar.set_position(reached.0)).with_context(of_file)?;
    bar.finish_and_clear();
    ensure!(head.root == reader.root(), "the imported log has another root: {}", head.root);
    store.close()?;
    if let Some(from) = &asked.keys_of {
        for name in PRIVATE {
            let from = from.join(name);
            if from.exists() {
                copy(&from, &staging.join(name)).with_context(|| format!("copy {}", from.display()))?;
            }
        }
    }
    Ok(head.last)
}

fn private_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new().mode(0o700).create(path).with_context(|| format!("create {}", path.display()))
}

/// Copies a file, or a folder with all that is in it, for its owner alone.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(fs::set_permissions(to, Permissions::from_mode(0o600))?);
    }
    private_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
