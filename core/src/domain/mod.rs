//! Pure decisions: command -> decide -> events -> evolve -> state.
//!
//! One file for each decision-maker. Nothing here knows a store, a clock, a thread or randomness: the time and
//! the next sequence are inputs. `decide` may refuse, and every refusal is a named variant; `evolve` is total:
//! what is recorded cannot be refused.

pub mod access;
pub mod account;
pub mod calendar;
pub mod catalogue;
pub mod charge;
pub mod clock;
pub mod computer;
pub mod credit;
pub mod discount;
pub mod erasure;
pub mod event;
#[cfg(test)]
pub(crate) mod given;
pub mod id;
pub mod instance;
pub mod invoice;
pub mod log_key;
pub mod money;
#[cfg(test)]
mod naive;
pub mod party;
pub mod pricing;
pub mod product;
pub mod project;
#[cfg(test)]
mod properties;
pub mod quantity;
pub mod refusal;
pub mod restore;
pub mod sealed;
pub mod software;
pub mod software_schema;
pub mod state;
pub mod tax;
pub mod time;
pub mod top_up;
pub mod usage;

pub use project::Project;
pub use refusal::{Refusal, RefusalClass};
pub use state::{Context, State};

use bincode::{Decode, Encode};

use event::{Event, Stream};
use id::{ComputerId, CredentialId, InstanceId, InvoiceId, PartyId, PriceBookName, ProjectId, RunId};
use instance::RequestOutcome;
use usage::{UsageOutcome, UsagePrint};

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Enter a party.
    RegisterParty(party::RegisterParty),
    /// Enter a computer.
    RegisterComputer(computer::RegisterComputer),
    /// Take over what a computer says of itself.
    ConfigureComputer(computer::ConfigureComputer),
    /// Enter a computer by its title.
    RequestComputer(computer::RequestComputer),
    /// Give a computer a title and attributes.
    DescribeComputer(computer::DescribeComputer),
    /// Restrict who and what a computer serves.
    SetAllocationScope(computer::SetAllocationScope),
    /// Say that a computer is silent, or is not any more.
    NoticeSilence(computer::NoticeSilence),
    /// Have everything on a computer processed again.
    BangComputer(computer::BangComputer),
    /// Retire a computer.
    RetireComputer(computer::RetireComputer),
    /// Give up the instance in a partition that is gone.
    ReleasePartition(instance::ReleasePartition),
    /// Record an entry of the catalogue, or replace what it says.
    RecordCatalogueEntry(Box<catalogue::RecordCatalogueEntry>),
    /// Remove an entry of the catalogue.
    RemoveCatalogueEntry(catalogue::RemoveCatalogueEntry),
    /// Publish a release of a product.
    PublishSoftwareRelease(product::PublishSoftwareRelease),
    /// Describe the parameters of a release.
    SupplySoftwareSchema(software_schema::SupplySoftwareSchema),
    /// Ask for a release on a computer, or ask it away.
    SupplySoftware(software::SupplySoftware),
    /// Say how far a computer is with a release.
    ReportSoftware(software::ReportSoftware),
    /// `request()`.
    RequestInstance(instance::RequestInstance),
    /// Say in which state an instance is.
    ReportInstance(instance::ReportInstance),
    /// Say how an instance is reached.
    SetConnectionParameters(instance::SetConnectionParameters),
    /// Have a whole tree processed again.
    BangInstance(instance::BangInstance),
    /// Give an instance another name.
    RenameInstance(instance::RenameInstance),
    /// Report usage.
    RecordUsage(usage::RecordUsage),
    /// Meter suspended usage after all.
    ResolveSuspendedUsage(usage::ResolveSuspendedUsage),
    /// Never meter it.
    DismissSuspendedUsage(usage::DismissSuspendedUsage),
    /// Void usage events.
    VoidUsage(usage::VoidUsage),
    /// Accept usage from the future whose time has come.
    AcceptDueUsage(usage::AcceptDueUsage),
    /// Publish a price book.
    PublishPriceBook(pricing::PublishPriceBook),
    /// Give a customer a price of their own.
    SetPriceOverride(pricing::SetPriceOverride),
    /// End it.
    EndPriceOverride(pricing::EndPriceOverride),
    /// Open an invoice run.
    OpenInvoiceRun(invoice::OpenInvoiceRun),
    /// Make a draft final.
    FinaliseInvoice(Box<invoice::FinaliseInvoice>),
    /// Give back what an invoice charged.
    IssueCreditNote(Box<invoice::IssueCreditNote>),
    /// Draw the drafts of a run up again.
    RefreshInvoiceRun(invoice::RefreshInvoiceRun),
    /// Give up the drafts of a run.
    WithdrawInvoiceRun(invoice::WithdrawInvoiceRun),
    /// Approve or hold a draft.
    ReviewDraft(invoice::ReviewDraft),
    /// All drafts of a run are final.
    FinaliseInvoiceRun(invoice::FinaliseInvoiceRun),
    /// Say what invoices say of a party.
    DescribeParty(party::DescribeParty),
    /// Have a party's months cut elsewhere.
    SetPartyTimeZone(party::SetPartyTimeZone),
    /// Have a seller charge a tax rate.
    SetTaxRate(tax::SetTaxRate),
    /// Set the tax category of a customer.
    SetTaxTreatment(tax::SetTaxTreatment),
    /// Have a seller charge a tax for a product.
    SetProductTax(tax::SetProductTax),
    /// Give a customer prepaid credit.
    GrantCredit(credit::GrantCredit),
    /// Say when more prepaid credit is requested.
    SetTopUp(top_up::SetTopUp),
    /// Record what has expired of prepaid credits.
    ExpireCredits(credit::ExpireCredits),
    /// Take back what is left of it.
    WithdrawCredit(credit::WithdrawCredit),
    /// Charge or give something by hand.
    RecordCharge(charge::RecordCharge),
    /// Give a customer the discounts of a code.
    RedeemDiscountCode(discount::RedeemDiscountCode),
    /// Close the books of a seller.
    CloseAccounts(account::CloseAccounts),
    /// Open a project.
    OpenProject(access::OpenProject),
    /// Let somebody in.
    IssueCredential(Box<access::IssueCredential>),
    /// Let somebody in no more.
    RevokeCredentials(access::RevokeCredentials),
    /// Erase all that was sealed for a party or an instance.
    Erase(erasure::Erase),
    /// Confirm the time that the clock shows.
    ConfirmClock(clock::ConfirmClock),
    /// Sign checkpoints with a key from now on.
    SetLogKey(log_key::SetLogKey),
    /// Record that the ledger was restored from a backup.
    RecordRestore(Box<restore::RecordRestore>),
}

