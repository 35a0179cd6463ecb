//! `slapledger verify` of a folder that is a backup: its files against its manifest, and one verdict.

use std::path::Path;

use anyhow::ensure;
use slapledger_client::print::say;
use slapledger_core::backup::{self, VerifyReport};

use super::{progress, verdict};

/// Verifies the backup in a folder.
pub(super) fn run(folder: &Path, deep: bool) -> anyhow::Result<()> {
    ensure!(!deep, "{} is a backup, which has no views; leave --deep out", folder.display());
    let bar = progress::bytes("backup");
    let verified = backup::verify(folder, &mut |bytes| {
        bar.inc(bytes);
        true
    });
    bar.finish_and_clear();
    let report = verified.map_err(|fault| {
        let fault = anyhow::Error::from(fault);
        let newer = verdict::is_newer(&fault);
        let verdict = || format!("{} is NOT whole", folder.display());
        fault.context(if newer { verdict::of_newer_format(folder) } else { verdict() })
    })?;
    let VerifyReport { last, root, epochs, files, private_files, keys_as_of } = report;
    say!("log        {last} events in {epochs} sealed epochs and a tail, root {root}");
    match keys_as_of {
        _ if private_files == 0 => say!("keys       none here; sealed values cannot be read without them"),
        Some(as_of) => say!("keys       {private_files} files, as of {as_of}"),
        None => say!("keys       {private_files} files"),
    }
    say!("files      {files} match backup.json");
    say!("{} is whole: the backup ends at sequence {last}", folder.display());
    Ok(())
}
