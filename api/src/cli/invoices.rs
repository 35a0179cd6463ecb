//! `slapledger invoice`: what it takes from the command line.

use clap::Subcommand;
use slapledger_client::options::{Client, ReadSourceArgs};
use slapledger_client::{compare, invoice, invoices, revenue};

#[derive(Subcommand)]
pub(super) enum InvoiceCommand {
    /// List invoices
    List {
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Only this payer (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// draft, final, open, `partly_credited`, credited, void or paid
        #[arg(long)]
        state: Option<String>,
        /// Only documents about a month (2026-10) or START/STOP
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
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what would be invoiced now; nothing is recorded
    Preview {
        /// A month (2026-10), or START/STOP (2026-10-01/2026-11-01)
        period: String,
        /// Only this payer (PARTY-3)
        #[arg(long)]
        payer: Option<String>,
        /// Price book to use. Default: the only one there is
        #[arg(long, value_name = "NAME")]
        price_book: Option<String>,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how a run would differ if rated now
    Diff {
        /// Its id (RUN-1)
        run: String,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Invoice a period
    Run {
        /// A month (2026-10), or START/STOP. Default with --payer: this month
        #[arg(required_unless_present = "payers")]
        period: Option<String>,
        /// Invoice only this customer (PARTY-2); repeatable
        #[arg(long = "payer", value_name = "PARTY")]
        payers: Vec<String>,
        /// Finalise the drafts when the grace period ends
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
    /// List customers by the change between two periods
    Compare {
        /// The earlier period: a month (2026-09), or START/STOP
        before: String,
        /// The later period
        after: String,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Change(invoice::InvoiceChange),
}

pub(super) fn run(command: InvoiceCommand) -> anyhow::Result<()> {
    match command {
        InvoiceCommand::List { client: asked, payer, state, period, json } => {
            let (payer, state, period) = (payer.as_deref(), state.as_deref(), period.as_deref());
            let filter = invoices::InvoiceFilter { payer, state, period };
            invoices::list_invoices(&asked.server()?, filter, json)
        }
        InvoiceCommand::Show { id, client: asked, json } => {
            invoices::show_invoice(&asked.server()?, &id, json)
        }
        InvoiceCommand::Run { period, payers, finalise, grace, price_book, client: asked, json } => {
            let wanted = (period.as_deref(), &*payers);
            let body = invoices::run_of(wanted, price_book.as_deref(), (grace, finalise))?;
            invoices::run_invoices(&asked.server()?, &body, json)
        }
        InvoiceCommand::Change(change) => invoice::run(&change),
        InvoiceCommand::Preview { period, payer, price_book, client: asked, json } => {
            compare::preview(&asked.server()?, &period, (payer.as_deref(), price_book.as_deref()), json)
        }
        InvoiceCommand::Diff { run, client: asked, json } => compare::diff(&asked.server()?, &run, json),
        InvoiceCommand::Compare { before, after, client: asked, json } => {
            revenue::compare(&asked.server()?, (&before, &after), json)
        }
    }
}
