//! `slapledger proof`: the proof of an invoice, or of a line, as a file.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use slapledger_client::invoices::path;
use slapledger_client::options::ReadSourceArgs;
use slapledger_client::print::say;
use slapledger_client::private::SecretFile;

#[derive(Args)]
pub(super) struct ProofArgs {
    /// Final invoice (INV-2026-000001), or a line (INV-2026-000001/3)
    #[arg(value_name = "INVOICE[/LINE]")]
    what: String,
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Include all usage of the customer
    #[arg(long)]
    all_usage: bool,
    #[command(flatten)]
    client: ReadSourceArgs,
}

pub(super) fn run(asked: &ProofArgs) -> anyhow::Result<()> {
    let (invoice, line) = match asked.what.rsplit_once('/') {
        Some((invoice, line)) => (invoice, Some(line)),
        None => (&*asked.what, None),
    };
    let usage = asked.all_usage.then_some(("usage", "all"));
    let query: Vec<(&str, &str)> = line.map(|line| ("line", line)).into_iter().chain(usage).collect();
    let mut place = SecretFile::at(&asked.file)?;
    let proof = asked.client.server()?.get(&path(&["v1", "invoices", invoice, "proof"]), &query)?;
    let events = proof["events"].as_array().ok_or_else(|| anyhow!("the server's answer has no events"))?;
    place.fill(proof.to_string().as_bytes())?;
    place.take()?;
    say!("{}: {} events prove {}", asked.file.display(), events.len(), asked.what);
    let withheld = proof["withheld"].as_array().map_or(0, Vec::len);
    if withheld > 0 {
        say!(
            "{withheld} more events are withheld from you, so the arithmetic cannot be repeated (docs/proofs.md)"
        );
    }
    say!("check it: slapledger verify-invoice {} --key KEY", asked.file.display());
    Ok(())
}
