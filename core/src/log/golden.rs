//! Golden bytes: every event in every version, as it was first written, must decode for ever.
//!
//! `fixtures/golden/events-v1.txt` holds a name and hexadecimal bytes a line. A line is never changed or removed. A
//! new event or version needs a sample here; the test then prints the line to add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::envelope::{Actor, ActorKind, EnvelopeError, EventDecoder, Meta, Recorded};
use super::payload;
use crate::domain::access::{
    CredentialIssued, CredentialRevoked, CredentialSpent, Holder, ProjectOpened, Proof, Purpose, Role,
};
use crate::domain::account::AccountsClosed;
use crate::domain::catalogue::{
    AdoptionStage, CatalogueEntry, CatalogueEntryRecorded, CatalogueEntryRemoved, CatalogueTable,
};
use crate::domain::charge::{ChargeId, ChargeRecorded};
use crate::domain::clock::ClockConfirmed;
use crate::domain::computer::{
    AllocationScope, AllocationScopeSet, ComputerBanged, ComputerConfigured, ComputerDescribed,
    ComputerFellSilent, ComputerHeard, ComputerRegistered, ComputerRetired, NetworkAddress, Offer,
    PartitionOffered, PartitionWithdrawn,
};
use crate::domain::credit::{CreditExpired, CreditGranted, CreditId, CreditKind, CreditWithdrawn, PRIORITY};
use crate::domain::discount::DiscountCodeRedeemed;
use crate::domain::erasure::{ErasureSubject, KeyDestroyed};
use crate::domain::event::{AnswerRecorded, Event, LedgerCreated, Mode, Stream, WriterStarted};
use crate::domain::id::{
    CommandId, ComputerId, CredentialId, InstanceId, InvoiceId, KeyId, PartitionId, PartyId, PriceBookName,
    ProjectId, Reference, ResourceId, RunId, Sequence, SoftwareRelease, SoftwareType,
};
use crate::domain::instance::{
    ConnectionParametersSet, InstanceAllocated, InstanceBanged, InstanceChanged, InstanceEnded,
    InstanceRenamed, InstanceRequested, InstanceStateReported, InstanceType, ReportedState, RequestedState,
    Requester, SealedPartRecorded,
};
use crate::domain::invoice::{
    Bound, Citation, CreditUsed, DocumentKind, DraftDecision, EventSet, Invoice, InvoiceDraftReviewed,
    InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded, InvoiceParty, InvoiceRunFinalised, InvoiceRunOpened,
    InvoiceRunRefreshed, InvoiceRunWithdrawn, LineKind, LineRef, PriceStep, Reduces, RunPeriod, RunReason,
    TaxSubtotal, lines_digest,
};
use crate::domain::log_key::LogKeySet;
use crate::domain::money::{Amount, Currency, Exact, Price, Rounding};
use crate::domain::party::{PartyDescribed, PartyRegistered, PartyTimeZoneSet};
use crate::domain::pricing::{
    Anchor, BaseFeeTime, CapPer, Conversion, DiscountLimits, Every, FeeEnd, FeeProration, FeeTerms,
    InvoiceTerms, Match, Meter, Model, Of, OnChange, OnTaxChange, OverrideId, Per, PriceBook,
    PriceBookPublished, PriceOverride, PriceOverrideEnded, PriceOverrideSet, PriceTax, PriceVersion,
    Proration, Rate, Reduction, Resource, ResourceKind, Tariff, Tier, Trial, When, ZeroInvoices,
};
use crate::domain::product::SoftwareReleasePublished;
use crate::domain::quantity::Quantity;
use crate::domain::restore::{LastNumber, LedgerRestored, RestoreMark};
use crate::domain::sealed::Sealed;
use crate::domain::software::{SoftwareState, SoftwareStateReported, SoftwareSupplied, SupplyState};
use crate::domain::software_schema::SoftwareSchemaSupplied;
use crate::domain::tax::{
    Exemption, ProductTaxSet, Tax, TaxCategory, TaxRateSet, TaxTreatmentSet, TaxedProduct,
};
use crate::domain::time::{Period, Timestamp};
use crate::domain::top_up::{TopUpRequested, TopUpSet};
use crate::domain::usage::{
    Attribution, Share, SuspendedUsageDismissed, SuspendedUsageResolved, Unmeterable, Usage, UsageCorrected,
    UsageId, UsageSuspended, UsageVoided,
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

fn sealed(filler: u8) -> Sealed {
    Sealed {
        key: KeyId([filler; 16]),
        digest: [filler + 1; 16],
        nonce: [filler + 2; 24],
        ciphertext: vec![filler; 20],
    }
}

fn october() -> Period {
    Period { start: at("2026-10-01T00:00:00Z"), stop: at("2026-11-01T00:00:00Z") }
}

fn usage(attribution: Attribution) -> Usage {
    Usage {
        id: UsageId::new("8f0c6a1e-0f6d-4c1f-9f39-2c8f1f0f7b11").expect("an id"),
        subject: "slappart0".into(),
        resource: ResourceId::new("service_module/cpu_load_percent").expect("a resource"),
        quantity: "12.5".parse().expect("a quantity"),
        period: october(),
        start_found: false,
        attribution,
        dimensions: vec![("region".into(), "eu".into())],
        node_sequence: Some(17),
    }
}

/// What the first version of a price book could say.
fn first_price_book() -> PriceBook {
    let resource = ResourceId::new("service_module/cpu_load_percent").expect("a resource");
    let matching = Match { instance_type: Some(InstanceType::Production), ..Match::default() };
    let fee = Model::Recurring {
        item: "".into(),
        price: "10.00".parse().expect("a price"),
        every: Every::Month,
        when: When::Arrears,
        until: FeeEnd::Destroyed,
        terms: FeeTerms::default(),
    };
    let usage = Model::Usage {
        resource: resource.clone(),
        per: Per::Instance,
        free: Quantity::ZERO,
        tariff: Tariff::PerUnit { price: "0.002".parse().expect("a price") },
    };
    PriceBook {
        name: PriceBookName::new("standard").expect("a name"),
        currency: Currency::EUR,
        valid_from: at("2026-01-01T00:00:00Z"),
        rounding: Rounding::HalfUp,
        on_change: OnChange::Restart,
        terms: InvoiceTerms::default(),
        resources: vec![Resource {
            resource,
            kind: ResourceKind::Gauge,
            meter: Meter::TimeIntegral,
            unit: "percent_hour".into(),
            conversion: Conversion::NONE,
            group_by: Vec::new(),
            most: None,
            carry_over: false,
        }],
        rates: vec![
            Rate { model: fee, trial: None, matching },
            Rate { model: usage, trial: None, matching: Match::default() },
        ],
    }
}

/// Everything that a price book can say.
fn price_book() -> PriceBook {
    let fourth = fourth_price_book();
    let price = |text: &str| text.parse::<Price>().expect(text);
    let quantity = |text: &str| text.parse::<Quantity>().expect(text);
    let base_fee = |item: &str, every, anchor, proration, owed| Model::BaseFee {
        item: item.into(),
        price: price("7"),
        every,
        terms: FeeTerms { per: Per::Instance, anchor, proration },
        owed,
    };
    let discount = |item: &str, reduction, code: Option<&str>, limits| Model::Discount {
        item: item.into(),
        reduction,
        of: Of::Usage,
        order: 20,
        code: code.map(Into::into),
        limits,
    };
    let maximum = |of, per, proration| Model::Maximum { price: price("99.99"), of, per, proration };
    let limits = DiscountLimits {
        months: Some(3),
        invoices: Some(2),
        until: Some(at("2027-01-01T00:00:00Z")),
        minimum_spend: Some(price("100")),
    };
    let day = Anchor::Day("2026-01-31".parse().expect("a day"));
    let models = [
        base_fee("", Every::Week, Anchor::Calendar, FeeProration::Time, BaseFeeTime::Allocated),
        base_fee("seat", Every::Quarter, Anchor::Anniversary, FeeProration::Whole, BaseFeeTime::Always),
        base_fee("floor", Every::Month, day, FeeProration::Time, BaseFeeTime::Allocated),
        discount("", Reduction::Percent(quantity("12.5")), None, DiscountLimits::default()),
        discount("welcome", Reduction::Amount(price("5")), Some("WELCOME"), limits),
        maximum(Of::All, CapPer::Line, Proration::Allocated),
        maximum(Of::Recurring, CapPer::Instance, Proration::None),
        maximum(Of::Usage, CapPer::Customer, Proration::Allocated),
    ];
    let trials = [None, Some(Trial::Days(14)), Some(Trial::Quantity(quantity("2.5")))].into_iter().cycle();
    let later = models.into_iter().map(|model| Rate { model, trial: None, matching: Match::default() });
    let mut rates: Vec<Rate> = fourth.rates.into_iter().chain(later).collect();
    rates.iter_mut().zip(trials).for_each(|(rate, trial)| rate.trial = trial);
    if let Model::Recurring { terms, .. } = &mut rates[0].model {
        *terms = FeeTerms { per: Per::Customer, anchor: Anchor::Anniversary, proration: FeeProration::Whole };
    }
    let carried = |declared| Resource { carry_over: true, ..declared };
    PriceBook {
        terms: InvoiceTerms {
            tax: PriceTax::Inclusive,
            on_tax_change: OnTaxChange::Cut,
            zero_invoices: ZeroInvoices::Skip,
            threshold: Some(price("250")),
        },
        resources: fourth.resources.into_iter().map(carried).collect(),
        rates,
        ..fourth_price_book()
    }
}

/// Every meter, tariff and match there is, and the models of the fourth version.
fn fourth_price_book() -> PriceBook {
    let resource = |name: &str| ResourceId::new(name).expect(name);
    let price = |text: &str| text.parse::<Price>().expect(text);
    let quantity = |text: &str| text.parse::<Quantity>().expect(text);
    let meters = [
        (ResourceKind::Counter, Meter::Sum),
        (ResourceKind::Gauge, Meter::TimeIntegral),
        (ResourceKind::Counter, Meter::Count),
        (ResourceKind::Gauge, Meter::Min),
        (ResourceKind::Gauge, Meter::Max),
        (ResourceKind::Gauge, Meter::Average),
        (ResourceKind::Gauge, Meter::Latest),
        (ResourceKind::Counter, Meter::UniqueCount { dimension: "user".into() }),
        (ResourceKind::Gauge, Meter::Percentile { percent: 95, sample_minutes: 5 }),
    ];
    let resources = (1..).zip(meters).map(|(n, (kind, meter)): (u32, _)| Resource {
        resource: resource(&format!("resource {n}")),
        kind,
        meter,
        unit: "GiB_hour".into(),
        conversion: Conversion { multiply: 1, divide: 1024 },
        group_by: vec!["zone".into(), "rack".into()],
        most: n.is_multiple_of(2).then(|| quantity("12.5")),
        carry_over: false,
    });
    let tiers = || {
        vec![
            Tier { up_to: Some(quantity("1000")), price: price("0.002"), flat: price("1") },
            Tier { up_to: None, price: price("0.001"), flat: price("0") },
        ]
    };
    let usage = |per, free: &str, tariff| Model::Usage {
        resource: resource("resource 1"),
        per,
        free: quantity(free),
        tariff,
    };
    let fee = |item: &str, every, when, until| Model::Recurring {
        item: item.into(),
        price: price("10.00"),
        every,
        when,
        until,
        terms: FeeTerms::default(),
    };
    let models = [
        fee("", Every::Hour, When::Arrears, FeeEnd::DestroyRequested),
        fee("support", Every::Day, When::Arrears, FeeEnd::Destroyed),
        fee("floor", Every::Month, When::Advance, FeeEnd::DestroyRequested),
        fee("roof", Every::Year, When::Arrears, FeeEnd::DestroyRequested),
        usage(Per::Instance, "0", Tariff::PerUnit { price: price("0.000000001") }),
        usage(Per::Customer, "12.5", Tariff::Graduated { tiers: tiers() }),
        usage(Per::Instance, "0", Tariff::Volume { tiers: tiers() }),
        usage(Per::Instance, "0", Tariff::Package { size: quantity("100"), price: price("3") }),
        Model::Percentage { percent: quantity("12.5"), of: Of::All },
        Model::Percentage { percent: quantity("1"), of: Of::Recurring },
        Model::Minimum { price: price("5"), of: Of::Usage, proration: Proration::Allocated },
        Model::Minimum {
            price: price("6"),
            of: Of::Resource(resource("resource 2")),
            proration: Proration::None,
        },
    ];
    let full = Match {
        software_release: Some(SoftwareRelease::new("https://example.org/software.cfg").expect("a release")),
        software_type: Some(SoftwareType::new("default").expect("a type")),
        computer: Some(ComputerId::new("COMP-1").expect("an id")),
        instance_type: Some(InstanceType::Testing),
        customer: Some(PartyId(2)),
        region: Some("europe/france".into()),
        state: Some(RequestedState::Stopped),
        dimensions: vec![("zone".into(), "eu".into())],
    };
    let matches = [Match::default(), full].into_iter().cycle();
    PriceBook {
        rounding: Rounding::HalfEven,
        on_change: OnChange::Continue,
        resources: resources.collect(),
        rates: models
            .into_iter()
            .zip(matches)
            .map(|(model, matching)| Rate { model, trial: None, matching })
            .collect(),
        ..first_price_book()
    }
}

/// The same in the second version, whose rules are those of before: every version and rate counts for itself.
fn second_price_book() -> PriceBook {
    let PriceBook { rates, .. } = fourth_price_book();
    let of_before = |mut rate: Rate| {
        rate.matching.state = None;
        match &mut rate.model {
            Model::Recurring { until, .. } => *until = FeeEnd::Destroyed,
            Model::Minimum { proration, .. } => *proration = Proration::None,
            _ => {}
        }
        rate
    };
    let rates = rates.into_iter().map(of_before).collect();
    PriceBook { on_change: OnChange::Restart, rates, ..third_price_book() }
}

/// The same in the third version, in which nothing is said of what is plausible.
fn third_price_book() -> PriceBook {
    let mut book = fourth_price_book();
    book.resources.iter_mut().for_each(|declared| declared.most = None);
    book
}

/// What the first version of an invoice could say.
pub(crate) fn first_invoice() -> Invoice {
    let tax = Tax { category: TaxCategory::O, rate: Quantity::ZERO };
    let amount = Amount::from_minor(516, Currency::EUR);
    let line = InvoiceLine {
        n: 1,
        kind: LineKind::Recurring,
        instance: Some(InstanceId(3)),
        dimensions: Vec::new(),
        description: "i1: monthly fee".into(),
        period: october(),
        quantity: "0.516129032".parse().expect("a quantity"),
        unit: "month".into(),
        unit_price: Some("10.00".parse().expect("a price")),
        steps: Vec::new(),
        amount,
        residue: Exact::ZERO.minus(residue()),
        price_book: Some(PriceVersion { name: PriceBookName::new("standard").expect("a name"), version: 1 }),
        rate: 0,
        price_override: None,
        reduces: None,
        tax,
        events: EventSet {
            count: 2,
            first_sequence: Sequence(12),
            last_sequence: Sequence(13),
            digest: [7; 32],
        },
        cites: None,
    };
    let resource = ResourceId::new("service_module/requests").expect("a resource");
    let usage = InvoiceLine { n: 2, kind: LineKind::Usage { resource }, ..line.clone() };
    let party = |party, filler| InvoiceParty {
        party: PartyId(party),
        name: sealed(filler),
        details: None,
        country: None,
        vat_id: false,
    };
    Invoice {
        id: InvoiceId::new("INV-2026-000001").expect("an id"),
        document: DocumentKind::Invoice,
        run: RunId(1),
        cites: None,
        seller: party(1, 30),
        buyer: party(2, 40),
        currency: Currency::EUR,
        period: october(),
        issued_at: at("2026-11-02T09:00:00Z"),
        due_at: at("2026-12-02T09:00:00Z"),
        lines: vec![line, usage],
        price_tax: PriceTax::Exclusive,
        net: Amount::from_minor(1032, Currency::EUR),
        tax: vec![TaxSubtotal {
            tax,
            base: Amount::from_minor(1032, Currency::EUR),
            amount: Amount::zero(Currency::EUR),
            exemption: None,
        }],
        rounding: Amount::zero(Currency::EUR),
        total: Amount::from_minor(1032, Currency::EUR),
        prepaid: Vec::new(),
        due: Amount::from_minor(1032, Currency::EUR),
    }
}

/// What rounding 5.16129032 took away.
fn residue() -> Exact {
    exact("0.516129032", "10").minus(Amount::from_minor(516, Currency::EUR).into())
}

fn exact(quantity: &str, price: &str) -> Exact {
    Exact::product(quantity.parse().expect(quantity), price.parse().expect(price))
}

/// Everything that a document can say.
fn invoice() -> Invoice {
    let second = second_invoice();
    let of_kind = |n: u32, kind| InvoiceLine {
        n,
        kind,
        price_override: Some(OverrideId(3)),
        ..second.lines[0].clone()
    };
    let reducing = |n: u32, kind, reduces| InvoiceLine { reduces: Some(reduces), ..of_kind(n, kind) };
    let resource = ResourceId::new("service_module/requests").expect("a resource");
    let more = [
        reducing(8, LineKind::Discount, Reduces::All),
        reducing(9, LineKind::Maximum, Reduces::Fee("support".into())),
        reducing(10, LineKind::Maximum, Reduces::Resource(resource)),
        of_kind(11, LineKind::Correction { charge: ChargeId(4) }),
    ];
    Invoice {
        price_tax: PriceTax::Inclusive,
        lines: second.lines.iter().cloned().chain(more).collect(),
        ..second_invoice()
    }
}

/// The kinds of lines of the second version, every tax category and everything else a document could say then.
fn second_invoice() -> Invoice {
    let first = first_invoice();
    let (old, resource) =
        (first.lines[0].clone(), ResourceId::new("service_module/requests").expect("a resource"));
    let kinds = [
        LineKind::Recurring,
        LineKind::Usage { resource },
        LineKind::Advance,
        LineKind::Percentage,
        LineKind::Minimum,
        LineKind::Adjustment,
        LineKind::OneOff { charge: ChargeId(4) },
    ];
    let categories = [
        TaxCategory::O,
        TaxCategory::S,
        TaxCategory::Z,
        TaxCategory::E,
        TaxCategory::AE,
        TaxCategory::K,
        TaxCategory::G,
    ];
    let rate = |category| if category == TaxCategory::S { "20" } else { "0" }.parse().expect("a rate");
    let taxes = categories.map(|category| Tax { category, rate: rate(category) });
    let step = |up_to: Option<&str>| PriceStep {
        quantity: "0.25".parse().expect("a quantity"),
        price: "2".parse().expect("a price"),
        flat: "1.5".parse().expect("a price"),
        up_to: up_to.map(|bound| bound.parse().expect(bound)),
    };
    let cited = LineRef { invoice: InvoiceId::new("INV-2026-000001").expect("an id"), line: 3 };
    let lines = (1..).zip(kinds).zip(taxes).map(|((n, kind), tax)| {
        let odd = n % 2 == 1;
        InvoiceLine {
            n,
            kind,
            instance: odd.then_some(InstanceId(3)),
            dimensions: vec![("zone".into(), "eu".into())],
            unit_price: odd.then(|| "10.00".parse().expect("a price")),
            steps: if odd { vec![] } else { vec![step(Some("0.25")), step(None)] },
            rate: n,
            price_book: old.price_book.clone().filter(|_| odd),
            tax,
            cites: (n > 5).then(|| cited.clone()),
            ..old.clone()
        }
    });
    let euros = |cents| Amount::from_minor(cents, Currency::EUR);
    let exemption = Exemption { reason: "Reverse charge".into(), code: Some("VATEX-EU-AE".into()) };
    let without_code = Exemption { reason: "Not in scope".into(), code: None };
    let subtotals = taxes.map(|tax| TaxSubtotal {
        tax,
        base: euros(516),
        amount: euros(if tax.category == TaxCategory::S { 103 } else { 0 }),
        exemption: match tax.category {
            TaxCategory::S | TaxCategory::Z => None,
            TaxCategory::O => Some(without_code.clone()),
            _ => Some(exemption.clone()),
        },
    });
    let party = |party: InvoiceParty, country: &str| InvoiceParty {
        details: Some(sealed(60)),
        country: Some(country.parse().expect(country)),
        vat_id: true,
        ..party
    };
    Invoice {
        id: InvoiceId::new("ACMECN-2026-000001").expect("an id"),
        document: DocumentKind::CreditNote,
        cites: Some(Citation { invoice: cited.invoice.clone(), reason: "too much".into(), all: true }),
        seller: party(first.seller.clone(), "FR"),
        buyer: party(first.buyer.clone(), "DE"),
        lines: lines.collect(),
        net: euros(3612),
        tax: subtotals.into(),
        rounding: euros(-1),
        total: euros(3714),
        prepaid: vec![
            CreditUsed { credit: CreditId(2), amount: euros(1000) },
            CreditUsed { credit: CreditId(1), amount: euros(14) },
        ],
        due: euros(2700),
        ..first
    }
}

/// One of every event.
/// How many of the samples came after those that have the first nine streams: the last ones.
const LATER_EVENTS: usize = 22;

fn samples() -> Vec<(Stream, Event)> {
    let now = at("2026-10-16T00:00:00.000001Z");
    let computer = || ComputerId::new("COMP-1").expect("an id");
    let partition = || PartitionId::new("slappart0").expect("an id");
    let release = || SoftwareRelease::new("https://example.org/software.cfg").expect("a release");
    let software_type = || SoftwareType::new("default").expect("a type");
    let instance = InstanceId(3);
    let share = Share { instance, period: october() };
    let address = NetworkAddress {
        address: "10.0.1.10".into(),
        netmask: "255.255.255.255".into(),
        interface: Some("route_slaptap0".into()),
        gateway: "10.0.1.1".into(),
        network: "10.0.0.0".into(),
    };
    let offer = Offer {
        partition: partition(),
        addresses: vec![address],
        tap: Some("slaptap0".into()),
        user: Some("slapuser0".into()),
        capabilities: vec!["gpu".into()],
    };
    let run = RunId(1);
    let period = RunPeriod {
        start: Bound::Day("2026-10-01".parse().expect("a day")),
        stop: Bound::Instant(at("2026-11-01T00:00:00Z")),
    };
    let suspended = UsageSuspended {
        id: UsageId::new("demo-1").expect("an id"),
        subject: "slappart9".into(),
        resource: "service_module/requests".into(),
        quantity: "NaN".into(),
        start: None,
        stop: Some(now),
        unreadable_start: Some("yesterday".into()),
        unreadable_stop: None,
        dimensions: Vec::new(),
        node_sequence: None,
        replaces: Some(Sequence(4)),
        reason: Unmeterable::NotANumber,
    };
    let events = vec![
        Event::LedgerCreated(LedgerCreated {
            ledger: [1; 16],
            format: 1,
            mode: Mode::Proxy,
            key_ring: [5; 16],
            at: now,
        }),
        Event::WriterStarted(WriterStarted { term: 2, program: "slapledger 0.1.0".into(), at: now }),
        Event::AnswerRecorded(AnswerRecorded { format: 1, part: 1, parts: 1, bytes: vec![0] }),
        Event::PartyRegistered(PartyRegistered {
            party: PartyId(2),
            name: sealed(10),
            time_zone: "Europe/Paris".parse().expect("a zone"),
            at: now,
        }),
        Event::ComputerRegistered(ComputerRegistered {
            computer: computer(),
            owner: PartyId(1),
            time_zone: "UTC".parse().expect("a zone"),
            at: now,
        }),
        Event::ComputerConfigured(ComputerConfigured {
            computer: computer(),
            address: "10.0.1.1".into(),
            netmask: "255.255.255.0".into(),
            at: now,
        }),
        Event::PartitionOffered(PartitionOffered { computer: computer(), offer, at: now }),
        Event::PartitionWithdrawn(PartitionWithdrawn {
            computer: computer(),
            partition: partition(),
            at: now,
        }),
        Event::SoftwareSupplied(SoftwareSupplied {
            computer: computer(),
            release: release(),
            state: SupplyState::Destroyed,
            at: now,
        }),
        Event::SoftwareStateReported(SoftwareStateReported {
            computer: computer(),
            release: release(),
            state: SoftwareState::Error,
            error: Some(sealed(20)),
            at: now,
        }),
        Event::InstanceRequested(InstanceRequested {
            instance,
            requester: Requester::Party(PartyId(2)),
            owner: PartyId(2),
            root: instance,
            reference: Reference::new("My first instance").expect("a reference"),
            release: release(),
            software_type: software_type(),
            instance_type: InstanceType::Testing,
            parameters: sealed(50),
            filter: vec![("computer_guid".into(), "COMP-1".into())],
            state: RequestedState::Started,
            shared: true,
            at: now,
        }),
        Event::InstanceChanged(InstanceChanged {
            instance,
            release: Some(release()),
            software_type: Some(software_type()),
            instance_type: Some(InstanceType::Production),
            parameters: None,
            state: Some(RequestedState::Destroyed),
            wish: Some(RequestedState::Started),
            filter: Some(vec![("region".into(), "europe".into())]),
            requester: Some(InstanceId(2)),
            at: now,
        }),
        Event::InstanceAllocated(InstanceAllocated {
            instance,
            computer: computer(),
            partition: partition(),
            host: Some(InstanceId(1)),
            at: now,
        }),
        Event::InstanceEnded(InstanceEnded { instance, at: now }),
        Event::InstanceStateReported(InstanceStateReported {
            instance,
            state: ReportedState::Stopped,
            error: None,
            at: now,
        }),
        Event::ConnectionParametersSet(ConnectionParametersSet { instance, connection: sealed(60), at: now }),
        Event::UsageRecorded(usage(Attribution::Instance(instance))),
        Event::UsageCorrected(UsageCorrected { replaces: Sequence(4), usage: usage(Attribution::Computer) }),
        Event::UsageSuspended(suspended),
        Event::SuspendedUsageResolved(SuspendedUsageResolved {
            suspended: Sequence(5),
            replaces: Some(Sequence(4)),
            usage: usage(Attribution::Shares(vec![share])),
        }),
        Event::SuspendedUsageDismissed(SuspendedUsageDismissed {
            suspended: Sequence(5),
            reason: "tested".into(),
            superseded_by: Some(Sequence(6)),
        }),
        Event::PriceBookPublished(PriceBookPublished { version: 1, book: price_book() }),
        Event::InvoiceRunOpened(InvoiceRunOpened {
            run,
            seller: PartyId(1),
            period,
            cut_off: Sequence(40),
            price_book: PriceBookName::new("standard").expect("a name"),
            versions: 1,
            payers: vec![PartyId(2), PartyId(3)],
            reason: RunReason::Threshold,
            grace_until: Some(now),
            finalise: true,
            at: now,
        }),
        Event::InvoiceLinesRecorded(InvoiceLinesRecorded {
            invoice: invoice().id,
            part: 1,
            lines: invoice().lines,
        }),
        Event::InvoiceFinalised(Box::new(InvoiceFinalised {
            invoice: invoice(),
            parts: 0,
            lines_digest: [9; 32],
        })),
        Event::InvoiceRunFinalised(InvoiceRunFinalised { run, invoices: 1, at: now }),
        Event::ComputerDescribed(ComputerDescribed {
            computer: computer(),
            title: Some("My computer".into()),
            attributes: vec![("region".into(), "europe/france".into())],
            at: now,
        }),
        Event::AllocationScopeSet(AllocationScopeSet {
            computer: computer(),
            scope: AllocationScope::Group(vec![PartyId(2), PartyId(3)]),
            software: vec![release()],
            capacity: Some(10),
            at: now,
        }),
        Event::ComputerFellSilent(ComputerFellSilent { computer: computer(), since: now, at: now }),
        Event::ComputerHeard(ComputerHeard { computer: computer(), at: now }),
        Event::ComputerBanged(ComputerBanged { computer: computer(), message: Some(sealed(70)), at: now }),
        Event::SoftwareReleasePublished(SoftwareReleasePublished {
            product: Reference::new("kvm").expect("a reference"),
            release: release(),
            publisher: PartyId(1),
            at: now,
        }),
        Event::InstanceBanged(InstanceBanged { instance, root: InstanceId(1), message: None, at: now }),
        Event::InstanceRenamed(InstanceRenamed {
            instance,
            reference: Reference::new("Another name").expect("a reference"),
            at: now,
        }),
        Event::PartyDescribed(PartyDescribed {
            party: PartyId(2),
            details: Some(sealed(80)),
            country: Some("FR".parse().expect("a country")),
            vat_id: true,
            series: Some("ACME".parse().expect("a series")),
            terms_days: Some(14),
            at: now,
        }),
        Event::PartyTimeZoneSet(PartyTimeZoneSet {
            party: PartyId(2),
            time_zone: "Asia/Kathmandu".parse().expect("a zone"),
            from: october().stop,
            at: now,
        }),
        Event::TaxRateSet(TaxRateSet {
            seller: PartyId(1),
            rate: "20".parse().expect("a rate"),
            valid_from: october().start,
            at: now,
        }),
        Event::TaxTreatmentSet(TaxTreatmentSet {
            customer: PartyId(2),
            category: TaxCategory::AE,
            exemption: Some(Exemption { reason: "Reverse charge".into(), code: Some("VATEX-EU-AE".into()) }),
            valid_from: october().start,
            at: now,
        }),
        Event::InvoiceRunRefreshed(InvoiceRunRefreshed { run, cut_off: Sequence(50), versions: 2, at: now }),
        Event::InvoiceRunWithdrawn(InvoiceRunWithdrawn { run, at: now }),
        Event::CreditGranted(CreditGranted {
            credit: CreditId(1),
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            amount: Amount::from_minor(10_000, Currency::EUR),
            description: "paid in advance".into(),
            kind: CreditKind::Promotional,
            priority: 10,
            expires_at: Some(now),
            at: now,
        }),
        Event::CreditWithdrawn(CreditWithdrawn {
            credit: CreditId(1),
            amount: Amount::from_minor(2_500, Currency::EUR),
            reason: "paid back".into(),
            at: now,
        }),
        Event::ChargeRecorded(ChargeRecorded {
            charge: ChargeId(1),
            seller: PartyId(1),
            customer: PartyId(2),
            currency: "TND".parse().expect("a currency"),
            amount: Amount::from_minor(-5_000, "TND".parse().expect("a currency")),
            description: "a discount".into(),
            cites: Some(LineRef { invoice: first_invoice().id, line: 2 }),
            at: now,
        }),
        Event::AccountsClosed(AccountsClosed { seller: PartyId(1), until: october().stop, at: now }),
        Event::ProjectOpened(ProjectOpened { project: ProjectId(2), title: "acme".into(), at: now }),
        Event::CredentialIssued(CredentialIssued {
            credential: CredentialId([1; 16]),
            holder: Holder::Operator("the first admin".into()),
            roles: [Role::Admin, Role::Auditor].into_iter().collect(),
            all_projects: true,
            purpose: Purpose::Access,
            proof: Proof::Token { digest: [2; 32] },
            label: Some("a laptop".into()),
            expires_at: Some(october().stop),
            at: now,
        }),
        Event::CredentialRevoked(CredentialRevoked { credential: CredentialId([1; 16]), at: now }),
        Event::CredentialSpent(CredentialSpent {
            credential: CredentialId([1; 16]),
            by: CredentialId([2; 16]),
            at: now,
        }),
        Event::KeyDestroyed(KeyDestroyed {
            subject: ErasureSubject::Party(PartyId(2)),
            key: KeyId([7; 16]),
            at: now,
        }),
        Event::ClockConfirmed(ClockConfirmed {
            previous: october().start,
            confirmed: october().stop,
            at: now,
        }),
        Event::LedgerRestored(LedgerRestored {
            ledger: [1; 16],
            from: "/backups/ledger".into(),
            to: "/var/lib/slapledger".into(),
            backup_last: Sequence(90),
            backup_at: now,
            kept: Sequence(80),
            root: [3; 32],
            mark: RestoreMark::new(0x1234_5678),
            last_numbers: vec![LastNumber { project: ProjectId(2), number: first_invoice().id }],
            at: now,
        }),
        Event::ComputerRetired(ComputerRetired { computer: computer(), at: now }),
        Event::SealedPartRecorded(SealedPartRecorded { instance, part: 1, ciphertext: vec![5; 40] }),
        Event::UsageVoided(UsageVoided {
            voided: Sequence(4),
            voids: UsageId::new("hour 7").expect("an id"),
            id: Some(UsageId::new("8f0c6a1e-0f6d-4c1f-9f39-2c8f1f0f7b12").expect("an id")),
            reason: "sent by mistake".into(),
        }),
        Event::InvoiceDraftReviewed(InvoiceDraftReviewed {
            run,
            payer: PartyId(2),
            decision: DraftDecision::Held,
            reason: "its price is being discussed".into(),
            at: now,
        }),
        Event::CatalogueEntryRecorded(Box::new(CatalogueEntryRecorded {
            entry: Reference::new("story-1").expect("a reference"),
            says: CatalogueEntry {
                table: CatalogueTable::Story,
                title: "ERP / CRM".into(),
                category: Some("Aerospace".into()),
                software: Some(Reference::new("erp5").expect("a reference")),
                stage: Some(AdoptionStage::Tested),
                status: Some("Testing".into()),
                recipe: Some("libcloud".into()),
                ticks: Some(3),
                applications: vec!["PALO Web".into()],
                customer: Some(PartyId(2)),
                stack: Some("ERP5".into()),
                guest: Some("VMWare".into()),
            },
            at: now,
        })),
        Event::CatalogueEntryRemoved(CatalogueEntryRemoved {
            entry: Reference::new("story-1").expect("a reference"),
            at: now,
        }),
        Event::SoftwareSchemaSupplied(SoftwareSchemaSupplied {
            release: release(),
            schema: "{\"properties\":{\"size\":{\"type\":\"string\"}}}".into(),
            supplier: PartyId(1),
            at: now,
        }),
        Event::LogKeySet(LogKeySet { public: [8; 32], at: now }),
        Event::DiscountCodeRedeemed(DiscountCodeRedeemed {
            customer: PartyId(2),
            code: "WELCOME".into(),
            at: now,
        }),
        Event::CreditExpired(CreditExpired {
            credit: CreditId(1),
            amount: Amount::from_minor(2_500, Currency::EUR),
            at: now,
        }),
        Event::TopUpRequested(TopUpRequested {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            balance: Amount::from_minor(2_500, Currency::EUR),
            amount: Amount::from_minor(10_000, Currency::EUR),
            at: now,
        }),
        Event::TopUpSet(TopUpSet {
            seller: PartyId(1),
            customer: PartyId(2),
            currency: Currency::EUR,
            threshold: Amount::from_minor(5_000, Currency::EUR),
            amount: Amount::from_minor(10_000, Currency::EUR),
            at: now,
        }),
        Event::PriceOverrideSet(PriceOverrideSet {
            price_override: PriceOverride {
                id: OverrideId(3),
                price_book: PriceBookName::new("standard").expect("a name"),
                customer: PartyId(2),
                valid_from: october().start,
                valid_until: Some(october().stop),
                rate: Box::new(price_book().rates.swap_remove(0)),
            },
            at: now,
        }),
        Event::PriceOverrideEnded(PriceOverrideEnded {
            id: OverrideId(3),
            price_book: PriceBookName::new("standard").expect("a name"),
            valid_until: october().stop,
            at: now,
        }),
        Event::ProductTaxSet(ProductTaxSet {
            seller: PartyId(1),
            product: TaxedProduct {
                software_release: Some(
                    SoftwareRelease::new("https://example.org/book.cfg").expect("a release"),
                ),
                resource: Some(ResourceId::new("resource 1").expect("a resource")),
            },
            category: TaxCategory::S,
            rate: Some("5.5".parse().expect("a rate")),
            exemption: None,
            valid_from: october().start,
            at: now,
        }),
    ];
    // Every kind of stream is in use, whatever the event: the bytes say both.
    let streams = [
        Stream::Ledger,
        Stream::Party(PartyId(2)),
        Stream::Computer(computer()),
        Stream::Instance(instance),
        Stream::Usage(computer()),
        Stream::PriceBook(PriceBookName::new("standard").expect("a name")),
        Stream::InvoiceRun(run),
        Stream::Invoice(first_invoice().id),
    ];
    // The ninth came later: the samples before it keep the streams they have in their golden bytes.
    let product = [Stream::Product(Reference::new("kvm").expect("a reference"))];
    let later = [Stream::Project(ProjectId(2)), Stream::Credential(CredentialId([1; 16]))];
    let (old, new) =
        (streams.clone().into_iter().cycle().take(26), product.into_iter().chain(streams).cycle());
    let count = events.len();
    // And two came later still.
    let before = old.chain(new).take(count - LATER_EVENTS);
    before.chain(later.into_iter().cycle()).zip(events).collect()
}

/// The same offer, before addresses had more than a netmask.
fn before_networks(mut event: PartitionOffered) -> PartitionOffered {
    for address in &mut event.offer.addresses {
        let NetworkAddress { address: known, netmask, .. } = std::mem::take(address);
        *address = NetworkAddress { address: known, netmask, ..NetworkAddress::default() };
    }
    event
}

/// What earlier versions of payloads mean today: the sample whose envelope they have, the version and the event.
/// A run that is about everybody, as all were.
fn about_all(event: InvoiceRunOpened) -> InvoiceRunOpened {
    InvoiceRunOpened { payers: Vec::new(), reason: RunReason::Period, ..event }
}

fn samples_of_old_versions() -> Vec<(usize, u8, Event)> {
    let samples = samples();
    let later = samples.iter().enumerate().flat_map(|(nth, (_, event))| match event {
        Event::PartitionOffered(event) => {
            vec![(nth, 2, Event::PartitionOffered(before_networks(event.clone())))]
        }
        Event::PriceBookPublished(event) => {
            let of = |book| Event::PriceBookPublished(PriceBookPublished { book, ..event.clone() });
            vec![
                (nth, 2, of(second_price_book())),
                (nth, 3, of(third_price_book())),
                (nth, 4, of(fourth_price_book())),
            ]
        }
        Event::InvoiceRunOpened(event) => vec![(nth, 2, Event::InvoiceRunOpened(about_all(event.clone())))],
        Event::InvoiceLinesRecorded(event) => {
            let lines = second_invoice().lines;
            vec![(nth, 2, Event::InvoiceLinesRecorded(InvoiceLinesRecorded { lines, ..event.clone() }))]
        }
        Event::InvoiceFinalised(event) => {
            let invoice = second_invoice();
            let event = InvoiceFinalised { invoice, ..(**event).clone() };
            vec![(nth, 2, Event::InvoiceFinalised(Box::new(event)))]
        }
        _ => Vec::new(),
    });
    let later: Vec<_> = later.collect();
    let first = samples.into_iter().enumerate().filter_map(|(nth, (_, event))| {
        let event = match event {
            Event::PartitionOffered(event) => {
                let mut event = before_networks(event);
                event.offer.capabilities.clear();
                Event::PartitionOffered(event)
            }
            Event::InstanceRequested(event) => {
                Event::InstanceRequested(InstanceRequested { shared: false, ..event })
            }
            Event::InstanceChanged(event) => Event::InstanceChanged(InstanceChanged {
                wish: event.state,
                filter: None,
                requester: None,
                ..event
            }),
            Event::InstanceAllocated(event) => {
                Event::InstanceAllocated(InstanceAllocated { host: None, ..event })
            }
            Event::PriceBookPublished(event) => {
                Event::PriceBookPublished(PriceBookPublished { book: first_price_book(), ..event })
            }
            Event::InvoiceRunOpened(event) => {
                let event = InvoiceRunOpened { grace_until: None, finalise: false, ..event };
                Event::InvoiceRunOpened(about_all(event))
            }
            Event::InvoiceLinesRecorded(event) => {
                let Invoice { id: invoice, lines, .. } = first_invoice();
                Event::InvoiceLinesRecorded(InvoiceLinesRecorded { invoice, lines, ..event })
            }
            Event::CreditGranted(event) => {
                let (kind, priority, expires_at) = (CreditKind::Paid, PRIORITY, None);
                Event::CreditGranted(CreditGranted { kind, priority, expires_at, ..event })
            }
            // The digest is one over the lines as they are read today.
            Event::InvoiceFinalised(event) => Event::InvoiceFinalised(Box::new(InvoiceFinalised {
                invoice: first_invoice(),
                lines_digest: lines_digest(&first_invoice().lines),
                ..*event
            })),
            _ => return None,
        };
        Some((nth, 1, event))
    });
    first.chain(later).collect()
}

fn recorded(nth: usize, stream: Stream, event: Event) -> Recorded {
    let kinds = [ActorKind::System, ActorKind::Person, ActorKind::Computer, ActorKind::Instance];
    Recorded {
        sequence: Sequence(nth as u64 * 1_000 + 1),
        stream: Arc::new(stream),
        stream_version: nth as u64 + 1,
        recorded_at: at("2026-10-16T00:00:01Z"),
        meta: Arc::new(Meta {
            project: ProjectId::DEFAULT,
            actor: Actor {
                kind: kinds[nth % kinds.len()],
                id: "COMP-1".into(),
                credential: nth.is_multiple_of(2).then(|| "certificate 17".into()),
            },
            command: CommandId([3; 16]),
            named_by_sender: nth.is_multiple_of(2),
            digest: [4; 16],
            causation: nth.is_multiple_of(3).then_some(Sequence(9)),
            correlation: (nth % 3 == 1).then(|| "a trace".into()),
            rules: 1,
        }),
        event,
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const GOLDEN: &str = include_str!("../../../fixtures/golden/events-v1.txt");

#[test]
fn every_version_of_every_event_decodes_for_ever() {
    let golden: BTreeMap<&str, Vec<u8>> = GOLDEN
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a name and bytes"))
        .map(|(name, bytes)| (name, unhex(bytes)))
        .collect();
    let samples = samples();
    let mut seen = BTreeSet::new();
    for (nth, version, event) in samples_of_old_versions() {
        let expected = recorded(nth, samples[nth].0.clone(), event);
        let name = format!("{}.v{version}", expected.event.name());
        let decoded = EventDecoder::default().decode(expected.sequence, &golden[name.as_str()]);
        assert_eq!(decoded.as_ref(), Ok(&expected), "{name}");
        seen.insert(name);
    }
    let mut missing = String::new();
    for (nth, (stream, event)) in samples.into_iter().enumerate() {
        let expected = recorded(nth, stream, event);
        let name = format!("{}.v{}", expected.event.name(), payload::number(&expected.event).1);
        match golden.get(name.as_str()) {
            Some(bytes) => {
                let decoded = EventDecoder::default().decode(expected.sequence, bytes);
                assert_eq!(decoded.as_ref(), Ok(&expected), "{name}");
                assert_eq!(hex(&expected.encode()), hex(bytes), "{name} is not encoded as it was");
            }
            None => {
                let _ = writeln!(missing, "{name} {}", hex(&expected.encode()));
            }
        }
        seen.insert(name);
    }
    for (number, version, name) in payload::KNOWN {
        let name = format!("{name}.v{version}");
        assert!(seen.contains(&name), "{name} (number {number}) has no sample");
    }
    let unread: Vec<_> = golden.keys().filter(|name| !seen.contains(**name)).collect();
    assert!(unread.is_empty(), "{unread:?} have golden bytes that nothing looks at");
    assert!(missing.is_empty(), "add to fixtures/golden/events-v1.txt:\n{missing}");
}

#[test]
fn one_decoder_reads_events_that_share_nothing_and_everything() {
    let mut decoder = EventDecoder::default();
    for round in 0..3 {
        for (nth, (stream, event)) in samples().into_iter().enumerate() {
            let expected = recorded(nth % (round + 1) * 7 + nth, stream, event);
            assert_eq!(decoder.decode(expected.sequence, &expected.encode()), Ok(expected));
        }
    }
}

#[test]
fn what_is_not_an_event_is_an_error() {
    let (stream, event) = samples().swap_remove(16);
    let event = recorded(0, stream, event);
    let bytes = event.encode();
    let decode = |bytes: &[u8]| EventDecoder::default().decode(event.sequence, bytes);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(decode(&longer).is_err(), "a byte too many");
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(decode(&newer), Err(EnvelopeError::Newer { version: 2 }));
    let elsewhere = EventDecoder::default().decode(Sequence(77), &bytes);
    assert_eq!(elsewhere, Err(EnvelopeError::OtherSequence { found: Sequence(77), told: event.sequence }));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), version in 0_u8..3) {
        let _ = EventDecoder::default().decode(Sequence(1), &[&[version], bytes.as_slice()].concat());
    }

    #[test]
    fn no_changed_byte_makes_it_panic(which in 0..samples().len(), place in 0_usize..400, bits in 1_u8..=255) {
        let (stream, event) = samples().swap_remove(which);
        let event = recorded(which, stream, event);
        let mut bytes = event.encode();
        let place = place % bytes.len();
        bytes[place] ^= bits;
        let _ = EventDecoder::default().decode(event.sequence, &bytes);
    }
}
