//! What is decided of `request()`: an instance is made, changed, or left as it is.

use super::commands::{InstanceRefusal, RequestInstance, RequestOutcome, WithoutRoom};
use super::events::{InstanceChanged, InstanceRequested, InstanceType, RequestedState, Requester};
use super::filter::{self, SlaFilter};
use super::parts::in_parts;
use super::report::{ended, unchanged};
use super::room::{InstanceSurroundings, Wish};
use super::state::{Instance, InstanceNames, Instances};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{InstanceId, PartyId};
use crate::domain::time::Timestamp;

/// The most instances of one party that may wait for room.
const MOST_WAITING: usize = 10_000;

/// Which instance, what became of it, and whether it has a place.
type RequestDecision = Outcome<(InstanceId, RequestOutcome, bool)>;

impl Instances {
    pub(crate) fn request(
        &self,
        around: &InstanceSurroundings<'_>,
        command: &RequestInstance,
        now: Timestamp,
    ) -> Result<RequestDecision, InstanceRefusal> {
        if let Requester::Party(party) = command.requester {
            let known = around.parties.get(party).ok_or(InstanceRefusal::UnknownParty { party })?;
            if known.erased {
                return Err(InstanceRefusal::PartyErased { party });
            }
        }
        if around.is_master() {
            filter::check(&command.filter, command.shared)?;
        }
        let (owner, root) = self.payer_and_root(command.requester)?;
        // A party's names do not depend on a root.
        let of = root.unwrap_or(InstanceId(0));
        let names = InstanceNames::of(command.requester, of, command.shared);
        match self.names.get(&(names, command.reference.clone())) {
            Some(&instance) => self.change(around, instance, command, now),
            None => self.create(around, command, (owner, root), now),
        }
    }

    fn change(
        &self,
        around: &InstanceSurroundings<'_>,
        id: InstanceId,
        command: &RequestInstance,
        now: Timestamp,
    ) -> Result<RequestDecision, InstanceRefusal> {
        let known = self.live(id)?;
        if command.parameters.key != known.key {
            return Err(InstanceRefusal::OtherKey { reference: command.reference.clone() });
        }
        let allocated = known.allocation.is_some();
        let other_parameters = command.parameters.digest != known.parameters;
        let asked = command.state.unwrap_or(known.wish);
        if asked != RequestedState::Destroyed {
            self.check_requester(around, command.requester)?;
        }
        let state = self.forced(around, command.requester, asked).unwrap_or(asked);
        // Where it is, it stays; what is wished of its node may change.
        let filter = command.filter();
        let filter_counts = around.is_master() || !allocated;
        let change = InstanceChanged {
            instance: id,
            release: (command.release != known.release).then(|| command.release.clone()),
            software_type: (command.software_type != known.software_type)
                .then(|| command.software_type.clone()),
            instance_type: command.instance_type.filter(|told| *told != known.purpose),
            parameters: other_parameters.then(|| command.parameters.clone()),
            state: Some(state).filter(|state| *state != known.state),
            wish: Some(asked).filter(|asked| *asked != known.wish),
            filter: Some(filter).filter(|filter| filter_counts && *filter != known.filter),
            requester: self.other_requester(id, known, command.requester),
            at: now,
        };
        let nothing_new = change.release.is_none()
            && change.software_type.is_none()
            && change.instance_type.is_none()
            && change.parameters.is_none()
            && change.state.is_none()
            && change.wish.is_none()
            && change.filter.is_none()
            && change.requester.is_none();
        if nothing_new {
            return Ok(Outcome::unchanged((id, RequestOutcome::Unchanged, allocated)));
        }
        let goes = change.state == Some(RequestedState::Destroyed);
        let room = if allocated || state == RequestedState::Destroyed {
            None
        } else {
            let (release, software_type) = (&command.release, &command.software_type);
            let filter = change.filter.as_ref().unwrap_or(&known.filter);
            let (owner, root, shared) = (known.owner, Some(known.root), known.shared);
            self.room(around, &Wish { owner, root, release, software_type, filter, shared })
        };
        let allocated = allocated || room.is_some();
        let mut events = vec![(Stream::Instance(id), Event::InstanceChanged(change))];
        if goes && around.is_master() {
            events.extend(self.destroy_tree(id, now));
        }
        if goes && (known.shared || !allocated) {
            events.push(ended(id, now));
        }
        events.extend(room.map(|room| (Stream::Instance(id), room.allocate(id, now))));
        Ok(Outcome::of((id, RequestOutcome::Changed, allocated), in_parts(events)))
    }

