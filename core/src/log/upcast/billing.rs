//! Prices and invoices before there were tiers, taxes and credit notes.

use bincode::Decode;

use crate::domain::id::{ComputerId, SoftwareRelease, SoftwareType};
use crate::domain::id::{InstanceId, InvoiceId, PartyId, PriceBookName, ResourceId, RunId, Sequence};
use crate::domain::instance::InstanceType;
use crate::domain::invoice::{
    DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded, InvoiceParty,
    InvoiceRunOpened, LineKind, RunPeriod, TaxSubtotal, lines_digest,
};
use crate::domain::money::{Amount, Currency, Exact, Price, Rounding};
use crate::domain::pricing::{
    Conversion, Every, FeeEnd, Match, Meter, Model, Of, OnChange, Per, PriceBook, PriceBookPublished,
    PriceVersion, Proration, Rate, Resource, ResourceKind, Tariff, When,
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
            book: PriceBook {
                name,
                currency,
                valid_from,
                rounding,
                on_change: OnChange::Restart,
                resources,
                rates,
            },
        }
    }
}

impl From<ResourceV1> for Resource {
    fn from(old: ResourceV1) -> Self {
        let ResourceV1 { resource, kind, meter, unit } = old;
        Self { resource, kind, meter, unit, conversion: Conversion::NONE, group_by: Vec::new(), most: None }
    }
}

impl From<RateV1> for Rate {
    fn from(old: RateV1) -> Self {
        match old {
            RateV1::Recurring { price, matching } => Self {
                model: Model::Recurring {
                    item: "".into(),
                    price,
                    every: Every::Month,
                    when: When::Arrears,
                    until: FeeEnd::Destroyed,
                },
                matching: matching.into(),
            },
            RateV1::PerUnit { resource, price, matching } => Self {
                model: Model::Usage {
                    resource,
                    per: Per::Instance,
                    free: Quantity::ZERO,
                    tariff: Tariff::PerUnit { price },
                },
                matching: matching.into(),
            },
        }
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
            book: PriceBook { name, currency, valid_from, rounding, on_change, resources, rates },
        }
    }
}

impl From<ResourceV2> for Resource {
    fn from(old: ResourceV2) -> Self {
        let ResourceV2 { resource, kind, meter, unit, conversion, group_by } = old;
        Self { resource, kind, meter, unit, conversion, group_by, most: None }
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
    rates: Vec<Rate>,
}

impl From<PriceBookPublishedV3> for PriceBookPublished {
    fn from(old: PriceBookPublishedV3) -> Self {
        let PriceBookV3 { name, currency, valid_from, rounding, on_change, resources, rates } = old.book;
        let resources = resources.into_iter().map(Resource::from).collect();
        let book = PriceBook { name, currency, valid_from, rounding, on_change, resources, rates };
        Self { version: old.version, book }
    }
}

impl From<RateV2> for Rate {
    fn from(old: RateV2) -> Self {
        let model = match old.model {
            ModelV2::Recurring { item, price, every, when } => {
                Model::Recurring { item, price, every, when, until: FeeEnd::Destroyed }
            }
            ModelV2::Usage { resource, per, free, tariff } => Model::Usage { resource, per, free, tariff },
            ModelV2::Percentage { percent, of } => Model::Percentage { percent, of },
            ModelV2::Minimum { price, of } => Model::Minimum { price, of, proration: Proration::None },
        };
        Self { model, matching: old.matching.into() }
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
        Self { run, seller, period, cut_off, price_book, versions, grace_until, finalise, at }
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
        Self {
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

impl From<InvoiceFinalisedV1> for InvoiceFinalised {
    fn from(old: InvoiceFinalisedV1) -> Self {
        let invoice = old.invoice;
        let lines: Vec<_> = invoice.lines.into_iter().map(InvoiceLine::from).collect();
        // The digest is one over lines as they are read today; of lines in parts it is what was written.
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
            net: invoice.net,
            tax: invoice.tax.into_iter().map(subtotal).collect(),
            rounding: invoice.rounding,
            total: invoice.total,
            prepaid: Vec::new(),
            due: invoice.total,
        };
        Self { invoice, parts: old.parts, lines_digest: digest }
    }
}
