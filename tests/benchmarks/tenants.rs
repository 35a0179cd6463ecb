//! A provider's data folder: many customers with their instances, and a month of usage of each.
//!
//! Written through the real ledger, by the commands that requests become (names and parameters sealed, a report of each
//! computer being one command), but without HTTP: no route can register ten thousand customers yet, and how fast posts
//! are taken in is another figure. The program opens the folder afterwards as any other.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use slapledger_core::domain::computer::{
    AllocationScope, ConfigureComputer, DescribeComputer, Offer, RegisterComputer, SetAllocationScope,
};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{CommandId, ComputerId, PartitionId, PartyId, ProjectId, Sequence};
use slapledger_core::domain::instance::{RequestInstance, RequestedState, Requester, WithoutRoom};
use slapledger_core::domain::party::{Description, RegisterParty};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{RecordUsage, Revision, SeenIndex, UsageId, UsageOutcome, UsageReport};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::fingerprints::TieredIndex;
use slapledger_core::keyring::{self, KeyRing};
use slapledger_core::ledger::{Clock, Ledger, LedgerOptions, NoIndex, Submission};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::EventStore;
use slapledger_tests::random::Random;

use crate::cloud::{RELEASE, RESOURCES, computer};

/// How many instances there are on a computer.
const PARTITIONS: u64 = 100;
/// Where customers live.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Australia/Sydney",
    "Pacific/Apia",
    "America/Sao_Paulo",
];
/// How many commands are under way at a time: what is written together is synced together.
const SENDERS: usize = 32;
const MINUTE: i64 = 60_000_000;
/// October 2026 in minutes.
const MONTH_MINUTES: u64 = 31 * 1440;

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) customers: u64,
    pub(crate) instances: u64,
    pub(crate) events: u64,
}

/// Fills a new data folder.
pub(crate) fn fill(data: &Path, seed: u64, size: Size) -> anyhow::Result<()> {
    let book = Bookkeeper::open(data, seed, Mode::Proxy)?;
    let size = Size { instances: size.instances.max(1), ..size };
    book.clock.set("2026-09-20T00:00:00Z")?;
    book.seller()?;
    book.all(size.customers, |n, random| book.customer(n, random))?;
    let computers = size.instances.div_ceil(PARTITIONS);
    book.all(computers, |n, _| book.computer(n, PARTITIONS))?;
    book.all(size.instances, |n, random| book.instance(n, size.customers, random))?;
    book.clock.set("2026-11-05T00:00:00Z")?;
    // Each report of a computer is about the same hours of all its instances.
    let each_report = PARTITIONS * RESOURCES.len() as u64;
    let series = size.instances * RESOURCES.len() as u64;
    let minutes = (MONTH_MINUTES / size.events.div_ceil(series).max(1)).clamp(1, 1440);
    let reports = size.events.div_ceil(series) * computers;
    let left = AtomicU64::new(size.events);
    book.all(reports, |n, random| {
        let (slot, of) = (n / computers, n % computers);
        let on_it = PARTITIONS.min(size.instances - of * PARTITIONS) * RESOURCES.len() as u64;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left - on_it.min(each_report).min(left))
        });
        let count = on_it.min(taken.unwrap_or_default());
        book.usage(of, (slot * minutes, minutes), count, random)
    })?;
    ensure!(left.load(Ordering::Relaxed) == 0, "there is less room in the month than events");
    Ok(book.ledger.shut_down()?)
}

/// How large the cloud of a master is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) customers: u64,
    pub(crate) computers: u64,
    pub(crate) partitions: u64,
    pub(crate) instances: u64,
}

