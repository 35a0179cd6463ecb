//! The demo: October 2026 in an invented cloud, played from a seed.
//!
//! Everything goes through the same decisions as in a running master; only the clock is set by hand. The month ends
//! with an invoice run, whose invoices are final.

pub(crate) mod node;
mod random;
mod usage;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use slapledger_core::domain::computer::{Address, ConfigureComputer, Offer, RegisterComputer};
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, PartitionId, PartyId, Reference, RunId, SoftwareType,
};
use slapledger_core::domain::instance::{
    Place, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    SetConnectionParameters, WithoutRoom,
};
use slapledger_core::domain::invoice::{Bound, OpenInvoiceRun, RunPeriod};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::pricing::PublishPriceBook;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};
use slapledger_core::domain::usage::{RecordUsage, UsageOutcome};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_engine::clock::{ManualClock, SystemClock};
use slapledger_slap_wire::instance_xml;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing;

use random::Random;
use usage::{Busy, DAY, HOUR};
use world::{COMPUTERS, Customer, Planned};

/// The seller's name.
const SELLER: &str = "Example Cloud";

/// The software that has a short name.
const PRODUCTS: [&str; 2] = ["kvm", "mysql"];

/// A clock set by hand while the month is played; afterwards the one of the machine.
pub struct DemoClock {
    played: Arc<ManualClock>,
    real: SystemClock,
    over: AtomicBool,
}

impl DemoClock {
    /// Set by hand until [`play_over`](Self::play_over).
    pub fn new(played: Arc<ManualClock>, real: SystemClock) -> Self {
        Self { played, real, over: AtomicBool::new(false) }
    }

    /// From now on time passes by itself.
    pub fn play_over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        if self.over.load(Ordering::SeqCst) { self.real.now() } else { self.played.now() }
    }
}

/// What was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Customers that entered.
    pub customers: usize,
    /// Computers they use.
    pub computers: usize,
    /// Instances they requested.
    pub instances: usize,
    /// What became of the usage events that were sent.
    pub usage: Counts,
    /// The run that closed the month.
    pub run: RunId,
}

/// What became of usage events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Metered.
    pub accepted: usize,
    /// Known already.
    pub duplicates: usize,
    /// Kept for a person to look at.
    pub suspended: usize,
    /// Refused.
    pub rejected: usize,
}

/// An instance that is there, or was.
struct Living {
    id: InstanceId,
    owner: PartyId,
    planned: Planned,
    busy: Busy,
}

struct Play<'a> {
    ctx: &'a RequestContext,
    clock: &'a ManualClock,
    random: Random,
    counts: Counts,
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("instants of the demo are written out below")
}

/// Plays the month on an empty ledger.
pub fn play(ctx: &RequestContext, clock: &ManualClock, seed: u64) -> anyhow::Result<Played> {
    let mut play = Play { ctx, clock, random: Random::new(seed), counts: Counts::default() };
    let opening = instant("2026-09-28T08:00:00Z");
    let seller = play.register(opening, SELLER, "Europe/Paris".parse()?)?;
    let mut customers = Vec::new();
    for customer in world::customers()? {
        let party = play.register(opening, &customer.name, customer.time_zone)?;
        customers.push((party, customer));
    }
    for (computer, partitions, zone) in COMPUTERS {
        play.bring_computer(opening, seller, computer, *partitions, zone.parse()?)?;
    }
    play.supply_all(opening, &customers)?;
    let book = slapledger_billing::price_book::parse_toml(slapledger_fixtures::STANDARD_PRICES)?;
    play.submit(opening, person(seller), Command::PublishPriceBook(PublishPriceBook { book }))?;

    let instances = play.live_through(opening, &customers)?;
    let close = instant("2026-11-02T09:00:00Z");
    let period =
        RunPeriod { start: Bound::Day("2026-10-01".parse()?), stop: Bound::Day("2026-11-01".parse()?) };
    let open = OpenInvoiceRun { seller, period, price_book: None, grace_hours: 0, finalise: false };
    let run = match play.submit(close, person(seller), Command::OpenInvoiceRun(open))? {
        Answer::InvoiceRun(run) => run,
        other => bail!("an invoice run was answered {other:?}"),
    };
    invoicing::finalise_blocking(ctx, &person(seller), run)?;
    let (customers, computers) = (customers.len(), COMPUTERS.len());
    Ok(Played { customers, computers, instances, usage: play.counts, run })
}

