//! Prices and invoices before there were tiers, taxes and credit notes.

use bincode::Decode;

use crate::domain::credit::{CreditGranted, CreditId, CreditKind, PRIORITY};
use crate::domain::id::{ComputerId, SoftwareRelease, SoftwareType};
use crate::domain::id::{InstanceId, InvoiceId, PartyId, PriceBookName, ResourceId, RunId, Sequence};
use crate::domain::instance::InstanceType;
use crate::domain::invoice::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine,
    InvoiceLinesRecorded, InvoiceParty, InvoiceRunOpened, LineKind, LineRef, PriceStep, RunPeriod, RunReason,
    TaxSubtotal, lines_digest,
};
use crate::domain::money::{Amount, Currency, Exact, Price, Rounding};
use crate::domain::pricing::{
    Conversion, Every, FeeEnd, FeeTerms, InvoiceTerms, Match, Meter, Model, Of, OnChange, Per, PriceBook,
    PriceBookPublished, PriceTax, PriceVersion, Proration, Rate, Resource, ResourceKind, Tariff, When,
};
use crate::domain::quantity::Quantity;
use crate::domain::sealed::Sealed;
use crate::domain::tax::Tax;
use crate::domain::time::{Period, Timestamp};

#[derive(Decode)]
pub(in crate::log) struct PriceBookPublishedV1 {
    version: u32,
    book: PriceBookV1,
}

#[derive(Decode)]
struct PriceBookV1 {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    resources: Vec<ResourceV1>,
    rates: Vec<RateV1>,
}

#[derive(Decode)]
struct ResourceV1 {
    resource: ResourceId,
    kind: ResourceKind,
    meter: Meter,
    unit: Box<str>,
}

#[derive(Decode)]
enum RateV1 {
    Recurring { price: Price, matching: MatchV1 },
    PerUnit { resource: ResourceId, price: Price, matching: MatchV1 },
}

#[derive(Decode)]
struct MatchV1 {
    software_release: Option<SoftwareRelease>,
    software_type: Option<SoftwareType>,
    computer: Option<ComputerId>,
    instance_type: Option<InstanceType>,
    customer: Option<PartyId>,
}

impl From<PriceBookPublishedV1> for PriceBookPublished {
    fn from(old: PriceBookPublishedV1) -> Self {
        let PriceBookV1 { name, currency, valid_from, rounding, resources, rates } = old.book;
        let resources = resources.into_iter().map(Resource::from).collect();
        let rates = rates.into_iter().map(Rate::from).collect();
        Self {
            version: old.version,
            book: plain_book((name, currency, valid_from, rounding), OnChange::Restart, resources, rates),
        }
    }
}

impl From<ResourceV1> for Resource {
    fn from(old: ResourceV1) -> Self {
        let ResourceV1 { resource, kind, meter, unit } = old;
        ResourceV2 { resource, kind, meter, unit, conversion: Conversion::NONE, group_by: Vec::new() }.into()
    }
}

impl From<RateV1> for Rate {
    fn from(old: RateV1) -> Self {
        let (model, matching) = match old {
            RateV1::Recurring { price, matching } => {
                let (item, every, when) = ("".into(), Every::Month, When::Arrears);
                (ModelV4::Recurring { item, price, every, when, until: FeeEnd::Destroyed }, matching)
            }
            RateV1::PerUnit { resource, price, matching } => {
                let (per, free, tariff) = (Per::Instance, Quantity::ZERO, Tariff::PerUnit { price });
                (ModelV4::Usage { resource, per, free, tariff }, matching)
            }
        };
        RateV4 { model, matching: matching.into() }.into()
    }
}

impl From<MatchV1> for Match {
    fn from(old: MatchV1) -> Self {
        let MatchV1 { software_release, software_type, computer, instance_type, customer } = old;
        let (region, state, dimensions) = (None, None, Vec::new());
        Self { software_release, software_type, computer, instance_type, customer, region, state, dimensions }
    }
}

/// Before a book said what a change of prices does to a month. What was published then is rated as it was then.
#[derive(Decode)]
pub(in crate::log) struct PriceBookPublishedV2 {
    version: u32,
    book: PriceBookV2,
}

