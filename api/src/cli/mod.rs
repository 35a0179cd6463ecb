//! The command line. `--help` is its manual; docs/ has the rest.

mod backup;
mod clock;
mod explain;
mod init;
mod keys;
mod log;
mod offline;
mod progress;
mod rebuild;
mod repair;
mod restore;
mod serve;
mod token;
mod verify;
mod warnings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use slapledger_client::options::{Client, Identity};
use slapledger_client::{
    books, compare, computer, console, invoice, invoices, master, party, project, request, server, service,
    user,
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
}

#[derive(Subcommand)]
enum Command {
    /// Play October 2026 in an invented cloud, print its invoices, and serve it
    ///
    /// The users and software are those of the SlapOS early success stories document of 2011. The same seed
    /// plays the same month. On a folder that holds a demo already, nothing is played again.
    Demo {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        listen: Listen,
        /// Another seed is another month
        #[arg(long, value_name = "N", default_value_t = 2011)]
        seed: u64,
        /// Stop when the invoices are printed
        #[arg(long)]
        no_serve: bool,
    },
    /// Be the master of one user, as `slapos proxy` is: no sign-in, this machine only
    ///
    /// Seller and payer are the local user. SLAP clients take the address as their `master_url`:
    ///
    ///     [slapos]
    ///     master_url = http://127.0.0.1:5000/
    #[command(verbatim_doc_comment)]
    Proxy {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        listen: Listen,
        /// Answer /healthz and /readyz at this loopback address too; port 0 takes a free one
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// The computer that exists from the start, and where requests go that name none
        #[arg(long, value_name = "ID", default_value = "computer")]
        computer: String,
        /// Publish a software release as the best of a product, such as kvm=https://example.org/software.cfg; may be
        /// given more than once
        #[arg(long = "product", value_name = "PRODUCT=RELEASE")]
        products: Vec<String>,
        /// Take the time from this file (an RFC 3339 instant, read anew for each command); for tests
        #[arg(long, value_name = "FILE")]
        clock: Option<PathBuf>,
    },
    /// Make the folder of a master: certificate authority, keys, and the token of a first admin
    ///
    /// The token is printed once and kept nowhere. What was interrupted is finished by doing it again; nothing that is
    /// there is replaced.
    Init {
        #[command(flatten)]
        folder: Folder,
        /// What the authority, and the party that sells where nobody else is named, are called
        #[arg(long, value_name = "NAME", default_value = "Slapledger")]
        name: String,
        /// Where months of that party begin
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
        /// Write the token to this file, for its owner alone, and do not print it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Be the master of a cloud, as the master of SlapOS answers
    ///
    /// Over TLS, with certificates of its own authority: `slapledger init` makes it. Everybody comes with a client
    /// certificate or a token. It knows no computer until one is entered, by `slapos node register` or by `slapledger
    /// computer register TITLE`. Requests without room wait and are answered 408 until there is some.
    Serve {
        #[command(flatten)]
        folder: Folder,
        /// Where to listen; port 0 takes a free one. Without it 127.0.0.1:5000, or what the file says
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Answer /healthz and /readyz at this loopback address too; port 0 takes a free one
        #[arg(long, value_name = "ADDR")]
        operations: Option<SocketAddr>,
        /// Names, certificates and bounds, in TOML (docs/security.md)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A name or address under which clients reach it; may be given more than once. localhost and the address it
        /// listens on are among them
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// Without TLS, on this machine alone: behind a program that ends it, or for tests
        #[arg(long)]
        plain_http: bool,
        /// A computer that is not heard of for so long gets no new instances, until it is heard of again. An hour, if
        /// nothing is said
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
        /// So many at most
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Check every byte of a data folder
    ///
    /// Reads the log, its databases, the key ring, snapshots and index, and compares them with each other. Ends with one
    /// verdict: exit status 0 if the folder is whole, 1 at the first thing that is not as it was written. Changes nothing.
    Verify {
        #[command(flatten)]
        folder: Folder,
        /// Derive all views from the first event on too, and compare them with the snapshots
        #[arg(long)]
        deep: bool,
    },
    /// Derive projections from the log again, and print their digests
    ///
    /// The digest of a projection that was kept is printed beside the one that was derived: they are equal, or
    /// the exit status is 1. With --url a running server does it beside the one it serves, and swaps them.
    Rebuild {
        #[command(flatten)]
        source: Source,
        /// inventory, instances, catalogue, metering, billing, journal or access; all of them, if none is named
        projection: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Back up a ledger to a folder, while its server runs or not
    ///
    /// A backup to a folder that has one copies what is new. An interrupted backup leaves the one before it whole; run it
    /// again to complete it.
    Backup(backup::Backup),
    /// Restore a ledger from a backup, whole or up to a point
    ///
    /// Every byte is verified first. The restored ledger records that it was restored, and continues invoices in new series,
    /// unless --last-number states the last number that was issued.
    Restore(restore::Restore),
    /// Repair damaged sealed epochs from a backup
    ///
    /// Files that do not match the manifest of their epoch come back from a backup with the same root; nothing else changes.
    Repair(repair::Repair),
    /// Check price books, and publish them
    #[command(subcommand)]
    PriceBook(PriceBook),
    /// Run, list and show invoices
    #[command(subcommand)]
    Invoice(Invoice),
    /// List, enter and describe those who request, sell and pay
    #[command(subcommand)]
    Party(party::Party),
    /// Enter users, let them in, and have them come in no more
    #[command(subcommand)]
    User(user::User),
    /// Issue, list and revoke tokens
    #[command(subcommand)]
    Token(slapledger_client::token::Tokens),
    /// Open and list projects: worlds of their own in one ledger
    #[command(subcommand)]
    Project(project::Project),
    /// Give customers prepaid credit, and take back what is left
    #[command(subcommand)]
    Credit(party::Credit),
    /// Charge or give something by hand, with the next invoice
    #[command(subcommand)]
    Charge(party::Charge),
    /// Print the journal: every document and credit in double entry
    Journal(books::Journal),
    /// Print all accounts that are not empty; debits and credits are equal
    TrialBalance(books::TrialBalance),
    /// Print what happened to an account, with opening and closing balance
    Account(books::Account),
    /// List accounts, close books, and list what is closed
    #[command(subcommand)]
    Accounts(books::Accounts),
    /// Rate a past period by other prices, and print the difference by customer; nothing is recorded
    ///
    /// The prices of the file count for all of the period, whatever their `valid_from` says, and are compared with those that
    /// are published: both from all usage that is known now, without tax.
    WhatIf(compare::WhatIf),
    /// Look at the key ring, and give it another master key; no server may be using it
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show and confirm the clock of a master
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Look for usage that is missing
    #[command(subcommand)]
    Usage(compare::Usage),
    /// Say why an invoice, or a line of one, says what it says
    ///
    /// The rate as it was published, the quantity by hour or by day, tiers, rounding, where its instances were, tax, and
    /// the events behind it: its arithmetic can be done again by hand.
    Explain(explain::Explain),
    /// Request an instance, change it, or look how it is
    ///
    /// The same request again changes nothing and shows how the instance is now. Exit status: 0 if it has its place, 2 if it
    /// is not ready yet (no partition, or not as wanted when --wait is over), 1 for what is wrong.
    Request(request::Request),
    /// Have software on a computer
    Supply(request::Supply),
    /// List and show computers, and say what they offer
    #[command(subcommand)]
    Computer(computer::Computer),
    /// List and show services: instances with what belongs to them
    #[command(subcommand)]
    Service(service::Service),
    /// Request and look at instances by lines that look like Python
    ///
    ///     kvm_instance = request(kvm, 'i1')
    ///     kvm_instance.getParameter('url')
    ///
    /// At a terminal it asks for lines; else it carries out what it is given and ends at the first error, with the exit
    /// status 2 if an instance is not ready yet, 1 for what else is wrong. `help()` in it says what there is.
    #[command(verbatim_doc_comment)]
    Console(console::Options),
}

#[derive(Subcommand)]
enum PriceBook {
    /// Read a price book and say what is wrong with it, with line and column
    Check {
        /// A TOML file; docs/price-books.md describes it
        file: PathBuf,
    },
    /// Print the JSON schema of price books, for editors and other programs
    Schema,
    /// Publish a price book as its next version
    Publish {
        /// A TOML file; docs/price-books.md describes it
        file: PathBuf,
        #[command(flatten)]
        client: Client,
    },
}

#[derive(Subcommand)]
enum Invoice {
    /// List invoices
    List {
        #[command(flatten)]
        client: Client,
        /// Of this payer (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// draft or final
        #[arg(long)]
        state: Option<String>,
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
        /// Of this payer alone (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// By the prices of this book; may be left out while there is but one
        #[arg(long, value_name = "NAME")]
        price_book: Option<String>,
        #[command(flatten)]
        client: Client,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the lines of a run that would be others if it were opened now, and why
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
        /// Make the drafts final: at once, or by itself when the time of grace is over
        #[arg(long)]
        finalise: bool,
        /// For so long the drafts can be looked at, and none becomes final
        #[arg(long, value_name = "HOURS", default_value_t = 0)]
        grace: u32,
        /// By the prices of this book; may be left out while there is but one
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
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The file of the master key, if it does not lie beside the key ring in the data folder
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
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

#[derive(Args)]
#[group(multiple = false)]
struct Source {
    /// Read this folder; no server may be using it
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Ask the server at this address
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    identity: Identity,
}

impl Source {
    /// The server to ask, if it is one.
    fn server(&self) -> anyhow::Result<Option<server::Server>> {
        self.url.as_deref().map(|url| self.identity.server(url, None)).transpose()
    }
}

/// What the command line says. Help is printed as it is; what is wrong becomes one line.
fn read() -> anyhow::Result<Cli> {
    Cli::try_parse().map_err(|error| {
        if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            error.exit();
        }
        let text = error.to_string();
        let words = text.trim_start_matches("error: ").lines().map(str::trim);
        let ends = |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
        let words: Vec<_> = words.take_while(|line| !ends(line)).filter(|line| !line.is_empty()).collect();
        anyhow::anyhow!("{}; --help says what there is", words.join(" "))
    })
}

/// The exit status for an instance that is not ready yet, as for the clients of slapos.core.
const NOT_READY: u8 = 2;

/// The exit status of an error.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    let told = error.downcast_ref::<console::Told>().map(|told| &told.error);
    let is_not_ready = told.or_else(|| error.downcast_ref()).is_some_and(master::MasterError::is_not_ready);
    if is_not_ready { NOT_READY } else { 1 }
}

/// Runs what the command line says. The error is one readable line.
pub fn run() -> anyhow::Result<()> {
    match read()?.command {
        Command::Demo { folder, listen, seed, no_serve } => {
            serve::demo(&folder, (!no_serve).then_some(listen.listen), seed)
        }
        Command::Proxy { folder, listen, operations, computer, products, clock } => {
            serve::proxy(&folder, listen.listen, operations, &computer, &products, clock)
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
            None => log::of_folder(&source.data, after, limit, json),
        },
        Command::Verify { folder, deep } => verify::run(&folder, deep),
        Command::Rebuild { source, projection, json } => match source.server()? {
            Some(server) => rebuild::on_server(&server, projection.as_deref(), json),
            None => rebuild::in_folder(&source.data, projection.as_deref(), json),
        },
        Command::Backup(asked) => backup::run(&asked),
        Command::Restore(asked) => restore::run(&asked),
        Command::Repair(asked) => repair::run(&asked),
        Command::PriceBook(PriceBook::Check { file }) => invoices::check_price_book(&file),
        Command::PriceBook(PriceBook::Schema) => invoices::print_price_book_schema(),
        Command::PriceBook(PriceBook::Publish { file, client: asked }) => {
            invoices::publish_price_book(&asked.server()?, &file)
        }
        Command::Invoice(Invoice::List { client: asked, payer, state, json }) => {
            invoices::list_invoices(&asked.server()?, payer.as_deref(), state.as_deref(), json)
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
    }
}