/// Publishes the names under which the console and `request` know software, once. They are no part of the month.
pub fn publish_products(ctx: &RequestContext) -> anyhow::Result<()> {
    for name in PRODUCTS {
        if ctx.slap_now(|view| view.catalogue.product(name).is_some())? {
            continue;
        }
        let (product, release) = (Reference::new(name)?, world::release_of(name)?);
        let publish = PublishSoftwareRelease { product, release, publisher: FIRST_PARTY };
        ctx.submit_own(person(FIRST_PARTY), Command::PublishSoftwareRelease(publish))?;
    }
    Ok(())
}

fn person(party: PartyId) -> Actor {
    slapledger_usecases::caller::actor_of_party(party)
}

fn computer(computer: &ComputerId) -> Actor {
    slapledger_usecases::caller::actor_of_computer(computer)
}

fn one_parameter(key: &str, value: &str) -> anyhow::Result<String> {
    Ok(instance_xml::write(&BTreeMap::from([(key.to_owned(), value.to_owned())]))?)
}

impl Play<'_> {
    fn submit(&mut self, at: Timestamp, actor: Actor, command: Command) -> anyhow::Result<Answer> {
        self.clock.set(at);
        let digest = self.ctx.keys().command_digest(&[format!("{command:?}").as_bytes()]);
        let meta = Meta { command: CommandId(self.random.id()), ..self.ctx.meta(actor, digest) };
        let submission = slapledger_core::ledger::Submission { meta: Arc::new(meta), command };
        Ok(self.ctx.ledger().submit_blocking(submission)?.answer)
    }

    fn register(&mut self, at: Timestamp, name: &str, time_zone: TimeZone) -> anyhow::Result<PartyId> {
        let name = self.ctx.keys().seal(self.ctx.keys().fresh()?, name.as_bytes())?;
        let command = Command::RegisterParty(RegisterParty { name, time_zone, description: None });
        match self.submit(at, Actor::system(), command)? {
            Answer::Party(party) => Ok(party),
            other => bail!("a registration was answered {other:?}"),
        }
    }

    fn bring_computer(
        &mut self,
        at: Timestamp,
        owner: PartyId,
        name: &str,
        partitions: usize,
        time_zone: TimeZone,
    ) -> anyhow::Result<()> {
        let id = ComputerId::new(name)?;
        let register = RegisterComputer { computer: id.clone(), owner, time_zone };
        self.submit(at, person(owner), Command::RegisterComputer(register))?;
        let subnet = name.trim_start_matches("COMP-");
        let mut offers = Vec::new();
        for n in 0..partitions {
            let address = |address: String, netmask: &str| Address {
                address: address.into(),
                netmask: netmask.into(),
                ..Address::default()
            };
            offers.push(Offer {
                partition: PartitionId::new(&format!("slappart{n}"))?,
                addresses: vec![
                    address(format!("10.0.{subnet}.{}", n + 10), "255.255.255.255"),
                    address(format!("2001:db8:{subnet}::{n:x}"), "ffff:ffff:ffff:ffff::"),
                ],
                tap: Some(format!("slaptap{n}").into()),
                user: Some(format!("slapuser{n}").into()),
                capabilities: Vec::new(),
            });
        }
        let (address, netmask) = (format!("10.0.{subnet}.1").into(), "255.255.255.0".into());
        let configure =
            ConfigureComputer { computer: id.clone(), address, netmask, offers, owner_if_new: None };
        self.submit(at, computer(&id), Command::ConfigureComputer(configure))?;
        Ok(())
    }

    /// Every computer gets every software: what is where is not what the demo is about.
    fn supply_all(&mut self, at: Timestamp, customers: &[(PartyId, Customer)]) -> anyhow::Result<()> {
        let planned = customers.iter().flat_map(|(_, customer)| &customer.instances);
        let releases: std::collections::BTreeSet<_> =
            planned.map(|planned| planned.release.clone()).collect();
        for (name, _, _) in COMPUTERS {
            let id = ComputerId::new(name)?;
            for release in &releases {
                let (release, place) = (release.clone(), id.clone());
                let supply = SupplySoftware {
                    computer: place,
                    release: release.clone(),
                    state: SupplyState::Available,
                };
                self.submit(at, Actor::system(), Command::SupplySoftware(supply))?;
                let (place, state) = (id.clone(), SoftwareState::Available);
                let report = ReportSoftware { computer: place, release, state, error: None };
                self.submit(at, computer(&id), Command::ReportSoftware(report))?;
            }
        }
        Ok(())
    }

    /// Day by day: requests, reports of the day before, reports that are late, and two farewells.
    fn live_through(
        &mut self,
        opening: Timestamp,
        customers: &[(PartyId, Customer)],
    ) -> anyhow::Result<usize> {
        let mut plans: BTreeMap<i64, Vec<(PartyId, Planned)>> = BTreeMap::new();
        for (party, customer) in customers {
            for planned in &customer.instances {
                // Two thirds are there before the month begins, the others come in its course.
                let day = if self.random.once_in(3) {
                    self.random.between(4, 22)
                } else {
                    self.random.between(0, 2)
                };
                let copy = Planned {
                    reference: planned.reference.clone(),
                    release: planned.release.clone(),
                    software_type: planned.software_type.clone(),
                    instance_type: planned.instance_type,
                };
                plans.entry(day).or_default().push((*party, copy));
            }
        }
        let mut living: Vec<Living> = Vec::new();
        let mut late: BTreeMap<i64, Vec<RecordUsage>> = BTreeMap::new();
        let first = instant("2026-09-28T00:00:00Z");
        for day in 0..=34 {
            let midnight = first.plus_micros(day * DAY);
            if day > 0 {
                let yesterday = Period { start: first.plus_micros((day - 1) * DAY), stop: midnight };
                self.report_day(day, yesterday, &living, &mut late)?;
            }
            for report in late.remove(&day).unwrap_or_default() {
                self.report(midnight.plus_micros(HOUR), report)?;
            }
            let mut at = midnight.plus_micros(9 * HOUR).max(opening.plus_micros(HOUR));
            for (party, planned) in plans.remove(&day).unwrap_or_default() {
                living.push(self.request(at, party, planned)?);
                at = at.plus_micros(7 * 60 * 1_000_000);
            }
            // Two of those that were only tried out go when they have been tried.
            if day == 17 || day == 24 {
                self.farewell(at.plus_micros(HOUR), &mut living)?;
            }
            if day % 12 == 7
                && let Some(one) = living.first()
            {
                let (computer, partition) = (one.busy.computer.clone(), one.busy.partition.clone());
                let report = usage::unmeterable(&computer, &partition, at);
                self.report(at.plus_micros(2 * HOUR), report)?;
            }
        }
        Ok(living.len())
    }

    fn report_day(
        &mut self,
        today: i64,
        yesterday: Period,
        living: &[Living],
        late: &mut BTreeMap<i64, Vec<RecordUsage>>,
    ) -> anyhow::Result<()> {
        for (name, _, _) in COMPUTERS {
            let id = ComputerId::new(name)?;
            let here: Vec<&Busy> = living
                .iter()
                .map(|living| &living.busy)
                .filter(|busy| busy.computer == id && busy.allocated.intersection(yesterday).is_some())
                .collect();
            let at = yesterday.stop.plus_micros(HOUR / 2);
            let daily = usage::daily(&mut self.random, &id, &here, yesterday);
            let hourly = usage::hourly(&mut self.random, &id, &here, yesterday);
            if self.random.once_in(12) {
                // The node could not reach us for some days.
                late.entry(today + 3).or_default().push(daily.clone());
            } else {
                self.report(at, daily.clone())?;
            }
            if self.random.once_in(10) {
                // It did not hear our answer and sends the day again.
                self.report(at, hourly.clone())?;
            }
            if self.random.once_in(40) {
                // It measured again and knows better.
                let again = usage::daily(&mut self.random, &id, &here, yesterday);
                self.report(at, again)?;
            }
            self.report(at, hourly)?;
        }
        Ok(())
    }

    fn report(&mut self, at: Timestamp, report: RecordUsage) -> anyhow::Result<()> {
        let actor = computer(&report.computer);
        let Answer::Usage(outcomes) = self.submit(at, actor, Command::RecordUsage(report))? else {
            bail!("usage was answered otherwise");
        };
        for outcome in outcomes {
            match outcome {
                UsageOutcome::Accepted(_) => self.counts.accepted += 1,
                UsageOutcome::Duplicate(_) => self.counts.duplicates += 1,
                UsageOutcome::Suspended(..) => self.counts.suspended += 1,
                UsageOutcome::Conflict(_) | UsageOutcome::NothingToReplace => self.counts.rejected += 1,
            }
        }
        Ok(())
    }

    fn request(&mut self, at: Timestamp, owner: PartyId, planned: Planned) -> anyhow::Result<Living> {
        let parameters = one_parameter("owner-reference", &planned.reference)?;
        let key = self.ctx.keys().fresh()?;
        let request = RequestInstance {
            requester: Requester::Party(owner),
            reference: Reference::new(&planned.reference)?,
            release: planned.release.clone(),
            software_type: SoftwareType::new(&planned.software_type)?,
            instance_type: Some(planned.instance_type),
            parameters: self.ctx.keys().seal(key, parameters.as_bytes())?,
            filter: Vec::new(),
            state: Some(RequestedState::Started),
            shared: false,
            default_computer: None,
            without_room: WithoutRoom::Wait,
        };
        let Answer::Instance { instance: id, .. } =
            self.submit(at, person(owner), Command::RequestInstance(request))?
        else {
            bail!("a request was answered otherwise");
        };
        let place = self.ctx.place_of(id).with_context(|| format!("{id} found no room"))?;
        let (host, partition) = place;
        let user = format!("slapuser{}", partition.as_str().trim_start_matches("slappart"));
        let allocated = Period { start: at, stop: Timestamp::MAX };
        let place = (host.clone(), partition.clone(), user);
        let busy = Busy::new(&mut self.random, place, allocated);
        let at = at.plus_micros(60 * 1_000_000);
        let url = one_parameter("url", &format!("https://{id}.example.org/").to_lowercase())?;
        let connection = self.ctx.keys().seal(key, url.as_bytes())?;
        let place = Place { computer: host.clone(), partition, shared: None };
        let connect = SetConnectionParameters { place: place.clone(), connection };
        self.submit(at, computer(&host), Command::SetConnectionParameters(connect))?;
        let state = ReportedState::Started;
        let started = ReportInstance { place, state, error: None };
        self.submit(at, computer(&host), Command::ReportInstance(started))?;
        Ok(Living { id, owner, planned, busy })
    }

    fn farewell(&mut self, at: Timestamp, living: &mut [Living]) -> anyhow::Result<()> {
        use slapledger_core::domain::instance::InstanceType;
        let tried = living.iter_mut().find(|one| {
            one.planned.instance_type == InstanceType::Testing && one.busy.allocated.stop == Timestamp::MAX
        });
        let Some(one) = tried else { return Ok(()) };
        let key = self.ctx.key_of(one.id).with_context(|| format!("{} is unknown", one.id))?;
        let parameters = one_parameter("owner-reference", &one.planned.reference)?;
        let request = RequestInstance {
            requester: Requester::Party(one.owner),
            reference: Reference::new(&one.planned.reference)?,
            release: one.planned.release.clone(),
            software_type: SoftwareType::new(&one.planned.software_type)?,
            instance_type: None,
            parameters: self.ctx.keys().seal(key, parameters.as_bytes())?,
            filter: Vec::new(),
            state: Some(RequestedState::Destroyed),
            shared: false,
            default_computer: None,
            without_room: WithoutRoom::Refuse,
        };
        self.submit(at, person(one.owner), Command::RequestInstance(request))?;
        let gone = at.plus_micros(HOUR / 4);
        let (host, partition) = (one.busy.computer.clone(), one.busy.partition.clone());
        let place = Place { computer: host.clone(), partition, shared: None };
        let report = ReportInstance { place, state: ReportedState::Destroyed, error: None };
        self.submit(gone, computer(&host), Command::ReportInstance(report))?;
        one.busy.allocated.stop = gone;
        Ok(())
    }
}