#[derive(Decode)]
struct PriceBookV2 {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    resources: Vec<ResourceV2>,
    rates: Vec<RateV2>,
}

#[derive(Decode)]
struct ResourceV2 {
    resource: ResourceId,
    kind: ResourceKind,
    meter: Meter,
    unit: Box<str>,
    conversion: Conversion,
    group_by: Vec<Box<str>>,
}

#[derive(Decode)]
struct RateV2 {
    model: ModelV2,
    matching: MatchV2,
}

#[derive(Decode)]
enum ModelV2 {
    Recurring { item: Box<str>, price: Price, every: Every, when: When },
    Usage { resource: ResourceId, per: Per, free: Quantity, tariff: Tariff },
    Percentage { percent: Quantity, of: Of },
    Minimum { price: Price, of: Of },
}

#[derive(Decode)]
struct MatchV2 {
    software_release: Option<SoftwareRelease>,
    software_type: Option<SoftwareType>,
    computer: Option<ComputerId>,
    instance_type: Option<InstanceType>,
    customer: Option<PartyId>,
    region: Option<Box<str>>,
    dimensions: Vec<(Box<str>, Box<str>)>,
}

impl From<PriceBookPublishedV2> for PriceBookPublished {
    fn from(old: PriceBookPublishedV2) -> Self {
        let PriceBookV2 { name, currency, valid_from, rounding, resources, rates } = old.book;
        let resources = resources.into_iter().map(Resource::from).collect();
        let rates = rates.into_iter().map(Rate::from).collect();
        let on_change = OnChange::Restart;
        Self {
            version: old.version,
            book: plain_book((name, currency, valid_from, rounding), on_change, resources, rates),
        }
    }
}

impl From<ResourceV2> for Resource {
    fn from(old: ResourceV2) -> Self {
        let ResourceV2 { resource, kind, meter, unit, conversion, group_by } = old;
        ResourceV4 { resource, kind, meter, unit, conversion, group_by, most: None }.into()
    }
}

/// Before a book said what is plausible.
#[derive(Decode)]
pub(in crate::log) struct PriceBookPublishedV3 {
    version: u32,
    book: PriceBookV3,
}

#[derive(Decode)]
struct PriceBookV3 {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    on_change: OnChange,
    resources: Vec<ResourceV2>,
    rates: Vec<RateV4>,
}

impl From<PriceBookPublishedV3> for PriceBookPublished {
    fn from(old: PriceBookPublishedV3) -> Self {
        let PriceBookV3 { name, currency, valid_from, rounding, on_change, resources, rates } = old.book;
        let resources = resources.into_iter().map(Resource::from).collect();
        let rates = rates.into_iter().map(Rate::from).collect();
        let book = plain_book((name, currency, valid_from, rounding), on_change, resources, rates);
        Self { version: old.version, book }
    }
}

/// Before discounts, trials, maximums, base fees, anchors, tax in prices and thresholds.
#[derive(Decode)]
pub(in crate::log) struct PriceBookPublishedV4 {
    version: u32,
    book: PriceBookV4,
}

#[derive(Decode)]
struct PriceBookV4 {
    name: PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    on_change: OnChange,
    resources: Vec<ResourceV4>,
    rates: Vec<RateV4>,
}

#[derive(Decode)]
struct ResourceV4 {
    resource: ResourceId,
    kind: ResourceKind,
    meter: Meter,
    unit: Box<str>,
    conversion: Conversion,
    group_by: Vec<Box<str>>,
    most: Option<Quantity>,
}

#[derive(Decode)]
struct RateV4 {
    model: ModelV4,
    matching: Match,
}

#[derive(Decode)]
enum ModelV4 {
    Recurring { item: Box<str>, price: Price, every: Every, when: When, until: FeeEnd },
    Usage { resource: ResourceId, per: Per, free: Quantity, tariff: Tariff },
    Percentage { percent: Quantity, of: Of },
    Minimum { price: Price, of: Of, proration: Proration },
}

