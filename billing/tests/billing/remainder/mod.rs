//! After any sequence of usage, late usage, corrections, runs, voids, repeated runs, credits, corrections by hand,
//! upgrades and ends, what is charged is everything rated once, less what was given by hand.
//!
//! [`model`] knows nothing of the program. Whenever every month is invoiced, the sum of all documents in the log is
//! compared with it; and while prepaid credit has paid something, nothing is owed to the customer. Planted faults, one for
//! each operation and one for charges that correct lines, show that it finds them.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use slapledger_billing::{Document, LineCorrection, price_book};
use slapledger_core::domain::Command;
use slapledger_core::domain::charge::RecordCharge;
use slapledger_core::domain::credit::{CreditKind, GrantCredit, PRIORITY};
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InstanceId, InvoiceId, PartyId, RunId};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{
    DocumentKind, GiveBack, HowMuch, Invoice, InvoiceLine, IssueCreditNote, LineKind, LineRef, as_charged,
};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::pricing::SetPriceOverride;
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Revision, UsageId};

use self::model::{Key, Model, start};
use crate::cloud::{Cloud, PRODUCTION, REQUESTS, SELLER, Wanted, at};

const BOOK: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [
    { resource = "requests", kind = "counter", meter = "sum", unit = "request" },
    { resource = "seats", kind = "gauge", meter = "time_integral", unit = "seat_hour", carry_over = true },
]
rates = [
    { kind = "recurring", every = "month", when = "advance", price = "90.00", match = { instance_type = "production" } },
    { kind = "recurring", every = "month", when = "advance", price = "30.00", match = { instance_type = "testing" } },
    { kind = "per_unit", resource = "requests", price = "0.37", free = "10" },
    { kind = "percentage", percent = "10", of = "usage" },
    { kind = "recurring", item = "hours", every = "hour", when = "arrears", price = "0.005", per = "customer" },
    { kind = "base_fee", every = "week", price = "5.00", anchor = "anniversary", proration = "whole" },
    { kind = "per_unit", resource = "seats", price = "0.01" },
    { kind = "maximum", price = "9.00", per = "line", resource = "requests", proration = "none" },
    { kind = "discount", percent = "20", of = "usage" },
    { kind = "maximum", price = "25.00", per = "customer", of = "usage", proration = "none" },
]
"#;

/// Other prices: they contain tax, requests have a trial by days and seats one by quantity, and there are discounts by
/// amount and by code.
fn further_book() -> String {
    let seats = "resource = \"seats\", price = \"0.01\"";
    let discounts = r#"    { kind = "discount", item = "fixed", amount = "2.00", of = "usage", order = 1 },
    { kind = "discount", item = "code", percent = "50", of = "usage", order = 2, code = "HALF" },
]"#;
    let book = BOOK.replace(seats, &format!("{seats}, trial = {{ quantity = \"500\" }}"));
    let requests = "price = \"0.37\", free = \"10\"";
    let book = book.replace(requests, &format!("{requests}, trial = {{ days = 20 }}"));
    let book = book.replace("resources = [", "tax = \"inclusive\"\nresources = [");
    format!("{}{discounts}\n", book.trim_end().trim_end_matches(']'))
}

/// Prices of the customer: from December on an hour costs a cent, and from January on a request 0.20.
const OVERRIDES: [(&str, &str); 2] = [
    (
        "2026-12-01T00:00:00Z",
        "kind = \"recurring\"\nitem = \"hours\"\nevery = \"hour\"\nwhen = \"arrears\"\nprice = \"0.01\"\nper = \"customer\"",
    ),
    ("2027-01-01T00:00:00Z", "kind = \"per_unit\"\nresource = \"requests\"\nprice = \"0.20\"\nfree = \"10\""),
];

const CUSTOMER: PartyId = PartyId(2);
const SEATS: &str = "seats";
const NAMES: [&str; 2] = ["one", "two"];
const SMALL: Wanted = Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION };
const HOUR_MICROS: i64 = 3_600_000_000;
const MOST_MONTHS: usize = 6;
/// What was prepaid, in cents.
const PREPAID: i64 = 5000;

