//! The state decisions look at: a fold of all events, kept in memory by the one writer.

use bincode::{Decode, Encode};

use super::account::Accounts;
use super::charge::Charges;
use super::computer::Computers;
use super::credit::Credits;
use super::event::{Event, Mode, Stream};
use super::id::{ProjectId, Sequence};
use super::instance::{self, Instances};
use super::invoice::{self, Invoices};
use super::party::Parties;
use super::pricing::PriceBooks;
use super::product::Products;
use super::software::Supplies;
use super::tax::Taxes;
use super::time::Timestamp;
use super::usage::{self, SeenIndex, UsageLedger};
use super::{Answer, Command, Outcome, Refusal};

/// What a decision is given besides state and command.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The time of the decision.
    pub now: Timestamp,
    /// The sequence its first event will have.
    pub next: Sequence,
    /// Where it belongs.
    pub project: ProjectId,
}

/// All that decisions look at.
pub struct State {
    /// What the ledger is run as: the rules of the master, or those of slapos proxy.
    pub mode: Mode,
    /// Those who request, sell and pay.
    pub parties: Parties,
    /// Computers and their partitions.
    pub computers: Computers,
    /// What publishers published.
    pub products: Products,
    /// Which releases are where.
    pub supplies: Supplies,
    /// Instances and where they are.
    pub instances: Instances,
    /// What usage is known.
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
    /// Up to when books are closed.
    pub accounts: Accounts,
}

/// All of [`State`] but the index of usage identities.
#[derive(Encode, Decode)]
struct Snapshot {
    mode: Mode,
    parties: Parties,
    computers: Computers,
    products: Products,
    supplies: Supplies,
    instances: Instances,
    usage: usage::UsageSnapshot,
    taxes: Taxes,
    price_books: PriceBooks,
    invoices: Invoices,
    credits: Credits,
    charges: Charges,
    accounts: Accounts,
}

impl State {
    /// Before the first event. Usage identities will be kept in `seen`.
    pub fn new(seen: Box<dyn SeenIndex>) -> Self {
        Self {
            mode: Mode::Proxy,
            parties: Parties::default(),
            computers: Computers::default(),
            products: Products::default(),
            supplies: Supplies::default(),
            instances: Instances::default(),
            usage: UsageLedger::new(seen),
            taxes: Taxes::default(),
            price_books: PriceBooks::default(),
            invoices: Invoices::default(),
            credits: Credits::default(),
            charges: Charges::default(),
            accounts: Accounts::default(),
        }
    }

