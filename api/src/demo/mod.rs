//! The demo: September and October 2026 in an invented cloud, played from a seed.
//!
//! Everything goes through the same decisions as in a running master; only the clock is set by hand. Each month ends
//! with an invoice run, whose invoices are final.

mod months;
pub(crate) mod node;
mod random;
mod usage;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use slapledger_core::domain::computer::{ConfigureComputer, NetworkAddress, Offer, RegisterComputer};
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference, RunId, SoftwareRelease,
    SoftwareType,
};
use slapledger_core::domain::instance::{
    InstancePlace, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    SetConnectionParameters, WithoutRoom,
};
use slapledger_core::domain::invoice::{Bound, OpenInvoiceRun, RunPeriod, RunReason};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::pricing::PublishPriceBook;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_engine::clock::{ManualClock, SystemClock};
use slapledger_slap_wire::instance_xml;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing;

use random::Random;
use usage::{Busy, HOUR};
use world::{COMPUTERS, Customer, NEWCOMER, Planned};

/// Keys of an SLA and their values.
type WantedSla = Vec<(Box<str>, Box<str>)>;

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

/// When the demo begins.
pub const OPENING: &str = "2026-08-28T08:00:00Z";

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
    pub usage: UsageOutcomes,
    /// The runs that closed the months.
    pub runs: Vec<RunId>,
}

/// What became of usage events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageOutcomes {
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
    /// The numbers of what happens beside the plan of October: September, and the instance tree.
    beside: Random,
    counts: UsageOutcomes,
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("instants of the demo are written out below")
}

