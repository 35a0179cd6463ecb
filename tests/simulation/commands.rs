//! Random commands: mostly sensible, from a universe so small that they meet each other.

use slapledger_billing::Billing;
use slapledger_core::domain::Command;
use slapledger_core::domain::catalogue::{
    CatalogueEntry, CatalogueTable, RecordCatalogueEntry, RemoveCatalogueEntry,
};
use slapledger_core::domain::computer::{
    AllocationScope, BangComputer, ConfigureComputer, DescribeComputer, NetworkAddress, NoticeSilence, Offer,
    RegisterComputer, RequestComputer, RetireComputer, SetAllocationScope,
};
use slapledger_core::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, PriceBookName, Reference, ResourceId, Sequence,
    SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{
    BangInstance, InstancePlace, InstanceType, ReleasePartition, RenameInstance, ReportInstance,
    ReportedState, RequestInstance, RequestedAgain, RequestedState, Requester, SetConnectionParameters,
    WithoutRoom,
};
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::pricing::{
    Conversion, DiscountLimits, Every, FeeEnd, FeeTerms, InvoiceTerms, Match, Meter, Model, Of, OnChange,
    OnTaxChange, Per, PriceBook, PublishPriceBook, Rate, Reduction, Resource, ResourceKind, Tariff, When,
};
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::software_schema::SupplySoftwareSchema;
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};
use slapledger_core::domain::usage::{
    AcceptDueUsage, DismissSuspendedUsage, RecordUsage, ResolveSuspendedUsage, Revision, Unmeterable,
    UnreadableInstant, UsageId, UsageReport, VoidRequest, VoidUsage,
};
use slapledger_tests::random::Random;

use crate::facts::{Fact, ProjectFacts};

/// In microseconds.
pub(crate) const MINUTE: i64 = 60 * 1_000_000;

/// Makes commands.
pub(crate) struct CommandSender {
    pub(crate) random: Random,
    /// What was reported, to be reported again.
    reported: Vec<(ComputerId, UsageReport)>,
}