/// What is done. Numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Use {
        instance: usize,
        quantity: i64,
    },
    UseLate {
        instance: usize,
        hour: i64,
        quantity: i64,
    },
    /// The number of seats from an hour on.
    Seats {
        instance: usize,
        hour: i64,
        seats: i64,
    },
    Replace {
        report: usize,
        quantity: i64,
    },
    Run,
    Void {
        month: usize,
    },
    Rerun {
        month: usize,
    },
    /// Something of a line, or all that it charged.
    Credit {
        month: usize,
        line: usize,
        cents: i64,
        all: bool,
    },
    Correct {
        month: usize,
        line: usize,
        cents: i64,
    },
    Change {
        instance: usize,
    },
    End {
        instance: usize,
    },
    /// The code of a discount, which further prices have.
    Redeem,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let (n, quantity) = (0..64_usize, 0..60_i64);
    let operation = prop_oneof![
        3 => (0..2_usize, quantity.clone()).prop_map(|(instance, quantity)| Operation::Use { instance, quantity }),
        4 => (0..2_usize, 0..3000_i64, quantity.clone())
            .prop_map(|(instance, hour, quantity)| Operation::UseLate { instance, hour, quantity }),
        2 => (0..2_usize, 0..3000_i64, 0..20_i64)
            .prop_map(|(instance, hour, seats)| Operation::Seats { instance, hour, seats }),
        3 => (n.clone(), quantity).prop_map(|(report, quantity)| Operation::Replace { report, quantity }),
        5 => Just(Operation::Run),
        3 => n.clone().prop_map(|month| Operation::Void { month }),
        3 => n.clone().prop_map(|month| Operation::Rerun { month }),
        3 => (n.clone(), n.clone(), 0..10_000_i64, prop::bool::weighted(0.3))
            .prop_map(|(month, line, cents, all)| Operation::Credit { month, line, cents, all }),
        2 => (n.clone(), n, 0..10_000_i64).prop_map(|(month, line, cents)| Operation::Correct { month, line, cents }),
        2 => (0..2_usize).prop_map(|instance| Operation::Change { instance }),
        1 => (0..2_usize).prop_map(|instance| Operation::End { instance }),
        1 => Just(Operation::Redeem),
    ];
    prop::collection::vec(operation, 4..28)
}

/// A fault: what becomes of an event of an operation before the view gets it; false, if the view never gets it.
#[derive(Clone, Copy)]
struct Fault {
    about: fn(&Operation) -> bool,
    tamper: fn(&mut Event) -> bool,
}

/// The document of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Invoiced {
    Stands(RunId),
    Void,
}

struct Play {
    cloud: Cloud,
    model: Model,
    fault: Option<Fault>,
    /// Of each month that is over.
    months: Vec<Invoiced>,
    /// The documents that are void.
    void: BTreeSet<InvoiceId>,
    /// The hour in the month that is not over.
    hour: i64,
    /// The id of each report by now, and its time.
    reports: Vec<(String, usize, (Timestamp, Timestamp))>,
    names: u32,
}

fn instant(hour: i64) -> Timestamp {
    at("2026-10-01T00:00:00Z").plus_micros(hour * HOUR_MICROS)
}

fn day(month: usize) -> String {
    instant(start(month)).to_string()[..10].to_owned()
}

fn cents(amount: Amount) -> i64 {
    i64::try_from(amount.minor()).expect("a small amount")
}

fn euros(cents: i64) -> Amount {
    Amount::from_minor(cents.into(), Currency::EUR)
}

impl Play {
    fn new(further: bool, fault: Option<Fault>) -> Self {
        let mut cloud = Cloud::new(&if further { further_book() } else { BOOK.to_owned() });
        cloud.is_of_many();
        cloud.clock("2026-09-20T00:00:00Z");
        let customer = cloud.customer("UTC");
        for name in NAMES {
            cloud.request(customer, name, &SMALL);
        }
        cloud.execute(Command::GrantCredit(GrantCredit {
            seller: SELLER,
            customer,
            currency: Currency::EUR,
            amount: euros(PREPAID),
            description: "paid in advance".into(),
            kind: CreditKind::Paid,
            priority: PRIORITY,
            expires_at: None,
        }));
        if further {
            Self::further(&mut cloud);
        }
        let (model, months, reports) = (Model::new(further), Vec::new(), Vec::new());
        Self { cloud, model, fault, months, void: BTreeSet::new(), hour: 1, reports, names: 0 }
    }