/// Plays the months on an empty ledger.
pub fn play(ctx: &RequestContext, clock: &ManualClock, seed: u64) -> anyhow::Result<Played> {
    let random = Random::new(seed);
    // The months draw their numbers apart: what happens in one does not change the other.
    let beside = Random::new(seed.rotate_left(32) ^ 9);
    let mut play = Play { ctx, clock, random, beside, counts: UsageOutcomes::default() };
    let opening = instant(OPENING);
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
    play.submit(
        opening,
        person(seller),
        Command::PublishPriceBook(PublishPriceBook { book, retroactive: false }),
    )?;

    play.beside(|play| play.fill_catalogue(opening, seller, &customers))?;

    let plans = play.plan(&customers);
    let earlier = play.september(&plans)?;
    let (instances, september) = play.october(seller, plans, earlier)?;
    let october = play.invoice(seller, "2026-11-02T09:00:00Z", ["2026-10-01", "2026-11-01"])?;
    let (customers, computers) = (customers.len(), COMPUTERS.len() + 1);
    Ok(Played { customers, computers, instances, usage: play.counts, runs: vec![september, october] })
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

    /// Does something with the other numbers.
    fn beside<T>(&mut self, doing: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        std::mem::swap(&mut self.random, &mut self.beside);
        let done = doing(self);
        std::mem::swap(&mut self.random, &mut self.beside);
        done
    }

    /// Opens the run of a period, and makes its drafts final.
    fn invoice(&mut self, seller: PartyId, at: &str, [start, stop]: [&str; 2]) -> anyhow::Result<RunId> {
        let period = RunPeriod { start: Bound::Day(start.parse()?), stop: Bound::Day(stop.parse()?) };
        let open = OpenInvoiceRun {
            seller,
            period,
            price_book: None,
            payers: Vec::new(),
            reason: RunReason::Period,
            grace_hours: 0,
            finalise: false,
        };
        let answer = self.submit(instant(at), person(seller), Command::OpenInvoiceRun(open))?;
        let Answer::InvoiceRun(run) = answer else { bail!("an invoice run was answered {answer:?}") };
        invoicing::finalise_blocking(self.ctx, &person(seller), run)?;
        Ok(run)
    }

    /// The tables of the document of 2011.
    fn fill_catalogue(
        &mut self,
        at: Timestamp,
        seller: PartyId,
        customers: &[(PartyId, Customer)],
    ) -> anyhow::Result<()> {
        for entry in world::catalogue(customers)? {
            self.submit(at, person(seller), Command::RecordCatalogueEntry(Box::new(entry)))?;
        }
        Ok(())
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
            let address = |address: String, netmask: &str| NetworkAddress {
                address: address.into(),
                netmask: netmask.into(),
                ..NetworkAddress::default()
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
            for release in &releases {
                self.supply(at, &ComputerId::new(name)?, release)?;
            }
        }
        Ok(())
    }

    fn supply(&mut self, at: Timestamp, id: &ComputerId, release: &SoftwareRelease) -> anyhow::Result<()> {
        let (place, release) = (id.clone(), release.clone());
        let supply =
            SupplySoftware { computer: place, release: release.clone(), state: SupplyState::Available };
        self.submit(at, Actor::system(), Command::SupplySoftware(supply))?;
        let (place, state) = (id.clone(), SoftwareState::Available);
        let report = ReportSoftware { computer: place, release, state, error: None };
        self.submit(at, computer(id), Command::ReportSoftware(report))?;
        Ok(())
    }

    /// Requests an instance for a customer; one that is there already keeps its place, and is used differently.
    fn request(
        &mut self,
        at: Timestamp,
        owner: PartyId,
        planned: Planned,
        known: Option<InstanceId>,
    ) -> anyhow::Result<Living> {
        let wish = (Requester::Party(owner), person(owner), Vec::new());
        let key = known.and_then(|known| self.ctx.key_of(known));
        self.request_by(at, owner, wish, planned, key)
    }

    fn request_by(
        &mut self,
        at: Timestamp,
        owner: PartyId,
        (requester, actor, filter): (Requester, Actor, WantedSla),
        planned: Planned,
        key: Option<KeyId>,
    ) -> anyhow::Result<Living> {
        let parameters = one_parameter("owner-reference", &planned.reference)?;
        let key = key.map_or_else(|| self.ctx.keys().fresh(), Ok)?;
        let request = RequestInstance {
            requester,
            reference: Reference::new(&planned.reference)?,
            release: planned.release.clone(),
            software_type: SoftwareType::new(&planned.software_type)?,
            instance_type: Some(planned.instance_type),
            parameters: self.ctx.keys().seal(key, parameters.as_bytes())?,
            filter,
            state: Some(RequestedState::Started),
            shared: false,
            default_computer: None,
            without_room: WithoutRoom::Wait,
        };
        let Answer::Instance { instance: id, .. } =
            self.submit(at, actor, Command::RequestInstance(request))?
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
        let place = InstancePlace { computer: host.clone(), partition, shared: None };
        let connect = SetConnectionParameters { place: place.clone(), connection };
        self.submit(at, computer(&host), Command::SetConnectionParameters(connect))?;
        let state = ReportedState::Started;
        let started = ReportInstance { place, state, error: None };
        self.submit(at, computer(&host), Command::ReportInstance(started))?;
        Ok(Living { id, owner, planned, busy })
    }

    /// An ERP gets a database and a cache of its own: its root requests them, as `slapos` does, on a new computer.
    fn grow_tree(&mut self, at: Timestamp, seller: PartyId, root: &Living) -> anyhow::Result<Vec<Living>> {
        let (name, partitions, zone) = NEWCOMER;
        let newcomer = ComputerId::new(name)?;
        self.bring_computer(at, seller, name, partitions, zone.parse()?)?;
        self.supply(at, &newcomer, &root.planned.release)?;
        let mut tree = Vec::new();
        for software_type in ["mariadb", "memcached"] {
            let planned = Planned {
                reference: software_type.to_owned(),
                software_type: software_type.to_owned(),
                ..root.planned.clone()
            };
            let filter = vec![("computer_guid".into(), name.into())];
            let wish = (Requester::Instance(root.id), computer(&root.busy.computer), filter);
            let at = at.plus_micros(HOUR / 4);
            tree.push(self.request_by(at, root.owner, wish, planned, None)?);
        }
        Ok(tree)
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
        let place = InstancePlace { computer: host.clone(), partition, shared: None };
        let report = ReportInstance { place, state: ReportedState::Destroyed, error: None };
        self.submit(gone, computer(&host), Command::ReportInstance(report))?;
        one.busy.allocated.stop = gone;
        Ok(())
    }
}
