//! Documents and events to be posted. For tests alone.

use std::sync::Arc;

use slapledger_core::domain::account::AccountsClosed;
use slapledger_core::domain::charge::ChargeId;
use slapledger_core::domain::credit::{
    CreditExpired, CreditGranted, CreditId, CreditKind, CreditWithdrawn, PRIORITY,
};
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{
    CommandId, InvoiceId, KeyId, PartyId, ProjectId, ResourceId, RunId, Sequence,
};
use slapledger_core::domain::invoice::{
    CreditUsed, DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded,
    InvoiceParty, LineKind, TaxSubtotal,
};
use slapledger_core::domain::money::{Amount, Currency, Rounding, rate};
use slapledger_core::domain::party::PartyRegistered;
use slapledger_core::domain::pricing::PriceTax;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::tax::{Tax, TaxCategory};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION, Recorded};

use super::{Journal, TransactionFilter, amount_text};

pub(super) const SELLER: PartyId = PartyId(1);
pub(super) const CUSTOMER: PartyId = PartyId(2);

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

pub(super) fn currency(code: &str) -> Currency {
    code.parse().expect(code)
}

fn sealed() -> Sealed {
    Sealed { key: KeyId([0; 16]), digest: [0; 16], nonce: [0; 24], ciphertext: Vec::new() }
}

fn party(party: PartyId) -> InvoiceParty {
    InvoiceParty { party, name: sealed(), details: None, country: None, vat_id: false }
}

pub(super) fn kind(name: &str) -> LineKind {
    match name {
        "recurring" => LineKind::Recurring,
        "advance" => LineKind::Advance,
        "percentage" => LineKind::Percentage,
        "minimum" => LineKind::Minimum,
        "adjustment" => LineKind::Adjustment,
        "one_off" => LineKind::OneOff { charge: ChargeId(1) },
        resource => LineKind::Usage { resource: ResourceId::new(resource).expect(resource) },
    }
}

/// A category and its rate, such as `S 20`.
pub(super) fn tax(text: &str) -> Tax {
    let (category, rate) = text.split_once(' ').unwrap_or((text, "0"));
    let category = match category {
        "S" => TaxCategory::S,
        "AE" => TaxCategory::AE,
        _ => TaxCategory::O,
    };
    Tax { category, rate: rate.parse().expect(rate) }
}

/// A line of so much at this price, rounded half up.
pub(super) fn line(what: &str, (quantity, price): (&str, &str), code: &str, taxed: &str) -> InvoiceLine {
    let (quantity, price) = (quantity.parse().expect(quantity), price.parse().expect(price));
    let rated = rate(quantity, price, currency(code), Rounding::HalfUp);
    InvoiceLine {
        n: 1,
        kind: kind(what),
        instance: None,
        dimensions: Vec::new(),
        description: what.into(),
        period: Period { start: at("2026-10-01T00:00:00Z"), stop: at("2026-11-01T00:00:00Z") },
        quantity,
        unit: "unit".into(),
        unit_price: Some(price),
        steps: Vec::new(),
        amount: rated.amount,
        residue: rated.residue,
        price_book: None,
        rate: 0,
        price_override: None,
        reduces: None,
        tax: tax(taxed),
        events: EventSet {
            count: 1,
            first_sequence: Sequence(1),
            last_sequence: Sequence(1),
            digest: [0; 32],
        },
        cites: None,
    }
}

/// A document of these lines, with tax as EN 16931 has it.
pub(super) fn document(document: DocumentKind, id: &str, code: &str, lines: Vec<InvoiceLine>) -> Invoice {
    let currency = currency(code);
    let sum = |amounts: &[Amount]| Amount::sum(currency, amounts.iter().copied()).expect("in range");
    let net = sum(&lines.iter().map(|line| line.amount).collect::<Vec<_>>());
    let mut taxes: Vec<Tax> = lines.iter().map(|line| line.tax).collect();
    taxes.sort_unstable();
    taxes.dedup();
    let subtotals: Vec<TaxSubtotal> = taxes
        .into_iter()
        .map(|tax| {
            let lines = lines.iter().filter(|line| line.tax == tax).map(|line| line.amount);
            let base = sum(&lines.collect::<Vec<_>>());
            let amount = tax.round_on(base, currency).expect("in range");
            TaxSubtotal { tax, base, amount, exemption: None }
        })
        .collect();
    let tax_sum = sum(&subtotals.iter().map(|subtotal| subtotal.amount).collect::<Vec<_>>());
    let total = sum(&[net, tax_sum]);
    let issued_at = at("2026-11-02T09:00:00Z");
    Invoice {
        id: InvoiceId::new(id).expect(id),
        document,
        run: RunId(1),
        cites: None,
        seller: party(SELLER),
        buyer: party(CUSTOMER),
        currency,
        period: Period { start: at("2026-10-01T00:00:00Z"), stop: at("2026-11-01T00:00:00Z") },
        issued_at,
        due_at: issued_at,
        lines,
        price_tax: PriceTax::Exclusive,
        net,
        tax: subtotals,
        rounding: Amount::zero(currency),
        total,
        prepaid: Vec::new(),
        due: total,
    }
}