/// Fills the data folder of a new master: its computers are open to everybody, in one region in ten, and the master allocates
/// each instance. Returns how long all requests took.
pub(crate) fn fill_master(data: &Path, seed: u64, scale: Scale) -> anyhow::Result<Duration> {
    let Scale { customers, computers, partitions, instances } = scale;
    // It is made again as it is opened.
    std::fs::remove_dir_all(data.join("index")).or_else(absent)?;
    let book = Bookkeeper::open(data, seed, Mode::Serve)?;
    book.clock.set("2026-10-01T00:00:00Z")?;
    book.all(customers, |n, random| book.customer(n, random))?;
    book.all(computers, |n, random| {
        book.computer(n, partitions)?;
        let id = ComputerId::new(&computer(n))?;
        let (scope, software) = (AllocationScope::Open, BTreeSet::new());
        let open = SetAllocationScope { computer: id.clone(), scope, software, capacity: None };
        book.submit(Command::SetAllocationScope(open), random)?;
        let region = [("region".into(), format!("region-{}", n % 10).into())];
        let described = DescribeComputer { computer: id, title: None, attributes: region.into() };
        book.submit(Command::DescribeComputer(described), random)?;
        Ok(())
    })?;
    let began = Instant::now();
    book.all(instances, |n, random| book.request(n, customers, None, random))?;
    let took = began.elapsed();
    book.ledger.shut_down()?;
    Ok(took)
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The one who writes it all down.
struct Bookkeeper {
    ledger: Ledger,
    keys: KeyRing,
    clock: Arc<ByHand>,
    seed: u64,
}

/// A clock set by hand.
struct ByHand(AtomicU64);

impl ByHand {
    fn set(&self, instant: &str) -> anyhow::Result<()> {
        let instant = Timestamp::parse_rfc3339(instant).context("an instant")?;
        self.0.store(instant.micros().cast_unsigned(), Ordering::Relaxed);
        Ok(())
    }
}

impl Clock for ByHand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed).cast_signed()).unwrap_or(Timestamp::MIN)
    }
}

