//! A small cloud: commands with a clock set by hand, decided by the domain, taken over by the billing view.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use slapledger_billing::{BillingView, Warning, price_book, run};
use slapledger_core::domain::computer::{ConfigureComputer, Offer, RegisterComputer};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, KeyId, PartyId, ProjectId, RunId, Sequence,
};
use slapledger_core::domain::instance::{
    InstancePlace, InstanceType, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    WithoutRoom,
};
use slapledger_core::domain::invoice::{Bound, LineKind, OpenInvoiceRun, RunPeriod, RunReason};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::pricing::PublishPriceBook;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{
    MemoryIndex, RecordUsage, Revision, Unmeterable, UsageId, UsageOutcome, UsageReport,
};
use slapledger_core::domain::{Answer, Command, Context, Refusal, State};
use slapledger_core::log::envelope::{Actor, Meta, Recorded};
use slapledger_projections::View;
use slapledger_projections::view::Deferred;

pub(crate) const SELLER: PartyId = PartyId(1);
pub(crate) const CPU: &str = "cpu";
pub(crate) const REQUESTS: &str = "requests";

/// 10.00 a month for production, 4.00 for testing; 0.002 for a percent and hour of CPU, 0.0005 for a request.
pub(crate) const BOOK: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [
    { resource = "cpu", kind = "gauge", meter = "time_integral", unit = "percent_hour" },
    { resource = "requests", kind = "counter", meter = "sum", unit = "request" },
]
rates = [
    { kind = "recurring", every = "month", when = "arrears", price = "10.00", match = { instance_type = "production" } },
    { kind = "recurring", every = "month", when = "arrears", price = "4.00", match = { instance_type = "testing" } },
    { kind = "per_unit", resource = "cpu", price = "0.002" },
    { kind = "per_unit", resource = "requests", price = "0.0005" },
]
"#;

pub(crate) struct Cloud {
    pub(crate) state: State,
    pub(crate) view: BillingView,
    pub(crate) log: Vec<Recorded>,
    /// What was commanded, and when.
    pub(crate) commands: Vec<(Timestamp, Command)>,
    /// The sequence of the next event: others may be elsewhere.
    pub(crate) next: Sequence,
    now: Timestamp,
    meta: Arc<Meta>,
    reports: u64,
    /// The key each living instance has its parameters under; never one that another had.
    keys: BTreeMap<(PartyId, String), u64>,
    last_key: u64,
    /// What becomes of an event before the view gets it; false, if it does not get it.
    pub(crate) tamper: Option<fn(&mut Event) -> bool>,
    beside: Beside,
}

/// The same view twice: once with drafts computed at once, once with drafts computed apart, which are taken over some
/// events later. In the end both are the same, byte for byte.
#[derive(Default)]
struct Beside {
    at_once: BillingView,
    live: BillingView,
    apart: VecDeque<Deferred<BillingView>>,
    log: Vec<Recorded>,
    /// Whether documents were issued otherwise than from their drafts.
    otherwise: bool,
    /// Whether it is one of very many: then some lines of each document are proved, and others in the next cloud.
    of_many: bool,
    events: usize,
}

impl Beside {
    fn apply(&mut self, recorded: &Recorded) {
        self.at_once.apply(recorded);
        self.log.push(recorded.clone());
        self.apart.extend(self.live.apply_live(recorded));
        self.events += 1;
        if self.events.is_multiple_of(5) {
            self.finish_one();
        }
    }

    fn finish_one(&mut self) {
        if let Some(work) = self.apart.pop_front() {
            work.run()(&mut self.live);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let unfinished = self.live.snapshot();
        while !self.apart.is_empty() {
            self.finish_one();
        }
        assert!(self.live.snapshot() == self.at_once.snapshot(), "drafts computed apart are others");
        assert!(unfinished == self.at_once.snapshot(), "what is written before they are there is not whole");
        if !self.otherwise {
            let every = if self.of_many { 5 } else { 1 };
            crate::proof::repeat_all(&self.at_once, &self.log, every);
        }
    }
}

/// Where and what; the rest of a request is the same for all.
pub(crate) struct Wanted {
    pub(crate) release: &'static str,
    pub(crate) kind: Option<InstanceType>,
    pub(crate) state: RequestedState,
}

pub(crate) const PRODUCTION: Wanted = Wanted {
    release: "http://example.org/v1",
    kind: Some(InstanceType::Production),
    state: RequestedState::Started,
};

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

pub(crate) fn bound(text: &str) -> Bound {
    text.parse().map_or_else(|_| Bound::Instant(at(text)), Bound::Day)
}

pub(crate) fn sealed(key: u64, content: &str) -> Sealed {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&key.to_le_bytes());
    let mut digest = [0; 16];
    digest[..content.len().min(16)].copy_from_slice(&content.as_bytes()[..content.len().min(16)]);
    Sealed { key: KeyId(id), digest, nonce: [0; 24], ciphertext: content.into() }
}