    fn create(
        &self,
        around: &InstanceSurroundings<'_>,
        command: &RequestInstance,
        (owner, root): (PartyId, Option<InstanceId>),
        now: Timestamp,
    ) -> Result<RequestDecision, InstanceRefusal> {
        let asked = command.state.unwrap_or(RequestedState::Started);
        if asked == RequestedState::Destroyed {
            return Err(InstanceRefusal::NothingToDestroy { reference: command.reference.clone() });
        }
        self.check_requester(around, command.requester)?;
        // The instance this was sealed for is gone: its key may be destroyed any time, and these values with it.
        if self.keys.contains(&command.parameters.key) {
            return Err(InstanceRefusal::OtherKey { reference: command.reference.clone() });
        }
        // At slapos proxy the next request forces it.
        let forced = if around.is_master() { self.forced(around, command.requester, asked) } else { None };
        let instance = InstanceId(self.all.len() as u64 + 1);
        let filter = command.filter();
        let (release, software_type) = (&command.release, &command.software_type);
        let wish = Wish { owner, root, release, software_type, filter: &filter, shared: command.shared };
        let found = self.room(around, &wish);
        if found.is_none() && command.without_room == WithoutRoom::Refuse {
            return Err(InstanceRefusal::NoRoom { reference: command.reference.clone() });
        }
        if found.is_none() && around.is_master() && self.waiting.of(owner) >= MOST_WAITING {
            return Err(InstanceRefusal::TooManyWait { party: owner, max: MOST_WAITING });
        }
        let requested = InstanceRequested {
            instance,
            requester: command.requester,
            owner,
            root: root.unwrap_or(instance),
            reference: command.reference.clone(),
            release: command.release.clone(),
            software_type: command.software_type.clone(),
            instance_type: command.instance_type.unwrap_or(InstanceType::Production),
            parameters: command.parameters.clone(),
            filter,
            state: asked,
            shared: command.shared,
            at: now,
        };
        let allocated = found.is_some();
        let allocation = found.map(|found| found.allocate(instance, now));
        let other = forced.filter(|state| *state != asked);
        let other = other.map(|state| InstanceChanged { state: Some(state), ..unchanged(instance, now) });
        let events = [Event::InstanceRequested(requested)].into_iter();
        let events = events.chain(other.map(Event::InstanceChanged)).chain(allocation);
        let events = events.map(|event| (Stream::Instance(instance), event)).collect();
        Ok(Outcome::of((instance, RequestOutcome::Created, allocated), in_parts(events)))
    }

    /// The state an instance is forced into by the one that asks for it: nothing runs on under what is stopped.
    /// slapos proxy looks at the root, and lets it go with the root; the master looks at the parent, and stops it.
    fn forced(
        &self,
        around: &InstanceSurroundings<'_>,
        requester: Requester,
        asked: RequestedState,
    ) -> Option<RequestedState> {
        let Requester::Instance(parent) = requester else { return None };
        let parent = self.get(parent)?;
        let over = if around.is_master() { parent } else { self.get(parent.root)? };
        // What is left of a tree whose root is lost goes too.
        if over.ended {
            return Some(RequestedState::Destroyed);
        }
        match (over.state, asked) {
            (RequestedState::Started, _) | (_, RequestedState::Destroyed) => None,
            (state, _) if !around.is_master() => Some(state),
            _ => Some(RequestedState::Stopped),
        }
    }

    /// All that was requested from inside an instance goes with it.
    pub(super) fn destroy_tree(&self, root: InstanceId, now: Timestamp) -> Vec<(Stream, Event)> {
        let mut events = self.destroy_children(root, now);
        let mut parents: Vec<_> = self.children.get(&root).into_iter().flatten().copied().collect();
        while let Some(parent) = parents.pop() {
            events.extend(self.destroy_children(parent, now));
            parents.extend(self.children.get(&parent).into_iter().flatten());
        }
        events
    }

    /// Who asks for an instance now, if that is another of its tree than before. It cannot become a child of what is
    /// under it.
    fn other_requester(&self, id: InstanceId, known: &Instance, asks: Requester) -> Option<InstanceId> {
        let Requester::Instance(asks) = asks else { return None };
        let other = known.requester != Requester::Instance(asks);
        (other && !self.is_under(id, asks)).then_some(asks)
    }

    /// What is to go, at the master, asks for nothing any more but that others go.
    fn check_requester(
        &self,
        around: &InstanceSurroundings<'_>,
        asks: Requester,
    ) -> Result<(), InstanceRefusal> {
        match asks {
            Requester::Instance(instance)
                if around.is_master()
                    && self.get(instance).is_some_and(|known| known.state == RequestedState::Destroyed) =>
            {
                Err(InstanceRefusal::RequesterGoes { instance })
            }
            _ => Ok(()),
        }
    }

    fn live(&self, instance: InstanceId) -> Result<&Instance, InstanceRefusal> {
        self.get(instance).filter(|known| !known.ended).ok_or(InstanceRefusal::UnknownInstance { instance })
    }

    /// Who pays for what a requester asks for, and the root of its tree if it will not be one itself.
    fn payer_and_root(&self, requester: Requester) -> Result<(PartyId, Option<InstanceId>), InstanceRefusal> {
        Ok(match requester {
            Requester::Party(party) => (party, None),
            Requester::Instance(parent) => {
                // Only from inside its partition can an instance ask for another.
                let placed =
                    self.live(parent).ok().filter(|known| known.allocation.is_some() && !known.shared);
                let parent = placed.ok_or(InstanceRefusal::UnknownInstance { instance: parent })?;
                (parent.owner, Some(parent.root))
            }
        })
    }
}

impl RequestInstance {
    /// Where it may be: on the computer that is meant where none is named. In one order, in whatever it came.
    fn filter(&self) -> SlaFilter {
        let mut filter = self.filter.clone();
        if let Some(computer) = &self.default_computer
            && filter::get(&filter, filter::COMPUTER).is_none()
        {
            filter.push((filter::COMPUTER.into(), computer.as_str().into()));
        }
        filter.sort();
        filter
    }
}
