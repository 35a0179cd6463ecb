//! The command line. `--help` is its manual; docs/ has the rest.

mod audit;
mod backup;
mod clock;
mod config_file;
mod explain;
mod export;
mod hints;
mod import;
mod init;
mod invoices;
mod keys;
mod log;
mod log_key;
mod manual;
mod offline;
mod price_book;
mod progress;
mod proof;
mod rebuild;
mod rebuild_serving;
mod repair;
mod restore;
mod serve;
mod token;
mod verdict;
mod verify;
mod verify_backup;
mod verify_invoice;
mod warnings;
mod witness;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use slapledger_client::later::{Later, NOT_READY_STATUS, TRY_AGAIN_STATUS};
use slapledger_client::options::{Identity, URL, open_folders_by};
use slapledger_client::print::OutputFormat;
use slapledger_client::{
    books, catalogue_entries, changes, compare, computer, console, master, party, print, project, request,
    revenue, server, service, usage, user,
};
use slapledger_core::backup::BackupFault;

use crate::config::{Config, LEAST_SILENCE};

/// Where everything is kept, if nothing else is said.
const DEFAULT_DATA: &str = "./slapledger-data";

#[derive(Parser)]
#[command(
    name = "slapledger",
    version,
    about = "Master of a distributed cloud, with billing on one log",
    long_about = "Slapledger is the master of a distributed cloud, built as an event-sourced ledger.\n\n\
        A computer offers partitions, the master allocates them to callers of request(), the computer \
        reports usage. Every one of these actions is an event in one log; instances, metering and invoices are \
        derived from it and can be derived again.\n\n\
        Try it:      slapledger demo\n\
        Use it:      slapledger proxy, and point any SLAP client at the address it prints",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
    /// Form of tables. Default: table
    #[arg(long, global = true, value_name = "FORM")]
    output: Option<OutputFormat>,
    #[command(flatten)]
    logging: warnings::Logging,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Play two months in an invented cloud and serve it
    ///
    /// The users and software are those of the SlapOS early success stories document of 2011. The same seed
    /// plays the same months. If the folder already holds a demo, it is served as it is.
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
        /// Also answer /healthz and /readyz on this loopback address
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// Computer to register at the start, the default of requests
        #[arg(long, value_name = "ID", default_value = "computer")]
        computer: String,
        /// Publish the preferred release of a product; repeatable
        #[arg(long = "product", value_name = "PRODUCT=RELEASE")]
        products: Vec<String>,
        /// Forward requests to the `[multimaster/URL]` of this slapos.cfg
        #[arg(long, value_name = "FILE")]
        cfg: Option<PathBuf>,
        /// For tests: read the time (RFC 3339) from this file
        #[arg(long, value_name = "FILE")]
        clock: Option<PathBuf>,
    },
    /// Create a data folder, its certificate authority and admin token
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
        /// Write the token to this file (mode 0600)
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
        /// Also answer /healthz and /readyz on this loopback address
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// Configuration file in TOML: names, certificates, limits (docs/security.md)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Host name or address that clients use; repeatable
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// Serve HTTP without TLS on loopback, for a reverse proxy
        #[arg(long)]
        plain_http: bool,
        /// Allocate nothing to a computer silent for longer. Default: 3600
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(i64::from(LEAST_SILENCE)..))]
        silent_after: Option<u32>,
    },
    /// Print events of the log
    Log {
        #[command(flatten)]
        source: ReadSource,
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
    /// Check every byte of a data folder, backup or export
    ///
    /// Reads the log, its databases, the key ring, snapshots and index, and compares them with each other. Prints one
    /// verdict. Of a backup, checks every file that its manifest names, keys too. Of an export, checks the tree and that
    /// each event follows from those before it. Exit status: 0 if the folder is
    /// whole, 1 at the first divergence, 2 if it could not be read. Changes nothing.
    Verify {
        /// An export; the data folder, if none is named
        #[arg(value_name = "FILE", conflicts_with = "data")]
        file: Option<PathBuf>,
        #[command(flatten)]
        folder: Folder,
        /// Also derive all documents, and views, again
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        against: verify::Against,
    },
    /// Export the log of a data folder to a file
    ///
    /// The file holds the stored bytes of the events, compressed with zstd (docs/format.md), and a signed checkpoint.
    /// Of events of other projects, an export of one project holds the hashes.
    Export(export::ExportArgs),
    /// Create a data folder from an export
    ///
    /// The imported log has the same root. Without --keys-of, names and parameters stay sealed.
    Import(import::ImportArgs),
    /// Derive projections as of an earlier point of the log
    ///
    /// Prints their digests, which two ledgers with the same events share.
    Replay {
        #[command(flatten)]
        folder: Folder,
        /// Up to this sequence or instant (RFC 3339)
        #[arg(long, value_name = "SEQUENCE|INSTANT")]
        until: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what changed between two points, by stream
    Diff(changes::DiffArgs),
    /// Rebuild projections from the log and compare digests
    ///
    /// Prints the digest of the stored projection beside that of the rebuilt one. Exit status: 1 if they differ. With
    /// --url a running server rebuilds while it serves, and then replaces what it serves, unless they differ. It keeps
    /// the previous generation for a while, until --confirm or --swap-back.
    Rebuild(rebuild::RebuildArgs),
    /// Back up a ledger to a folder, also while served
    ///
    /// If DEST already holds a backup of this ledger, only what is new is copied. After an interruption the previous
    /// backup is still whole; run the command again.
    Backup(backup::Backup),
    /// Restore a ledger from a backup, up to any point
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
    PriceBook(price_book::PriceBookCommand),
    /// Run, list and show invoices
    #[command(subcommand)]
    Invoice(invoices::InvoiceCommand),
    /// List, record and import the catalogue of software
    #[command(subcommand)]
    Catalogue(catalogue_entries::CatalogueCommand),
    /// Manage the parties that request, sell and pay
    #[command(subcommand)]
    Party(party::PartyCommand),
    /// Add users; grant and revoke access
    #[command(subcommand)]
    User(user::User),
    /// Issue, list and revoke tokens
    #[command(subcommand)]
    Token(slapledger_client::token::Tokens),
    /// Open and list projects (isolated tenants of one ledger)
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Grant and withdraw prepaid credit
    #[command(subcommand)]
    Credit(party::CreditCommand),
    /// Record manual charges for the next invoice
    #[command(subcommand)]
    Charge(party::ChargeCommand),
    /// List discounts; redeem discount codes
    #[command(subcommand)]
    Discount(party::DiscountCommand),
    /// Print the journal: every document and credit in double entry
    Journal(books::JournalArgs),
    /// Print the trial balance
    TrialBalance(books::TrialBalanceArgs),
    /// Print the statement of an account
    Account(books::AccountArgs),
    /// List accounts and close accounting periods
    #[command(subcommand)]
    Accounts(books::AccountsCommand),
    /// Rate a past period with other prices; print the difference
    ///
    /// Nothing is recorded. The prices of the file apply to the whole period, whatever their `valid_from` says. Both
    /// sides use all usage known now, without tax.
    WhatIf(compare::WhatIfArgs),
    /// Show the key ring and rotate its master key
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show and confirm the clock of a master
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Find missing usage; resolve, dismiss and void usage
    #[command(subcommand)]
    Usage(usage::UsageCommand),
    /// Show the revenue of a period, grouped
    ///
    /// The sum of final documents whose own period begins in the period, without tax. Credit notes count below zero.
    Revenue(revenue::RevenueQuery),
    /// Explain how an invoice or a line was calculated
    ///
    /// Prints the published rate, quantities by hour or day, tiers, rounding, allocations, tax and the events behind
    /// them, so that the arithmetic can be repeated by hand.
    Explain(explain::Explain),
    /// Write a proof of an invoice to a file
    ///
    /// The proof holds the events that the invoice can be derived from again, that they are in the log, and a signed
    /// checkpoint (docs/proofs.md). It holds nothing of other customers.
    Proof(proof::ProofArgs),
    /// Check proofs of invoices without the server
    ///
    /// Checks the signature of the checkpoint and that the events are in the log, and derives the invoice again:
    /// metering, prices, proration, tax and rounding. Several proofs are also compared with each other. Exit status: 1
    /// at the first divergence, 3 if a proof cannot be repeated because events are withheld.
    VerifyInvoice(verify_invoice::VerifyInvoice),
    /// Cosign checkpoints of other ledgers as a witness
    ///
    /// Speaks C2SP tlog-witness. Refuses a log that does not continue the tree it cosigned last, and keeps the
    /// checkpoint as evidence. Prints the key that the configuration of those ledgers names.
    Witness(witness::WitnessArgs),
    /// Request, change or show an instance
    ///
    /// Repeating a request changes nothing and shows the instance. Exit status: 0 if it is allocated, 2 if it is not
    /// ready (no partition, or --wait timed out), 1 on errors.
    Request(request::Request),
    /// Supply software to a computer
    Supply(request::SupplyArgs),
    /// Register, describe and list computers
    #[command(subcommand)]
    Computer(computer::ComputerCommand),
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
    Console(console::ConsoleArgs),
    /// Check the configuration file of a server
    #[command(subcommand)]
    Config(config_file::ConfigFile),
    /// Print the completion script of a shell
    Completions(manual::Completions),
    /// Print the manual page, or write one for each command
    Man(manual::Man),
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
struct ReadSource {
    /// Read this data folder. Default: ./slapledger-data, if no server is named
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The server to ask. Default: `SLAPLEDGER_URL`, unless --data is given
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

impl ReadSource {
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
            // Nobody has to read the help.
            let _ = error.print();
            std::process::exit(NOT_READY_STATUS.into());
        }
        let text = error.to_string();
        let words = text.trim_start_matches("error: ").lines().map(str::trim);
        let ends = |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
        let words: Vec<_> = words.take_while(|line| !ends(line)).filter(|line| !line.is_empty()).collect();
        WrongUsage(format!("{}; --help says what there is", words.join(" "))).into()
    })
}