    /// Decides a command; changes nothing.
    pub fn decide(&self, context: &Context, command: Command) -> Result<Outcome<Answer>, Refusal> {
        let Context { now, next, .. } = *context;
        Ok(match command {
            Command::RegisterParty(command) => self.parties.register(&command, now)?.map(Answer::Party),
            Command::RegisterComputer(command) => self.computers.register(&command, now)?.done(),
            Command::ConfigureComputer(command) => self.computers.configure(&command, now)?.done(),
            Command::RequestComputer(command) => {
                self.computers.request(&self.parties, &command, now)?.map(Answer::Computer)
            }
            Command::DescribeComputer(command) => self.computers.describe(&command, now)?.done(),
            Command::SetAllocationScope(command) => {
                self.computers.set_scope(&self.parties, &command, now)?.done()
            }
            Command::NoticeSilence(command) => self.computers.notice_silence(&command, now)?.done(),
            Command::BangComputer(command) => self.computers.bang(&command, now)?.done(),
            Command::PublishSoftwareRelease(command) => {
                self.products.publish(&self.parties, &command, now)?.done()
            }
            Command::SupplySoftware(command) => self.supplies.supply(&self.computers, &command, now)?.done(),
            Command::ReportSoftware(command) => {
                self.supplies.report((self.mode, &self.computers), &command, now)?.done()
            }
            Command::RequestInstance(command) => {
                let outcome = self.instances.request(&self.around_instances(), &command, now)?;
                outcome.map(|(instance, outcome, allocated)| Answer::Instance {
                    instance,
                    outcome,
                    allocated,
                })
            }
            Command::ReportInstance(command) => {
                self.instances.report(&self.around_instances(), &command, now)?.done()
            }
            Command::SetConnectionParameters(command) => {
                self.instances.set_connection(&self.computers, &command, now)?.done()
            }
            Command::BangInstance(command) => self.instances.bang(&self.computers, &command, now)?.done(),
            Command::RenameInstance(command) => self.instances.rename(&self.computers, &command, now)?.done(),
            Command::RecordUsage(command) => {
                self.usage.record(&self.around_usage(context), command)?.map(Answer::Usage)
            }
            Command::ResolveSuspendedUsage(command) => {
                self.usage.resolve(&self.around_usage(context), command)?.done()
            }
            Command::DismissSuspendedUsage(command) => self.usage.dismiss(command)?.done(),
            Command::PublishPriceBook(command) => {
                self.price_books.publish(&command)?.map(|(name, version)| Answer::PriceBook { name, version })
            }
            Command::OpenInvoiceRun(command) => {
                let around = (&self.parties, &self.price_books);
                self.invoices.open(around, &command, (now, next))?.map(Answer::InvoiceRun)
            }
            Command::FinaliseInvoice(command) => {
                self.invoices.finalise(self.around_invoices(), &command, now)?.map(Answer::Invoice)
            }
            Command::IssueCreditNote(command) => {
                self.invoices.credit(self.around_invoices(), &command, now)?.map(Answer::Invoice)
            }
            Command::RefreshInvoiceRun(command) => {
                self.invoices.refresh(&self.price_books, &command, (now, next))?.map(Answer::InvoiceRun)
            }
            Command::WithdrawInvoiceRun(command) => {
                self.invoices.withdraw(&command, now)?.map(Answer::InvoiceRun)
            }
            Command::FinaliseInvoiceRun(command) => {
                self.invoices.finalise_run(&command, now)?.map(Answer::InvoiceRun)
            }
            Command::DescribeParty(command) => self.parties.describe(&command, now)?.done(),
            Command::SetPartyTimeZone(command) => self.parties.set_time_zone(&command, now)?.done(),
            Command::SetTaxRate(command) => Taxes::set_rate(&self.parties, &command, now)?.done(),
            Command::SetTaxTreatment(command) => Taxes::set_treatment(&self.parties, &command, now)?.done(),
            Command::GrantCredit(command) => {
                self.credits.grant(&self.parties, &command, now)?.map(Answer::Credit)
            }
            Command::WithdrawCredit(command) => self.credits.withdraw(&command, now)?.done(),
            Command::RecordCharge(command) => {
                self.charges.record(&self.parties, &command, now)?.map(Answer::Charge)
            }
            Command::CloseAccounts(command) => self.accounts.close(&self.parties, &command, now)?.done(),
            Command::Erase(command) => command.decide(&self.parties, &self.instances, now)?.done(),
        })
    }

    /// Decides a command and takes its events over: what the writer does, without the bytes.
    pub fn execute(&mut self, context: &Context, command: Command) -> Result<Outcome<Answer>, Refusal> {
        let mut outcome = self.decide(context, command)?;
        self.evolve_all(context, &outcome.events);
        let mut done = 0;
        while done < outcome.events.len() {
            let new = &outcome.events[done..];
            let consequences = self.consequences(context.now, new.iter().map(|(_, event)| event));
            done = outcome.events.len();
            let context = Context { next: Sequence(context.next.0 + done as u64), ..*context };
            self.evolve_all(&context, &consequences);
            outcome.events.extend(consequences);
        }
        Ok(outcome)
    }

