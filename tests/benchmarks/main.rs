//! Figures of the real program, over HTTP, with client and server on the same machine; docs/benchmarks.md shows them.
//!
//! Nothing here passes or fails by how long something takes: a figure is printed with what it was made of, and every
//! answer is looked at, so that nothing fast and wrong is counted. Numbers are integers throughout; what is sent comes
//! from a seed.

mod append;
mod bare;
mod cloud;
mod identities;
mod ingest;
mod invoices;
mod measure;
mod memory;
mod peer;
mod slap;
mod stored;
mod tenants;

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, Parser, Subcommand};
use tempfile::TempDir;

/// Measure slapledger, one figure at a time
///
/// The program under test is built with `cargo build --profile figures`; nothing else should run meanwhile.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    setting: Setting,
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Args)]
struct Setting {
    /// The program under test
    #[arg(long, value_name = "FILE", default_value = "target/figures/slapledger", global = true)]
    binary: PathBuf,
    /// Where data folders are made; it should be on a disk
    #[arg(long, value_name = "DIR", default_value = "target", global = true)]
    folder: PathBuf,
    /// Leave data folders where they are, for a profiler to look at what was measured
    #[arg(long, global = true)]
    keep: bool,
    /// Another seed sends other ids and quantities
    #[arg(long, value_name = "N", default_value_t = 1, global = true)]
    seed: u64,
}

impl Setting {
    /// A new folder, gone when it is dropped.
    fn new_folder(&self) -> anyhow::Result<TempDir> {
        std::fs::create_dir_all(&self.folder)?;
        let folder = tempfile::Builder::new()
            .prefix("benchmark-")
            .disable_cleanup(self.keep)
            .tempdir_in(&self.folder)?;
        if self.keep {
            println!("in {}", folder.path().display());
        }
        Ok(folder)
    }
}

#[derive(Subcommand)]
enum Figure {
    /// Events per second that the log alone makes durable, beside a bare file
    Append {
        /// Events of each run
        #[arg(long, default_value_t = 3_000_000)]
        events: u64,
        /// Runs, each on a new folder
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Durable usage events per second, in batches over HTTP
    Ingest {
        /// Events of each run
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// Runs, each on a new folder
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Connections that post at the same time
        #[arg(long, default_value_t = 4)]
        clients: usize,
        /// Events of each post
        #[arg(long, default_value_t = 1000)]
        batch: u64,
        /// Repeat each run while `slapledger backup` copies the ledger again and again
        #[arg(long)]
        backups: bool,
    },
    /// What SLAP clients ask most, per second, beside slapos proxy in the same run
    Slap {
        /// A Python virtual environment with slapos.core, such as one under tests/.cache; without it, slapledger alone
        #[arg(long, value_name = "DIR")]
        slapos_venv: Option<PathBuf>,
        /// New instances of each run
        #[arg(long, default_value_t = 500)]
        new: usize,
        /// Seconds of unchanged requests, and of asking for a computer, of each run
        #[arg(long, default_value_t = 2)]
        seconds: u64,
        /// Runs of each kind, each on a new folder
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// What identities and TLS cost: usage and SLAP on `proxy` and on `serve`, in one run
    Identities {
        /// Usage events of each run
        #[arg(long, default_value_t = 300_000)]
        events: u64,
        /// New instances of each run
        #[arg(long, default_value_t = 300)]
        new: usize,
        /// Seconds of unchanged requests, and of asking for a computer, of each run
        #[arg(long, default_value_t = 2)]
        seconds: u64,
        /// Runs of each kind, each on a new folder
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// Events per second of `slapledger rebuild`
    Rebuild {
        /// Usage events in the log
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
        /// Runs on the same log
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Bytes on disk for each event, of a closed store
    Size {
        /// Usage events in the log
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
    },
    /// Invoices per second, and memory, of a run over all customers
    Invoices {
        /// Customers, each of whom has instances
        #[arg(long, default_value_t = 10_000)]
        customers: u64,
        /// Instances of all customers
        #[arg(long, default_value_t = 100_000)]
        instances: u64,
        /// Usage events in the log
        #[arg(long, default_value_t = 10_000_000)]
        events: u64,
        /// Runs, each on a copy of the same folder
        #[arg(long, default_value_t = 3)]
        runs: usize,
        /// A folder `filled` that an earlier one with these sizes left behind (`--keep`)
        #[arg(long, value_name = "DIR")]
        filled: Option<PathBuf>,
    },
    /// Memory and time to start with many usage events
    Memory {
        /// Usage events in the log
        #[arg(long, default_value_t = 10_000_000)]
        events: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let Cli { setting, figure } = Cli::parse();
    ensure!(
        setting.binary.is_file(),
        "there is no {}; cargo build --profile figures",
        setting.binary.display()
    );
    measure::print_machine()?;
    match figure {
        Figure::Append { events, runs } => append::append(&setting, events, runs),
        Figure::Ingest { events, runs, clients, batch, backups } => {
            let size = ingest::Size { events, runs, clients, batch };
            if backups { ingest::beside_backups(&setting, &size) } else { ingest::ingest(&setting, &size) }
        }
        Figure::Slap { slapos_venv, new, seconds, runs } => {
            slap::slap(&setting, slapos_venv.as_deref(), slap::Size { new, seconds, runs })
        }
        Figure::Identities { events, new, seconds, runs } => {
            identities::identities(&setting, slap::Size { new, seconds, runs }, events)
        }
        Figure::Invoices { customers, instances, events, runs, filled } => {
            let size = tenants::Size { customers, instances, events };
            invoices::invoices(&setting, size, runs, filled)
        }
        Figure::Rebuild { events, runs } => stored::rebuild(&setting, events, runs),
        Figure::Size { events } => stored::size(&setting, events),
        Figure::Memory { events } => memory::memory(&setting, events),
    }
}