impl Cloud {
    /// A seller in UTC, PARTY-1, and one computer, COMP-1, with nine partitions; prices as they are told.
    pub(crate) fn new(book: &str) -> Self {
        Self::since("2026-01-01T00:00:00Z", book)
    }

    /// The same, set up at an instant.
    pub(crate) fn since(start: &str, book: &str) -> Self {
        let mut cloud = Self::empty(start);
        cloud.customer("UTC");
        let computer: ComputerId = "COMP-1".parse().expect("a computer");
        let time_zone = "UTC".parse().expect("a zone");
        cloud.execute(Command::RegisterComputer(RegisterComputer {
            computer: computer.clone(),
            owner: SELLER,
            time_zone,
        }));
        let offer = |n| Offer {
            partition: format!("slappart{n}").parse().expect("a partition"),
            addresses: Vec::new(),
            tap: None,
            user: None,
            capabilities: Vec::new(),
        };
        cloud.execute(Command::ConfigureComputer(ConfigureComputer {
            computer,
            address: "::1".into(),
            netmask: "ffff::".into(),
            offers: (0..9).map(offer).collect(),
            owner_if_new: None,
        }));
        cloud.publish(book);
        cloud
    }

    /// Nothing at all.
    pub(crate) fn empty(start: &str) -> Self {
        let meta = Meta {
            project: ProjectId::DEFAULT,
            actor: Actor::system(),
            command: CommandId([0; 16]),
            named_by_sender: false,
            digest: [0; 16],
            causation: None,
            correlation: None,
            rules: 1,
        };
        Self {
            state: State::new(Box::new(MemoryIndex::default())),
            view: BillingView::default(),
            log: Vec::new(),
            commands: Vec::new(),
            next: Sequence(1),
            now: at(start),
            meta: Arc::new(meta),
            reports: 0,
            keys: BTreeMap::new(),
            last_key: 0,
            tamper: None,
            beside: Beside::default(),
        }
    }

    /// Documents are issued otherwise than from their drafts: they cannot be derived again.
    pub(crate) fn issues_otherwise(&mut self) {
        self.beside.otherwise = true;
    }

    /// It is one of thousands, of which each proves some of its lines.
    pub(crate) fn is_of_many(&mut self) {
        self.beside.of_many = true;
    }

    /// A computer with one partition.
    pub(crate) fn computer(&mut self, name: &str) {
        let computer: ComputerId = name.parse().expect(name);
        let (owner, time_zone) = (SELLER, "UTC".parse().expect("a zone"));
        let register = RegisterComputer { computer: computer.clone(), owner, time_zone };
        self.execute(Command::RegisterComputer(register));
        let offers = vec![Offer {
            partition: "slappart0".parse().expect("a partition"),
            addresses: Vec::new(),
            tap: None,
            user: None,
            capabilities: Vec::new(),
        }];
        let (address, netmask) = ("::2".into(), "ffff::".into());
        let configure = ConfigureComputer { computer, address, netmask, offers, owner_if_new: None };
        self.execute(Command::ConfigureComputer(configure));
    }

    /// A report of a computer that counts its reports.
    pub(crate) fn numbered(
        &mut self,
        computer: &str,
        number: u64,
        subject: &str,
        (start, stop): (&str, &str),
    ) {
        let report = UsageReport {
            id: UsageId::new(&format!("{computer} {number}")).expect("an id"),
            revision: Revision::None,
            subject: subject.into(),
            resource: CPU.into(),
            quantity: ("1".into(), Ok("1".parse().expect("a quantity"))),
            start: Ok(Some(at(start))),
            stop: Ok(Some(at(stop))),
            dimensions: Vec::new(),
            node_sequence: Some(number),
        };
        let computer = computer.parse().expect(computer);
        self.execute(Command::RecordUsage(RecordUsage { computer, reports: vec![report] }));
    }

    /// The last event.
    pub(crate) fn now_sequence(&self) -> Sequence {
        Sequence(self.next.0 - 1)
    }

    pub(crate) fn clock(&mut self, text: &str) {
        self.now = at(text);
    }

    /// A command as it was given elsewhere.
    pub(crate) fn repeat(&mut self, (now, command): (Timestamp, Command)) {
        self.now = now;
        self.execute(command);
    }

    pub(crate) fn execute(&mut self, command: Command) -> Answer {
        self.try_execute(command).expect("it is accepted")
    }