    /// The tax that further prices contain, and the prices of the customer.
    fn further(cloud: &mut Cloud) {
        let description = Description { vat_id: true, ..Description::default() };
        cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
        cloud.execute(Command::SetTaxRate(SetTaxRate {
            seller: SELLER,
            rate: "20".parse().expect("a rate"),
            valid_from: at("2026-01-01T00:00:00Z"),
        }));
        for (from, rate) in OVERRIDES {
            cloud.execute(Command::SetPriceOverride(SetPriceOverride {
                price_book: "standard".parse().expect("a name"),
                customer: CUSTOMER,
                valid_from: at(from),
                valid_until: None,
                rate: Box::new(price_book::parse_rate_toml(rate).expect(rate)),
                retroactive: false,
            }));
        }
    }

    /// Plays all, then invoices what is void and the month that is not over, so that all is charged.
    fn play((further, operations): &(bool, Vec<Operation>), fault: Option<Fault>) -> Result<(), String> {
        let mut play = Self::new(*further, fault);
        for operation in operations {
            play.step(*operation)?;
        }
        while let Some(month) = play.months.iter().position(|known| *known == Invoiced::Void) {
            play.step(Operation::Rerun { month })?;
        }
        play.step(Operation::Run)?;
        play.balances()?;
        play.receivable()
    }

    fn now(&mut self) -> i64 {
        self.hour += 1;
        let now = start(self.months.len()) + self.hour;
        self.cloud.clock(&instant(now).to_string());
        now
    }

    fn step(&mut self, operation: Operation) -> Result<(), String> {
        let fault = self.fault.filter(|fault| (fault.about)(&operation));
        self.cloud.tamper = fault.map(|fault| fault.tamper);
        let done = self.operate(operation);
        self.cloud.tamper = None;
        let done = done.and_then(|()| self.receivable());
        done.map_err(|error| format!("{operation:?}: {error}"))
    }

    fn operate(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Use { instance, quantity } => {
                let now = self.now();
                if self.model.ended[instance].is_none() {
                    self.used(self.months.len(), instance, quantity, now - 1);
                }
            }
            Operation::UseLate { instance, hour, quantity } => {
                self.now();
                let month = usize::try_from(hour % 7).expect("small") % (self.months.len() + 1);
                let start = start(month) + hour % 600;
                let ended = self.model.ended[instance].is_some_and(|ended| start + 1 > ended);
                if month < self.months.len() && !ended {
                    self.used(month, instance, quantity, start);
                }
            }
            Operation::Seats { instance, hour, seats } => {
                let now = self.now();
                let hour = hour % now;
                if self.model.ended[instance].is_none_or(|ended| hour < ended) {
                    self.seats(instance, seats, hour);
                }
            }
            Operation::Replace { report, quantity } => {
                self.now();
                if !self.reports.is_empty() {
                    self.replaced(report % self.reports.len(), quantity);
                }
            }
            Operation::Run => return self.run(),
            Operation::Void { month } => {
                self.now();
                if let Some((month, invoice)) = self.invoice(month) {
                    self.note(&invoice, GiveBack::All)?;
                    self.void(month, &invoice);
                }
            }
            Operation::Rerun { month } => {
                self.now();
                let void = self.months.iter().enumerate().filter(|(_, known)| **known == Invoiced::Void);
                let void: Vec<usize> = void.map(|(month, _)| month).collect();
                if !void.is_empty() {
                    return self.invoices(void[month % void.len()]);
                }
            }
            Operation::Credit { month, line, cents: some, all } => {
                self.now();
                let Some((month, invoice, line)) = self.line(month, line) else { return Ok(()) };
                let remainder = cents(self.cloud.view.billing.remainder_of(&invoice, &line));
                let wanted = if all { cents(line.amount) } else { some % remainder + 1 };
                let give_back = GiveBack::Lines(vec![(line.n, HowMuch::Amount(euros(wanted)))]);
                // What is more than remains, of the line or of the document, is refused.
                if self.note(&invoice, give_back).is_ok() {
                    self.given((month, &invoice), &line, wanted);
                }
            }
            Operation::Correct { month, line, cents: to } => {
                self.now();
                if let Some((month, invoice, line)) = self.line(month, line) {
                    return self.correct((month, &invoice), &line, to);
                }
            }
            Operation::Change { instance } => {
                let now = self.now();
                if self.model.ended[instance].is_none() {
                    let big = self.model.fee(instance) == 3000;
                    let wanted = if big { &PRODUCTION } else { &SMALL };
                    self.cloud.request(CUSTOMER, NAMES[instance], wanted);
                    self.model.change(instance, now, if big { 9000 } else { 3000 });
                }
            }
            Operation::Redeem => {
                self.now();
                if self.model.redeem(self.months.len()) {
                    let (customer, code) = (CUSTOMER, "HALF".into());
                    self.cloud.execute(Command::RedeemDiscountCode(RedeemDiscountCode { customer, code }));
                }
            }
            Operation::End { instance } => {
                let now = self.now();
                if self.model.ended[instance].is_none() {
                    self.cloud.end(CUSTOMER, NAMES[instance]);
                    self.model.ended[instance] = Some(now);
                }
            }
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("report {}", self.names)
    }