impl CommandSender {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, reported: Vec::new() }
    }

    /// A command, with some idea of what is there, what is billed and what time it is.
    pub(crate) fn command(&mut self, facts: &ProjectFacts, billing: &Billing, now: Timestamp) -> Command {
        match self.random.below(130) {
            0..4 => self.register_party(),
            4..7 => {
                let owner = PartyId(1);
                Command::RegisterComputer(RegisterComputer {
                    computer: self.computer(),
                    owner,
                    time_zone: TimeZone::UTC,
                })
            }
            7..12 => self.configure(),
            12..16 => self.software(facts),
            16..23 => self.about_computer(facts, now),
            23..46 => self.request(facts),
            46..57 => self.report_instance(facts),
            57..61 => self.connect(facts),
            61..65 => self.speak(facts),
            65..88 => self.record(facts, now),
            88..92 => self.resolve(facts, now),
            92 => self.void_or_accept(facts),
            93 => {
                let suspended = self.suspended(facts);
                Command::DismissSuspendedUsage(DismissSuspendedUsage {
                    suspended,
                    reason: "a simulation".into(),
                })
            }
            94..97 => self.price_book(),
            _ => self.about_money(facts, billing, now),
        }
    }

    fn register_party(&mut self) -> Command {
        let key = KeyId(self.random.sixteen());
        let name = self.sealed(key);
        Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None })
    }

    fn configure(&mut self) -> Command {
        let count = self.random.below(7);
        let mut offers: Vec<Offer> = (0..count).map(|n| self.offer(n)).collect();
        if self.random.once_in(4) && !offers.is_empty() {
            offers.remove(0);
        }
        if self.random.once_in(20) {
            offers.extend(offers.first().cloned());
        }
        let owner_if_new = (!self.random.once_in(3)).then_some(PartyId(1));
        let address = format!("10.0.0.{}", self.random.below(2)).into();
        let (computer, netmask) = (self.computer(), "255.255.255.0".into());
        Command::ConfigureComputer(ConfigureComputer { computer, address, netmask, offers, owner_if_new })
    }

    fn offer(&mut self, n: u64) -> Offer {
        let (address, netmask) = (format!("10.1.0.{n}").into(), "255.255.255.255".into());
        let address = NetworkAddress { address, netmask, ..NetworkAddress::default() };
        // Now and then partitions swap their users.
        let user = if self.random.once_in(10) { n + 1 } else { n };
        Offer {
            partition: partition(n),
            addresses: vec![address],
            tap: self.random.once_in(2).then(|| format!("tap{n}").into()),
            user: Some(format!("slapuser{user}").into()),
            capabilities: (n == 3).then(|| "gpu".into()).into_iter().collect(),
        }
    }

    fn software(&mut self, facts: &ProjectFacts) -> Command {
        let (computer, release) = (self.computer(), self.release());
        if self.random.once_in(2) {
            let state = if self.random.once_in(3) { SupplyState::Destroyed } else { SupplyState::Available };
            return Command::SupplySoftware(SupplySoftware { computer, release, state });
        }
        let supplied: Vec<_> = facts.supplies.iter().collect();
        let (computer, release) = if supplied.is_empty() || self.random.once_in(4) {
            (computer, release)
        } else {
            (*self.random.pick(&supplied)).clone()
        };
        let states = [
            SoftwareState::Building,
            SoftwareState::Available,
            SoftwareState::Destroyed,
            SoftwareState::Error,
        ];
        let state = *self.random.pick(&states);
        let error = (state == SoftwareState::Error).then(|| self.sealed(KeyId([2; 16])));
        Command::ReportSoftware(ReportSoftware { computer, release, state, error })
    }

    fn request(&mut self, facts: &ProjectFacts) -> Command {
        let requester = if self.random.once_in(3) {
            Requester::Instance(self.instance(facts))
        } else {
            Requester::Party(PartyId(self.random.below(3) + 1))
        };
        let reference = self.reference();
        let shared = self.random.once_in(4);
        let known = facts.find(requester, shared, &reference).map(|(_, fact)| fact.key);
        let key = match known {
            Some(key) if !self.random.once_in(15) => key,
            _ => KeyId(self.random.sixteen()),
        };
        let states = [RequestedState::Started, RequestedState::Stopped, RequestedState::Destroyed];
        let filter = self.filter(facts);
        Command::RequestInstance(RequestInstance {
            requester,
            reference,
            release: self.release(),
            software_type: SoftwareType::new("default").expect("a software type"),
            instance_type: self.random.once_in(5).then_some(InstanceType::Testing),
            parameters: if self.random.once_in(60) { self.long(key) } else { self.sealed(key) },
            filter,
            state: self.random.once_in(2).then(|| *self.random.pick(&states)),
            shared,
            default_computer: self.random.once_in(3).then(|| self.computer()),
            without_room: if self.random.once_in(2) { WithoutRoom::Refuse } else { WithoutRoom::Wait },
        })
    }

    fn reference(&mut self) -> Reference {
        Reference::new(&format!("instance {}", self.random.below(9))).expect("a reference")
    }

    fn filter(&mut self, facts: &ProjectFacts) -> Vec<(Box<str>, Box<str>)> {
        let pair = |key: &str, value: &str| vec![(key.into(), value.into())];
        match self.random.below(16) {
            0..3 => pair("computer_guid", self.computer().as_str()),
            3 => pair("region", "europe"),
            4 => pair("capability", "gpu"),
            5 => pair("mode", "unique_by_network"),
            6 => pair("instance_guid", &self.instance(facts).to_string()),
            7 => pair("instance_guid", "slappart0"),
            8 => pair("nonsense", "x"),
            _ => Vec::new(),
        }
    }

    /// What providers say of computers, and computers of themselves; products, and the catalogue.
    fn about_computer(&mut self, facts: &ProjectFacts, now: Timestamp) -> Command {
        let computer = self.computer();
        match self.random.below(7) {
            0 => {
                let pairs = [("region", "europe/france"), ("network_guid", "n")];
                let kept = pairs.into_iter().filter(|_| self.random.once_in(2));
                let attributes = kept.map(|(key, value)| (key.into(), value.into())).collect();
                Command::DescribeComputer(DescribeComputer { computer, title: None, attributes })
            }
            1 => {
                let scopes = [
                    AllocationScope::Open,
                    AllocationScope::Personal,
                    AllocationScope::Group(vec![PartyId(2)]),
                    AllocationScope::Closed,
                ];
                let software = self.random.once_in(4).then(|| self.release()).into_iter().collect();
                let capacity = self.random.once_in(4).then_some(3);
                let scope = self.random.pick(&scopes).clone();
                Command::SetAllocationScope(SetAllocationScope { computer, scope, software, capacity })
            }
            2 => {
                let silent = facts.silent();
                if !silent.is_empty() && self.random.once_in(2) {
                    let computer = (*self.random.pick(&silent)).clone();
                    return Command::NoticeSilence(NoticeSilence { computer, since: None });
                }
                let since = (!self.random.once_in(3)).then_some(now);
                Command::NoticeSilence(NoticeSilence { computer, since })
            }
            3 if self.random.once_in(12) => {
                let again = self.requested_again(facts, &computer);
                Command::RetireComputer(RetireComputer { computer, again })
            }
            3 if self.random.once_in(2) => {
                let (computer, partition) = self.place(facts);
                let again = self.requested_again(facts, &computer);
                Command::ReleasePartition(ReleasePartition { computer, partition, again })
            }
            3 => Command::BangComputer(BangComputer { computer, message: None }),
            4 => {
                let (owner, title) = (PartyId(1), format!("computer {}", self.random.below(3)).into());
                Command::RequestComputer(RequestComputer { owner, title, time_zone: TimeZone::UTC })
            }
            5 if self.random.once_in(4) => {
                let (release, supplier) = (self.release(), PartyId(self.random.below(2) + 1));
                let schema = if self.random.once_in(2) { "{}" } else { "[]" }.into();
                Command::SupplySoftwareSchema(SupplySoftwareSchema { release, schema, supplier })
            }
            5 => {
                let entry =
                    Reference::new(if self.random.once_in(2) { "one" } else { "two" }).expect("a name");
                if self.random.once_in(3) {
                    return Command::RemoveCatalogueEntry(RemoveCatalogueEntry { entry });
                }
                let title = if self.random.once_in(2) { "One" } else { "Two" };
                let says = CatalogueEntry {
                    table: CatalogueTable::Story,
                    title: title.into(),
                    category: None,
                    software: None,
                    stage: None,
                    status: None,
                    recipe: None,
                    ticks: None,
                    applications: Vec::new(),
                    // There may be no such party.
                    customer: Some(PartyId(self.random.below(4) + 1)),
                    stack: None,
                    guest: None,
                };
                Command::RecordCatalogueEntry(Box::new(RecordCatalogueEntry { entry, says }))
            }
            _ => {
                let (product, release) = (Reference::new("product").expect("a product"), self.release());
                let publisher = PartyId(self.random.below(2) + 1);
                Command::PublishSoftwareRelease(PublishSoftwareRelease { product, release, publisher })
            }
        }
    }

    /// Most of what is on a computer, to be requested again.
    fn requested_again(&mut self, facts: &ProjectFacts, computer: &ComputerId) -> Vec<RequestedAgain> {
        let here = facts.occupants.iter().filter(|((on, _), _)| on == computer);
        let here: Vec<_> = here.map(|(_, id)| (*id, facts.instances[id].parameters)).collect();
        let named = here.into_iter().filter(|_| !self.random.once_in(6)).collect::<Vec<_>>();
        let sealed = named.into_iter().map(|(instance, parameters_were)| {
            let key = KeyId(self.random.sixteen());
            let parameters = if self.random.once_in(60) { self.long(key) } else { self.sealed(key) };
            RequestedAgain { instance, parameters_were, parameters }
        });
        sealed.collect()
    }

    /// An instance, or a shared one on it, bangs or takes another name.
    fn speak(&mut self, facts: &ProjectFacts) -> Command {
        let (computer, partition) = self.place(facts);
        let occupant = facts.occupants.get(&(computer.clone(), partition.clone())).copied();
        let lives = |fact: &&Fact| fact.host.is_some() && fact.host == occupant && !fact.ended;
        let shares: Vec<_> =
            facts.instances.iter().filter(|(_, fact)| lives(fact)).map(|(id, _)| *id).collect();
        let on_it = self.random.once_in(2) && !shares.is_empty();
        let meant = on_it.then(|| *self.random.pick(&shares));
        let place = InstancePlace { shared: meant, ..InstancePlace::new(computer, partition) };
        if self.random.once_in(2) {
            return Command::BangInstance(BangInstance { place, message: None });
        }
        Command::RenameInstance(RenameInstance { place, reference: self.reference() })
    }

    fn report_instance(&mut self, facts: &ProjectFacts) -> Command {
        let doomed: Vec<_> = facts
            .occupants
            .iter()
            .filter(|(_, instance)| facts.instances[*instance].state == RequestedState::Destroyed)
            .map(|(place, _)| place.clone())
            .collect();
        let (computer, partition, state) = if !doomed.is_empty() && !self.random.once_in(3) {
            let (computer, partition) = self.random.pick(&doomed).clone();
            (computer, partition, ReportedState::Destroyed)
        } else {
            let (computer, partition) = self.place(facts);
            let states = [
                ReportedState::Started,
                ReportedState::Stopped,
                ReportedState::Destroyed,
                ReportedState::Error,
            ];
            (computer, partition, *self.random.pick(&states))
        };
        let key = self.key_at(facts, &computer, &partition);
        let error = (state == ReportedState::Error).then(|| self.sealed(key));
        Command::ReportInstance(ReportInstance {
            place: InstancePlace::new(computer, partition),
            state,
            error,
        })
    }

    fn connect(&mut self, facts: &ProjectFacts) -> Command {
        let (computer, partition) = self.place(facts);
        let key = self.key_at(facts, &computer, &partition);
        let connection = self.sealed(key);
        Command::SetConnectionParameters(SetConnectionParameters {
            place: InstancePlace::new(computer, partition),
            connection,
        })
    }

    fn record(&mut self, facts: &ProjectFacts, now: Timestamp) -> Command {
        let taken: Vec<&ComputerId> = facts.occupants.keys().map(|(computer, _)| computer).collect();
        let computer = match taken.as_slice() {
            [] => self.computer(),
            _ if self.random.once_in(8) => self.computer(),
            taken => (*self.random.pick(taken)).clone(),
        };
        let mut reports = Vec::new();
        for _ in 0..=self.random.below(8) {
            let known: Vec<&UsageReport> = self
                .reported
                .iter()
                .filter(|(from, _)| *from == computer)
                .map(|(_, report)| report)
                .collect();
            let report = if known.is_empty() || !self.random.once_in(4) {
                self.report(&computer, facts, now)
            } else {
                (*self.random.pick(&known)).clone()
            };
            self.reported.push((computer.clone(), report.clone()));
            reports.push(report);
        }
        Command::RecordUsage(RecordUsage { computer, reports })
    }

    fn report(&mut self, computer: &ComputerId, facts: &ProjectFacts, now: Timestamp) -> UsageReport {
        let (id, revision) = self.identity();
        let here: Vec<_> = facts.occupants.iter().filter(|((on, _), _)| on == computer).collect();
        let stop = now.plus_micros(self.random.between(-300, 10) * MINUTE);
        let mut period = (stop.plus_micros(self.random.between(-120, 0) * MINUTE), stop);
        let subject = match self.random.below(24) {
            0 => String::new(),
            1 => "nobody".into(),
            2 => computer.to_string(),
            3 => self.instance(facts).to_string(),
            4 => format!("slapuser{}", self.random.below(6)),
            5 => format!("slappart{}", self.random.below(6)),
            _ if here.is_empty() => computer.to_string(),
            _ => {
                // Mostly while somebody was there; now and then from before.
                let ((_, partition), instance) = *self.random.pick(&here);
                let from = facts.instances[instance].from.unwrap_or(now);
                let before = if self.random.once_in(8) { self.random.between(0, 60) * MINUTE } else { 0 };
                let until = from.max(now).micros();
                let start = self.random.between(from.micros(), until);
                let stop = self.random.between(start, until);
                period = (
                    from.plus_micros(start - from.micros() - before),
                    from.plus_micros(stop - from.micros()),
                );
                partition.to_string()
            }
        };
        let quantity = match self.random.below(40) {
            0 => ("NaN".into(), Err(Unmeterable::NotANumber)),
            1 => ("INF".into(), Err(Unmeterable::Infinite)),
            _ => {
                let thousandths = self.random.between(-5, 200);
                let quantity =
                    Quantity::from_billionths(i128::from(thousandths) * 1_000_000).expect("a quantity");
                (quantity.to_string().into(), Ok(quantity))
            }
        };
        UsageReport {
            id: UsageId::new(&id).expect("an id"),
            revision,
            subject: subject.into(),
            resource: format!("resource {}", self.random.below(2)).into(),
            quantity,
            start: if self.random.once_in(40) {
                Err(UnreadableInstant::malformed("yesterday"))
            } else {
                Ok((!self.random.once_in(5)).then_some(period.0))
            },
            stop: match self.random.below(80) {
                0 => Err(UnreadableInstant::malformed("tomorrow")),
                1 => Ok(None),
                _ => Ok(Some(period.1)),
            },
            dimensions: Vec::new(),
            node_sequence: self.random.once_in(4).then(|| self.random.below(3)),
        }
    }

    fn identity(&mut self) -> (String, Revision) {
        match self.random.below(4) {
            // Daily reports: a later one takes the place of an earlier one.
            0 => (format!("day {}", self.random.below(12)), Revision::Latest),
            1 => {
                let kinds = ["event", "correction", "day"];
                let other = format!("{} {}", self.random.pick::<&str>(&kinds), self.random.below(40));
                let other = UsageId::new(&other).expect("an id");
                (format!("correction {}", self.random.below(40)), Revision::Replaces(other))
            }
            2 => (self.random.uuid().to_string(), Revision::None),
            _ => (format!("event {}", self.random.below(40)), Revision::None),
        }
    }

    fn resolve(&mut self, facts: &ProjectFacts, now: Timestamp) -> Command {
        let suspended = self.suspended(facts);
        let stop = now.plus_micros(-self.random.between(0, 60) * MINUTE);
        let period = Period::new(stop.plus_micros(-10 * MINUTE), stop);
        Command::ResolveSuspendedUsage(ResolveSuspendedUsage {
            suspended,
            subject: Some(self.computer().as_str().into()),
            resource: None,
            quantity: self.random.once_in(2).then_some(Quantity::ZERO),
            period: period.filter(|_| !self.random.once_in(3)),
        })
    }

    /// Voids what was reported, or accepts what waits, whether or not its time has come.
    fn void_or_accept(&mut self, facts: &ProjectFacts) -> Command {
        if self.random.once_in(3) {
            let suspended = (0..=self.random.below(4)).map(|_| self.suspended(facts)).collect();
            return Command::AcceptDueUsage(AcceptDueUsage { suspended });
        }
        let (computer, voids) = if self.reported.is_empty() || self.random.once_in(8) {
            (self.computer(), UsageId::new("nobody's").expect("an id"))
        } else {
            let (computer, report) = self.random.pick(&self.reported);
            (computer.clone(), report.id.clone())
        };
        let own = self.random.once_in(2).then(|| format!("void {}", self.random.below(20)));
        let id = own.map(|own| UsageId::new(&own).expect("an id"));
        let request = VoidRequest { id, voids, reason: "a simulation".into() };
        let more = self.random.once_in(4).then(|| request.clone());
        Command::VoidUsage(VoidUsage { computer, voids: [request].into_iter().chain(more).collect() })
    }

    fn suspended(&mut self, facts: &ProjectFacts) -> Sequence {
        let open: Vec<u64> = facts.suspended.keys().copied().collect();
        let any = self.random.below(facts.last + 1);
        Sequence(if open.is_empty() || self.random.once_in(8) { any } else { *self.random.pick(&open) })
    }

    fn price_book(&mut self) -> Command {
        let resource = ResourceId::new("resource 0").expect("a resource");
        let price = Price::from_billionths(i128::from(self.random.below(5_000_000_000))).expect("a price");
        let declared = Resource {
            resource: resource.clone(),
            kind: ResourceKind::Counter,
            meter: Meter::Sum,
            unit: "piece".into(),
            conversion: Conversion::NONE,
            group_by: Vec::new(),
            most: None,
            carry_over: false,
        };
        let (per, free, tariff) = (Per::Instance, Quantity::ZERO, Tariff::PerUnit { price });
        let usage = Model::Usage { resource, per, free, tariff };
        let mut rates = vec![Rate { model: usage, trial: None, matching: Match::default() }];
        if self.random.once_in(4) {
            let when = if self.random.once_in(2) { When::Advance } else { When::Arrears };
            let recurring = Model::Recurring {
                item: "".into(),
                price,
                every: Every::Month,
                when,
                until: FeeEnd::default(),
                terms: FeeTerms::default(),
            };
            rates.push(Rate { model: recurring, trial: None, matching: Match::default() });
        }
        if self.random.once_in(4) {
            let discount = Model::Discount {
                item: "".into(),
                reduction: Reduction::Percent(
                    Quantity::from_billionths(7_500_000_000).expect("a percentage"),
                ),
                of: Of::All,
                order: 0,
                code: Some("CODE".into()).filter(|_| self.random.once_in(2)),
                limits: DiscountLimits::default(),
            };
            rates.push(Rate { model: discount, trial: None, matching: Match::default() });
        }
        if self.random.once_in(10) {
            rates.extend(rates.first().cloned()); // a tie
        }
        let on_tax_change = if self.random.once_in(2) { OnTaxChange::Cut } else { OnTaxChange::LastInstant };
        let names = ["standard", "special"];
        let book = PriceBook {
            name: PriceBookName::new(names[usize::from(self.random.once_in(3))]).expect("a name"),
            currency: Currency::EUR,
            valid_from: Timestamp::from_micros(0).expect("1970"),
            rounding: Rounding::HalfUp,
            on_change: OnChange::default(),
            terms: InvoiceTerms { on_tax_change, ..InvoiceTerms::default() },
            resources: vec![declared],
            rates,
        };
        Command::PublishPriceBook(PublishPriceBook { book, retroactive: true })
    }

    pub(crate) fn computer(&mut self) -> ComputerId {
        ComputerId::new(&format!("COMP-{}", self.random.below(4))).expect("a computer")
    }

    pub(crate) fn release(&mut self) -> SoftwareRelease {
        SoftwareRelease::new(&format!("http://release/{}", self.random.below(3))).expect("a release")
    }

    pub(crate) fn instance(&mut self, facts: &ProjectFacts) -> InstanceId {
        InstanceId(self.random.below(facts.instances.len() as u64 + 1) + 1)
    }

    /// Mostly one where somebody sits.
    fn place(&mut self, facts: &ProjectFacts) -> (ComputerId, PartitionId) {
        let taken: Vec<_> = facts.occupants.keys().collect();
        if taken.is_empty() || self.random.once_in(6) {
            return (self.computer(), partition(self.random.below(6)));
        }
        (*self.random.pick(&taken)).clone()
    }

    fn key_at(&mut self, facts: &ProjectFacts, computer: &ComputerId, partition: &PartitionId) -> KeyId {
        let there = facts.occupants.get(&(computer.clone(), partition.clone()));
        match there {
            Some(instance) if !self.random.once_in(15) => facts.instances[instance].key,
            _ => KeyId(self.random.sixteen()),
        }
    }

    /// One of three values under a key.
    /// A value that is stored in parts.
    fn long(&mut self, key: KeyId) -> Sealed {
        let mut long = self.sealed(key);
        long.digest[14] ^= 1;
        long.ciphertext.resize(100_000, 7);
        long
    }

    pub(crate) fn sealed(&mut self, key: KeyId) -> Sealed {
        let mut digest = key.0;
        let value = self.random.below(3);
        digest[15] ^= value.to_le_bytes()[0];
        Sealed { key, digest, nonce: [0; 24], ciphertext: value.to_le_bytes().to_vec() }
    }
}

fn partition(n: u64) -> PartitionId {
    PartitionId::new(&format!("slappart{n}")).expect("a partition")
}
