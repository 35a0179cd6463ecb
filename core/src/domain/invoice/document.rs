//! The documents themselves: invoices and credit notes with all that EN 16931 asks of them.
//!
//! An issued document never changes. Amounts of a credit note are what is given back, so they have the signs of the
//! document it cites.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::charge::ChargeId;
use crate::domain::credit::CreditId;
use crate::domain::id::{InstanceId, InvoiceId, PartyId, ResourceId, RunId, Sequence};
use crate::domain::money::{Amount, Currency, Exact, Price};
use crate::domain::party::Country;
use crate::domain::pricing::{OverrideId, PriceTax, PriceVersion};
use crate::domain::quantity::Quantity;
use crate::domain::sealed::{Sealed, hex};
use crate::domain::tax::{Exemption, Tax, TaxCategory};
use crate::domain::time::{Period, Timestamp};

/// Lines of an invoice too long for one event, before the event that issues it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceLinesRecorded {
    /// Which.
    pub invoice: InvoiceId,
    /// From 1.
    pub part: u32,
    /// The lines of this part.
    pub lines: Vec<InvoiceLine>,
}

/// An invoice was issued.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceFinalised {
    /// The document; its lines are those of the parts, if there are parts.
    pub invoice: Invoice,
    /// How many part events come before this one.
    pub parts: u32,
    /// SHA-256 of all lines in bincode, one after the other, as they were written.
    #[serde(serialize_with = "hex")]
    pub lines_digest: [u8; 32],
}

/// What a document is (BT-3, UNCL 1001).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// It asks for money (380).
    Invoice,
    /// It gives some back (381).
    CreditNote,
}

/// An invoice or a credit note.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Invoice {
    /// Series, year and number.
    pub id: InvoiceId,
    /// What it is.
    pub document: DocumentKind,
    /// The run that made it; of a credit note that was written by hand, the run of the document it cites.
    pub run: RunId,
    /// The document a credit note cites, and why (BG-3, BT-22).
    pub cites: Option<Citation>,
    /// Who sells.
    pub seller: InvoiceParty,
    /// Who pays.
    pub buyer: InvoiceParty,
    /// In what.
    pub currency: Currency,
    /// For when.
    pub period: Period,
    /// When it became final.
    pub issued_at: Timestamp,
    /// When it is to be paid.
    pub due_at: Timestamp,
    /// What for.
    pub lines: Vec<InvoiceLine>,
    /// Whether the amounts of the lines contain tax.
    #[serde(skip_serializing_if = "PriceTax::is_exclusive")]
    pub price_tax: PriceTax,
    /// The sum of the lines, without the tax that they contain.
    pub net: Amount,
    /// The tax on it, for each category and rate.
    pub tax: Vec<TaxSubtotal>,
    /// What is added so that the total can be paid.
    pub rounding: Amount,
    /// Net, tax and rounding.
    pub total: Amount,
    /// What was paid before, from prepaid credit (BT-113).
    pub prepaid: Vec<CreditUsed>,
    /// What is to be paid (BT-115).
    pub due: Amount,
}

impl Invoice {
    /// What its tax categories ask for and it does not say: EN 16931, BR-S-02, BR-Z-02, BR-E-02, BR-AE-02, BR-IC-02,
    /// BR-IC-12 and BR-G-02.
    pub fn missing_details(&self) -> impl Iterator<Item = &'static str> {
        use TaxCategory::{AE, K, O};
        let has = |categories: &[TaxCategory]| {
            self.tax.iter().any(|subtotal| categories.contains(&subtotal.tax.category))
        };
        let taxed = self.tax.iter().any(|subtotal| subtotal.tax.category != O);
        let missing = [
            (taxed && !self.seller.vat_id).then_some("a VAT identifier of the seller"),
            (has(&[AE, K]) && !self.buyer.vat_id).then_some("a VAT identifier of the buyer"),
            (has(&[K]) && self.buyer.country.is_none()).then_some("the country of the buyer"),
        ];
        missing.into_iter().flatten()
    }

    /// The same document with lines that are at hand: its own are not copied.
    #[must_use]
    pub fn with_lines(&self, lines: Vec<InvoiceLine>) -> Self {
        Self {
            id: self.id.clone(),
            document: self.document,
            run: self.run,
            cites: self.cites.clone(),
            seller: self.seller.clone(),
            buyer: self.buyer.clone(),
            currency: self.currency,
            period: self.period,
            issued_at: self.issued_at,
            due_at: self.due_at,
            lines,
            price_tax: self.price_tax,
            net: self.net,
            tax: self.tax.clone(),
            rounding: self.rounding,
            total: self.total,
            prepaid: self.prepaid.clone(),
            due: self.due,
        }
    }
}

/// The document that another is about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct Citation {
    /// Which.
    pub invoice: InvoiceId,
    /// Why, for people.
    pub reason: Box<str>,
    /// Whether nothing of it is left with this: its period may be invoiced again.
    pub all: bool,
}

/// Prepaid credit that went into an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct CreditUsed {
    /// Which credit.
    pub credit: CreditId,
    /// How much of it.
    pub amount: Amount,
}