    fn used(&mut self, month: usize, instance: usize, quantity: i64, start: i64) {
        let (name, period) = (self.name(), (instant(start), instant(start + 1)));
        let subject = format!("slappart{instance}");
        self.cloud.report(&name, Revision::None, (&subject, REQUESTS), &quantity.to_string(), period);
        let report = self.model.used((month, start), instance, quantity);
        assert_eq!(report, self.reports.len());
        self.reports.push((name, instance, period));
    }

    fn seats(&mut self, instance: usize, seats: i64, hour: i64) {
        let (name, period) = (self.name(), (instant(hour), instant(hour + 1)));
        let subject = format!("slappart{instance}");
        self.cloud.report(&name, Revision::None, (&subject, SEATS), &seats.to_string(), period);
        let report = self.model.seats(instance, seats, hour);
        assert_eq!(report, self.reports.len());
        self.reports.push((name, instance, period));
    }

    fn replaced(&mut self, report: usize, quantity: i64) {
        let (before, instance, period) = self.reports[report].clone();
        let (name, subject) = (self.name(), format!("slappart{instance}"));
        let instead = Revision::Replaces(UsageId::new(&before).expect("an id"));
        let (resource, quantity) =
            if self.model.is_of_seats(report) { (SEATS, quantity % 20) } else { (REQUESTS, quantity) };
        self.cloud.report(&name, instead, (&subject, resource), &quantity.to_string(), period);
        self.model.replaced(report, quantity);
        self.reports[report].0 = name;
    }

    fn run(&mut self) -> Result<(), String> {
        if self.months.len() >= MOST_MONTHS {
            return Ok(());
        }
        let month = self.months.len();
        self.months.push(Invoiced::Void);
        self.hour = 0;
        self.now();
        self.invoices(month)
    }

    /// Invoices a month that is over and not invoiced.
    fn invoices(&mut self, month: usize) -> Result<(), String> {
        let run = self.cloud.open_run(&day(month), &day(month + 1));
        let before = self.open();
        self.cloud.try_finalise(run).map_err(|refusal| refusal.to_string())?;
        self.corrected(run, &before)?;
        let document = self.document(run).map(|document| document.invoice.clone());
        if let Some(invoice) = &document {
            self.by_hand(invoice)?;
        }
        self.months[month] = Invoiced::Stands(run);
        self.model.settled(month);
        if self.months.contains(&Invoiced::Void) { Ok(()) } else { self.check() }
    }