/// The command line cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// The exit status of an error: 2 if there is no answer yet (an instance that is not ready, a folder that could not be
/// verified) or the command line cannot be understood, 3 if a proof of an invoice cannot be repeated, 75 if it may do when
/// tried again, else 1.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    let told = error.downcast_ref::<console::MasterMessage>().map(|told| &told.error);
    if let Some(error) = told.or_else(|| error.downcast_ref::<master::MasterError>()) {
        return error.exit_status();
    }
    if let Some(later) = error.downcast_ref::<Later>() {
        return later.exit_status();
    }
    if let Some(BackupFault::Server { may_return: true, .. }) = error.downcast_ref() {
        return TRY_AGAIN_STATUS;
    }
    if error.is::<verify_invoice::WithheldProofs>() {
        return verify_invoice::WITHHELD_STATUS;
    }
    if error.is::<verdict::Unverifiable>() || error.is::<WrongUsage>() { NOT_READY_STATUS } else { 1 }
}

/// Runs what the command line says. The error is one readable line.
pub fn run() -> anyhow::Result<()> {
    let Cli { command, output, logging } = read()?;
    warnings::configure(&logging);
    let output = output.unwrap_or_default();
    // Each command has its own --json, so that clap cannot tell the two apart.
    let is_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    if output == OutputFormat::Csv && is_json {
        let rule = "--output csv cannot be combined with --json; leave one of them out";
        return Err(WrongUsage(rule.to_owned()).into());
    }
    print::configure(output);
    open_folders_by(offline::open);
    match command {
        CliCommand::Demo { folder, listen, seed, no_serve } => {
            serve::demo(&folder, (!no_serve).then_some(listen.listen), seed)
        }
        CliCommand::Proxy { folder, listen, operations, computer, products, cfg, clock } => {
            serve::proxy(&folder, listen.listen, operations, &computer, &products, (cfg, clock))
        }
        CliCommand::Init { folder, name, time_zone, token_file } => {
            let time_zone = time_zone.parse().map_err(|rule| anyhow::anyhow!("--time-zone {rule}"))?;
            init::run(&init::Init {
                folder: &folder,
                name: &name,
                time_zone,
                token_file: token_file.as_deref(),
            })
        }
        CliCommand::Serve { folder, listen, operations, config, names, plain_http, silent_after } => {
            let mut config = config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
            config.listen = listen.or(config.listen);
            config.operations = operations.or(config.operations);
            config.names.extend(names);
            config.silent_after_seconds = silent_after.or(config.silent_after_seconds);
            serve::master(folder, config, plain_http)
        }
        CliCommand::Log { source, after, limit, json } => match source.server()? {
            Some(server) => log::of_server(&server, after, limit, json),
            None => log::of_folder(source.folder(), after, limit, json),
        },
        CliCommand::Verify { file, folder, deep, against } => {
            verify::run(&folder, file.as_deref(), deep, &against)
        }
        CliCommand::Rebuild(asked) => match asked.source.server()? {
            Some(server) => rebuild_serving::run(&server, &asked),
            None => rebuild::in_folder(&asked),
        },
        CliCommand::Replay { folder, until, json } => rebuild::until(&folder.data, &until, json),
        CliCommand::Diff(asked) => changes::diff(&asked),
        CliCommand::Export(asked) => export::run(&asked),
        CliCommand::Import(asked) => import::run(&asked),
        CliCommand::Backup(asked) => backup::run(&asked),
        CliCommand::Restore(asked) => restore::run(&asked),
        CliCommand::Repair(asked) => repair::run(&asked),
        CliCommand::PriceBook(asked) => price_book::run(asked),
        CliCommand::Invoice(asked) => invoices::run(asked),
        CliCommand::Catalogue(asked) => catalogue_entries::catalogue(&asked),
        CliCommand::Party(asked) => party::party(&asked),
        CliCommand::User(asked) => user::run(&asked),
        CliCommand::Token(asked) => token::run(&asked),
        CliCommand::Project(asked) => project::run(&asked),
        CliCommand::Credit(asked) => party::credit(&asked),
        CliCommand::Charge(asked) => party::charge(&asked),
        CliCommand::Discount(asked) => party::discount(&asked),
        CliCommand::Journal(asked) => books::journal(&asked),
        CliCommand::TrialBalance(asked) => books::trial_balance(&asked),
        CliCommand::Account(asked) => books::account(&asked),
        CliCommand::Accounts(asked) => books::accounts(&asked),
        CliCommand::WhatIf(asked) => compare::what_if(&asked),
        CliCommand::Keys(asked) => keys::run(&asked),
        CliCommand::Clock(asked) => clock::run(&asked),
        CliCommand::Usage(asked) => usage::run(&asked),
        CliCommand::Revenue(asked) => revenue::revenue(&asked),
        CliCommand::Explain(asked) => explain::run(&asked),
        CliCommand::Proof(asked) => proof::run(&asked),
        CliCommand::VerifyInvoice(asked) => verify_invoice::run(&asked),
        CliCommand::Witness(asked) => witness::run(&asked),
        CliCommand::Request(asked) => request::request(&asked),
        CliCommand::Supply(asked) => request::supply(&asked),
        CliCommand::Computer(asked) => computer::run(&asked),
        CliCommand::Service(asked) => service::run(&asked),
        CliCommand::Console(options) => console::run(&options),
        CliCommand::Config(asked) => config_file::run(&asked),
        CliCommand::Completions(asked) => {
            manual::completions(&asked);
            Ok(())
        }
        CliCommand::Man(asked) => manual::man(&asked),
    }
}