impl From<PriceBookPublishedV4> for PriceBookPublished {
    fn from(old: PriceBookPublishedV4) -> Self {
        let PriceBookV4 { name, currency, valid_from, rounding, on_change, resources, rates } = old.book;
        let resources = resources.into_iter().map(Resource::from).collect();
        let rates = rates.into_iter().map(Rate::from).collect();
        let book = plain_book((name, currency, valid_from, rounding), on_change, resources, rates);
        Self { version: old.version, book }
    }
}

impl From<ResourceV4> for Resource {
    fn from(old: ResourceV4) -> Self {
        let ResourceV4 { resource, kind, meter, unit, conversion, group_by, most } = old;
        Self { resource, kind, meter, unit, conversion, group_by, most, carry_over: false }
    }
}

impl From<RateV4> for Rate {
    fn from(old: RateV4) -> Self {
        let model = match old.model {
            ModelV4::Recurring { item, price, every, when, until } => {
                Model::Recurring { item, price, every, when, until, terms: FeeTerms::default() }
            }
            ModelV4::Usage { resource, per, free, tariff } => Model::Usage { resource, per, free, tariff },
            ModelV4::Percentage { percent, of } => Model::Percentage { percent, of },
            ModelV4::Minimum { price, of, proration } => Model::Minimum { price, of, proration },
        };
        Self { model, trial: None, matching: old.matching }
    }
}

/// A book that says nothing of what books could not say then.
fn plain_book(
    (name, currency, valid_from, rounding): (PriceBookName, Currency, Timestamp, Rounding),
    on_change: OnChange,
    resources: Vec<Resource>,
    rates: Vec<Rate>,
) -> PriceBook {
    PriceBook {
        name,
        currency,
        valid_from,
        rounding,
        on_change,
        terms: InvoiceTerms::default(),
        resources,
        rates,
    }
}

impl From<RateV2> for Rate {
    fn from(old: RateV2) -> Self {
        let model = match old.model {
            ModelV2::Recurring { item, price, every, when } => {
                ModelV4::Recurring { item, price, every, when, until: FeeEnd::Destroyed }
            }
            ModelV2::Usage { resource, per, free, tariff } => ModelV4::Usage { resource, per, free, tariff },
            ModelV2::Percentage { percent, of } => ModelV4::Percentage { percent, of },
            ModelV2::Minimum { price, of } => ModelV4::Minimum { price, of, proration: Proration::None },
        };
        RateV4 { model, matching: old.matching.into() }.into()
    }
}

impl From<MatchV2> for Match {
    fn from(old: MatchV2) -> Self {
        let MatchV2 {
            software_release,
            software_type,
            computer,
            instance_type,
            customer,
            region,
            dimensions,
        } = old;
        let state = None;
        Self { software_release, software_type, computer, instance_type, customer, region, state, dimensions }
    }
}

#[derive(Decode)]
pub(in crate::log) struct InvoiceRunOpenedV1 {
    run: RunId,
    seller: PartyId,
    period: RunPeriod,
    cut_off: Sequence,
    price_book: PriceBookName,
    versions: u32,
    at: Timestamp,
}

impl From<InvoiceRunOpenedV1> for InvoiceRunOpened {
    fn from(old: InvoiceRunOpenedV1) -> Self {
        let InvoiceRunOpenedV1 { run, seller, period, cut_off, price_book, versions, at } = old;
        let (grace_until, finalise) = (None, false);
        InvoiceRunOpenedV2 { run, seller, period, cut_off, price_book, versions, grace_until, finalise, at }
            .into()
    }
}

/// Before a run could be about some payers alone.
#[derive(Decode)]
pub(in crate::log) struct InvoiceRunOpenedV2 {
    run: RunId,
    seller: PartyId,
    period: RunPeriod,
    cut_off: Sequence,
    price_book: PriceBookName,
    versions: u32,
    grace_until: Option<Timestamp>,
    finalise: bool,
    at: Timestamp,
}

impl From<InvoiceRunOpenedV2> for InvoiceRunOpened {
    fn from(old: InvoiceRunOpenedV2) -> Self {
        let InvoiceRunOpenedV2 {
            run,
            seller,
            period,
            cut_off,
            price_book,
            versions,
            grace_until,
            finalise,
            at,
        } = old;
        let (payers, reason) = (Vec::new(), RunReason::Period);
        Self { run, seller, period, cut_off, price_book, versions, payers, reason, grace_until, finalise, at }
    }
}