    /// A document has charges by hand: parts that take something of earlier lines, and the rest, which takes nothing.
    fn by_hand(&mut self, invoice: &Invoice) -> Result<(), String> {
        for line in &invoice.lines {
            let Some(charge) = line.kind.charge() else { continue };
            let n = usize::try_from(charge.0).expect("small") - 1;
            self.model.invoiced(n, invoice.id.as_str());
            let amount = as_charged(invoice.document, line.amount);
            let Some(cited) = &line.cites else { return Err(format!("{charge} cites nothing")) };
            let billing = &self.cloud.view.billing;
            let earlier = billing.document(cited.invoice.as_str()).ok_or("an unknown document")?;
            let (earlier, of) = (&earlier.invoice, &earlier.invoice.lines[cited.line as usize - 1]);
            if let LineKind::Correction { .. } = line.kind {
                let of_month = self.months.iter().position(|known| *known == Invoiced::Stands(earlier.run));
                let of_month =
                    of_month.ok_or_else(|| format!("{charge} takes of {}, which is void", earlier.id))?;
                let key = key(of_month, of);
                let (on, document) = (invoice.id.as_str(), earlier.id.as_str());
                self.model.corrected((n, on), (document, key), -cents(amount));
            } else if amount.minor() < 0 {
                // What is left of it takes nothing, as earlier documents left nothing to take.
                let beside = invoice.lines.iter().filter(|other| other.cites == line.cites);
                let beside =
                    beside.map(|other| (&other.kind, cents(as_charged(invoice.document, other.amount))));
                let stands =
                    beside.filter(|(kind, cents)| *cents > 0 || matches!(kind, LineKind::OneOff { .. }));
                let beside: i64 = stands.map(|(_, cents)| cents).sum();
                let charged = billing.charged_for(earlier, of).map(|charged| cents(charged) - beside);
                if charged.is_none_or(|charged| charged > 0) {
                    return Err(format!("{charge} takes nothing, and {charged:?} is charged"));
                }
            }
        }
        Ok(())
    }

    /// What is due or paid of each invoice.
    fn open(&self) -> BTreeMap<InvoiceId, i64> {
        let billing = &self.cloud.view.billing;
        let documents = billing.documents((None, None), |_| true, None, usize::MAX).items;
        let open = documents.into_iter().filter_map(|document| {
            let (balance, _) = billing.balance(document)?;
            Some((document.invoice.id.clone(), cents(balance.due) + cents(balance.paid())))
        });
        open.collect()
    }

    /// A note of a run credits the invoices whose lines its charges by hand correct: as much as they correct, and as is
    /// due or paid of these invoices and of those that charged more for the lines, but no more than its total.
    fn corrected(&self, run: RunId, before: &BTreeMap<InvoiceId, i64>) -> Result<(), String> {
        let Some(document) = self.document(run) else { return Ok(()) };
        let note = &document.invoice;
        if note.document == DocumentKind::Invoice {
            return Ok(());
        }
        let mut corrected: BTreeMap<&InvoiceId, i64> = BTreeMap::new();
        for line in note.lines.iter().filter(|line| line.amount.minor() > 0) {
            if let (Some(_), Some(cited)) = (line.kind.charge(), &line.cites) {
                *corrected.entry(&cited.invoice).or_default() += cents(line.amount);
            }
        }
        let open = |invoice: &InvoiceId| before.get(invoice).copied().unwrap_or(0);
        let least: i64 = corrected.iter().map(|(invoice, cents)| (*cents).min(open(invoice))).sum();
        let least = least.min(cents(note.total));
        let after = self.open();
        let credited = before.values().sum::<i64>() - after.values().sum::<i64>();
        if credited < least {
            return Err(format!("{} credits {credited}, and at least {least} is right", note.id));
        }
        Ok(())
    }

    fn document(&self, run: RunId) -> Option<&Document> {
        self.cloud.view.billing.documents_of(run).find(|document| document.issued.is_some())
    }

