//! The command line. `--help` is its manual; docs/ has the rest.

mod backup;
mod clock;
mod config_file;
mod explain;
mod hints;
mod init;
mod keys;
mod log;
mod manual;
mod offline;
mod progress;
mod rebuild;
mod repair;
mod restore;
mod serve;
mod token;
mod verify;
mod verify_backup;
mod warnings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use slapledger_client::later::{Later, NOT_READY_STATUS};
use slapledger_client::options::{Client, Identity};
use slapledger_client::{
    books, compare, computer, console, invoice, invoices, master, party, prices, project, request, server,
    service, user,
};

use crate::config::{Config, LEAST_SILENCE};

/// Where everything is kept, if nothing else is said.
const DEFAULT_DATA: &str = "./slapledger-data";

#[derive(Parser)]
#[command(
    name = "slapledger",
    version,
    about = "Master of a distributed cloud: provisioning and billing on one log",
    long_about = "Slapledger is the master of a distributed cloud, built as an event-sourced ledger.\n\n\
        A computer offers partitions, the master allocates them to whoever called request(), the computer \
        reports usage. Every one of these actions is an event in one log; instances, metering and invoices are \
        derived from it and can be derived again.\n\n\
        Try it:      slapledger demo\n\
        Use it:      slapledger proxy, and point any SLAP client at the address it prints",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: warnings::Logging,
}