/// A journal, and how many events it has taken over.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) journal: Journal,
    events: u64,
}

impl Books {
    /// Of a seller in a time zone.
    pub(super) fn of_seller_in(zone: &str) -> Self {
        let mut books = Self::default();
        let time_zone = zone.parse().expect(zone);
        let event = PartyRegistered { party: SELLER, name: sealed(), time_zone, at: Timestamp::MIN };
        books.take(Event::PartyRegistered(event));
        books
    }

    pub(super) fn take(&mut self, event: Event) {
        self.events += 1;
        let recorded = Recorded {
            sequence: Sequence(self.events),
            stream: Arc::new(Stream::Ledger),
            stream_version: self.events,
            recorded_at: Timestamp::MIN,
            meta: Arc::new(Meta {
                project: ProjectId::DEFAULT,
                actor: Actor::system(),
                command: CommandId([0; 16]),
                named_by_sender: false,
                digest: [0; 16],
                causation: None,
                correlation: None,
                rules: RULES_VERSION,
            }),
            event,
        };
        self.journal.apply(&recorded);
    }

    pub(super) fn issue(&mut self, invoice: Invoice) {
        self.take(Event::InvoiceFinalised(Box::new(InvoiceFinalised {
            invoice,
            parts: 0,
            lines_digest: [0; 32],
        })));
    }

    /// The same with its lines in events of so many before it.
    pub(super) fn issue_in_parts(&mut self, mut invoice: Invoice, of: usize) {
        let lines = std::mem::take(&mut invoice.lines);
        for (part, lines) in (1..).zip(lines.chunks(of)) {
            let (invoice, lines) = (invoice.id.clone(), lines.to_vec());
            self.take(Event::InvoiceLinesRecorded(InvoiceLinesRecorded { invoice, part, lines }));
        }
        self.issue(invoice);
    }

    pub(super) fn grant(&mut self, credit: u64, amount: i128, code: &str) {
        self.grant_of(CreditKind::Paid, credit, amount, code);
    }

    pub(super) fn grant_of(&mut self, kind: CreditKind, credit: u64, amount: i128, code: &str) {
        let currency = currency(code);
        self.take(Event::CreditGranted(CreditGranted {
            credit: CreditId(credit),
            seller: SELLER,
            customer: CUSTOMER,
            currency,
            amount: Amount::from_minor(amount, currency),
            description: "paid; before | all".into(),
            kind,
            priority: PRIORITY,
            expires_at: None,
            at: at("2026-10-05T12:00:00Z"),
        }));
    }

    pub(super) fn expire(&mut self, credit: u64, amount: i128, code: &str) {
        self.take(Event::CreditExpired(CreditExpired {
            credit: CreditId(credit),
            amount: Amount::from_minor(amount, currency(code)),
            at: at("2026-11-20T12:00:00Z"),
        }));
    }

    pub(super) fn withdraw(&mut self, credit: u64, amount: i128, code: &str) {
        self.take(Event::CreditWithdrawn(CreditWithdrawn {
            credit: CreditId(credit),
            amount: Amount::from_minor(amount, currency(code)),
            reason: "moved \"away\"\nfor good".into(),
            at: at("2026-11-20T12:00:00Z"),
        }));
    }

    pub(super) fn close(&mut self, until: &str) {
        let (until, at) = (at(until), at("2026-12-24T00:00:00Z"));
        self.take(Event::AccountsClosed(AccountsClosed { seller: SELLER, until, at }));
    }

    /// The balances of a currency as they are written, debits above zero.
    pub(super) fn balances(&self, filter: TransactionFilter, code: &str) -> Vec<(String, String)> {
        let filter = TransactionFilter { currency: Some(currency(code)), ..filter };
        let balances = self.journal.trial_balances(filter);
        for balance in &balances {
            assert_eq!(balance.debits, balance.credits, "{balance:?}");
        }
        let all = balances.into_iter().flat_map(|balance| balance.balances);
        all.map(|(account, sum)| (account.to_string(), amount_text(sum, currency(code)))).collect()
    }
}

/// Pays a document from a credit, as far as its total goes.
pub(super) fn prepaid(mut invoice: Invoice, credit: u64, amount: i128) -> Invoice {
    let amount = Amount::from_minor(amount, invoice.currency);
    invoice.prepaid.push(CreditUsed { credit: CreditId(credit), amount });
    let left = invoice.due.minor() - amount.minor();
    invoice.due = Amount::from_minor(left, invoice.currency);
    invoice
}