    /// A month whose invoice stands, of those there are.
    fn invoice(&self, choice: usize) -> Option<(usize, Invoice)> {
        let stand = self.months.iter().enumerate().filter_map(|(month, known)| {
            let Invoiced::Stands(run) = known else { return None };
            let invoice = &self.document(*run)?.invoice;
            (invoice.document == DocumentKind::Invoice).then_some((month, invoice))
        });
        let stand: Vec<_> = stand.collect();
        let (month, invoice) = stand.get(choice.checked_rem(stand.len())?)?;
        Some((*month, Invoice::clone(invoice)))
    }

    /// A line of such an invoice that charges something.
    fn line(&self, month: usize, line: usize) -> Option<(usize, Invoice, InvoiceLine)> {
        let (month, invoice) = self.invoice(month)?;
        let billing = &self.cloud.view.billing;
        // What adjusts a discount or a maximum is worked out again, whatever is credited of it.
        let charges = |line: &&InvoiceLine| {
            line.amount.minor() > 0
                && line.reduces.is_none()
                && billing.remainder_of(&invoice, line).minor() > 0
        };
        let lines: Vec<InvoiceLine> = invoice.lines.iter().filter(charges).cloned().collect();
        let line = lines.get(line.checked_rem(lines.len())?)?.clone();
        Some((month, invoice, line))
    }

    fn note(&mut self, invoice: &Invoice, give_back: GiveBack) -> Result<(), String> {
        let note =
            IssueCreditNote { original: invoice.clone(), give_back, reason: "a reason".into(), as_of: None };
        let issued = self.cloud.try_execute(Command::IssueCreditNote(Box::new(note)));
        issued.map_err(|refusal| refusal.to_string())?;
        let note = self.last_document();
        if note.total.minor() < 0 { Err(format!("{} is below zero", note.id)) } else { Ok(()) }
    }

    fn last_document(&self) -> &Invoice {
        match self.cloud.log.last().map(|recorded| &recorded.event) {
            Some(Event::InvoiceFinalised(event)) => &event.invoice,
            other => panic!("no document was issued: {other:?}"),
        }
    }

    /// Whether it is about usage of a month that is void.
    fn is_void(&self, key: Key) -> bool {
        match key {
            Key::Usage(month, _) | Key::Seats(month, _) | Key::Percent(month) | Key::Fee(month, _) => {
                self.months[month] == Invoiced::Void
            }
            Key::Advance(_) | Key::Cost(_) | Key::Charge(_) => false,
        }
    }

    /// Whether it is about usage of a month that is void, or about a line of a void document: the next run takes that back.
    fn is_about_void(&self, key: Key, line: &InvoiceLine) -> bool {
        let mut next = line.cites.clone();
        while let Some(LineRef { invoice, line }) = next {
            if self.void.contains(&invoice) {
                return true;
            }
            let document = self.cloud.view.billing.document(invoice.as_str()).expect("it was cited");
            let cited = (line as usize).checked_sub(1).map(|n| &document.invoice.lines[n]);
            next = cited.and_then(|cited| cited.cites.clone());
        }
        self.is_void(key)
    }

    fn void(&mut self, month: usize, invoice: &Invoice) {
        self.void.insert(invoice.id.clone());
        self.months[month] = Invoiced::Void;
        self.model.void(invoice.id.as_str(), month);
    }

    fn given(&mut self, (month, invoice): (usize, &Invoice), line: &InvoiceLine, cents: i64) {
        let key = key(month, line);
        // What is credited of a void month is not charged again, and no good will.
        if !self.is_about_void(key, line) {
            self.model.credited(invoice.id.as_str(), key, cents);
        }
        // Anyone who credits each line voids the document.
        if self.last_document().cites.as_ref().is_some_and(|cites| cites.all) {
            self.void(month, invoice);
        }
    }

