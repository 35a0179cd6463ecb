//! `slapledger price-book`: what it takes from the command line.

use std::path::PathBuf;

use clap::Subcommand;
use slapledger_client::options::{Client, ReadSourceArgs};
use slapledger_client::prices;

#[derive(Subcommand)]
pub(super) enum PriceBookCommand {
    /// Set, list and end prices of single customers
    #[command(subcommand)]
    Override(OverrideCommand),
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
        client: ReadSourceArgs,
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
        client: ReadSourceArgs,
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
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(super) enum OverrideCommand {
    /// Give a customer a price of their own
    Set {
        /// The price book
        book: String,
        /// A TOML file with the members of one rate
        file: PathBuf,
        /// The customer
        #[arg(long)]
        customer: String,
        /// The instant from which it counts
        #[arg(long)]
        from: String,
        /// The instant until which it counts
        #[arg(long)]
        until: Option<String>,
        /// Set a price that takes effect in an invoiced period
        #[arg(long)]
        retroactive: bool,
        #[command(flatten)]
        client: Client,
    },
    /// List the prices of single customers
    List {
        /// The price book
        book: String,
        /// List those of one customer
        #[arg(long)]
        customer: Option<String>,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a price of a customer
    End {
        /// The price book
        book: String,
        /// The override
        id: String,
        /// The instant until which it counts. Default: now
        #[arg(long)]
        until: Option<String>,
        /// Change an invoiced period
        #[arg(long)]
        retroactive: bool,
        #[command(flatten)]
        client: Client,
    },
}

pub(super) fn run(command: PriceBookCommand) -> anyhow::Result<()> {
    match command {
        PriceBookCommand::Override(command) => run_override(command),
        PriceBookCommand::Check { file } => prices::check(&file),
        PriceBookCommand::Schema => prices::print_schema(),
        PriceBookCommand::Publish { file, retroactive, client: asked } => {
            prices::publish(&asked.server()?, &file, retroactive)
        }
        PriceBookCommand::List { client: asked, json } => prices::list(&asked.server()?, json),
        PriceBookCommand::Show { book, client: asked, json } => prices::show(&asked.server()?, &book, json),
        PriceBookCommand::Diff { before, after, client: asked, json } => {
            prices::diff(&asked.server()?, &before, &after, json)
        }
    }
}

fn run_override(command: OverrideCommand) -> anyhow::Result<()> {
    match command {
        OverrideCommand::Set { book, file, customer, from, until, retroactive, client: asked } => {
            let time = (customer.as_str(), from.as_str(), until.as_deref());
            prices::set_override(&asked.server()?, &book, time, (&file, retroactive))
        }
        OverrideCommand::List { book, customer, client: asked, json } => {
            prices::list_overrides(&asked.server()?, &book, customer.as_deref(), json)
        }
        OverrideCommand::End { book, id, until, retroactive, client: asked } => {
            prices::end_override(&asked.server()?, (&book, &id), until.as_deref(), retroactive)
        }
    }
}