#[derive(Decode)]
pub(in crate::log) struct InvoiceLinesRecordedV1 {
    invoice: InvoiceId,
    part: u32,
    lines: Vec<InvoiceLineV1>,
}

impl From<InvoiceLinesRecordedV1> for InvoiceLinesRecorded {
    fn from(old: InvoiceLinesRecordedV1) -> Self {
        let lines = old.lines.into_iter().map(InvoiceLine::from).collect();
        Self { invoice: old.invoice, part: old.part, lines }
    }
}

/// Before a price could be one customer's own.
#[derive(Decode)]
pub(in crate::log) struct InvoiceLinesRecordedV2 {
    invoice: InvoiceId,
    part: u32,
    lines: Vec<InvoiceLineV2>,
}

impl From<InvoiceLinesRecordedV2> for InvoiceLinesRecorded {
    fn from(old: InvoiceLinesRecordedV2) -> Self {
        let lines = old.lines.into_iter().map(InvoiceLine::from).collect();
        Self { invoice: old.invoice, part: old.part, lines }
    }
}

#[derive(Decode)]
struct InvoiceLineV2 {
    n: u32,
    kind: LineKind,
    instance: Option<InstanceId>,
    dimensions: Vec<(Box<str>, Box<str>)>,
    description: Box<str>,
    period: Period,
    quantity: Quantity,
    unit: Box<str>,
    unit_price: Option<Price>,
    steps: Vec<PriceStep>,
    amount: Amount,
    residue: Exact,
    price_book: Option<PriceVersion>,
    rate: u32,
    tax: Tax,
    events: EventSet,
    cites: Option<LineRef>,
}

impl From<InvoiceLineV2> for InvoiceLine {
    fn from(old: InvoiceLineV2) -> Self {
        Self {
            n: old.n,
            kind: old.kind,
            instance: old.instance,
            dimensions: old.dimensions,
            description: old.description,
            period: old.period,
            quantity: old.quantity,
            unit: old.unit,
            unit_price: old.unit_price,
            steps: old.steps,
            amount: old.amount,
            residue: old.residue,
            price_book: old.price_book,
            rate: old.rate,
            price_override: None,
            reduces: None,
            tax: old.tax,
            events: old.events,
            cites: old.cites,
        }
    }
}

#[derive(Decode)]
pub(in crate::log) struct InvoiceFinalisedV2 {
    invoice: InvoiceV2,
    parts: u32,
    lines_digest: [u8; 32],
}

#[derive(Decode)]
struct InvoiceV2 {
    id: InvoiceId,
    document: DocumentKind,
    run: RunId,
    cites: Option<Citation>,
    seller: InvoiceParty,
    buyer: InvoiceParty,
    currency: Currency,
    period: Period,
    issued_at: Timestamp,
    due_at: Timestamp,
    lines: Vec<InvoiceLineV2>,
    net: Amount,
    tax: Vec<TaxSubtotal>,
    rounding: Amount,
    total: Amount,
    prepaid: Vec<CreditUsed>,
    due: Amount,
}

impl From<InvoiceFinalisedV2> for Box<InvoiceFinalised> {
    fn from(old: InvoiceFinalisedV2) -> Self {
        let invoice = old.invoice;
        let lines = invoice.lines.into_iter().map(InvoiceLine::from).collect();
        let invoice = Invoice {
            id: invoice.id,
            document: invoice.document,
            run: invoice.run,
            cites: invoice.cites,
            seller: invoice.seller,
            buyer: invoice.buyer,
            currency: invoice.currency,
            period: invoice.period,
            issued_at: invoice.issued_at,
            due_at: invoice.due_at,
            lines,
            price_tax: PriceTax::Exclusive,
            net: invoice.net,
            tax: invoice.tax,
            rounding: invoice.rounding,
            total: invoice.total,
            prepaid: invoice.prepaid,
            due: invoice.due,
        };
        Self::new(InvoiceFinalised { invoice, parts: old.parts, lines_digest: old.lines_digest })
    }
}