    fn correct(
        &mut self,
        (month, invoice): (usize, &Invoice),
        line: &InvoiceLine,
        to: i64,
    ) -> Result<(), String> {
        let billing = &self.cloud.view.billing;
        let correction = billing.correction(invoice, line, euros(to)).expect("small amounts");
        match correction {
            LineCorrection::None => return Ok(()),
            LineCorrection::Credit(down_to) => {
                let credited = cents(billing.remainder_of(invoice, line)) - cents(down_to);
                let give_back = GiveBack::Lines(vec![(line.n, HowMuch::DownTo(down_to))]);
                // Lines below zero may leave less of the document than of the line.
                if self.note(invoice, give_back).is_err() {
                    return Ok(());
                }
                self.given((month, invoice), line, credited);
                if self.months[month] == Invoiced::Void {
                    return Ok(());
                }
            }
            LineCorrection::Charge(difference) => {
                self.cloud.execute(Command::RecordCharge(RecordCharge {
                    seller: SELLER,
                    customer: CUSTOMER,
                    currency: Currency::EUR,
                    amount: difference,
                    description: "a correction".into(),
                    cites: Some(LineRef { invoice: invoice.id.clone(), line: line.n }),
                    as_of: None,
                }));
                let key = key(month, line);
                let gone = self.is_about_void(key, line);
                self.model.charged((invoice.id.as_str(), key), cents(difference), gone);
            }
        }
        let charged = self.cloud.view.billing.charged_for(invoice, line).map(cents);
        if charged == Some(to) { Ok(()) } else { Err(format!("{charged:?} instead of {to} is charged")) }
    }

    /// Nothing is owed to the customer while prepaid credit of theirs has paid something: a credit note returns it first.
    fn receivable(&self) -> Result<(), String> {
        let billing = &self.cloud.view.billing;
        let (mut owed, mut paid) = (0, 0);
        for document in billing.documents((None, None), |_| true, None, usize::MAX).items {
            if document.issued.is_none() {
                continue;
            }
            let invoice = &document.invoice;
            let sign = if invoice.document == DocumentKind::Invoice { 1 } else { -1 };
            owed += sign * cents(invoice.total);
            if let Some((balance, _)) = billing.balance(document) {
                paid += cents(balance.paid());
            }
        }
        if owed >= paid || paid <= 0 {
            return Ok(());
        }
        Err(format!("{} is owed to the customer, and {paid} is paid of prepaid credit", paid - owed))
    }

    /// The sum of all documents that the log has, and what the model says.
    fn check(&self) -> Result<(), String> {
        let documents = self.cloud.log.iter().filter_map(|recorded| match &recorded.event {
            Event::InvoiceFinalised(event) => Some(&event.invoice),
            _ => None,
        });
        let charged: i64 = documents
            .map(|invoice| match invoice.document {
                DocumentKind::Invoice => cents(invoice.total),
                DocumentKind::CreditNote => -cents(invoice.total),
            })
            .sum();
        let expected = self.model.expected(self.months.len());
        if charged == expected {
            Ok(())
        } else {
            Err(format!("{charged} is charged, and {expected} is right"))
        }
    }

    /// Whatever happened: no line gives more than it charged, balances add up, and prepaid credit is kept.
    fn balances(&self) -> Result<(), String> {
        let billing = &self.cloud.view.billing;
        let (mut paid, unlimited) = (0, usize::MAX);
        for document in billing.documents((None, None), |_| true, None, unlimited).items {
            let invoice = &document.invoice;
            let Some((balance, _)) = billing.balance(document) else { continue };
            let (due, credited) = (cents(balance.due), cents(balance.credited));
            if due < 0 || due + credited + cents(balance.paid()) != cents(invoice.total) {
                return Err(format!("the balance of {}: {balance:?}", invoice.id));
            }
            paid += cents(balance.paid());
            for line in invoice.lines.iter().filter(|line| line.amount.minor() > 0) {
                let remainder = cents(billing.remainder_of(invoice, line));
                if remainder < 0 || remainder > cents(line.amount) {
                    return Err(format!("{remainder} remains of {} line {}", invoice.id, line.n));
                }
            }
        }
        let credit = billing.credit("CREDIT-1".parse().expect("a credit")).map(|credit| cents(credit.left));
        if credit == Some(PREPAID - paid) { Ok(()) } else { Err(format!("{credit:?} is left, {paid} paid")) }
    }
}

