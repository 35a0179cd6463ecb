//! A project: a world of its own, in which nothing of another can be seen.
//!
//! All that belongs to a project is a member of [`Project`], so a decision that was handed one cannot look at another:
//! names, numbers, counts and room are its own. SOFTINST-1 of PROJ-1 and SOFTINST-1 of PROJ-2 are different things.
//!
//! Not here: which projects there are, and what all of them share (see [`super::State`]).

use bincode::{Decode, Encode};

use super::access::Holders;
use super::account::Accounts;
use super::catalogue::CatalogueEntries;
use super::charge::Charges;
use super::computer::Computers;
use super::credit::Credits;
use super::discount::DiscountCodes;
use super::event::{Event, Mode, Stream};
use super::id::{ProjectId, Sequence};
use super::instance::{self, Instances};
use super::invoice::{self, Invoices};
use super::party::Parties;
use super::pricing::PriceBooks;
use super::product::Products;
use super::restore::{Numbering, Restores};
use super::software::Supplies;
use super::software_schema::SoftwareSchemas;
use super::tax::Taxes;
use super::time::Timestamp;
use super::usage::{self, SeenIndex, UsageFold, UsageLedger, UsageLimits, UsagePrint};
use super::{Answer, Command, Context, Outcome, Refusal};

/// All that decisions of one project look at, but for what it shares with others.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct Project {
    /// Those who request, sell and pay.
    pub parties: Parties,
    /// Computers and their partitions.
    pub computers: Computers,
    /// What publishers published.
    pub products: Products,
    /// What people said of software.
    pub catalogue: CatalogueEntries,
    /// Who describes the parameters of releases.
    pub schemas: SoftwareSchemas,
    /// Which releases are where.
    pub supplies: Supplies,
    /// Instances and where they are.
    pub instances: Instances,
    /// What usage is known, but for its identities.
    pub usage: UsageLedger,
    /// Tax rates, and how customers are taxed.
    pub taxes: Taxes,
    /// Prices.
    pub price_books: PriceBooks,
    /// Invoice runs and what has been invoiced.
    pub invoices: Invoices,
    /// Prepaid credit.
    pub credits: Credits,
    /// One-off charges that are on no invoice yet.
    pub charges: Charges,
    /// The codes of discounts that customers redeemed.
    pub discount_codes: DiscountCodes,
    /// Up to when books are closed.
    pub accounts: Accounts,
}

/// What a project shares with all others.
#[derive(Clone, Copy)]
pub(super) struct ProjectsShare<'a> {
    /// The rules that hold.
    pub(super) mode: Mode,
    /// The index of usage identities, each of which names its project.
    pub(super) seen: &'a dyn SeenIndex,
    /// The limits of usage.
    pub(super) usage_limits: UsageLimits,
    /// The restores of the ledger: by them documents are numbered.
    pub(super) restores: &'a Restores,
}

