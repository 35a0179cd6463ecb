//! Properties of all decisions together, over random histories.
//!
//! Steps are drawn small, so that they meet: few names, few partitions, few identities. What is sealed is sealed
//! as the edge would do it, under the key of the party that is there.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::computer::{
    AllocationScope, BangComputer, ConfigureComputer, DescribeComputer, NoticeSilence, RequestComputer,
    SetAllocationScope,
};
use super::event::{Event, Stream};
use super::given::{
    Given, computer, configure, offer, on, partition, record, reference, register_computer, register_party,
    register_party_in, release, report, request, sealed, state, usage,
};
use super::id::{InstanceId, InvoiceId, KeyId, PartyId, ProjectId, RunId, Sequence};
use super::instance::{
    BangInstance, InstancePlace, RenameInstance, ReportInstance, ReportedState, RequestInstance,
    RequestedState, Requester, SetConnectionParameters, WithoutRoom,
};
use super::invoice::{
    Bound, DocumentKind, FinaliseInvoice, FinaliseInvoiceRun, Invoice, InvoiceParty, OpenInvoiceRun,
    RunPeriod, RunReason,
};
use super::money::{Amount, Currency, Rounding};
use super::naive::NaiveCloud;
use super::pricing::{
    Every, FeeEnd, FeeTerms, InvoiceTerms, Match, Model, OnChange, PriceBook, PriceTax, PublishPriceBook,
    Rate, When,
};
use super::product::PublishSoftwareRelease;
use super::restore::{LastNumber, RecordRestore, RestoreMark};
use super::sealed::Sealed;
use super::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use super::time::{Period, Timestamp};
use super::usage::{
    DismissSuspendedUsage, ResolveSuspendedUsage, Revision, Unmeterable, Usage, UsageId, UsageReport,
};
use super::{Command, State};

const HOUR: i64 = 3_600_000_000;

