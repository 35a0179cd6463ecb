//! Figures of the real program, over HTTP, with client and server on the same machine; docs/benchmarks.md shows them.
//!
//! Nothing here passes or fails by how long something takes: a figure is printed with what it was made of, and every
//! answer is looked at, so that nothing fast and wrong is counted. Numbers are integers throughout; what is sent comes
//! from a seed.

mod append;
mod bare;
mod cloud;
mod duckdb;
mod identities;
mod ingest;
mod invoices;
mod measure;
mod memory;
mod pages;
mod peer;
mod postgresql;
mod rebuilding;
mod record;
mod scale;
mod slap;
mod stored;
mod stream;
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
    /// Append each figure to a file, as a line of JSON
    #[arg(long, value_name = "FILE", global = true)]
    record: Option<PathBuf>,
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
        /// Start PostgreSQL (Debian's package) for each run, and let it copy the same events
        #[arg(long, conflicts_with = "backups")]
        postgresql: bool,
    },
    /// Durable usage events per second, alone and beside readers of the event stream
    Stream {
        /// Events of each run
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// Pairs of runs, each on a new folder
        #[arg(long, default_value_t = 3)]
        runs: usize,
        /// Connections that post at the same time
        #[arg(long, default_value_t = 4)]
        clients: usize,
        /// Events of each post
        #[arg(long, default_value_t = 1000)]
        batch: u64,
        /// Readers of the event stream
        #[arg(long, default_value_t = 1000)]
        readers: usize,
        /// What they read, such as /v1/events/stream?type=InvoiceFinalised
        #[arg(long, value_name = "PATH", default_value = "/v1/events/stream")]
        path: String,
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
        /// Start PostgreSQL (Debian's package), and let it add up the same events in turns
        #[arg(long)]
        postgresql: bool,
        /// A Python virtual environment with duckdb and pytz, which adds up the same events in Parquet
        #[arg(long, value_name = "DIR", requires = "postgresql")]
        duckdb_venv: Option<PathBuf>,
    },
    /// Durable usage events per second and the time of reads, alone and beside rebuilds of a served view
    Rebuilding {
        /// Usage events in the log before
        #[arg(long, default_value_t = 2_000_000)]
        history: u64,
        /// Events of each run
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// Pairs of runs, each on a new folder
        #[arg(long, default_value_t = 3)]
        runs: usize,
        /// Connections that post at the same time
        #[arg(long, default_value_t = 4)]
        clients: usize,
        /// Events of each post
        #[arg(long, default_value_t = 1000)]
        batch: u64,
        /// The projection that is rebuilt
        #[arg(long, default_value = "metering")]
        projection: String,
        /// Events per second that a rebuild reads at most
        #[arg(long, value_name = "EVENTS")]
        throttle: Option<u64>,
    },
    /// Write the last record of each figure into a document
    Report {
        /// What `--record` wrote
        #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.jsonl")]
        history: PathBuf,
        /// What shows it
        #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
        document: PathBuf,
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
        /// Prices with trials, maximums and discounts
        #[arg(long)]
        all_prices: bool,
    },
    /// Time of each page at the server, on a ledger with many instances and invoices
    Pages {
        /// Customers, each of whom has instances and an invoice
        #[arg(long, default_value_t = 10_000)]
        customers: u64,
        /// Instances of all customers
        #[arg(long, default_value_t = 100_000)]
        instances: u64,
        /// Usage events in the log
        #[arg(long, default_value_t = 1_000_000)]
        events: u64,
        /// How often each page is asked for
        #[arg(long, default_value_t = 100)]
        times: usize,
        /// A folder `filled` that an earlier one with these sizes left behind (`--keep`)
        #[arg(long, value_name = "DIR")]
        filled: Option<PathBuf>,
    },
    /// Allocation, start, lists and memory of a master of a large cloud
    Scale {
        /// Customers, whose instances these are
        #[arg(long, default_value_t = 100_000)]
        customers: u64,
        /// Computers, open to all
        #[arg(long, default_value_t = 100_000)]
        computers: u64,
        /// Partitions of each computer
        #[arg(long, default_value_t = 11)]
        partitions: u64,
        /// Instances, each allocated by the master
        #[arg(long, default_value_t = 1_000_000)]
        instances: u64,
        /// How often each thing is asked for
        #[arg(long, default_value_t = 200)]
        times: usize,
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
    if let Figure::Report { history, document } = &figure {
        return record::report(history, document);
    }
    ensure!(
        setting.binary.is_file(),
        "there is no {}; cargo build --profile figures",
        setting.binary.display()
    );
    measure::print_machine()?;
    match figure {
        Figure::Append { events, runs } => append::append(&setting, events, runs),
        Figure::Ingest { events, runs, clients, batch, backups, postgresql } => {
            let size = ingest::Size { events, runs, clients, batch };
            if backups {
                ingest::beside_backups(&setting, &size)
            } else {
                ingest::ingest(&setting, &size, postgresql)
            }
        }
        Figure::Stream { events, runs, clients, batch, readers, path } => {
            stream::stream(&setting, &ingest::Size { events, runs, clients, batch }, readers, &path)
        }
        Figure::Slap { slapos_venv, new, seconds, runs } => {
            slap::slap(&setting, slapos_venv.as_deref(), slap::Size { new, seconds, runs })
        }
        Figure::Identities { events, new, seconds, runs } => {
            identities::identities(&setting, slap::Size { new, seconds, runs }, events)
        }
        Figure::Invoices { customers, instances, events, runs, filled, all_prices } => {
            let size = tenants::Size { customers, instances, events };
            invoices::invoices(&setting, size, (runs, all_prices), filled)
        }
        Figure::Rebuild { events, runs, postgresql, duckdb_venv } => {
            stored::rebuild(&setting, events, runs, postgresql, duckdb_venv.as_deref())
        }
        Figure::Rebuilding { history, events, runs, clients, batch, projection, throttle } => {
            let size = ingest::Size { events, runs, clients, batch };
            rebuilding::rebuilding(&setting, &size, history, (&projection, throttle))
        }
        // It measures nothing, and was done above.
        Figure::Report { .. } => Ok(()),
        Figure::Size { events } => stored::size(&setting, events),
        Figure::Pages { customers, instances, events, times, filled } => {
            pages::pages(&setting, tenants::Size { customers, instances, events }, times, filled)
        }
        Figure::Scale { customers, computers, partitions, instances, times } => {
            scale::scale(&setting, tenants::Scale { customers, computers, partitions, instances }, times)
        }
        Figure::Memory { events } => memory::memory(&setting, events),
    }
}