impl Bookkeeper {
    /// As the program opens a folder, but for the views.
    fn open(data: &Path, seed: u64, mode: Mode) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data)?;
        let store: Arc<dyn EventStore> = Arc::new(SledStore::open(&data.join("log"))?);
        let keys = KeyRing::open(&data.join("keys"), &keyring::KeyRingOptions::default())?;
        let (index, key) = (data.join("index"), keys.fingerprint_key());
        let index_at = move |at: Sequence| {
            let new = (at == Sequence::ZERO).then(|| TieredIndex::create(&index, key)).transpose();
            let new = new.map_err(|fault| NoIndex::Damaged(fault.to_string()))?;
            new.map(|index| Box::new(index) as Box<dyn SeenIndex>).ok_or(NoIndex::Absent)
        };
        let clock = Arc::new(ByHand(AtomicU64::new(0)));
        let options = LedgerOptions {
            mode,
            new_ledger: Random::new(seed).sixteen(),
            key_ring: keys.id(),
            program: format!("benchmarks {}", env!("CARGO_PKG_VERSION")),
            queue: 4096,
            snapshot: Some(data.join("state/writer.snapshot")),
            seen: Box::new(index_at),
        };
        let ledger = Ledger::open(store, Arc::clone(&clock) as Arc<dyn Clock>, options)?;
        Ok(Self { ledger, keys, clock, seed })
    }

    /// Does something so many times, several at a time.
    fn all(
        &self,
        count: u64,
        each: impl Fn(u64, &mut Random) -> anyhow::Result<()> + Sync,
    ) -> anyhow::Result<()> {
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            let work = || -> anyhow::Result<()> {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return Ok(());
                    }
                    let mut random = Random::new(self.seed ^ n.wrapping_mul(0xd134_2543_de82_ef95));
                    each(n, &mut random)?;
                }
            };
            let workers: Vec<_> = (0..SENDERS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a sender does not panic"))
        })
    }

    fn submit(&self, command: Command, random: &mut Random) -> anyhow::Result<Answer> {
        let named = random.sixteen();
        let meta = Meta {
            project: ProjectId::DEFAULT,
            actor: Actor::system(),
            command: CommandId(named),
            named_by_sender: false,
            digest: self.keys.command_digest(&[&named]),
            causation: None,
            correlation: None,
            rules: RULES_VERSION,
        };
        Ok(self.ledger.submit_blocking(Submission { meta: Arc::new(meta), command })?.answer)
    }

    /// PARTY-1, who charges 20 % of tax.
    fn seller(&self) -> anyhow::Result<()> {
        let mut random = Random::new(self.seed);
        let name = self.keys.seal(self.keys.fresh()?, b"Example Cloud")?;
        let description =
            Some(Description { country: Some("FR".parse()?), vat_id: true, ..Description::default() });
        self.register(RegisterParty { name, time_zone: "UTC".parse()?, description }, &mut random)?;
        let valid_from = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").context("an instant")?;
        let tax = SetTaxRate { seller: PartyId(1), rate: "20".parse()?, valid_from };
        self.submit(Command::SetTaxRate(tax), &mut random)?;
        Ok(())
    }

    fn customer(&self, n: u64, random: &mut Random) -> anyhow::Result<()> {
        let name = self.keys.seal(self.keys.fresh()?, format!("Customer {n}").as_bytes())?;
        let time_zone = random.pick(&ZONES).parse()?;
        self.register(RegisterParty { name, time_zone, description: None }, random)
    }

    fn register(&self, command: RegisterParty, random: &mut Random) -> anyhow::Result<()> {
        match self.submit(Command::RegisterParty(command), random)? {
            Answer::Party(_) => Ok(()),
            other => bail!("a registration was answered {other:?}"),
        }
    }

    fn computer(&self, n: u64, partitions: u64) -> anyhow::Result<()> {
        let mut random = Random::new(self.seed ^ n);
        let id = ComputerId::new(&computer(n))?;
        let register =
            RegisterComputer { computer: id.clone(), owner: PartyId(1), time_zone: "UTC".parse()? };
        self.submit(Command::RegisterComputer(register), &mut random)?;
        let offer = |n| -> anyhow::Result<Offer> {
            Ok(Offer {
                partition: PartitionId::new(&format!("slappart{n}"))?,
                addresses: Vec::new(),
                tap: None,
                user: None,
                capabilities: Vec::new(),
            })
        };
        let configure = ConfigureComputer {
            computer: id,
            address: "10.0.0.1".into(),
            netmask: "255.0.0.0".into(),
            offers: (0..partitions).map(offer).collect::<anyhow::Result<_>>()?,
            owner_if_new: None,
        };
        self.submit(Command::ConfigureComputer(configure), &mut random)?;
        Ok(())
    }

    fn instance(&self, n: u64, customers: u64, random: &mut Random) -> anyhow::Result<()> {
        self.request(n, customers, Some(ComputerId::new(&computer(n / PARTITIONS))?), random)
    }

    /// On a computer, or wherever there is room.
    fn request(
        &self,
        n: u64,
        customers: u64,
        default_computer: Option<ComputerId>,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let parameters = self.keys.seal(self.keys.fresh()?, br#"{"size": "small"}"#)?;
        let command = RequestInstance {
            requester: Requester::Party(PartyId(2 + n % customers.max(1))),
            reference: format!("instance {n}").parse()?,
            release: RELEASE.parse()?,
            software_type: "default".parse()?,
            instance_type: None,
            parameters,
            filter: Vec::new(),
            state: Some(RequestedState::Started),
            shared: false,
            default_computer,
            without_room: WithoutRoom::Refuse,
        };
        match self.submit(Command::RequestInstance(command), random)? {
            Answer::Instance { allocated: true, .. } => Ok(()),
            other => bail!("a request was answered {other:?}"),
        }
    }

    /// What a computer reports of some minutes of October: the first `count` of its series.
    fn usage(
        &self,
        of: u64,
        (after, minutes): (u64, u64),
        count: u64,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let october = Timestamp::parse_rfc3339("2026-10-01T00:00:00Z").context("an instant")?;
        let at = |minute: u64| october.plus_micros(i64::try_from(minute).unwrap_or(0) * MINUTE);
        let (start, stop) = (at(after), at(after + minutes));
        let mut reports = Vec::with_capacity(usize::try_from(count)?);
        for series in 0..count {
            let (partition, resource) = (series / RESOURCES.len() as u64, series % RESOURCES.len() as u64);
            let millionths = i128::from(random.below(100_000));
            let quantity = Quantity::from_billionths(millionths * 1_000_000).context("a quantity")?;
            reports.push(UsageReport {
                id: UsageId::new(&random.uuid().to_string())?,
                revision: Revision::None,
                subject: format!("slappart{partition}").into(),
                resource: RESOURCES[usize::try_from(resource)?].into(),
                quantity: (quantity.to_string().into(), Ok(quantity)),
                start: Ok(Some(start)),
                stop: Ok(Some(stop)),
                dimensions: Vec::new(),
                node_sequence: None,
            });
        }
        let command = RecordUsage { computer: ComputerId::new(&computer(of))?, reports };
        match self.submit(Command::RecordUsage(command), random)? {
            Answer::Usage(outcomes)
                if outcomes.iter().all(|outcome| matches!(outcome, UsageOutcome::Accepted { .. })) =>
            {
                Ok(())
            }
            other => bail!("usage was answered {other:?}"),
        }
    }
}