impl Project {
    /// Decides a command; changes nothing.
    pub(super) fn decide(
        &self,
        around: ProjectsShare<'_>,
        context: &Context,
        command: &Command,
    ) -> Result<Outcome<Answer>, Refusal> {
        let Context { now, next, .. } = *context;
        Ok(match command {
            Command::RegisterParty(command) => self.parties.register(command, now)?.map(Answer::Party),
            Command::RegisterComputer(command) => self.computers.register(command, now)?.done(),
            Command::ConfigureComputer(command) => {
                let mut outcome = self.computers.configure(command, now)?;
                let around = self.around_instances(around.mode);
                let lost = self.instances.lost_by(&around, &outcome.events, now);
                outcome.events.extend(lost);
                outcome.done()
            }
            Command::RetireComputer(command) => {
                self.instances.retire(&self.around_instances(around.mode), command, now)?.done()
            }
            Command::ReleasePartition(command) => {
                self.instances.release(&self.around_instances(around.mode), command, now)?.done()
            }
            Command::RequestComputer(command) => {
                self.computers.request(&self.parties, command, now)?.map(Answer::Computer)
            }
            Command::DescribeComputer(command) => self.computers.describe(command, now)?.done(),
            Command::SetAllocationScope(command) => {
                self.computers.set_scope(&self.parties, command, now)?.done()
            }
            Command::NoticeSilence(command) => self.computers.notice_silence(command, now)?.done(),
            Command::BangComputer(command) => self.computers.bang(command, now)?.done(),
            Command::PublishSoftwareRelease(command) => {
                self.products.publish(&self.parties, command, now)?.done()
            }
            Command::RecordCatalogueEntry(command) => {
                self.catalogue.record(&self.parties, command, now)?.done()
            }
            Command::RemoveCatalogueEntry(command) => self.catalogue.remove(command, now)?.done(),
            Command::SupplySoftwareSchema(command) => {
                self.schemas.supply(&self.parties, command, now)?.done()
            }
            Command::SupplySoftware(command) => self.supplies.supply(&self.computers, command, now)?.done(),
            Command::ReportSoftware(command) => {
                self.supplies.report((around.mode, &self.computers), command, now)?.done()
            }
            Command::RequestInstance(command) => {
                let outcome = self.instances.request(&self.around_instances(around.mode), command, now)?;
                outcome.map(|(instance, outcome, allocated)| Answer::Instance {
                    instance,
                    outcome,
                    allocated,
                })
            }
            Command::ReportInstance(command) => {
                self.instances.report(&self.around_instances(around.mode), command, now)?.done()
            }
            Command::SetConnectionParameters(command) => {
                self.instances.set_connection(&self.computers, command, now)?.done()
            }
            Command::BangInstance(command) => self.instances.bang(&self.computers, command, now)?.done(),
            Command::RenameInstance(command) => self.instances.rename(&self.computers, command, now)?.done(),
            Command::RecordUsage(command) => {
                self.usage.record(&self.around_usage(around, context), command)?.map(Answer::Usage)
            }
            Command::ResolveSuspendedUsage(command) => {
                self.usage.resolve(&self.around_usage(around, context), command)?.done()
            }
            Command::DismissSuspendedUsage(command) => self.usage.dismiss(command)?.done(),
            Command::VoidUsage(command) => {
                self.usage.void(&self.around_usage(around, context), command)?.map(Answer::Usage)
            }
            Command::AcceptDueUsage(command) => {
                self.usage.accept_due(&self.around_usage(around, context), command)?.done()
            }
            Command::PublishPriceBook(command) => {
                let invoiced = self.invoices.invoiced_by(&command.book.name);
                self.price_books
                    .publish(command, invoiced)?
                    .map(|(name, version)| Answer::PriceBook { name, version })
            }
            Command::SetPriceOverride(command) => {
                let invoiced = self.invoices.invoiced_by(&command.price_book);
                self.price_books
                    .set_override(&self.parties, command, invoiced, now)?
                    .map(Answer::PriceOverride)
            }
            Command::EndPriceOverride(command) => {
                let invoiced = self.invoices.invoiced_by(&command.price_book);
                self.price_books.end_override(command, invoiced, now)?.map(Answer::PriceOverride)
            }
            Command::OpenInvoiceRun(command) => {
                let around = (&self.parties, &self.price_books);
                self.invoices.open(around, command, (now, next))?.map(Answer::InvoiceRun)
            }
            Command::FinaliseInvoice(command) => self
                .invoices
                .finalise(self.around_invoices(around, context.project), command, now)?
                .map(Answer::Invoice),
            Command::IssueCreditNote(command) => self
                .invoices
                .credit(self.around_invoices(around, context.project), command, now)?
                .map(Answer::Invoice),
            Command::RefreshInvoiceRun(command) => {
                self.invoices.refresh(&self.price_books, command, (now, next))?.map(Answer::InvoiceRun)
            }
            Command::WithdrawInvoiceRun(command) => {
                self.invoices.withdraw(command, now)?.map(Answer::InvoiceRun)
            }
            Command::ReviewDraft(command) => self.invoices.review(&self.parties, command, now)?.done(),
            Command::FinaliseInvoiceRun(command) => {
                self.invoices.finalise_run(command, now)?.map(Answer::InvoiceRun)
            }
            Command::DescribeParty(command) => self.parties.describe(command, now)?.done(),
            Command::SetPartyTimeZone(command) => self.parties.set_time_zone(command, now)?.done(),
            Command::SetTaxRate(command) => Taxes::set_rate(&self.parties, command, now)?.done(),
            Command::SetProductTax(command) => self.taxes.set_product(&self.parties, command, now)?.done(),
            Command::SetTaxTreatment(command) => Taxes::set_treatment(&self.parties, command, now)?.done(),
            Command::GrantCredit(command) => {
                self.credits.grant(&self.parties, command, now)?.map(Answer::Credit)
            }
            Command::SetTopUp(command) => command.decide(&self.parties, &self.credits, now)?.done(),
            Command::ExpireCredits(command) => self.credits.expire(command, now).done(),
            Command::WithdrawCredit(command) => self.credits.withdraw(command, now)?.done(),
            Command::RecordCharge(command) => {
                // The next run reverses what corrects a void document: it would never be charged.
                if let Some(cited) = &command.cites {
                    self.invoices.check_stands(&cited.invoice)?;
                }
                if let Some(as_of) = command.as_of {
                    let (seller, customer) = (command.seller, command.customer);
                    self.invoices.check_unchanged((seller, customer, command.currency), as_of)?;
                }
                self.charges.record(&self.parties, command, now)?.map(Answer::Charge)
            }
            Command::RedeemDiscountCode(command) => {
                self.discount_codes.redeem((&self.parties, &self.price_books), command, now)?.done()
            }
            Command::CloseAccounts(command) => self.accounts.close(&self.parties, command, now)?.done(),
            Command::Erase(command) => {
                command.decide(&self.parties, &self.computers, &self.instances, now)?.done()
            }
            // These are decided for the ledger.
            Command::OpenProject(_)
            | Command::IssueCredential(_)
            | Command::RevokeCredentials(_)
            | Command::ConfirmClock(_)
            | Command::SetLogKey(_)
            | Command::RecordRestore(_) => Outcome::unchanged(Answer::Unchanged),
        })
    }

