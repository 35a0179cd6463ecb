//! From lines to a document: numbers, sums and tax, with the parties as they are named.
//!
//! A document that gives more than it asks for is a credit note: its amounts are turned round. Number, dates of issue
//! and prepaid credit are given when a draft becomes final, not here.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Citation, DocumentKind, Invoice, InvoiceLine, InvoiceParty, PriceStep, TaxSubtotal, base_and_tax,
};
use slapledger_core::domain::money::{Amount, Currency, Exact};
use slapledger_core::domain::party::{Country, Series};
use slapledger_core::domain::pricing::PriceTax;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::tax::{Exemption, Tax};
use slapledger_core::domain::time::{Period, Timestamp};

use crate::rating::RatedLine;

/// What is known of a party: what documents say of it, and where its months are cut.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Payer {
    /// Name.
    pub name: Sealed,
    /// Legal name, address, VAT identifier and the like, as the edge writes them.
    pub details: Option<Sealed>,
    /// The country of the address.
    pub country: Option<Country>,
    /// Whether the details hold a VAT identifier.
    pub vat_id: bool,
    /// What the numbers of its invoices begin with, if it said so.
    pub series: Option<Series>,
    /// In how many days it pays, or is paid, if it said so.
    pub terms_days: Option<u16>,
    /// Where its months are cut.
    pub calendar: Calendar,
    /// When it entered the books.
    pub registered_at: Timestamp,
    /// When its name and details were erased.
    pub erased_at: Option<Timestamp>,
    /// The last event about it.
    pub sequence: Sequence,
}

impl Payer {
    fn named(&self, party: PartyId) -> InvoiceParty {
        let Self { name, details, country, vat_id, .. } = self;
        InvoiceParty {
            party,
            name: name.clone(),
            details: details.clone(),
            country: *country,
            vat_id: *vat_id,
        }
    }
}

/// All that a document says besides its lines.
pub(crate) struct DocumentHead<'a> {
    pub(crate) id: InvoiceId,
    pub(crate) run: RunId,
    pub(crate) seller: (PartyId, &'a Payer),
    pub(crate) buyer: (PartyId, &'a Payer),
    pub(crate) currency: Currency,
    /// Whether the amounts of its lines contain tax.
    pub(crate) price_tax: PriceTax,
    pub(crate) period: Period,
    pub(crate) at: Timestamp,
}

/// Why the lines of a category and rate are without tax.
pub(crate) type WhyUntaxed<'a> = &'a dyn Fn(&[InvoiceLine], Tax) -> Option<Exemption>;

/// A document of these lines; none, if there are none.
pub(crate) fn assemble(
    head: DocumentHead<'_>,
    lines: Vec<RatedLine>,
    why: WhyUntaxed<'_>,
) -> Option<Invoice> {
    if lines.is_empty() {
        return None;
    }
    let currency = head.currency;
    let mut lines: Vec<InvoiceLine> = lines.into_iter().map(|rated| rated.line).collect();
    let mut document = DocumentKind::Invoice;
    let mut sums = Sums::of((currency, head.price_tax), &lines, why);
    let mut cites = None;
    if sums.total.minor() < 0 {
        document = DocumentKind::CreditNote;
        lines = lines.into_iter().map(turned).collect();
        sums = Sums::of((currency, head.price_tax), &lines, why);
        let earlier = lines.iter().find_map(|line| line.cites.as_ref());
        let reason = "what was charged before is more than what is charged now".into();
        cites = earlier.map(|line| Citation { invoice: line.invoice.clone(), reason, all: false });
    }
    // Documents are kept.
    lines.shrink_to_fit();
    for (line, n) in lines.iter_mut().zip(1..) {
        line.n = n;
    }
    let Sums { net, tax, total } = sums;
    Some(Invoice {
        id: head.id,
        document,
        run: head.run,
        cites,
        seller: head.seller.1.named(head.seller.0),
        buyer: head.buyer.1.named(head.buyer.0),
        currency,
        period: head.period,
        issued_at: head.at,
        due_at: head.at,
        lines,
        price_tax: head.price_tax,
        net,
        tax,
        rounding: Amount::zero(currency),
        total,
        prepaid: Vec::new(),
        due: total,
    })
}

/// Whether a document charges nothing: its total and all of its lines are zero.
pub(crate) fn is_zero(invoice: &Invoice) -> bool {
    invoice.total.minor() == 0 && invoice.lines.iter().all(|line| line.amount.minor() == 0)
}

/// The line of this number.
pub(crate) fn line_of(invoice: &Invoice, n: u32) -> Option<&InvoiceLine> {
    invoice.lines.get(usize::try_from(n).ok()?.checked_sub(1)?)
}

/// A line as something charged, also if it stands in a credit note.
pub(crate) fn as_charged(invoice: &Invoice, line: &InvoiceLine) -> InvoiceLine {
    match invoice.document {
        DocumentKind::Invoice => line.clone(),
        DocumentKind::CreditNote => turned(line.clone()),
    }
}

/// A line with its amounts turned round.
pub(crate) fn turned(line: InvoiceLine) -> InvoiceLine {
    let minus = |quantity: Quantity| Quantity::from_billionths(-quantity.billionths()).unwrap_or_default();
    let steps = line.steps.into_iter().map(|step| PriceStep { quantity: minus(step.quantity), ..step });
    InvoiceLine {
        quantity: minus(line.quantity),
        amount: line.amount.negated(),
        residue: Exact::ZERO.minus(line.residue),
        steps: steps.collect(),
        ..line
    }
}

struct Sums {
    net: Amount,
    tax: Vec<TaxSubtotal>,
    total: Amount,
}

impl Sums {
    /// EN 16931: BR-CO-10 (net), BR-CO-17 and its kin (tax of a category, rounded half up on the sum), BR-CO-15
    /// (total).
    fn of((currency, price_tax): (Currency, PriceTax), lines: &[InvoiceLine], why: WhyUntaxed<'_>) -> Self {
        let sum = |amounts: &mut dyn Iterator<Item = Amount>| {
            Amount::sum(currency, amounts)
                .expect("an amount is below 10^27 minor units, so that 10^11 of them can be added")
        };
        let mut by_tax: BTreeMap<Tax, Vec<Amount>> = BTreeMap::new();
        for line in lines {
            by_tax.entry(line.tax).or_default().push(line.amount);
        }
        let subtotals = by_tax.into_iter().map(|(tax, amounts)| {
            let all = sum(&mut amounts.into_iter());
            // Rates are below a thousand: the product has room.
            let split = base_and_tax(price_tax, tax, all, currency);
            let (base, amount) = split.unwrap_or((all, Amount::zero(currency)));
            TaxSubtotal { tax, base, amount, exemption: why(lines, tax) }
        });
        let tax: Vec<TaxSubtotal> = subtotals.collect();
        let net = sum(&mut tax.iter().map(|subtotal| subtotal.base));
        let total = sum(&mut tax.iter().map(|subtotal| subtotal.amount).chain([net]));
        Self { net, tax, total }
    }
}