#[derive(Subcommand)]
enum Command {
    /// Play October 2026 in an invented cloud, print its invoices, and serve it
    ///
    /// The users and software are those of the SlapOS early success stories document of 2011. The same seed
    /// plays the same month. If the folder already holds a demo, it is served as it is.
    Demo {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        listen: Listen,
        /// Seed of the simulated month
        #[arg(long, value_name = "N", default_value_t = 2011)]
        seed: u64,
        /// Exit after printing the invoices
        #[arg(long)]
        no_serve: bool,
    },
    /// Serve one local user without sign-in, as `slapos proxy` does
    ///
    /// The local user is both seller and payer. Set the printed address as `master_url` of a SLAP client:
    ///
    ///     [slapos]
    ///     master_url = http://127.0.0.1:5000/
    #[command(verbatim_doc_comment)]
    Proxy {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        listen: Listen,
        /// Also answer /healthz and /readyz on this loopback address; port 0 picks a free port
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// The computer that is registered at the start; requests without a computer go there
        #[arg(long, value_name = "ID", default_value = "computer")]
        computer: String,
        /// Publish a software release as the preferred one of a product, such as kvm=https://example.org/software.cfg;
        /// repeatable
        #[arg(long = "product", value_name = "PRODUCT=RELEASE")]
        products: Vec<String>,
        /// Forward requests to the other masters of this slapos.cfg (sections [multimaster/URL])
        #[arg(long, value_name = "FILE")]
        cfg: Option<PathBuf>,
        /// For tests: read the time from this file (RFC 3339), again for each command
        #[arg(long, value_name = "FILE")]
        clock: Option<PathBuf>,
    },
    /// Create a data folder, a certificate authority and an admin token
    ///
    /// The token is printed once and not stored. Re-run to finish an interrupted init; existing files are kept.
    Init {
        #[command(flatten)]
        folder: Folder,
        /// Name of the certificate authority and of the default seller
        #[arg(long, value_name = "NAME", default_value = "Slapledger")]
        name: String,
        /// Time zone of that seller's billing months
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
        /// Write the token to this file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Serve a cloud of users and computers over TLS
    ///
    /// `slapledger init` creates the certificate authority for its TLS certificates. Every client authenticates with a
    /// client certificate or a token. Register computers with `slapos node register` or `slapledger computer register
    /// TITLE`. A request that finds no free partition waits and is answered 408 until one is free.
    Serve {
        #[command(flatten)]
        folder: Folder,
        /// Address to listen on; port 0 picks a free port. Default: the configuration file's, or 127.0.0.1:5000
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Also answer /healthz and /readyz on this loopback address; port 0 picks a free port
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// Configuration file in TOML: names, certificates, limits (docs/security.md)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Host name or address that clients use; repeatable. localhost and the listen address are always included
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// Serve HTTP without TLS on loopback: behind a reverse proxy, or for tests
        #[arg(long)]
        plain_http: bool,
        /// Allocate no instances to a computer that has been silent for this long. Default: 3600
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(i64::from(LEAST_SILENCE)..))]
        silent_after: Option<u32>,
    },
    /// Print events of the log
    Log {
        #[command(flatten)]
        source: Source,
        /// Events after this sequence
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// At most this many events
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Check every byte of a data folder or a backup
    ///
    /// Reads the log, its databases, the key ring, snapshots and index, and compares them with each other. Prints one
    /// verdict. Of a backup, checks every file that its manifest names, keys too. Exit status: 0 if the folder is whole,
    /// 1 at the first divergence, 2 if it could not be read. Changes nothing.
    Verify {
        #[command(flatten)]
        folder: Folder,
        /// Also rebuild all views from the first event and compare them with the snapshots
        #[arg(long)]
        deep: bool,
    },
    /// Rebuild projections from the log and compare digests
    ///
    /// Prints the digest of the stored projection beside that of the rebuilt one. Exit status: 1 if they differ. With
    /// --url a running server rebuilds, and then replaces what it serves.
    Rebuild {
        #[command(flatten)]
        source: Source,
        /// inventory, instances, catalogue, metering, billing, journal or access. Default: all
        projection: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Back up a ledger to a folder; its server may be running
    ///
    /// If DEST already holds a backup of this ledger, only what is new is copied. After an interruption the previous
    /// backup is still whole; run the command again.
    Backup(backup::Backup),
    /// Restore a ledger from a backup, whole or up to a point
    ///
    /// Verifies every byte first. The restored ledger records the restore and numbers its invoices in a new series,
    /// unless --last-number states the last number that was issued.
    Restore(restore::Restore),
    /// Repair damaged sealed epochs from a backup
    ///
    /// Replaces files that differ from the manifest of their epoch, and manifests that are missing or damaged, from a
    /// backup with the same root. Exit status: 1 if the log cannot be opened afterwards.
    Repair(repair::Repair),
    /// Check and publish price books
    #[command(subcommand)]
    PriceBook(PriceBook),
    /// Run, list and show invoices
    #[command(subcommand)]
    Invoice(Invoice),
    /// Manage the parties that request, sell and pay
    #[command(subcommand)]
    Party(party::Party),
    /// Add users; grant and revoke access
    #[command(subcommand)]
    User(user::User),
    /// Issue, list and revoke tokens
    #[command(subcommand)]
    Token(slapledger_client::token::Tokens),
    /// Open and list projects (isolated tenants of one ledger)
    #[command(subcommand)]
    Project(project::Project),
    /// Grant and withdraw prepaid credit
    #[command(subcommand)]
    Credit(party::Credit),
    /// Record manual charges for the next invoice
    #[command(subcommand)]
    Charge(party::Charge),
    /// Print the journal: every document and credit in double entry
    Journal(books::Journal),
    /// Print the trial balance
    TrialBalance(books::TrialBalance),
    /// Print the statement of an account
    Account(books::Account),
    /// List accounts and close accounting periods
    #[command(subcommand)]
    Accounts(books::Accounts),
    /// Rate a past period with other prices and print the difference
    ///
    /// Nothing is recorded. The prices of the file apply to the whole period, whatever their `valid_from` says. Both
    /// sides use all usage known now, without tax.
    WhatIf(compare::WhatIf),
    /// Show the key ring and rotate its master key
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show and confirm the clock of a master
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Find missing usage
    #[command(subcommand)]
    Usage(compare::Usage),
    /// Explain how an invoice or a line was calculated
    ///
    /// Prints the published rate, quantities by hour or day, tiers, rounding, allocations, tax and the events behind
    /// them, so that the arithmetic can be repeated by hand.
    Explain(explain::Explain),
    /// Request, change or show an instance
    ///
    /// Repeating a request changes nothing and shows the instance. Exit status: 0 if it is allocated, 2 if it is not
    /// ready (no partition, or --wait timed out), 1 on errors.
    Request(request::Request),
    /// Supply software to a computer
    Supply(request::Supply),
    /// Register, describe and list computers
    #[command(subcommand)]
    Computer(computer::Computer),
    /// List, show and destroy services (instance trees)
    #[command(subcommand)]
    Service(service::Service),
    /// Request and show instances in an interactive console
    ///
    ///     kvm_instance = request(kvm, 'i1')
    ///     kvm_instance.getParameter('url')
    ///
    /// Interactive at a terminal; otherwise runs its input up to the first error. Exit status: 2 if an instance is not
    /// ready, 1 on other errors. `help()` lists the functions.
    #[command(verbatim_doc_comment)]
    Console(console::Options),
    /// Check the configuration file of a server
    #[command(subcommand)]
    Config(config_file::ConfigFile),
    /// Print the completion script of a shell
    Completions(manual::Completions),
    /// Print the manual page, or write a page for each command
    Man(manual::Man),
}

#[derive(Subcommand)]
enum PriceBook {
    /// Check a price book; print faults with line and column
    Check {
        /// A TOML file; docs/price-books.md describes it
        file: PathBuf,
    },
    /// Print the JSON schema of price books
    Schema,
    /// Publish a price book as its next version
    ///
    /// Prints the difference rate by rate, and the invoiced periods and customers it touches.
    Publish {
        /// A TOML file; docs/price-books.md describes it
        file: PathBuf,
        /// Publish a version that takes effect in an invoiced period
        #[arg(long)]
        retroactive: bool,
        #[command(flatten)]
        client: Client,
    },
    /// List price books with their newest versions
    List {
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a version of a price book as TOML
    Show {
        /// NAME or NAME@VERSION. Default: the newest version
        #[arg(value_name = "NAME[@VERSION]")]
        book: String,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how two versions differ, rate by rate
    Diff {
        /// NAME@A, the earlier version
        #[arg(value_name = "NAME@A")]
        before: String,
        /// NAME@B, the later version
        #[arg(value_name = "NAME@B")]
        after: String,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum Invoice {
    /// List invoices
    List {
        #[command(flatten)]
        client: Client,
        /// Only this payer (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// draft, final, open, `partly_credited`, credited, void or paid
        #[arg(long)]
        state: Option<String>,
        /// Only documents about START/STOP, two days or instants
        #[arg(long)]
        period: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an invoice with its lines
    Show {
        /// Its id (INV-2026-000001)
        id: String,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what would be invoiced now; nothing is recorded
    Preview {
        /// START/STOP, two days or instants: 2026-10-01/2026-11-01
        period: String,
        /// Only this payer (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// Price book to use. Default: the only one there is
        #[arg(long, value_name = "NAME")]
        price_book: Option<String>,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how a run would differ if it were rated now
    Diff {
        /// Its id (RUN-1)
        run: String,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Invoice a period
    Run {
        /// START/STOP, two days or instants: 2026-10-01/2026-11-01
        period: String,
        /// Finalise the drafts when the grace period ends; without a grace period, at once
        #[arg(long)]
        finalise: bool,
        /// Grace period: for this long the drafts stay drafts
        #[arg(long, value_name = "HOURS", default_value_t = 0)]
        grace: u32,
        /// Price book to use. Default: the only one there is
        #[arg(long, value_name = "NAME")]
        price_book: Option<String>,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Change(invoice::Change),
}

#[derive(Args)]
struct Folder {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The file of the master key. Default: beside the key ring in the data folder
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_MASTER_KEY_FILE")]
    master_key: Option<PathBuf>,
}

impl Folder {
    fn master_key(&self) -> Option<&Path> {
        self.master_key.as_deref()
    }
}

#[derive(Args)]
struct Listen {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

/// What a command reads: a server or a folder.
#[derive(Args)]
struct Source {
    /// Read this data folder. Default: ./slapledger-data, if no server is named
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The server to ask. Default: `SLAPLEDGER_URL`, unless --data is given
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

/// The variable that names a server. Not read by clap: it would be in conflict with --data.
const URL: &str = "SLAPLEDGER_URL";

impl Source {
    /// The server to ask, if it is one: what the command line names goes before the environment.
    fn server(&self) -> anyhow::Result<Option<server::Server>> {
        let named = || std::env::var(URL).ok().filter(|url| !url.is_empty() && self.data.is_none());
        self.url.clone().or_else(named).map(|url| self.identity.server(&url, None)).transpose()
    }

    /// The folder to read, if there is no server to ask.
    fn folder(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA))
    }
}

/// What the command line says. Help is printed as it is; what is wrong becomes one line.
fn read() -> anyhow::Result<Cli> {
    Cli::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            // The help, and the status of a mistake. Nobody has to read it.
            let _ = error.print();
            std::process::exit(1);
        }
        let text = error.to_string();
        let words = text.trim_start_matches("error: ").lines().map(str::trim);
        let ends = |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
        let words: Vec<_> = words.take_while(|line| !ends(line)).filter(|line| !line.is_empty()).collect();
        anyhow::Error::msg(format!("{}; --help says what there is", words.join(" ")))
    })
}

/// The exit status of an error: 2 if there is no answer yet (an instance that is not ready, a folder that could not be
/// verified), 75 if it may do when tried again, else 1: a script that waits while it is 2 must not wait for a typing error.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    let told = error.downcast_ref::<console::Told>().map(|told| &told.error);
    if let Some(error) = told.or_else(|| error.downcast_ref::<master::MasterError>()) {
        return error.exit_status();
    }
    if let Some(later) = error.downcast_ref::<Later>() {
        return later.exit_status();
    }
    if error.is::<verify::Unverifiable>() { NOT_READY_STATUS } else { 1 }
}

/// Runs what the command line says. The error is one readable line.
pub fn run() -> anyhow::Result<()> {
    let Cli { command, logging } = read()?;
    warnings::configure(&logging);
    match command {
        Command::Demo { folder, listen, seed, no_serve } => {
            serve::demo(&folder, (!no_serve).then_some(listen.listen), seed)
        }
        Command::Proxy { folder, listen, operations, computer, products, cfg, clock } => {
            serve::proxy(&folder, listen.listen, operations, &computer, &products, (cfg, clock))
        }
        Command::Init { folder, name, time_zone, token_file } => {
            let time_zone = time_zone.parse().map_err(|rule| anyhow::anyhow!("--time-zone {rule}"))?;
            init::run(&init::Init {
                folder: &folder,
                name: &name,
                time_zone,
                token_file: token_file.as_deref(),
            })
        }
        Command::Serve { folder, listen, operations, config, names, plain_http, silent_after } => {
            let mut config = config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
            config.listen = listen.or(config.listen);
            config.operations = operations.or(config.operations);
            config.names.extend(names);
            config.silent_after_seconds = silent_after.or(config.silent_after_seconds);
            serve::master(folder, config, plain_http)
        }
        Command::Log { source, after, limit, json } => match source.server()? {
            Some(server) => log::of_server(&server, after, limit, json),
            None => log::of_folder(source.folder(), after, limit, json),
        },
        Command::Verify { folder, deep } => verify::run(&folder, deep),
        Command::Rebuild { source, projection, json } => match source.server()? {
            Some(server) => rebuild::on_server(&server, projection.as_deref(), json),
            None => rebuild::in_folder(source.folder(), projection.as_deref(), json),
        },
        Command::Backup(asked) => backup::run(&asked),
        Command::Restore(asked) => restore::run(&asked),
        Command::Repair(asked) => repair::run(&asked),
        Command::PriceBook(PriceBook::Check { file }) => prices::check(&file),
        Command::PriceBook(PriceBook::Schema) => prices::print_schema(),
        Command::PriceBook(PriceBook::Publish { file, retroactive, client: asked }) => {
            prices::publish(&asked.server()?, &file, retroactive)
        }
        Command::PriceBook(PriceBook::List { client: asked, json }) => prices::list(&asked.server()?, json),
        Command::PriceBook(PriceBook::Show { book, client: asked, json }) => {
            prices::show(&asked.server()?, &book, json)
        }
        Command::PriceBook(PriceBook::Diff { before, after, client: asked, json }) => {
            prices::diff(&asked.server()?, &before, &after, json)
        }
        Command::Invoice(Invoice::List { client: asked, payer, state, period, json }) => {
            let (payer, state, period) = (payer.as_deref(), state.as_deref(), period.as_deref());
            let filter = invoices::InvoiceFilter { payer, state, period };
            invoices::list_invoices(&asked.server()?, filter, json)
        }
        Command::Invoice(Invoice::Show { id, client: asked, json }) => {
            invoices::show_invoice(&asked.server()?, &id, json)
        }
        Command::Invoice(Invoice::Run { period, finalise, grace, price_book, client: asked, json }) => {
            let body = invoices::run_of(&period, price_book.as_deref(), (grace, finalise))?;
            invoices::run_invoices(&asked.server()?, &body, json)
        }
        Command::Invoice(Invoice::Change(change)) => invoice::run(&change),
        Command::Party(asked) => party::party(&asked),
        Command::User(asked) => user::run(&asked),
        Command::Token(asked) => token::run(&asked),
        Command::Project(asked) => project::run(&asked),
        Command::Credit(asked) => party::credit(&asked),
        Command::Charge(asked) => party::charge(&asked),
        Command::Journal(asked) => books::journal(&asked),
        Command::TrialBalance(asked) => books::trial_balance(&asked),
        Command::Account(asked) => books::account(&asked),
        Command::Accounts(asked) => books::accounts(&asked),
        Command::Invoice(Invoice::Preview { period, payer, price_book, client: asked, json }) => {
            compare::preview(&asked.server()?, &period, (payer.as_deref(), price_book.as_deref()), json)
        }
        Command::Invoice(Invoice::Diff { run, client: asked, json }) => {
            compare::diff(&asked.server()?, &run, json)
        }
        Command::WhatIf(asked) => compare::what_if(&asked),
        Command::Keys(asked) => keys::run(&asked),
        Command::Clock(asked) => clock::run(&asked),
        Command::Usage(asked) => compare::usage(&asked),
        Command::Explain(asked) => explain::run(&asked),
        Command::Request(asked) => request::request(&asked),
        Command::Supply(asked) => request::supply(&asked),
        Command::Computer(asked) => computer::run(&asked),
        Command::Service(asked) => service::run(&asked),
        Command::Console(options) => console::run(&options),
        Command::Config(asked) => config_file::run(&asked),
        Command::Completions(asked) => {
            manual::completions(&asked);
            Ok(())
        }
        Command::Man(asked) => manual::man(&asked),
    }
}
