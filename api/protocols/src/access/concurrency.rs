//! How many requests each may have under way: nobody takes all the room there is, by however many credentials,
//! computers or connections, and no project takes that of the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use parking_lot::Mutex;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::id::{PartyId, ProjectId};
use slapledger_engine::Engine;
use slapledger_net::Peer;
use slapledger_projections::SlapViews;
use slapledger_usecases::caller::Principal;
use tokio::sync::Semaphore;

use super::authenticate::Authentication;
use super::rate_limits::network;

/// With more senders than this, those who have nothing under way are forgotten.
const MANY: usize = 1024;

/// For whom a request counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sender {
    /// Somebody who reaches all projects, by whichever of their credentials.
    Operator(Box<str>),
    /// All who run or audit one project: what they are called is their own choice.
    OperatorsOf(ProjectId),
    /// A party, by whichever of their credentials; what their computers and instances send is theirs too.
    Party(ProjectId, PartyId),
    /// A computer or an instance whose owner the views do not know yet.
    Unowned(ProjectId, Holder),
    /// Where it is from, if nobody is known.
    Network(IpAddr),
    /// All who are of a project and reach no other.
    Project(ProjectId),
}

impl Sender {
    fn of(engine: &Engine, request: &Request) -> Option<Self> {
        // Where nobody has to say who they are, there is one user.
        let asked = request.extensions().get::<Authentication>()?;
        if let Ok(Some(known)) = &asked.0 {
            return Some(Self::known(engine, known));
        }
        request.extensions().get::<Peer>().map(|peer| Self::Network(network(peer.address.ip())))
    }

    fn known(engine: &Engine, known: &Principal) -> Self {
        let project = known.project;
        let owner = |find: &dyn Fn(&SlapViews) -> Option<PartyId>| {
            engine.slap_of(project).read(|view, _| find(view)).map(|party| Self::Party(project, party))
        };
        match &known.holder {
            Holder::Operator(name) if known.all_projects => Self::Operator(name.clone()),
            Holder::Operator(_) => Self::OperatorsOf(project),
            Holder::Party(party) => Self::Party(project, *party),
            Holder::Computer(id) => owner(&|view| Some(view.inventory.computer(id.as_str())?.owner))
                .unwrap_or_else(|| Self::Unowned(project, known.holder.clone())),
            Holder::Instance(id) => owner(&|view| Some(view.instances.get(*id)?.owner))
                .unwrap_or_else(|| Self::Unowned(project, known.holder.clone())),
        }
    }

    fn project(&self) -> Option<ProjectId> {
        match self {
            Self::OperatorsOf(project)
            | Self::Party(project, _)
            | Self::Unowned(project, _)
            | Self::Project(project) => Some(*project),
            Self::Operator(_) | Self::Network(_) => None,
        }
    }
}

/// The room of each sender.
pub struct ConcurrencyLimits {
    most_of_one: usize,
    most_of_project: usize,
    senders: Mutex<HashMap<Sender, Arc<Semaphore>>>,
}

impl ConcurrencyLimits {
    /// So many requests of each, of so many of all: a project leaves as many to others as one sender may have.
    pub fn new(most_of_one: usize, most_of_all: usize) -> Self {
        let left = most_of_all.saturating_sub(most_of_one);
        Self { most_of_one, most_of_project: left.max(most_of_one), senders: Mutex::default() }
    }

    /// The room of the sender of a request, and of their project, in the order they are to be taken.
    pub fn of(&self, engine: &Engine, request: &Request) -> Vec<Arc<Semaphore>> {
        let Some(sender) = Sender::of(engine, request) else { return Vec::new() };
        let project = sender.project().map(Sender::Project);
        [Some(sender), project].into_iter().flatten().map(|sender| self.share(sender)).collect()
    }

    fn share(&self, sender: Sender) -> Arc<Semaphore> {
        let most = if matches!(sender, Sender::Project(_)) { self.most_of_project } else { self.most_of_one };
        let mut senders = self.senders.lock();
        if senders.len() > MANY && !senders.contains_key(&sender) {
            // Anyone who waits or has one under way holds it too.
            senders.retain(|_, share| Arc::strong_count(share) > 1);
        }
        Arc::clone(senders.entry(sender).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_under_way_is_forgotten_and_nobody_else() {
        let shares = ConcurrencyLimits::new(1, 10);
        let of = |n: u32| Sender::Network(IpAddr::V4(n.into()));
        let taken = shares.share(of(0)).try_acquire_owned().expect("there is room");
        for n in 1..=3 * u32::try_from(MANY).expect("small") {
            drop(shares.share(of(n)));
        }
        assert!(shares.senders.lock().len() <= MANY + 1);
        assert!(shares.share(of(0)).try_acquire_owned().is_err(), "it is still under way");
        drop(taken);
        assert!(shares.share(of(0)).try_acquire_owned().is_ok());
    }

    #[test]
    fn a_project_leaves_to_others_what_one_may_have() {
        let room = |most_of_one, most_of_all| {
            let shares = ConcurrencyLimits::new(most_of_one, most_of_all);
            let of = |sender| shares.share(sender).available_permits();
            (of(Sender::Party(ProjectId(2), PartyId(1))), of(Sender::Project(ProjectId(2))))
        };
        assert_eq!(room(128, 512), (128, 384));
        assert_eq!(room(1, 2), (1, 1));
        // Of less than two shares there is nothing to leave.
        assert_eq!(room(4, 6), (4, 4));
    }
}
