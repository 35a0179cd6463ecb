//! What instances were, and when: all of their past that a price can depend on, and the events that made it.
//!
//! A fold of the events of instances. It holds no amounts and no usage, and forgets nothing: a period of any year
//! can be rated.

use std::collections::BTreeMap;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use slapledger_core::domain::event::EventOfInstance;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, Sequence, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{
    InstanceAllocated, InstanceChanged, InstanceEnded, InstanceRequested, InstanceType, RequestedState,
};
use slapledger_core::domain::pricing::{BaseFeeTime, FeeEnd, Matched, Model, Proration, Rate};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::CopyOnWrite;

/// The changes of an instance's state that prices look at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatesPriced {
    /// All of them: a rate names a state.
    pub(crate) all: bool,
    /// Those to and from `destroyed`: a fee or a minimum ends there.
    pub(crate) destroyed: bool,
}

impl StatesPriced {
    pub(crate) fn of(rate: &Rate) -> Self {
        let destroyed = match &rate.model {
            Model::Recurring { until, .. } => *until == FeeEnd::DestroyRequested,
            Model::Minimum { proration, .. } => *proration == Proration::Allocated,
            Model::BaseFee { owed, .. } => *owed == BaseFeeTime::Allocated,
            Model::Usage { .. }
            | Model::Percentage { .. }
            | Model::Discount { .. }
            | Model::Maximum { .. } => false,
        };
        Self { all: rate.matching.state.is_some(), destroyed }
    }
}

/// All instances that ever were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histories {
    by_id: BTreeMap<InstanceId, CopyOnWrite<History>>,
    /// Those of each owner, ascending; derived from the other.
    of_owner: BTreeMap<PartyId, CopyOnWrite<Vec<InstanceId>>>,
}

impl Encode for Histories {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.by_id.encode(encoder)
    }
}

impl<Context> Decode<Context> for Histories {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let by_id: BTreeMap<InstanceId, CopyOnWrite<History>> = Decode::decode(decoder)?;
        let mut of_owner: BTreeMap<PartyId, CopyOnWrite<Vec<InstanceId>>> = BTreeMap::new();
        for (id, history) in &by_id {
            of_owner.entry(history.owner).or_default().push(*id);
        }
        Ok(Self { by_id, of_owner })
    }
}

bincode::impl_borrow_decode!(Histories);

/// The past of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct History {
    pub(crate) owner: PartyId,
    /// The root of its tree.
    pub(crate) root: InstanceId,
    pub(crate) reference: Reference,
    /// What it was, each until the next; the first since it was requested.
    attributes: Vec<Attributes>,
    pub(crate) allocation: Option<AllocationHistory>,
}

/// What an instance was from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Attributes {
    since: Timestamp,
    by: Sequence,
    pub(crate) release: SoftwareRelease,
    pub(crate) software_type: SoftwareType,
    pub(crate) instance_type: InstanceType,
    /// The state its owner requested.
    pub(crate) state: RequestedState,
}

/// Where an instance was, since when and until when: it does not move.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AllocationHistory {
    pub(crate) computer: ComputerId,
    pub(crate) partition: PartitionId,
    from: (Timestamp, Sequence),
    until: Option<(Timestamp, Sequence)>,
}

impl Histories {
    pub(crate) fn get(&self, instance: InstanceId) -> Option<&History> {
        self.by_id.get(&instance).map(|history| &**history)
    }

    /// All instances.
    pub(crate) fn all(&self) -> impl Iterator<Item = (InstanceId, &History)> {
        self.by_id.iter().map(|(id, history)| (*id, &**history))
    }

    /// Everybody who has, or had, any.
    pub(crate) fn owners(&self) -> impl Iterator<Item = PartyId> {
        self.of_owner.keys().copied()
    }

    /// All instances of one.
    pub(crate) fn of(&self, owner: PartyId) -> Vec<(InstanceId, &History)> {
        let ids = self.of_owner.get(&owner).into_iter().flat_map(|ids| ids.iter());
        ids.filter_map(|id| Some((*id, self.get(*id)?))).collect()
    }