#[derive(Decode)]
struct InvoiceLineV1 {
    n: u32,
    kind: LineKind,
    instance: InstanceId,
    description: Box<str>,
    period: Period,
    quantity: Quantity,
    unit: Box<str>,
    unit_price: Price,
    amount: Amount,
    price_book: PriceVersion,
    tax: Tax,
    events: EventSet,
}

impl From<InvoiceLineV1> for InvoiceLine {
    fn from(old: InvoiceLineV1) -> Self {
        let exact = Exact::product(old.quantity, old.unit_price);
        InvoiceLineV2 {
            n: old.n,
            kind: old.kind,
            instance: Some(old.instance),
            dimensions: Vec::new(),
            description: old.description,
            period: old.period,
            quantity: old.quantity,
            unit: old.unit,
            unit_price: Some(old.unit_price),
            steps: Vec::new(),
            amount: old.amount,
            residue: Exact::from(old.amount).minus(exact),
            price_book: Some(old.price_book),
            // Which rate it was is not known of old lines.
            rate: 0,
            tax: old.tax,
            events: old.events,
            cites: None,
        }
        .into()
    }
}

#[derive(Decode)]
pub(in crate::log) struct InvoiceFinalisedV1 {
    invoice: InvoiceV1,
    parts: u32,
    lines_digest: [u8; 32],
}

#[derive(Decode)]
struct InvoiceV1 {
    id: InvoiceId,
    run: RunId,
    seller: InvoicePartyV1,
    buyer: InvoicePartyV1,
    currency: Currency,
    period: Period,
    issued_at: Timestamp,
    due_at: Timestamp,
    lines: Vec<InvoiceLineV1>,
    net: Amount,
    tax: Vec<TaxSubtotalV1>,
    rounding: Amount,
    total: Amount,
}

#[derive(Decode)]
struct InvoicePartyV1 {
    party: PartyId,
    name: Sealed,
}

#[derive(Decode)]
struct TaxSubtotalV1 {
    tax: Tax,
    base: Amount,
    amount: Amount,
}

impl From<InvoicePartyV1> for InvoiceParty {
    fn from(old: InvoicePartyV1) -> Self {
        Self { party: old.party, name: old.name, details: None, country: None, vat_id: false }
    }
}

impl From<InvoiceFinalisedV1> for Box<InvoiceFinalised> {
    fn from(old: InvoiceFinalisedV1) -> Self {
        let invoice = old.invoice;
        let lines: Vec<_> = invoice.lines.into_iter().map(InvoiceLine::from).collect();
        // No program that is left writes this version: its digest is read as one over lines as they are read.
        let digest = if old.parts == 0 { lines_digest(&lines) } else { old.lines_digest };
        let subtotal =
            |TaxSubtotalV1 { tax, base, amount }| TaxSubtotal { tax, base, amount, exemption: None };
        let invoice = Invoice {
            id: invoice.id,
            document: DocumentKind::Invoice,
            run: invoice.run,
            cites: None,
            seller: invoice.seller.into(),
            buyer: invoice.buyer.into(),
            currency: invoice.currency,
            period: invoice.period,
            issued_at: invoice.issued_at,
            due_at: invoice.due_at,
            lines,
            price_tax: PriceTax::Exclusive,
            net: invoice.net,
            tax: invoice.tax.into_iter().map(subtotal).collect(),
            rounding: invoice.rounding,
            total: invoice.total,
            prepaid: Vec::new(),
            due: invoice.total,
        };
        Self::new(InvoiceFinalised { invoice, parts: old.parts, lines_digest: digest })
    }
}

/// Before credits had a kind, a priority and an expiry.
#[derive(Decode)]
pub(in crate::log) struct CreditGrantedV1 {
    credit: CreditId,
    seller: PartyId,
    customer: PartyId,
    currency: Currency,
    amount: Amount,
    description: Box<str>,
    at: Timestamp,
}

impl From<CreditGrantedV1> for CreditGranted {
    fn from(old: CreditGrantedV1) -> Self {
        let CreditGrantedV1 { credit, seller, customer, currency, amount, description, at } = old;
        let (kind, priority, expires_at) = (CreditKind::Paid, PRIORITY, None);
        Self { credit, seller, customer, currency, amount, description, kind, priority, expires_at, at }
    }
}