/// A step of a history; what it is about is found when it is taken.
#[derive(Debug, Clone)]
enum DecisionStep {
    Wait(i64),
    Party(&'static str),
    Computer(&'static str),
    Configure(&'static str, Vec<(&'static str, &'static str)>, bool),
    Supply(&'static str, u8, SupplyState),
    Software(&'static str, u8, SoftwareState),
    Request {
        from: Result<u64, u64>,
        name: &'static str,
        shared: bool,
        release: u8,
        filter: Vec<(&'static str, &'static str)>,
        room: WithoutRoom,
    },
    State(Result<u64, u64>, &'static str, bool, RequestedState),
    Report(At, ReportedState),
    Connect(At, u8),
    Bang(At),
    Rename(At, &'static str),
    BangComputer(&'static str),
    Describe(&'static str, Vec<(&'static str, &'static str)>),
    Scope(&'static str, AllocationScope, Option<u8>, Option<u32>),
    Silence(&'static str, bool),
    RequestComputer(u64, &'static str),
    PublishRelease(u64, u8),
    Usage(&'static str, Vec<UsageReport>),
    Resolve(Index, Option<i64>),
    Dismiss(Index),
    Publish(u8),
    Open(u64, i64, i64),
    Finalise(u64, u64),
    FinaliseRun(u64, u32),
    Restore(u32, Option<u64>),
}

/// A computer, a partition, and perhaps a shared instance.
type At = (&'static str, &'static str, Option<u64>);

fn reports() -> impl Strategy<Value = UsageReport> {
    let revisions = prop_oneof![
        Just(Revision::None),
        Just(Revision::Latest),
        (0..6_u8).prop_map(|id| Revision::Replaces(UsageId::Text(id.to_string().into()))),
    ];
    let subjects = select(vec!["p0", "p0", "p0", "u0", "p1", "SOFTINST-1", "COMP-1", "COMP-1", "nobody"]);
    let hours = (-2..20_i64, 0..8_i64, prop::bool::weighted(0.8));
    (0..6_u8, 1..4_u8, revisions, subjects, hours).prop_map(
        |(id, quantity, revision, subject, (start, hours, told))| {
            let instant = |hour: i64| super::given::instant("0").plus_micros(hour * HOUR);
            UsageReport {
                revision,
                subject: subject.into(),
                start: Ok(told.then(|| instant(start))),
                stop: Ok(Some(instant(start + hours))),
                ..usage(&id.to_string(), &quantity.to_string())
            }
        },
    )
}

fn steps() -> impl Strategy<Value = DecisionStep> {
    let computers =
        || select(vec!["COMP-1", "COMP-1", "COMP-1", "COMP-1", "COMP-1", "COMP-1", "COMP-2", "COMP-3"]);
    let partitions = || select(vec!["p0", "p1", "p2"]);
    let names = || select(vec!["a", "b", "c", "d"]);
    let users = || select(vec!["u0", "u1", "u2"]);
    let offers = prop::collection::btree_map(partitions(), users(), 0..4)
        .prop_map(|offers| offers.into_iter().collect());
    let requesters = || prop_oneof![3 => (1..3_u64).prop_map(Ok), 2 => (1..6_u64).prop_map(Err)];
    let mut filters = vec![vec![]; 6];
    filters.extend(["COMP-1", "COMP-2", "COMP-3"].map(|name| vec![("computer_guid", name)]));
    filters.extend([
        vec![("region", "europe")],
        vec![("mode", "unique_by_network")],
        vec![("mode", "unique_by_network"), ("computer_guid", "COMP-1")],
        vec![("capability", "gpu")],
        vec![("network_guid", "n"), ("region", "europe/france")],
        vec![("instance_guid", "SOFTINST-1")],
        vec![("instance_guid", "SOFTINST-2")],
        vec![("instance_guid", "COMP-1-p0")],
        vec![("instance_guid", "p1")],
        vec![("retention_delay", "1"), ("fw_restricted_access", "on")],
        vec![("nonsense", "x")],
    ]);
    let described = select(vec![
        vec![],
        vec![("region", "europe/france")],
        vec![("region", "europe/france"), ("network_guid", "n")],
        vec![("network_guid", "n")],
    ]);
    let scopes = select(vec![
        AllocationScope::Open,
        AllocationScope::Open,
        AllocationScope::Personal,
        AllocationScope::Group(vec![PartyId(2)]),
        AllocationScope::Closed,
    ]);
    let limits = (prop::option::weighted(0.2, 1..3_u8), prop::option::weighted(0.2, 0..3_u32));
    let ats = || (computers(), partitions(), prop::option::weighted(0.3, 1..8_u64));
    let rooms = select(vec![WithoutRoom::Refuse, WithoutRoom::Wait, WithoutRoom::Wait]);
    let wanted = select(vec![RequestedState::Started, RequestedState::Stopped, RequestedState::Destroyed]);
    let told = select(vec![
        ReportedState::Started,
        ReportedState::Error,
        ReportedState::Destroyed,
        ReportedState::Destroyed,
    ]);
    let supplies = select(vec![SupplyState::Available, SupplyState::Destroyed]);
    let installed = select(vec![SoftwareState::Building, SoftwareState::Error, SoftwareState::Destroyed]);
    prop_oneof![
        4 => (0..6_i64).prop_map(DecisionStep::Wait),
        1 => select(vec!["UTC", "Europe/Paris"]).prop_map(DecisionStep::Party),
        1 => computers().prop_map(DecisionStep::Computer),
        4 => (computers(), offers, any::<bool>()).prop_map(|(c, offers, new)| DecisionStep::Configure(c, offers, new)),
        1 => (computers(), 1..3_u8, supplies).prop_map(|(c, release, state)| DecisionStep::Supply(c, release, state)),
        1 => (computers(), 1..3_u8, installed).prop_map(|(c, release, state)| DecisionStep::Software(c, release, state)),
        8 => (requesters(), names(), prop::bool::weighted(0.3), 1..3_u8, select(filters), rooms).prop_map(
            |(from, name, shared, release, filter, room)| DecisionStep::Request { from, name, shared, release, filter, room }
        ),
        4 => (requesters(), names(), prop::bool::weighted(0.2), wanted)
            .prop_map(|(from, name, shared, state)| DecisionStep::State(from, name, shared, state)),
        6 => (ats(), told).prop_map(|(at, state)| DecisionStep::Report(at, state)),
        1 => (ats(), 0..3_u8).prop_map(|(at, text)| DecisionStep::Connect(at, text)),
        1 => ats().prop_map(DecisionStep::Bang),
        1 => (ats(), names()).prop_map(|(at, name)| DecisionStep::Rename(at, name)),
        1 => computers().prop_map(DecisionStep::BangComputer),
        2 => (computers(), described).prop_map(|(c, attributes)| DecisionStep::Describe(c, attributes)),
        2 => (computers(), scopes, limits).prop_map(|(c, scope, (n, most))| DecisionStep::Scope(c, scope, n, most)),
        2 => (computers(), any::<bool>()).prop_map(|(c, silent)| DecisionStep::Silence(c, silent)),
        1 => (1..4_u64, select(vec!["one", "two"])).prop_map(|(party, title)| DecisionStep::RequestComputer(party, title)),
        1 => (1..4_u64, 1..3_u8).prop_map(|(party, release)| DecisionStep::PublishRelease(party, release)),
        8 => (computers(), prop::collection::vec(reports(), 1..5)).prop_map(|(c, reports)| DecisionStep::Usage(c, reports)),
        3 => (any::<Index>(), prop::option::of(0..20_i64)).prop_map(|(which, hour)| DecisionStep::Resolve(which, hour)),
        1 => any::<Index>().prop_map(DecisionStep::Dismiss),
        1 => (1..3_u8).prop_map(DecisionStep::Publish),
        1 => (1..3_u64, 0..10_i64, 0..10_i64).prop_map(|(seller, start, stop)| DecisionStep::Open(seller, start, stop)),
        2 => (1..4_u64, 1..3_u64).prop_map(|(run, buyer)| DecisionStep::Finalise(run, buyer)),
        1 => (1..4_u64, 0..3_u32).prop_map(|(run, invoices)| DecisionStep::FinaliseRun(run, invoices)),
        1 => (0..9_u32, prop::option::of(0..3_u64)).prop_map(|(mark, lost)| DecisionStep::Restore(mark, lost)),
    ]
}

/// The command of a step, sealed for who is there now; none if it is about nothing.
fn command(given: &mut Given, step: DecisionStep) -> Option<Command> {
    Some(match step {
        DecisionStep::Wait(hours) => {
            given.now = given.now.plus_micros(hours * HOUR + 1);
            return None;
        }
        DecisionStep::Party(zone) => register_party_in(zone).into(),
        DecisionStep::Computer(name) => register_computer(name).into(),
        DecisionStep::Configure(name, offers, new) => {
            let offers = offers.into_iter().map(|(partition, user)| {
                let user = Some(user.into());
                // p2 can do more than the others.
                let capabilities = (partition == "p2").then(|| "gpu".into()).into_iter().collect();
                super::computer::Offer { user, capabilities, ..offer(partition) }
            });
            let owner_if_new = new.then_some(PartyId(1));
            ConfigureComputer { offers: offers.collect(), owner_if_new, ..configure(name, &[]) }.into()
        }
        DecisionStep::Supply(name, number, state) => {
            SupplySoftware { computer: computer(name), release: release(&number.to_string()), state }.into()
        }
        DecisionStep::Software(name, number, state) => {
            let error = (state == SoftwareState::Error).then(|| sealed(name, "no space left"));
            ReportSoftware { computer: computer(name), release: release(&number.to_string()), state, error }
                .into()
        }
        DecisionStep::Request { from, name, shared, release: number, filter, room } => RequestInstance {
            release: release(&number.to_string()),
            filter: pairs(filter),
            without_room: room,
            ..sealed_request(given, requester(from), name, shared)
        }
        .into(),
        DecisionStep::State(from, name, shared, state) => {
            RequestInstance { state: Some(state), ..sealed_request(given, requester(from), name, shared) }
                .into()
        }
        DecisionStep::Report(at, state) => {
            let error = (state == ReportedState::Error).then(|| sealed_for(given, at, 0));
            ReportInstance { place: place(at), state, error }.into()
        }
        DecisionStep::Connect(at, text) => {
            SetConnectionParameters { place: place(at), connection: sealed_for(given, at, text) }.into()
        }
        DecisionStep::Bang(at) => {
            BangInstance { place: place(at), message: Some(sealed_for(given, at, 0)) }.into()
        }
        DecisionStep::Rename(at, name) => {
            RenameInstance { place: place(at), reference: reference(name) }.into()
        }
        DecisionStep::BangComputer(name) => BangComputer { computer: computer(name), message: None }.into(),
        DecisionStep::Describe(name, attributes) => {
            let (title, attributes) = (Some("one".into()), pairs(attributes).into_iter().collect());
            DescribeComputer { computer: computer(name), title, attributes }.into()
        }
        DecisionStep::Scope(name, scope, number, capacity) => {
            let software = number.iter().map(|number| release(&number.to_string())).collect();
            SetAllocationScope { computer: computer(name), scope, software, capacity }.into()
        }
        DecisionStep::Silence(name, silent) => {
            NoticeSilence { computer: computer(name), since: silent.then_some(given.now) }.into()
        }
        DecisionStep::RequestComputer(owner, title) => {
            let (owner, title, time_zone) = (PartyId(owner), title.into(), super::time::TimeZone::UTC);
            RequestComputer { owner, title, time_zone }.into()
        }
        DecisionStep::PublishRelease(publisher, number) => {
            let (product, release) = (reference("kvm"), release(&number.to_string()));
            PublishSoftwareRelease { product, release, publisher: PartyId(publisher) }.into()
        }
        DecisionStep::Usage(name, reports) => record(name, reports).into(),
        DecisionStep::Resolve(which, hour) => {
            let start = hour.map(|hour| super::given::instant("0").plus_micros(hour * HOUR));
            let period = start.and_then(|start| Period::new(start, start.plus_micros(HOUR)));
            let subject = Some("p0".into());
            ResolveSuspendedUsage {
                suspended: suspended(given, which)?,
                subject,
                resource: None,
                quantity: None,
                period,
            }
            .into()
        }
        DecisionStep::Dismiss(which) => {
            DismissSuspendedUsage { suspended: suspended(given, which)?, reason: "nonsense".into() }.into()
        }
        DecisionStep::Publish(price) => PublishPriceBook { book: book(price), retroactive: true }.into(),
        DecisionStep::Open(seller, first, last) => {
            let bound = |day: i64| Bound::Instant(super::given::instant("0").plus_micros(day * 6 * HOUR));
            let period = RunPeriod { start: bound(first), stop: bound(last) };
            OpenInvoiceRun {
                seller: PartyId(seller),
                period,
                price_book: None,
                payers: Vec::new(),
                reason: RunReason::Period,
                grace_hours: 0,
                finalise: false,
            }
            .into()
        }
        DecisionStep::Finalise(run, buyer) => {
            FinaliseInvoice { draft: draft(given, RunId(run), PartyId(buyer))?, alone: false }.into()
        }
        DecisionStep::FinaliseRun(run, invoices) => FinaliseInvoiceRun { run: RunId(run), invoices }.into(),
        DecisionStep::Restore(mark, lost) => restore(given, mark, lost).into(),
    })
}

/// A restore of all there is; perhaps so many numbers are stated to be lost.
fn restore(given: &Given, mark: u32, gap: Option<u64>) -> RecordRestore {
    let (series, last) = numbering(&given.log);
    let number = |gap| InvoiceId::new(&format!("{series}-2026-{:06}", last + gap)).expect("a number");
    let stated = gap.map(|gap| LastNumber { project: ProjectId::DEFAULT, number: number(gap) });
    let kept = Sequence(given.next().0 - 1);
    RecordRestore {
        ledger: [1; 16],
        from: "a backup".into(),
        to: "a folder".into(),
        backup_last: kept,
        backup_at: Timestamp::MIN,
        kept,
        root: [2; 32],
        mark: RestoreMark::new(mark),
        last_numbers: stated.into_iter().collect(),
        clock_confirmed: false,
    }
}

fn pairs(texts: Vec<(&str, &str)>) -> Vec<(Box<str>, Box<str>)> {
    texts.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn place((at, place, shared): At) -> InstancePlace {
    InstancePlace { computer: computer(at), partition: partition(place), shared: shared.map(InstanceId) }
}

fn requester(from: Result<u64, u64>) -> Requester {
    from.map_or_else(|id| Requester::Instance(InstanceId(id)), |party| Requester::Party(PartyId(party)))
}

/// A request under the key of the instance of that name; under a fresh one, if there is none.
fn sealed_request(given: &Given, requester: Requester, name: &str, shared: bool) -> RequestInstance {
    let scope = |requester| match requester {
        Requester::Party(_) => Some((Some(requester), None)),
        Requester::Instance(parent) => Some((None, Some(given.project().instances.get(parent)?.root))),
    };
    let cloud = cloud(given);
    let known = cloud.instances.values().find(|one| {
        let same = scope(one.requester) == scope(requester) && one.reference.as_str() == name;
        same && one.shared == shared && !one.ended
    });
    let fresh = sealed(&format!("key {}", given.log.len()), "{}");
    let key = known.map_or(fresh.key, |one| KeyId(one.key));
    RequestInstance { requester, shared, parameters: Sealed { key, ..fresh }, ..request(name) }
}

fn sealed_for(given: &Given, (at, place, shared): At, text: u8) -> Sealed {
    let occupant =
        given.project().computers.get(at).and_then(|computer| computer.occupant(&partition(place)));
    let meant = shared.map(InstanceId).or(occupant);
    let known = meant.and_then(|instance| given.project().instances.get(instance));
    let value = sealed("nobody", &text.to_string());
    Sealed { key: known.map_or(value.key, |known| known.key), ..value }
}

fn cloud(given: &Given) -> NaiveCloud {
    let mut cloud = NaiveCloud::default();
    given.log.iter().for_each(|(_, event)| cloud.take(event));
    cloud
}

fn suspended(given: &Given, which: Index) -> Option<Sequence> {
    let all = (1..).zip(&given.log).filter(|(_, (_, event))| matches!(event, Event::UsageSuspended(_)));
    let all: Vec<_> = all.map(|(sequence, _)| Sequence(sequence)).collect();
    (!all.is_empty()).then(|| *which.get(&all))
}

fn book(price: u8) -> PriceBook {
    let price = price.to_string().parse().expect("a price");
    PriceBook {
        name: super::id::PriceBookName::new("standard").expect("a name"),
        currency: Currency::EUR,
        valid_from: Timestamp::MIN,
        rounding: Rounding::HalfUp,
        on_change: OnChange::default(),
        terms: InvoiceTerms::default(),
        resources: Vec::new(),
        rates: vec![Rate {
            model: Model::Recurring {
                item: "".into(),
                price,
                every: Every::Month,
                when: When::Arrears,
                until: FeeEnd::default(),
                terms: FeeTerms::default(),
            },
            trial: None,
            matching: Match::default(),
        }],
    }
}

/// An invoice of nothing.
fn draft(given: &Given, run: RunId, buyer: PartyId) -> Option<Invoice> {
    let opened = given.log.iter().find_map(|(_, event)| match event {
        Event::InvoiceRunOpened(opened) if opened.run == run => Some(opened),
        _ => None,
    })?;
    let party = |party| InvoiceParty {
        party,
        name: sealed("retention", "a name"),
        details: None,
        country: None,
        vat_id: false,
    };
    let nothing = Amount::zero(Currency::EUR);
    Some(Invoice {
        id: InvoiceId::new("draft").expect("a text"),
        document: DocumentKind::Invoice,
        run,
        cites: None,
        seller: party(opened.seller),
        buyer: party(buyer),
        currency: Currency::EUR,
        period: opened.period.within(&given.project().parties.get(buyer)?.calendar)?,
        issued_at: given.now,
        due_at: given.now,
        lines: Vec::new(),
        price_tax: PriceTax::Exclusive,
        net: nothing,
        tax: Vec::new(),
        rounding: nothing,
        total: nothing,
        prepaid: Vec::new(),
        due: nothing,
    })
}

/// What is metered after some events: usage by the event that metered it.
///
/// # Panics
/// If an event takes the place of what is not metered: it would be metered twice, or not at all.
fn metered(log: &[(Stream, Event)]) -> BTreeMap<Sequence, &Usage> {
    let mut metered = BTreeMap::new();
    for (sequence, (_, event)) in (1..).map(Sequence).zip(log) {
        let Some(change) = event.usage_change() else { continue };
        if let Some(replaced) = change.replaces {
            assert!(
                metered.remove(&replaced).is_some(),
                "{sequence} replaces {replaced}, which is not metered"
            );
        }
        metered.extend(change.metered.map(|usage| (sequence, usage)));
    }
    metered
}

/// The naive reading holds, and the state says the same.
fn check_places(given: &Given) {
    let cloud = cloud(given);
    cloud.check();
    let seated = cloud.instances.iter().filter(|(_, one)| !one.ended && !one.shared);
    let seated: BTreeMap<_, _> = seated.filter_map(|(id, one)| Some((one.place.clone()?, *id))).collect();
    let places = given.project().computers.iter().flat_map(|(on, known)| {
        ["p0", "p1", "p2"]
            .map(|name| Some(((on.clone(), partition(name)), known.occupant(&partition(name))?)))
    });
    let known: BTreeMap<_, _> = places.flatten().collect();
    assert_eq!(known, seated, "who sits where");
}

/// The state that the events lead to, with no decision taken.
fn replayed(log: &[(Stream, Event)]) -> State {
    let mut state = state();
    for (sequence, (stream, event)) in (1..).zip(log) {
        state.evolve((ProjectId::DEFAULT, None), stream, event, Sequence(sequence));
    }
    state
}

/// PARTY-1, PARTY-2, who sell by one price book, and COMP-1 with p0 and p1.
fn beginning(given: Given) -> Given {
    let given = given.done(register_party()).done(register_party()).done(register_computer("COMP-1"));
    let users = |place: &str, user: &str| super::computer::Offer { user: Some(user.into()), ..offer(place) };
    let offers = vec![users("p0", "u0"), users("p1", "u1")];
    given
        .done(PublishPriceBook { book: book(1), retroactive: true })
        .done(ConfigureComputer { offers, ..configure("COMP-1", &[]) })
}

fn ledger(master: bool) -> Given {
    if master { Given::nothing().by_the_master() } else { Given::nothing() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Live = replay = snapshot + tail, and decisions cannot tell them from each other.
    #[test]
    fn executed_replayed_and_restored_are_the_same(
        steps in prop::collection::vec(steps(), 1..150),
        cut in any::<Index>(),
        master in any::<bool>(),
    ) {
        let cut = cut.index(steps.len());
        let mut live = beginning(ledger(master)).done(request("a")).at("2026-10-01T20:00:00Z");
        let mut others: Vec<Given> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            if at == cut {
                let bytes = live.state.snapshot();
                let again = replayed(&live.log);
                prop_assert_eq!(&again.snapshot(), &bytes);
                let restored = State::restore(&bytes, replayed(&live.log).seen).expect("it was just taken");
                prop_assert_eq!(&restored.snapshot(), &bytes);
                for state in [again, restored] {
                    let (project, now, log) = (live.project, live.now, live.log.clone());
                    others.push(Given { state, project, by: None, now, log });
                }
            }
            let Some(command) = command(&mut live, step) else { continue };
            let outcome = live.execute(command.clone());
            check_places(&live);
            for other in &mut others {
                other.now = live.now;
                prop_assert_eq!(&other.execute(command.clone()), &outcome);
            }
        }
        let bytes = live.state.snapshot();
        for other in others {
            prop_assert_eq!(&other.state.snapshot(), &bytes);
        }
        metered(&live.log);
        check_numbers(&live.log);
    }

    /// Nodes deliver late, twice and in any order.
    #[test]
    fn order_and_repetition_change_nothing(
        (sent, delivered) in prop::collection::vec(reports(), 1..12).prop_flat_map(|reports| {
            let sent: Vec<_> = (0..).zip(reports).map(|(id, report): (u8, _)| UsageReport {
                id: UsageId::Text(id.to_string().into()),
                revision: Revision::None,
                start: report.start.map(|start| start.or(Some(Timestamp::MIN))), // what is found depends on order
                ..report
            }).collect();
            let repeated = prop::collection::vec(select(sent.clone()), 0..12);
            let delivered = (Just(sent.clone()), repeated).prop_map(|(sent, more)| [sent, more].concat());
            (Just(sent), delivered.prop_shuffle())
        }),
        batch in 1..6_usize,
    ) {
        // SOFTINST-1 in p0 until 4 o'clock, SOFTINST-2 from 6 on.
        let given = || {
            let given = beginning(Given::nothing()).done(RequestInstance { filter: on("COMP-1"), ..request("a") }).at("2026-10-01T04:00:00Z");
            let given = given.done(RequestInstance { state: Some(RequestedState::Destroyed), ..request("a") });
            given.done(report("p0", ReportedState::Destroyed)).at("2026-10-01T06:00:00Z").done(request("b")).at("2026-10-02T12:00:00Z")
        };
        let in_order = given().done(record("COMP-1", sent));
        let mut as_delivered = given();
        for reports in delivered.chunks(batch) {
            as_delivered = as_delivered.done(record("COMP-1", reports.to_vec()));
        }
        prop_assert_eq!(known(&as_delivered.log), known(&in_order.log));
        prop_assert_eq!(as_delivered.log.len(), in_order.log.len());
    }

    /// Two histories in one ledger, each as it would be if it were alone: every answer, every event and all that is
    /// known. The one alone is in another project, and where the other one acts nothing happens.
    #[test]
    fn projects_are_as_they_would_be_alone(
        steps in prop::collection::vec((0..2_usize, steps()), 1..200),
        cut in any::<Index>(),
        master in any::<bool>(),
    ) {
        let mut together = Together::begin(master);
        let cut = cut.index(steps.len());
        let mut again: Option<State> = None;
        for (at, (which, step)) in steps.into_iter().enumerate() {
            if at == cut {
                let (bytes, seen) = (together.shared.state.snapshot(), together.replayed().seen);
                again = State::restore(&bytes, seen);
                together.cut = together.log.len();
            }
            together.step(which, step);
        }
        together.check();
        let bytes = together.shared.state.snapshot();
        prop_assert_eq!(&together.replayed().snapshot(), &bytes);
        let mut again = again.expect("it was just taken");
        for (sequence, (project, stream, event)) in (1..).zip(&together.log).skip(together.cut) {
            again.evolve((*project, None), stream, event, Sequence(sequence));
        }
        prop_assert_eq!(&again.snapshot(), &bytes);
    }

    /// What is recorded cannot be refused, whatever was recorded before it.
    #[test]
    fn events_can_be_taken_over_in_any_order(
        steps in prop::collection::vec(steps(), 1..80),
        kept in prop::collection::vec(any::<Index>(), 1..80),
        master in any::<bool>(),
    ) {
        let mut live = beginning(ledger(master));
        for step in steps {
            if let Some(command) = command(&mut live, step) {
                let _ = live.execute(command);
            }
        }
        let other = kept.iter().fold(Given::nothing(), |other, which| {
            let (stream, event) = which.get(&live.log).clone();
            other.event(stream, event)
        });
        let bytes = other.state.snapshot();
        let restored = State::restore(&bytes, state().seen).expect("it was just taken");
        prop_assert_eq!(restored.snapshot(), bytes);
    }
}

/// Two projects in one ledger, and each of them alone in one of its own.
struct Together {
    shared: Given,
    alone: [Option<Given>; 2],
    /// What happened in the shared ledger.
    log: Vec<(ProjectId, Stream, Event)>,
    cut: usize,
}

/// Neither is the one that a history alone is in.
const PROJECTS: [u64; 2] = [7, 3];

impl Together {
    fn begin(master: bool) -> Self {
        let (shared, alone) = (ledger(master), [ledger(master), ledger(master)].map(Some));
        let mut together = Self { shared, alone, log: Vec::new(), cut: 0 };
        together.note(ProjectId::DEFAULT);
        for which in 0..2 {
            together.within(which, |given| (beginning(given), ()));
        }
        together
    }

    /// The same in the shared ledger and in the one of its own.
    fn within<T: std::fmt::Debug + PartialEq>(&mut self, which: usize, act: impl Fn(Given) -> (Given, T)) {
        let before = self.shared.log.len();
        let shared = std::mem::replace(&mut self.shared, Given::nothing());
        let alone = self.alone[which].take().expect("it is put back");
        let (shared, told) = act(Given { now: alone.now, ..shared }.within(PROJECTS[which]));
        let (alone, told_alone) = act(alone);
        assert_eq!(told, told_alone);
        assert_eq!(shared.log[before..], alone.log[before..]);
        let happened = shared.log.len() - before;
        self.shared = shared;
        self.alone[which] = Some(alone);
        let other = self.alone[1 - which].take().expect("it is put back");
        self.alone[1 - which] = Some(other.elsewhere(happened));
        self.note(ProjectId(PROJECTS[which]));
    }

    fn step(&mut self, which: usize, step: DecisionStep) {
        // A restore is one of all projects.
        if matches!(step, DecisionStep::Restore(..)) {
            return;
        }
        let mut alone = self.alone[which].take().expect("it is put back");
        let command = command(&mut alone, step);
        self.alone[which] = Some(alone);
        if let Some(command) = command {
            self.within(which, |mut given| {
                let outcome = given.execute(command.clone());
                // Fingerprints are those of a project.
                (given, outcome.map(|outcome| (outcome.answer, outcome.events)))
            });
        }
    }

    fn note(&mut self, project: ProjectId) {
        let new = self.shared.log[self.log.len()..].iter();
        let new = new.map(|(stream, event)| (project, stream.clone(), event.clone())).collect::<Vec<_>>();
        self.log.extend(new);
    }

    /// What is known of each project is what is known of it alone.
    fn check(&self) {
        let bytes = |project: &super::Project| {
            bincode::encode_to_vec(project, bincode::config::standard()).expect("it can be encoded")
        };
        for (project, alone) in PROJECTS.iter().zip(&self.alone) {
            let alone = alone.as_ref().expect("it is put back");
            let shared = self.shared.state.project(ProjectId(*project));
            assert!(bytes(shared) == bytes(alone.project()), "PROJ-{project} is not what it is alone");
        }
        let known: Vec<_> = self.shared.state.projects().map(|(id, _)| id.0).collect();
        assert_eq!(known, [3, 7]);
    }

    fn replayed(&self) -> State {
        let mut state = state();
        for (sequence, (project, stream, event)) in (1..).zip(&self.log) {
            state.evolve((*project, None), stream, event, Sequence(sequence));
        }
        state
    }
}

/// What is known of each identity: how it is metered, or why it is not.
fn known(log: &[(Stream, Event)]) -> BTreeMap<&UsageId, Result<&Usage, Unmeterable>> {
    let suspended = log.iter().filter_map(|(_, event)| match event {
        Event::UsageSuspended(event) => Some((&event.id, Err(event.reason))),
        _ => None,
    });
    metered(log).into_values().map(|usage| (&usage.id, Ok(usage))).chain(suspended).collect()
}

/// Invoice numbers follow each other without gaps but those that a restore states, and no number is issued twice.
fn check_numbers(log: &[(Stream, Event)]) {
    let mut issued = BTreeSet::new();
    for (at, (_, event)) in log.iter().enumerate() {
        if let Event::InvoiceFinalised(event) = event {
            let (series, last) = numbering(&log[..at]);
            assert_eq!(event.invoice.id.as_str(), format!("{series}-2026-{:06}", last + 1));
            assert!(issued.insert(&event.invoice.id), "{} is issued twice", event.invoice.id);
        }
    }
}

/// The series of the only party that sells, and the last number of it.
fn numbering(log: &[(Stream, Event)]) -> (String, u64) {
    let mut now = ("INV".to_owned(), 0);
    for (_, event) in log {
        match event {
            Event::InvoiceFinalised(_) => now.1 += 1,
            Event::LedgerRestored(event) => {
                let stated = event.last_numbers.iter().find_map(|last| {
                    last.number.as_str().strip_prefix(&format!("{}-2026-", now.0))?.parse().ok()
                });
                now = stated.map_or_else(|| (format!("INV-{}", event.mark), 0), |number| (now.0, number));
            }
            _ => {}
        }
    }
    now
}