    pub(crate) fn apply(&mut self, event: EventOfInstance<'_>, sequence: Sequence) {
        match event {
            EventOfInstance::InstanceRequested(event) => self.requested(event, sequence),
            EventOfInstance::InstanceChanged(event) => self.changed(event, sequence),
            EventOfInstance::InstanceAllocated(event) => self.allocated(event, sequence),
            EventOfInstance::InstanceEnded(event) => self.ended(event, sequence),
            // These change no price.
            EventOfInstance::InstanceStateReported(_)
            | EventOfInstance::ConnectionParametersSet(_)
            | EventOfInstance::InstanceBanged(_)
            | EventOfInstance::InstanceRenamed(_) => {}
        }
    }

    fn requested(&mut self, event: &InstanceRequested, by: Sequence) {
        let attributes = Attributes {
            since: event.at,
            by,
            release: event.release.clone(),
            software_type: event.software_type.clone(),
            instance_type: event.instance_type,
            state: event.state,
        };
        let (owner, root, reference) = (event.owner, event.root, event.reference.clone());
        let history = History { owner, root, reference, attributes: vec![attributes], allocation: None };
        let before = self.by_id.insert(event.instance, history.into());
        // Numbers rise and no instance is requested twice, but for a log that somebody forged.
        if let Some(before) = before
            && let Some(ids) = self.of_owner.get_mut(&before.owner)
        {
            ids.retain(|known| *known != event.instance);
        }
        let ids = self.of_owner.entry(owner).or_default();
        let at = ids.partition_point(|known| *known < event.instance);
        ids.insert(at, event.instance);
    }

    fn changed(&mut self, event: &InstanceChanged, by: Sequence) {
        let Some(history) = self.by_id.get_mut(&event.instance) else { return };
        let Some(last) = history.attributes.last() else { return };
        let next = Attributes {
            since: event.at,
            by,
            release: event.release.clone().unwrap_or_else(|| last.release.clone()),
            software_type: event.software_type.clone().unwrap_or_else(|| last.software_type.clone()),
            instance_type: event.instance_type.unwrap_or(last.instance_type),
            state: event.state.unwrap_or(last.state),
        };
        // Other parameters do not change what is paid.
        if !next.same_as(last) {
            history.attributes.push(next);
        }
    }

    fn allocated(&mut self, event: &InstanceAllocated, by: Sequence) {
        if let Some(history) = self.by_id.get_mut(&event.instance) {
            let (computer, partition) = (event.computer.clone(), event.partition.clone());
            history.allocation =
                Some(AllocationHistory { computer, partition, from: (event.at, by), until: None });
        }
    }

    fn ended(&mut self, event: &InstanceEnded, by: Sequence) {
        let allocation = self.by_id.get_mut(&event.instance).and_then(|history| history.allocation.as_mut());
        if let Some(allocation) = allocation {
            allocation.until = Some((event.at, by));
        }
    }
}

impl History {
    /// What was known of it when an event had just been recorded; nothing, if it had not been requested.
    pub(crate) fn as_of(&self, sequence: Sequence) -> Option<Self> {
        let attributes = self.attributes.iter().filter(|attributes| attributes.by <= sequence);
        let attributes: Vec<Attributes> = attributes.cloned().collect();
        let allocation = self.allocation.clone().filter(|allocation| allocation.from.1 <= sequence);
        let allocation = allocation.map(|allocation| AllocationHistory {
            until: allocation.until.filter(|(_, by)| *by <= sequence),
            ..allocation
        });
        let (owner, root, reference) = (self.owner, self.root, self.reference.clone());
        (!attributes.is_empty()).then_some(Self { owner, root, reference, attributes, allocation })
    }