/// A party as named on an invoice, under a retention key of the invoice's own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceParty {
    /// Who.
    pub party: PartyId,
    /// The name at that time.
    pub name: Sealed,
    /// Address, VAT identifier and the like at that time, as the edge writes them.
    pub details: Option<Sealed>,
    /// The country of the address (BT-40, BT-55).
    pub country: Option<Country>,
    /// Whether the details hold a VAT identifier (BT-31, BT-48).
    pub vat_id: bool,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LineKind {
    /// A fee for the time an instance was allocated.
    Recurring,
    /// What an instance used.
    Usage {
        /// Of what.
        resource: ResourceId,
    },
    /// A fee for the month to come; or, with a citation and below zero, one that was charged so and is settled now.
    Advance,
    /// A part of other lines.
    Percentage,
    /// What is missing from the least a customer pays.
    Minimum,
    /// What an earlier document would have charged otherwise, had it known what is known now.
    Adjustment,
    /// Something charged or given by hand.
    OneOff {
        /// Which.
        charge: ChargeId,
    },
    /// What a discount takes off other lines.
    Discount,
    /// What other lines are above the most that is paid.
    Maximum,
    /// What a charge by hand that corrects a line takes of the line that this one cites. Documents of earlier versions of
    /// the program have such charges as one-off lines, which take nothing.
    Correction {
        /// A part of which.
        charge: ChargeId,
    },
}

impl LineKind {
    /// The charge by hand that a line has, or a part of it.
    pub fn charge(&self) -> Option<ChargeId> {
        match self {
            Self::OneOff { charge } | Self::Correction { charge } => Some(*charge),
            _ => None,
        }
    }
}

impl LineKind {
    /// Whether it is what was in the period of its document: rated again, it may come out differently.
    pub fn is_rated(&self) -> bool {
        match self {
            Self::Recurring
            | Self::Usage { .. }
            | Self::Percentage
            | Self::Minimum
            | Self::Discount
            | Self::Maximum => true,
            Self::Advance | Self::Adjustment | Self::OneOff { .. } | Self::Correction { .. } => false,
        }
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceLine {
    /// From 1.
    pub n: u32,
    /// What it is about.
    #[serde(flatten)]
    pub kind: LineKind,
    /// For which instance; none, if it is about all of a customer's.
    pub instance: Option<InstanceId>,
    /// The group of usage, if its resource groups.
    pub dimensions: Vec<(Box<str>, Box<str>)>,
    /// For people.
    pub description: Box<str>,
    /// For when.
    pub period: Period,
    /// How much.
    pub quantity: Quantity,
    /// Of what.
    pub unit: Box<str>,
    /// For one; none, if that depends on the quantity: then the steps say it.
    pub unit_price: Option<Price>,
    /// The parts of the quantity that cost differently. Empty, if the amount is quantity times price.
    pub steps: Vec<PriceStep>,
    /// The exact price of it, rounded once.
    pub amount: Amount,
    /// What rounding added.
    pub residue: Exact,
    /// Whose price it is.
    pub price_book: Option<PriceVersion>,
    /// The number of the rate in that version, from 1; 0, if there is none.
    pub rate: u32,
    /// The price of this customer that took the place of that of the book.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_override: Option<OverrideId>,
    /// Of a discount or a maximum, and of what adjusts one: the lines it takes something off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduces: Option<Reduces>,
    /// How it is taxed.
    pub tax: Tax,
    /// What it rests on.
    pub events: EventSet,
    /// The line of an earlier document it is about.
    pub cites: Option<LineRef>,
}

/// Which lines a discount or a maximum takes something off. It is of those that have its tax.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduces {
    /// All that its rate is of.
    All,
    /// The fee of this name; it is empty for the fee without a name.
    Fee(Box<str>),
    /// The usage of this resource, in the group of the line.
    Resource(ResourceId),
}

/// A part of a quantity and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct PriceStep {
    /// How much of the quantity (packages, of a price for each package).
    pub quantity: Quantity,
    /// For one.
    pub price: Price,
    /// Once; if the quantity is below zero, that is given back.
    pub flat: Price,
    /// The upper bound of its tier, if it has one.
    pub up_to: Option<Quantity>,
}

/// A line of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, JsonSchema)]
pub struct LineRef {
    /// Which document.
    pub invoice: InvoiceId,
    /// Which of its lines; 0, if the document had none for it.
    pub line: u32,
}

/// The tax on all lines of a category and rate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct TaxSubtotal {
    /// The category and rate.
    #[serde(flatten)]
    pub tax: Tax,
    /// The sum of its lines.
    pub base: Amount,
    /// The tax on it, rounded once.
    pub amount: Amount,
    /// Why there is none (BT-120, BT-121), if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
}

/// The set of events a line rests on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct EventSet {
    /// How many.
    pub count: u64,
    /// The first.
    pub first_sequence: Sequence,
    /// The last.
    pub last_sequence: Sequence,
    /// SHA-256 of their sequences, each as 8 bytes big-endian, ascending.
    #[serde(serialize_with = "hex")]
    #[schemars(with = "crate::schema::Hex")]
    pub digest: [u8; 32],
}
