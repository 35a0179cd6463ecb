//! Random commands about money: what parties are, tax, prepaid credit, charges, runs and their documents.

use slapledger_billing::run::{finalise_drafts, finalise_run};
use slapledger_billing::view::DocumentState;
use slapledger_billing::{Billing, KnownOverride};
use slapledger_core::domain::Command;
use slapledger_core::domain::account::CloseAccounts;
use slapledger_core::domain::charge::RecordCharge;
use slapledger_core::domain::credit::{
    CreditId, CreditKind, ExpireCredits, GrantCredit, PRIORITY, WithdrawCredit,
};
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::erasure::{Erase, ErasureSubject};
use slapledger_core::domain::id::{KeyId, PartyId, PriceBookName, ResourceId, RunId};
use slapledger_core::domain::invoice::{
    Bound, DocumentKind, DraftDecision, FinaliseInvoiceRun, GiveBack, HowMuch, Invoice, IssueCreditNote,
    OpenInvoiceRun, RefreshInvoiceRun, ReviewDraft, RunPeriod, RunReason, TaxCategory, WithdrawInvoiceRun,
};
use slapledger_core::domain::money::{Amount, Currency, Price};
use slapledger_core::domain::party::{DescribeParty, Description, SetPartyTimeZone};
use slapledger_core::domain::pricing::{
    EndPriceOverride, Match, Model, OverrideId, Per, Rate, SetPriceOverride, Tariff,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::{Exemption, SetProductTax, SetTaxRate, SetTaxTreatment, TaxedProduct};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::top_up::SetTopUp;

use crate::books::RunEnd;
use crate::commands::{CommandSender, MINUTE};
use crate::facts::ProjectFacts;

/// So many charges of so long a text are more than one event takes.
const MANY_CHARGES: usize = 100;

impl CommandSender {
    /// A command about money.
    pub(crate) fn about_money(&mut self, facts: &ProjectFacts, billing: &Billing, now: Timestamp) -> Command {
        // Few are set, so that one that is there is ended as likely as not.
        let known = billing.overrides_of("standard", |_| true, None).last();
        if let Some(known) = known.map(KnownOverride::now)
            && self.random.once_in(8)
        {
            let valid_until = self.random.once_in(2).then(|| known.valid_from.plus_micros(MINUTE));
            let (price_book, id) = (known.price_book, known.id);
            return Command::EndPriceOverride(EndPriceOverride {
                price_book,
                id,
                valid_until,
                retroactive: true,
            });
        }
        match self.random.below(40) {
            0..4 => self.describe_party(facts),
            4 => {
                let zones = ["UTC", "Europe/Paris", "Asia/Kathmandu"];
                let time_zone = self.random.pick::<&str>(&zones).parse().expect("a zone");
                Command::SetPartyTimeZone(SetPartyTimeZone { party: self.party(), time_zone })
            }
            5 => {
                let tenths = i128::from(self.random.between(-10, 1010));
                let rate = Quantity::from_billionths(tenths * 100_000_000).expect("a percentage");
                let (seller, valid_from) = (self.seller(), self.some_time(now));
                Command::SetTaxRate(SetTaxRate { seller, rate, valid_from })
            }
            6 if self.random.once_in(3) => self.tax_product(now),
            6 => self.treat(now),
            7 | 8 => {
                let (seller, customer, currency) = (self.seller(), self.party(), Currency::EUR);
                let amount = Amount::from_minor(self.random.between(-1, 3000).into(), currency);
                let description = "paid in advance".into();
                Command::GrantCredit(GrantCredit {
                    seller,
                    customer,
                    currency,
                    amount,
                    description,
                    kind: CreditKind::Paid,
                    priority: PRIORITY,
                    expires_at: self
                        .random
                        .once_in(2)
                        .then(|| now.plus_micros(self.random.between(1, 300) * MINUTE)),
                })
            }
            9 if self.random.once_in(3) => {
                let (seller, customer, currency) = (self.seller(), self.party(), Currency::EUR);
                let [threshold, amount] = [2000, 1000]
                    .map(|most| Amount::from_minor(self.random.between(-1, most).into(), currency));
                Command::SetTopUp(SetTopUp { seller, customer, currency, threshold, amount })
            }
            9 if self.random.once_in(2) => Command::ExpireCredits(ExpireCredits { limit: 2 }),
            9 => {
                let (credit, reason) = (CreditId(self.random.below(8) + 1), "given up".into());
                Command::WithdrawCredit(WithdrawCredit { credit, reason })
            }
            13 if self.random.once_in(2) => self.price_override(now),
            13 => {
                let (customer, code) = (self.party(), "CODE".into());
                Command::RedeemDiscountCode(RedeemDiscountCode { customer, code })
            }
            10..13 => {
                let (seller, customer, cents) =
                    (self.seller(), self.party(), self.random.between(-500, 5000));
                charge(seller, customer, cents, "by hand".into())
            }
            14 => {
                let (seller, until) = (self.party(), self.some_time(now));
                Command::CloseAccounts(CloseAccounts { seller, until })
            }
            15 | 16 => Command::Erase(Erase { subject: self.subject(facts) }),
            17 => Command::RefreshInvoiceRun(RefreshInvoiceRun { run: self.run(facts) }),
            18 if self.random.once_in(2) => {
                Command::WithdrawInvoiceRun(WithdrawInvoiceRun { run: self.run(facts) })
            }
            18 => {
                let (run, payer) = (self.run(facts), self.party());
                let decision =
                    if self.random.once_in(2) { DraftDecision::Held } else { DraftDecision::Approved };
                Command::ReviewDraft(ReviewDraft { run, payer, decision, reason: "a simulation".into() })
            }
            19..24 => self.open_run(now),
            24..28 => {
                let run = self.run(facts);
                if self.random.once_in(4) {
                    let invoices = u32::from(self.random.once_in(2));
                    return Command::FinaliseInvoiceRun(FinaliseInvoiceRun { run, invoices });
                }
                Command::FinaliseInvoiceRun(finalise_run(billing, run))
            }
            28..32 => self.credit_note(billing).unwrap_or_else(|| self.open_run(now)),
            _ => self.finalise(billing).unwrap_or_else(|| self.open_run(now)),
        }
    }

    /// Charges that together make a document longer than one event, and a run that drafts it.
    pub(crate) fn many_charges(&mut self, now: Timestamp) -> Vec<Command> {
        let (seller, customer) = (self.seller(), self.party());
        let cents = |n: usize| i64::try_from(n).expect("a small number") + 1;
        let text = |n: usize| format!("{n:0>500}").into();
        let charges = (0..MANY_CHARGES).map(|n| charge(seller, customer, cents(n), text(n)));
        charges.chain([self.open_run_of(seller, now)]).collect()
    }

    /// The sellers and most of their customers are few, so that they meet.
    fn party(&mut self) -> PartyId {
        PartyId(self.random.below(3) + 1)
    }

    /// Mostly the first party: only that sells without saying how it numbers its documents.
    fn seller(&mut self) -> PartyId {
        if self.random.once_in(3) { self.party() } else { PartyId(1) }
    }

    fn some_time(&mut self, now: Timestamp) -> Timestamp {
        now.plus_micros(-self.random.between(-100, 3000) * MINUTE)
    }

    /// Of a few runs, mostly one that is open.
    fn run(&mut self, facts: &ProjectFacts) -> RunId {
        let runs = &facts.books.runs;
        let open: Vec<RunId> =
            runs.iter().filter(|(_, run)| run.end == RunEnd::Open).map(|(id, _)| *id).collect();
        if open.is_empty() || self.random.once_in(6) {
            return RunId(self.random.below(runs.len() as u64 + 2));
        }
        *self.random.pick(&open)
    }

    fn describe_party(&mut self, facts: &ProjectFacts) -> Command {
        let party = if self.random.once_in(4) { PartyId(self.random.below(12) + 1) } else { self.party() };
        let key = facts.books.parties.get(&party).map_or(KeyId([1; 16]), |known| known.key);
        let details = (!self.random.once_in(3)).then(|| self.sealed(key));
        let series = ["ACME", "ACMECN", "SHOP", "WARE"];
        let series =
            self.random.once_in(2).then(|| self.random.pick::<&str>(&series).parse().expect("series"));
        let terms_days = self.random.once_in(2).then(|| if self.random.once_in(9) { 9999 } else { 14 });
        let country = self.random.once_in(2).then(|| "FR".parse().expect("a country"));
        let vat_id = details.is_some() && !self.random.once_in(4);
        let description = Description { details, country, vat_id, series, terms_days };
        Command::DescribeParty(DescribeParty { party, description })
    }

    fn treat(&mut self, now: Timestamp) -> Command {
        let categories = [TaxCategory::S, TaxCategory::Z, TaxCategory::E, TaxCategory::AE, TaxCategory::O];
        let category = *self.random.pick(&categories);
        let taxed = matches!(category, TaxCategory::S | TaxCategory::Z);
        let exemption = Exemption { reason: "a treaty".into(), code: None };
        let exemption = (taxed == self.random.once_in(8)).then_some(exemption);
        let (customer, valid_from) = (self.party(), self.some_time(now));
        Command::SetTaxTreatment(SetTaxTreatment { customer, category, exemption, valid_from })
    }

    /// The tax of one of few products, or one that is refused.
    fn tax_product(&mut self, now: Timestamp) -> Command {
        let categories = [TaxCategory::S, TaxCategory::Z, TaxCategory::O, TaxCategory::AE];
        let category = *self.random.pick(&categories);
        let resource = self.random.once_in(2).then(|| ResourceId::new("resource 0").expect("a resource"));
        let rate = Quantity::from_billionths(5_500_000_000).filter(|_| self.random.once_in(2));
        let software_release = (!self.random.once_in(3)).then(|| self.release());
        Command::SetProductTax(SetProductTax {
            seller: self.seller(),
            product: TaxedProduct { software_release, resource },
            category,
            rate,
            exemption: None,
            valid_from: self.some_time(now),
        })
    }

    /// A price of one customer begins or ends.
    fn price_override(&mut self, now: Timestamp) -> Command {
        let price_book = PriceBookName::new("standard").expect("a name");
        if self.random.once_in(2) {
            let id = OverrideId(self.random.below(3) + 1);
            let valid_until = self.random.once_in(4).then(|| self.some_time(now));
            return Command::EndPriceOverride(EndPriceOverride {
                price_book,
                id,
                valid_until,
                retroactive: true,
            });
        }
        let price = Price::from_billionths(i128::from(self.random.below(5_000_000_000))).expect("a price");
        let resource = ResourceId::new("resource 0").expect("a resource");
        let (per, free, tariff) = (Per::Instance, Quantity::ZERO, Tariff::PerUnit { price });
        let model = Model::Usage { resource, per, free, tariff };
        let rate = Rate { model, trial: None, matching: Match::default() };
        let valid_from = self.some_time(now);
        Command::SetPriceOverride(SetPriceOverride {
            price_book,
            customer: self.party(),
            valid_from,
            valid_until: self
                .random
                .once_in(2)
                .then(|| valid_from.plus_micros(self.random.between(-1, 3000) * MINUTE)),
            rate: Box::new(rate),
            retroactive: self.random.once_in(2),
        })
    }

    /// Mostly somebody who does not sell, or what has ended.
    fn subject(&mut self, facts: &ProjectFacts) -> ErasureSubject {
        let ended: Vec<_> =
            facts.instances.iter().filter(|(_, fact)| fact.ended).map(|(id, _)| *id).collect();
        match self.random.below(4) {
            0 => ErasureSubject::Party(PartyId(self.random.below(20) + 1)),
            1 => ErasureSubject::Instance(self.instance(facts)),
            _ if ended.is_empty() => ErasureSubject::Instance(self.instance(facts)),
            _ => ErasureSubject::Instance(*self.random.pick(&ended)),
        }
    }

    fn open_run(&mut self, now: Timestamp) -> Command {
        let seller = self.seller();
        self.open_run_of(seller, now)
    }

    fn open_run_of(&mut self, seller: PartyId, now: Timestamp) -> Command {
        let start = now.plus_micros(-self.random.between(0, 3000) * MINUTE);
        let stop = start.plus_micros(self.random.between(-1, 300) * MINUTE);
        Command::OpenInvoiceRun(OpenInvoiceRun {
            seller,
            period: RunPeriod { start: Bound::Instant(start), stop: Bound::Instant(stop) },
            price_book: self.random.once_in(2).then(|| PriceBookName::new("standard").expect("a name")),
            payers: if self.random.once_in(4) { vec![seller] } else { Vec::new() },
            reason: RunReason::Period,
            grace_hours: u32::from(self.random.once_in(8)),
            finalise: false,
        })
    }

    /// A draft becomes final, as it is or with something wrong in it.
    fn finalise(&mut self, billing: &Billing) -> Option<Command> {
        let drafts = billing.documents((None, Some(DocumentState::Draft)), |_| true, None, usize::MAX);
        let longest = drafts.items.iter().max_by_key(|draft| draft.invoice.lines.len())?;
        let draft = if self.random.once_in(3) { longest } else { self.random.pick(&drafts.items) };
        let Invoice { run, buyer, .. } = &draft.invoice;
        let of_run = finalise_drafts(billing, *run, |_, party| Ok::<_, ()>(party.clone())).ok()?;
        let mut command = of_run.flatten().find(|command| command.draft.buyer.party == buyer.party)?;
        if self.random.once_in(10) {
            let more = Amount::from_minor(1, command.draft.currency);
            command.draft.total = command.draft.total.checked_add(more)?;
        }
        Some(Command::FinaliseInvoice(Box::new(command)))
    }

    fn credit_note(&mut self, billing: &Billing) -> Option<Command> {
        let issued = billing.documents((None, Some(DocumentState::Final)), |_| true, None, usize::MAX);
        let of = |kind| issued.items.iter().filter(move |document| document.invoice.document == kind);
        let invoices: Vec<_> = of(DocumentKind::Invoice).collect();
        if invoices.is_empty() {
            return None;
        }
        let original = self.random.pick(&invoices).invoice.clone();
        let line = self.random.below(original.lines.len() as u64 + 1);
        let amount = Amount::from_minor(self.random.between(1, 50).into(), original.currency);
        let give_back = match self.random.below(4) {
            0 => GiveBack::All,
            1 => GiveBack::Lines(vec![(u32::try_from(line).ok()?, HowMuch::Rest)]),
            2 => GiveBack::Lines(vec![(u32::try_from(line).ok()?, HowMuch::DownTo(amount))]),
            _ => GiveBack::Lines(vec![(u32::try_from(line).ok()?, HowMuch::Amount(amount))]),
        };
        let reason = "a simulation".into();
        Some(Command::IssueCreditNote(Box::new(IssueCreditNote { original, give_back, reason, as_of: None })))
    }
}

fn charge(seller: PartyId, customer: PartyId, cents: i64, description: Box<str>) -> Command {
    let (currency, cites) = (Currency::EUR, None);
    let amount = Amount::from_minor(cents.into(), currency);
    Command::RecordCharge(RecordCharge {
        seller,
        customer,
        currency,
        amount,
        description,
        cites,
        as_of: None,
    })
}