    /// The parts of a period in which it was one thing, in order; together they are the period.
    pub(crate) fn within(&self, period: Period) -> impl Iterator<Item = (Period, &Attributes)> {
        let stops = self.attributes.iter().skip(1).map(|next| next.since).chain([Timestamp::MAX]);
        let starts =
            [Timestamp::MIN].into_iter().chain(self.attributes.iter().skip(1).map(|next| next.since));
        let parts = self.attributes.iter().zip(starts.zip(stops));
        parts.filter_map(move |(attributes, (start, stop))| {
            Some((Period::new(start, stop)?.intersection(period)?, attributes))
        })
    }

    /// The times of a period in which it was allocated and its owner had not requested its destruction.
    pub(crate) fn held(&self, period: Period) -> impl Iterator<Item = Period> {
        let allocated = self.allocation.as_ref().and_then(|allocation| allocation.within(period));
        let parts = allocated.into_iter().flat_map(|allocated| self.within(allocated));
        parts.filter(|(_, attributes)| attributes.state != RequestedState::Destroyed).map(|(part, _)| part)
    }

    /// The events up to a sequence that made it what it was until an instant: its request, changes and allocation,
    /// and its end, if it ended by then. Of changes of state, those that prices look at. Ascending.
    pub(crate) fn events(&self, until: Timestamp, cut_off: Sequence, states: StatesPriced) -> Vec<Sequence> {
        let matters = |before: &Attributes, after: &Attributes| {
            let destroyed = [before.state, after.state].contains(&RequestedState::Destroyed);
            !before.is_of_the_kind_of(after) || states.all || (states.destroyed && destroyed)
        };
        let changes =
            self.attributes.windows(2).filter(|pair| matters(&pair[0], &pair[1])).map(|pair| &pair[1]);
        let attributes = self.attributes.first().into_iter().chain(changes);
        // What ends the time of a fee stands at its end.
        let ends = |attributes: &Attributes| {
            attributes.since == until && states.destroyed && attributes.state == RequestedState::Destroyed
        };
        let attributes = attributes.filter(|attributes| attributes.since < until || ends(attributes));
        let from = self.allocation.as_ref().map(|allocation| allocation.from);
        let ended = self.allocation.as_ref().and_then(|allocation| allocation.until);
        let ended = ended.filter(|(at, _)| *at <= until);
        let place = [from, ended].into_iter().flatten().map(|(_, by)| by);
        let all = attributes.map(|attributes| attributes.by).chain(place);
        let mut events: Vec<Sequence> = all.filter(|by| *by <= cut_off).collect();
        events.sort_unstable();
        events
    }
}

impl Attributes {
    fn same_as(&self, other: &Self) -> bool {
        self.is_of_the_kind_of(other) && self.state == other.state
    }

    /// Whether a change between the two was one of state alone.
    fn is_of_the_kind_of(&self, other: &Self) -> bool {
        (&self.release, &self.software_type, self.instance_type)
            == (&other.release, &other.software_type, other.instance_type)
    }

    /// What rates look at.
    pub(crate) fn matched<'a>(
        &'a self,
        (computer, region): (&'a ComputerId, Option<&'a str>),
        customer: PartyId,
        dimensions: &'a [(Box<str>, Box<str>)],
    ) -> Matched<'a> {
        let Self { release: software_release, software_type, instance_type, state, .. } = self;
        Matched {
            software_release,
            software_type,
            computer,
            instance_type: *instance_type,
            customer,
            region,
            state: *state,
            dimensions,
        }
    }
}

impl AllocationHistory {
    /// When it began.
    pub(crate) fn since(&self) -> Timestamp {
        self.from.0
    }

    /// When it ended, if it did.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until.map(|(at, _)| at)
    }

    /// The event that began it.
    pub(crate) fn began(&self) -> Sequence {
        self.from.1
    }

    /// The event that ended it, if one did.
    pub(crate) fn ended(&self) -> Option<Sequence> {
        self.until.map(|(_, by)| by)
    }

    /// The time of the allocation within a period.
    pub(crate) fn within(&self, period: Period) -> Option<Period> {
        Period::new(self.from.0, self.until().unwrap_or(Timestamp::MAX))?.intersection(period)
    }
}