impl Command {
    /// How many bytes the sealed value has that it sets, if it sets one that may be long.
    pub(crate) fn value_bytes(&self) -> usize {
        match self {
            Self::RequestInstance(command) => command.parameters.ciphertext.len(),
            Self::SetConnectionParameters(command) => command.connection.ciphertext.len(),
            _ => 0,
        }
    }
}

/// What a command is answered; the same answer again for the same command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// It is done.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// This party was entered.
    Party(PartyId),
    /// This became of a request.
    Instance {
        /// Which.
        instance: InstanceId,
        /// Whether it is new, changed or as it was.
        outcome: RequestOutcome,
        /// Whether it has a partition.
        allocated: bool,
    },
    /// This became of each report, in order.
    Usage(Vec<UsageOutcome>),
    /// This version was published.
    PriceBook {
        /// The book.
        name: PriceBookName,
        /// Its version.
        version: u32,
    },
    /// This run was opened, drawn up again, withdrawn or made final.
    InvoiceRun(RunId),
    /// This invoice was issued.
    Invoice(InvoiceId),
    /// This computer was entered, or is the one that was meant.
    Computer(ComputerId),
    /// This credit was granted.
    Credit(credit::CreditId),
    /// This charge was recorded.
    Charge(charge::ChargeId),
    /// This project was opened.
    Project(ProjectId),
    /// These credentials were revoked.
    Revoked(Vec<CredentialId>),
    /// This override was set or ended.
    PriceOverride(pricing::OverrideId),
}

/// What a decision-maker decided: its answer, and the events that make it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<A> {
    /// What the sender is told.
    pub answer: A,
    /// What is recorded; nothing, if nothing changes.
    pub events: Vec<(Stream, Event)>,
    /// The fingerprints of usage among them that are known, in order.
    pub prints: Vec<UsagePrint>,
}

impl<A> Outcome<A> {
    pub(crate) fn of(answer: A, events: impl IntoIterator<Item = (Stream, Event)>) -> Self {
        Self { answer, events: events.into_iter().collect(), prints: Vec::new() }
    }

    pub(crate) fn unchanged(answer: A) -> Self {
        Self { answer, events: Vec::new(), prints: Vec::new() }
    }

    pub(crate) fn map<B>(self, into: impl FnOnce(A) -> B) -> Outcome<B> {
        Outcome { answer: into(self.answer), events: self.events, prints: self.prints }
    }
}

impl Outcome<()> {
    pub(crate) fn done(self) -> Outcome<Answer> {
        let answer = if self.events.is_empty() { Answer::Unchanged } else { Answer::Done };
        self.map(|()| answer)
    }
}