    /// Room for those who wait for it, if these events made some.
    pub(super) fn consequences<'e>(
        &self,
        mode: Mode,
        now: Timestamp,
        of: impl Iterator<Item = &'e Event>,
    ) -> Vec<(Stream, Event)> {
        let around = self.around_instances(mode);
        let affected = self.instances.affected(&around, of);
        self.instances.allocate_waiting(&around, &affected, now)
    }

    /// Takes an event over. Total: what is recorded cannot be refused. `project` is this one.
    pub(super) fn evolve(
        &mut self,
        seen: &mut dyn SeenIndex,
        project: ProjectId,
        (stream, event): (&Stream, &Event),
        (sequence, print): (Sequence, Option<UsagePrint>),
    ) {
        let at = (stream, sequence, print);
        match event {
            // Nothing here looks at these; those of the ledger never come here.
            Event::LedgerCreated(_)
            | Event::ProjectOpened(_)
            | Event::CredentialIssued(_)
            | Event::CredentialRevoked(_)
            | Event::CredentialSpent(_)
            | Event::WriterStarted(_)
            | Event::ClockConfirmed(_)
            | Event::LogKeySet(_)
            | Event::LedgerRestored(_)
            | Event::AnswerRecorded(_)
            | Event::ComputerBanged(_)
            | Event::SealedPartRecorded(_)
            | Event::InstanceBanged(_) => {}
            Event::PartyRegistered(event) => self.parties.registered(event),
            Event::PartyDescribed(event) => self.parties.described(event),
            Event::PartyTimeZoneSet(event) => self.parties.time_zone_set(event),
            Event::TaxRateSet(event) => self.taxes.rate_set(event, sequence),
            Event::TaxTreatmentSet(event) => self.taxes.treatment_set(event, sequence),
            Event::ProductTaxSet(event) => self.taxes.product_set(event, sequence),
            Event::ComputerRegistered(event) => self.computers.registered(event),
            Event::ComputerConfigured(event) => self.computers.configured(event),
            Event::PartitionOffered(event) => self.computers.offered(event),
            Event::PartitionWithdrawn(event) => self.computers.withdrawn(event),
            Event::ComputerDescribed(event) => self.computers.described(event),
            Event::AllocationScopeSet(event) => self.computers.scope_set(event),
            Event::ComputerFellSilent(event) => self.computers.fell_silent(event),
            Event::ComputerHeard(event) => self.computers.heard(event),
            Event::ComputerRetired(event) => self.computers.retired(event),
            Event::SoftwareReleasePublished(event) => self.products.published(event),
            Event::CatalogueEntryRecorded(event) => self.catalogue.recorded(event),
            Event::CatalogueEntryRemoved(event) => self.catalogue.removed(event),
            Event::SoftwareSchemaSupplied(event) => self.schemas.supplied(event),
            Event::SoftwareSupplied(event) => self.supplies.supplied(event),
            Event::SoftwareStateReported(event) => self.supplies.reported(event),
            Event::InstanceRequested(event) => self.instances.requested(event),
            Event::InstanceChanged(event) => self.instances.changed(event),
            Event::InstanceAllocated(event) => {
                self.instances.allocated(event);
                if event.host.is_none() {
                    self.computers.occupy(&event.computer, &event.partition, Some(event.instance));
                }
            }
            Event::InstanceEnded(event) => {
                if let Some((computer, partition)) = self.instances.ended(event) {
                    self.computers.occupy(&computer, &partition, None);
                }
            }
            Event::InstanceStateReported(event) => {
                self.instances.state_reported(event);
                if let Some((computer, _)) = self.instances.place(event.instance) {
                    self.computers.state_reported(computer, event);
                }
            }
            Event::InstanceRenamed(event) => self.instances.renamed(event),
            Event::ConnectionParametersSet(event) => self.instances.connection_set(event),
            Event::UsageRecorded(event) => self.usage((seen, project), at, |fold| fold.recorded(event)),
            Event::UsageCorrected(event) => self.usage((seen, project), at, |fold| fold.corrected(event)),
            Event::UsageSuspended(event) => self.usage((seen, project), at, |fold| fold.suspended(event)),
            Event::SuspendedUsageResolved(event) => {
                self.usage((seen, project), at, |fold| fold.resolved(event));
            }
            Event::SuspendedUsageDismissed(event) => {
                self.usage((seen, project), at, |fold| fold.dismissed(event));
            }
            Event::UsageVoided(event) => self.usage((seen, project), at, |fold| fold.voided(event)),
            Event::PriceBookPublished(event) => self.price_books.published(event),
            Event::PriceOverrideSet(event) => self.price_books.override_set(event),
            Event::PriceOverrideEnded(event) => self.price_books.override_ended(event),
            Event::InvoiceRunOpened(event) => self.invoices.opened(event),
            Event::InvoiceRunRefreshed(event) => self.invoices.refreshed(event),
            Event::InvoiceRunWithdrawn(event) => self.invoices.withdrawn(event),
            Event::InvoiceDraftReviewed(event) => self.invoices.reviewed(event),
            Event::InvoiceLinesRecorded(event) => {
                self.invoices.lines_recorded(event);
                self.charges.invoiced(&event.lines);
            }
            Event::InvoiceFinalised(event) => {
                self.invoices.finalised(event, sequence);
                self.credits.invoiced(&event.invoice);
                self.charges.invoiced(&event.invoice.lines);
            }
            Event::InvoiceRunFinalised(event) => self.invoices.run_finalised(event),
            Event::CreditGranted(event) => self.credits.granted(event),
            Event::TopUpSet(event) => self.credits.top_up_set(event),
            Event::TopUpRequested(event) => self.credits.top_up_requested(event),
            Event::CreditExpired(event) => self.credits.expired(event),
            Event::CreditWithdrawn(event) => self.credits.withdrawn(event),
            Event::ChargeRecorded(event) => {
                self.charges.recorded(event);
                self.invoices.corrected(event, sequence);
            }
            Event::DiscountCodeRedeemed(event) => self.discount_codes.taken_over(event),
            Event::AccountsClosed(event) => self.accounts.closed(event),
            Event::KeyDestroyed(event) => event.evolve(&mut self.parties, &mut self.instances),
        }
    }

    /// Takes an event about usage over. It is in the stream of the computer that reports.
    fn usage(
        &mut self,
        (seen, project): (&mut dyn SeenIndex, ProjectId),
        (stream, sequence, print): (&Stream, Sequence, Option<UsagePrint>),
        take_over: impl FnOnce(UsageFold<'_>),
    ) {
        let Self { usage: ledger, computers, price_books, .. } = self;
        if let Stream::Usage(computer) = stream {
            take_over(UsageFold { ledger, seen, computers, price_books, project, computer, sequence, print });
        }
    }

    /// Who may hold a credential.
    pub(super) fn holders(&self) -> Holders<'_> {
        let Self { parties, computers, instances, .. } = self;
        Holders { parties, computers, instances }
    }

    fn around_instances(&self, mode: Mode) -> instance::InstanceSurroundings<'_> {
        let Self { parties, computers, supplies, .. } = self;
        instance::InstanceSurroundings { mode, parties, computers, supplies }
    }

    fn around_invoices<'a>(&'a self, around: ProjectsShare<'a>, project: ProjectId) -> invoice::Around<'a> {
        let Self { parties, credits, charges, .. } = self;
        let numbering = Numbering { restores: around.restores, project };
        invoice::Around { parties, credits, charges, numbering }
    }

    fn around_usage<'a>(
        &'a self,
        around: ProjectsShare<'a>,
        context: &Context,
    ) -> usage::UsageSurroundings<'a> {
        let Self { computers, instances, price_books, .. } = self;
        let (Context { now, next, project }, ProjectsShare { seen, usage_limits: limits, .. }) =
            (*context, around);
        usage::UsageSurroundings { seen, computers, instances, price_books, limits, project, now, next }
    }
}

#[cfg(test)]
mod tests;