fn key(month: usize, line: &InvoiceLine) -> Key {
    let begins = (0..=MOST_MONTHS).rfind(|month| instant(start(*month)) <= line.period.start);
    let begins = begins.expect("no line is about time before October");
    let instance = line.instance.map(|InstanceId(n)| usize::try_from(n).expect("small") - 1);
    match (&line.kind, instance) {
        (LineKind::OneOff { charge } | LineKind::Correction { charge }, _) => {
            Key::Charge(usize::try_from(charge.0).expect("small") - 1)
        }
        (LineKind::Advance, _) => Key::Advance(begins),
        (LineKind::Recurring, None) => Key::Fee(begins, line.rate == 6),
        (LineKind::Recurring, _) => Key::Cost(month),
        (_, Some(instance)) if line.rate == 7 => Key::Seats(begins, instance),
        (_, Some(instance)) => Key::Usage(begins, instance),
        (_, None) => Key::Percent(begins),
    }
}

fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn all_that_is_charged_is_everything_rated_once(played in (any::<bool>(), operations())) {
        Play::play(&played, None).map_err(TestCaseError::fail)?;
    }
}

fn forget(_: &mut Event) -> bool {
    false
}

/// The document is known, and not what it settles.
fn cites_nothing(event: &mut Event) -> bool {
    if let Event::InvoiceFinalised(event) = event {
        for line in &mut event.invoice.lines {
            line.cites = None;
        }
    }
    true
}

/// The document is known, and not that its charges by hand take something of the lines they correct.
fn corrects_nothing(event: &mut Event) -> bool {
    if let Event::InvoiceFinalised(event) = event {
        for line in &mut event.invoice.lines {
            if let LineKind::Correction { charge } = line.kind {
                line.kind = LineKind::OneOff { charge };
            }
        }
    }
    true
}

/// The note is known, and not that nothing is left with it.
fn leaves_it_standing(event: &mut Event) -> bool {
    if let Event::InvoiceFinalised(event) = event
        && let Some(cites) = &mut event.invoice.cites
    {
        cites.all = false;
    }
    true
}

#[test]
fn a_planted_fault_of_each_operation_is_found() {
    let faults: [(&str, Fault); 12] = [
        ("usage", Fault { about: |of| matches!(of, Operation::Use { .. }), tamper: forget }),
        ("late usage", Fault { about: |of| matches!(of, Operation::UseLate { .. }), tamper: forget }),
        ("corrected usage", Fault { about: |of| matches!(of, Operation::Replace { .. }), tamper: forget }),
        ("run", Fault { about: |of| matches!(of, Operation::Run), tamper: cites_nothing }),
        ("void", Fault { about: |of| matches!(of, Operation::Void { .. }), tamper: leaves_it_standing }),
        ("repeated run", Fault { about: |of| matches!(of, Operation::Rerun { .. }), tamper: cites_nothing }),
        ("credit", Fault { about: |of| matches!(of, Operation::Credit { .. }), tamper: forget }),
        ("correction", Fault { about: |of| matches!(of, Operation::Correct { .. }), tamper: forget }),
        ("upgrade", Fault { about: |of| matches!(of, Operation::Change { .. }), tamper: forget }),
        ("charge", Fault { about: |of| matches!(of, Operation::Run), tamper: corrects_nothing }),
        ("end", Fault { about: |of| matches!(of, Operation::End { .. }), tamper: forget }),
        ("code", Fault { about: |of| matches!(of, Operation::Redeem), tamper: forget }),
    ];
    for (what, fault) in faults {
        let mut runner = TestRunner::new(Config { max_shrink_iters: 0, ..cases(2000) });
        let found = runner.run(&(Just(what == "code"), operations()), |operations| {
            let played = catch_unwind(AssertUnwindSafe(|| Play::play(&operations, Some(fault))));
            let played = played.unwrap_or_else(|_| Err("it cannot go on".into()));
            played.map_err(TestCaseError::fail)
        });
        assert!(matches!(found, Err(TestError::Fail(..))), "a fault of {what} is not found");
    }
}