    pub(crate) fn try_execute(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.commands.push((self.now, command.clone()));
        let context = Context { now: self.now, next: self.next, project: ProjectId::DEFAULT };
        let outcome = self.state.execute(&context, command)?;
        for (stream, event) in outcome.events {
            let recorded = Recorded {
                sequence: self.next,
                stream: Arc::new(stream),
                stream_version: 1,
                recorded_at: self.now,
                meta: Arc::clone(&self.meta),
                event,
            };
            let mut seen = recorded.clone();
            if self.tamper.is_none_or(|tamper| tamper(&mut seen.event)) {
                self.view.apply(&seen);
                self.beside.apply(&seen);
            }
            self.log.push(recorded);
            self.next = self.next.next();
        }
        Ok(outcome.answer)
    }

    pub(crate) fn publish(&mut self, book: &str) -> u32 {
        let book = price_book::parse_toml(book).expect("a price book");
        match self.execute(Command::PublishPriceBook(PublishPriceBook { book, retroactive: true })) {
            Answer::PriceBook { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn customer(&mut self, zone: &str) -> PartyId {
        let key = self.fresh_key();
        let command = RegisterParty {
            name: sealed(key, "name"),
            time_zone: zone.parse().expect(zone),
            description: None,
        };
        match self.execute(Command::RegisterParty(command)) {
            Answer::Party(party) => party,
            other => panic!("{other:?}"),
        }
    }

    fn fresh_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    pub(crate) fn request(&mut self, owner: PartyId, reference: &str, wanted: &Wanted) -> InstanceId {
        let fresh = self.fresh_key();
        let key = *self.keys.entry((owner, reference.to_owned())).or_insert(fresh);
        let command = RequestInstance {
            requester: Requester::Party(owner),
            reference: reference.parse().expect(reference),
            release: wanted.release.parse().expect("a release"),
            software_type: "default".parse().expect("a type"),
            instance_type: wanted.kind,
            parameters: sealed(key, "parameters"),
            filter: Vec::new(),
            state: Some(wanted.state),
            shared: false,
            default_computer: None,
            without_room: WithoutRoom::Refuse,
        };
        match self.execute(Command::RequestInstance(command)) {
            Answer::Instance { instance, .. } => instance,
            other => panic!("{other:?}"),
        }
    }

    /// Asks an instance away and lets its node say that it is gone.
    pub(crate) fn end(&mut self, owner: PartyId, reference: &str) {
        let gone = Wanted { kind: None, state: RequestedState::Destroyed, ..PRODUCTION };
        let instance = self.request(owner, reference, &gone);
        let allocation = self
            .state
            .project(ProjectId::DEFAULT)
            .instances
            .get(instance)
            .and_then(|known| known.allocation.clone());
        let allocation = allocation.expect("it has a partition");
        self.execute(Command::ReportInstance(ReportInstance {
            place: InstancePlace::new(allocation.computer, allocation.partition),
            state: ReportedState::Destroyed,
            error: None,
        }));
        self.keys.remove(&(owner, reference.to_owned()));
    }

    /// One report under an id of its own; returns what became of it.
    pub(crate) fn usage(
        &mut self,
        about: (&str, &str),
        quantity: &str,
        period: (&str, &str),
    ) -> UsageOutcome {
        self.reports += 1;
        let id = format!("report {}", self.reports);
        self.report(&id, Revision::None, about, quantity, (at(period.0), at(period.1)))
    }

    pub(crate) fn report(
        &mut self,
        id: &str,
        revision: Revision,
        (subject, resource): (&str, &str),
        quantity: &str,
        (start, stop): (Timestamp, Timestamp),
    ) -> UsageOutcome {
        self.grouped(id, revision, (subject, resource), quantity, (start, stop), &[])
    }

    pub(crate) fn grouped(
        &mut self,
        id: &str,
        revision: Revision,
        (subject, resource): (&str, &str),
        quantity: &str,
        (start, stop): (Timestamp, Timestamp),
        dimensions: &[(&str, &str)],
    ) -> UsageOutcome {
        let report = UsageReport {
            id: UsageId::new(id).expect(id),
            revision,
            subject: subject.into(),
            resource: resource.into(),
            quantity: (quantity.into(), quantity.parse().map_err(|_| Unmeterable::NotANumber)),
            start: Ok(Some(start)),
            stop: Ok(Some(stop)),
            dimensions: dimensions.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            node_sequence: None,
        };
        let computer = "COMP-1".parse().expect("a computer");
        match self.execute(Command::RecordUsage(RecordUsage { computer, reports: vec![report] })) {
            Answer::Usage(outcomes) => outcomes[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn open_run(&mut self, start: &str, stop: &str) -> RunId {
        self.open_run_for(&[], start, stop)
    }

    /// A run for some payers.
    pub(crate) fn open_run_for(&mut self, payers: &[PartyId], start: &str, stop: &str) -> RunId {
        self.open_run_because(RunReason::Period, payers, start, stop)
    }

    pub(crate) fn open_run_because(
        &mut self,
        reason: RunReason,
        payers: &[PartyId],
        start: &str,
        stop: &str,
    ) -> RunId {
        let period = RunPeriod { start: bound(start), stop: bound(stop) };
        match self.execute(Command::OpenInvoiceRun(OpenInvoiceRun {
            seller: SELLER,
            period,
            price_book: None,
            payers: payers.to_vec(),
            reason,
            grace_hours: 0,
            finalise: false,
        })) {
            Answer::InvoiceRun(run) => run,
            other => panic!("{other:?}"),
        }
    }

    /// The lines of all documents of a run, without what is the same for all.
    pub(crate) fn lines(&self, run: RunId) -> Vec<String> {
        let mut shown = Vec::new();
        for document in self.view.billing.documents_of(run) {
            for line in &document.invoice.lines {
                let (payer, price) =
                    (document.invoice.buyer.party, line.unit_price.expect("a price for one"));
                let version = line.price_book.as_ref().expect("a version").version;
                let what = line.description.split_once(" (").expect("a quantity").0;
                shown.push(format!(
                    "{payer}: {what}: {} {} x {price} = {} v{version}",
                    line.quantity, line.unit, line.amount
                ));
            }
        }
        shown
    }

    /// The lines of all documents of a run: kind, what it is about, quantity, and amount with the residue of rounding.
    pub(crate) fn charges(&self, run: RunId) -> Vec<String> {
        let documents = self.view.billing.documents_of(run).map(|document| &document.invoice);
        let lines = documents.flat_map(|invoice| invoice.lines.iter().map(move |line| (invoice, line)));
        let shown = lines.map(|(invoice, line)| {
            let kind =
                serde_json::to_value(&line.kind).expect("a kind")["kind"].as_str().unwrap_or("").to_owned();
            let what = match &line.kind {
                LineKind::Usage { resource } => format!("usage of {resource}"),
                _ => kind,
            };
            let of = line.instance.map_or("all".to_owned(), |instance| instance.to_string());
            let group: Vec<String> =
                line.dimensions.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            let group = group.concat();
            let cites = line
                .cites
                .as_ref()
                .map_or(String::new(), |cites| format!(" of {} line {}", cites.invoice, cites.line));
            format!(
                "{}: {of} {what}{group}{cites}: {} {} = {} ({})",
                invoice.buyer.party, line.quantity, line.unit, line.amount, line.residue
            )
        });
        shown.collect()
    }

    /// Makes all drafts of a run final, and then the run.
    pub(crate) fn finalise(&mut self, run: RunId) {
        self.try_finalise(run).expect("all drafts become final");
    }

    /// The same, unless one is refused.
    pub(crate) fn try_finalise(&mut self, run: RunId) -> Result<(), Refusal> {
        let drafts = run::finalise_drafts(&self.view.billing, run, |_, party| Ok::<_, ()>(party.clone()));
        let drafts: Vec<_> = drafts.expect("it is over").map(|draft| draft.expect("it is sealed")).collect();
        for draft in drafts {
            self.try_execute(Command::FinaliseInvoice(Box::new(draft)))?;
        }
        let close = run::finalise_run(&self.view.billing, run);
        self.try_execute(Command::FinaliseInvoiceRun(close)).map(drop)
    }

    /// Opens a run for October 2026 and shows its lines.
    pub(crate) fn october(&mut self) -> Vec<String> {
        let run = self.open_run("2026-10-01", "2026-11-01");
        self.lines(run)
    }

    /// What a run warns of, but for gaps in what computers report.
    pub(crate) fn warnings(&self, run: RunId) -> Vec<String> {
        self.warnings_that(run, |warning| !Self::is_gap(warning))
    }

    /// What a run says of gaps in what computers report.
    pub(crate) fn gap_warnings(&self, run: RunId) -> Vec<String> {
        self.warnings_that(run, Self::is_gap)
    }

    fn is_gap(warning: &Warning) -> bool {
        warning.computer().is_some() || matches!(warning, Warning::MoreComputers { .. })
    }

    fn warnings_that(&self, run: RunId, wanted: impl Fn(&Warning) -> bool) -> Vec<String> {
        let warnings = self.view.billing.run(run).expect("a run").warnings.iter();
        warnings.filter(|warning| wanted(warning)).map(ToString::to_string).collect()
    }

    /// The view as it is when all events are read again.
    pub(crate) fn rebuilt(&self) -> BillingView {
        let mut view = BillingView::default();
        self.log.iter().for_each(|recorded| view.apply(recorded));
        view
    }

    /// The sequences of events for which a condition holds.
    pub(crate) fn sequences(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Sequence> {
        self.log.iter().filter(|recorded| wanted(&recorded.event)).map(|recorded| recorded.sequence).collect()
    }
}