    /// What events that were just taken over make possible for others: room for those who wait for it. Recorded in
    /// the same step; what they make possible in turn is asked for again.
    pub fn consequences<'e>(
        &self,
        now: Timestamp,
        of: impl Iterator<Item = &'e Event>,
    ) -> Vec<(Stream, Event)> {
        let around = self.around_instances();
        let affected = self.instances.affected(&around, of);
        self.instances.allocate_waiting(&around, &affected, now)
    }

    /// Takes events over that follow each other from `context.next` on.
    pub fn evolve_all(&mut self, context: &Context, events: &[(Stream, Event)]) {
        for (sequence, (stream, event)) in (context.next.0..).zip(events) {
            self.evolve(context.project, stream, event, Sequence(sequence));
        }
    }

    /// Takes an event over. Total: what is recorded cannot be refused.
    pub fn evolve(&mut self, project: ProjectId, stream: &Stream, event: &Event, sequence: Sequence) {
        match event {
            Event::LedgerCreated(event) => self.mode = event.mode,
            Event::WriterStarted(_)
            | Event::AnswerRecorded(_)
            | Event::ComputerBanged(_)
            | Event::InstanceBanged(_) => {}
            Event::PartyRegistered(event) => self.parties.registered(event),
            Event::PartyDescribed(event) => self.parties.described(event),
            Event::PartyTimeZoneSet(event) => self.parties.time_zone_set(event),
            Event::TaxRateSet(event) => self.taxes.rate_set(event),
            Event::TaxTreatmentSet(event) => self.taxes.treatment_set(event),
            Event::ComputerRegistered(event) => self.computers.registered(event),
            Event::ComputerConfigured(event) => self.computers.configured(event),
            Event::PartitionOffered(event) => self.computers.offered(event),
            Event::PartitionWithdrawn(event) => self.computers.withdrawn(event),
            Event::ComputerDescribed(event) => self.computers.described(event),
            Event::AllocationScopeSet(event) => self.computers.scope_set(event),
            Event::ComputerFellSilent(event) => self.computers.fell_silent(event),
            Event::ComputerHeard(event) => self.computers.heard(event),
            Event::SoftwareReleasePublished(event) => self.products.published(event),
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
            Event::UsageRecorded(_)
            | Event::UsageCorrected(_)
            | Event::UsageSuspended(_)
            | Event::SuspendedUsageResolved(_)
            | Event::SuspendedUsageDismissed(_) => {
                self.usage.evolve(&self.computers, project, (stream, event), sequence);
            }
            Event::PriceBookPublished(event) => self.price_books.published(event),
            Event::InvoiceRunOpened(event) => self.invoices.opened(event),
            Event::InvoiceRunRefreshed(event) => self.invoices.refreshed(event),
            Event::InvoiceRunWithdrawn(event) => self.invoices.withdrawn(event),
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
            Event::CreditWithdrawn(event) => self.credits.withdrawn(event),
            Event::ChargeRecorded(event) => self.charges.recorded(event),
            Event::AccountsClosed(event) => self.accounts.closed(event),
            Event::KeyDestroyed(event) => event.evolve(&mut self.parties, &mut self.instances),
        }
    }

    fn around_instances(&self) -> instance::Surroundings<'_> {
        let Self { mode, parties, computers, supplies, .. } = self;
        instance::Surroundings { mode: *mode, parties, computers, supplies }
    }

    fn around_invoices(&self) -> invoice::Around<'_> {
        let Self { parties, credits, charges, .. } = self;
        invoice::Around { parties, credits, charges }
    }

    fn around_usage(&self, context: &Context) -> usage::Surroundings<'_> {
        let Self { computers, instances, .. } = self;
        let Context { now, next, project } = *context;
        usage::Surroundings { computers, instances, project, now, next }
    }

    /// All but the index of usage identities, as bytes that [`State::restore`] reads.
    pub fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            mode: self.mode,
            parties: self.parties.clone(),
            computers: self.computers.clone(),
            products: self.products.clone(),
            supplies: self.supplies.clone(),
            instances: self.instances.clone(),
            usage: self.usage.snapshot(),
            taxes: self.taxes.clone(),
            price_books: self.price_books.clone(),
            invoices: self.invoices.clone(),
            credits: self.credits.clone(),
            charges: self.charges.clone(),
            accounts: self.accounts.clone(),
        };
        bincode::encode_to_vec(snapshot, bincode::config::standard())
            .expect("a state in memory can be encoded")
    }

    /// The state of a snapshot, over an index of usage identities that is as far.
    pub fn restore(bytes: &[u8], seen: Box<dyn SeenIndex>) -> Option<Self> {
        let (snapshot, read): (Snapshot, usize) =
            bincode::decode_from_slice(bytes, bincode::config::standard()).ok()?;
        if read != bytes.len() {
            return None;
        }
        let mut usage = UsageLedger::new(seen);
        usage.restore(snapshot.usage);
        let Snapshot {
            mode,
            parties,
            computers,
            products,
            supplies,
            instances,
            taxes,
            price_books,
            invoices,
            credits,
            charges,
            accounts,
            ..
        } = snapshot;
        Some(Self {
            mode,
            parties,
            computers,
            products,
            supplies,
            instances,
            usage,
            taxes,
            price_books,
            invoices,
            credits,
            charges,
            accounts,
        })
    }
}
