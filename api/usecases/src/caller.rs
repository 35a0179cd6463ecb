//! Who sent a request, and what is theirs.

use std::sync::Arc;

use http::StatusCode;
use slapledger_core::domain::access::{Holder, Role, Roles};
use slapledger_core::domain::id::{ComputerId, CredentialId, InstanceId, PartitionId, PartyId, ProjectId};
use slapledger_core::domain::instance::Requester;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::{Actor, ActorKind};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::inventory::InventoryComputer;

/// How far a caller reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// What is their own.
    Own,
    /// All that the project holds.
    All,
}

/// Somebody who came with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The credential.
    pub credential: CredentialId,
    /// Who it is.
    pub holder: Holder,
    /// What they act as.
    pub roles: Roles,
    /// Where they are: the project of the credential, or the one they chose.
    pub project: ProjectId,
    /// Whether they may choose.
    pub all_projects: bool,
    /// The project of the credential.
    pub home: ProjectId,
    /// Until when, if they came with a token that is good for a time. A certificate is renewed by its holder, and
    /// bounds nothing.
    pub until: Option<Timestamp>,
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The one local user, who may do everything (`proxy`, `demo`), or the program itself.
    Local,
    /// Somebody who did not say who they are, on a route that is for everybody.
    Anonymous,
    /// Somebody with a credential.
    Authenticated {
        /// Who.
        principal: Arc<Principal>,
        /// How far they reach on this route.
        reach: Reach,
    },
}

/// The first party of a project: the operator, and sells where nobody else is named.
pub const FIRST_PARTY: PartyId = PartyId(1);

impl Caller {
    /// Who it is, if they came with a credential.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Local | Self::Anonymous => None,
            Self::Authenticated { principal, .. } => Some(principal),
        }
    }

    /// Whom they are restricted to: what is not this holder's is not there for them.
    fn only(&self) -> Option<&Principal> {
        match self {
            Self::Authenticated { principal, reach: Reach::Own } => Some(principal),
            Self::Local | Self::Anonymous | Self::Authenticated { .. } => None,
        }
    }

    /// Whether all that the project holds is theirs to see.
    pub fn reaches_all(&self) -> bool {
        self.only().is_none()
    }

    /// Whether they come as a party.
    pub fn is_party(&self) -> bool {
        self.principal().is_some_and(|principal| matches!(principal.holder, Holder::Party(_)))
    }

    /// Whether of the partitions of a computer only those are theirs in which their instances are; its node has all.
    pub fn has_partitions_by_occupant(&self) -> bool {
        self.only().is_some_and(|principal| !matches!(principal.holder, Holder::Computer(_)))
    }

    /// Whether they come as a provider, who sees of what is on computers what is on their own.
    pub fn provides(&self) -> bool {
        self.principal().is_some_and(|principal| principal.roles.has(Role::Provider))
    }

    /// The party whose software is theirs.
    pub fn publisher(&self) -> Option<PartyId> {
        match self.principal() {
            Some(Principal { holder: Holder::Party(party), roles, .. }) if roles.has(Role::Publisher) => {
                Some(*party)
            }
            _ => None,
        }
    }

    /// The instance they are, and are restricted to.
    pub fn instance(&self) -> Option<InstanceId> {
        match self.only()?.holder {
            Holder::Instance(instance) => Some(instance),
            Holder::Operator(_) | Holder::Party(_) | Holder::Computer(_) => None,
        }
    }

    /// The party whose things alone they may see; `None`, if they may see those of all.
    pub fn only_party(&self) -> Result<Option<PartyId>, Problem> {
        match self.only().map(|principal| &principal.holder) {
            None => Ok(None),
            Some(Holder::Party(party)) => Ok(Some(*party)),
            Some(_) => Err(not_for("parties")),
        }
    }

    /// The party that acts: who requests, supplies and enters computers.
    pub fn party(&self) -> Result<PartyId, Problem> {
        match self {
            Self::Local => Ok(FIRST_PARTY),
            Self::Anonymous => Err(not_for("parties")),
            Self::Authenticated { principal, .. } => match &principal.holder {
                Holder::Party(party) => Ok(*party),
                Holder::Operator(_) => Ok(FIRST_PARTY),
                Holder::Computer(_) | Holder::Instance(_) => Err(not_for("parties")),
            },
        }
    }

    /// Who asks for an instance.
    pub fn requester(&self) -> Result<Requester, Problem> {
        match self.principal().map(|principal| &principal.holder) {
            Some(Holder::Instance(instance)) => Ok(Requester::Instance(*instance)),
            _ => self.party().map(Requester::Party),
        }
    }

    /// Who is written into the log.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Local => actor_of_party(FIRST_PARTY),
            Self::Anonymous => Actor::system(),
            Self::Authenticated { principal, .. } => {
                let credential = Some(principal.credential.to_string().into());
                let (kind, id): (_, Box<str>) = match &principal.holder {
                    Holder::Operator(name) => (ActorKind::Operator, name.clone()),
                    Holder::Party(party) => (ActorKind::Person, party.to_string().into()),
                    Holder::Computer(computer) => (ActorKind::Computer, computer.as_str().into()),
                    Holder::Instance(instance) => (ActorKind::Instance, instance.to_string().into()),
                };
                Actor { kind, id, credential }
            }
        }
    }

    /// Who is written into the log for what a computer says of itself: without identities, the computer.
    pub fn actor_at(&self, computer: &ComputerId) -> Actor {
        match self {
            Self::Local => actor_of_computer(computer),
            Self::Anonymous | Self::Authenticated { .. } => self.actor(),
        }
    }

    /// Whether what is said of a computer is said by itself.
    pub fn is_node(&self) -> bool {
        self.principal().is_none_or(|principal| principal.roles.has(Role::Node))
    }

    /// Whether a computer is theirs.
    pub fn sees_computer(&self, computer: &InventoryComputer) -> bool {
        let Some(principal) = self.only() else { return true };
        match &principal.holder {
            Holder::Party(party) => computer.owner == *party,
            Holder::Computer(own) => *own == computer.id,
            Holder::Instance(_) | Holder::Operator(_) => false,
        }
    }

    /// Whether an instance is theirs, or on a computer of theirs.
    pub fn sees_instance(&self, view: &SlapViews, instance: &InstanceView) -> bool {
        let Some(principal) = self.only() else { return true };
        let place = instance.allocation.as_ref().map(|place| &place.computer);
        match &principal.holder {
            Holder::Party(party) => {
                let hosts = || {
                    let computer = place.and_then(|computer| view.inventory.computer(computer.as_str()));
                    computer.is_some_and(|computer| computer.owner == *party)
                };
                (principal.roles.has(Role::Customer) && instance.owner == *party)
                    || (principal.roles.has(Role::Provider) && hosts())
            }
            Holder::Computer(own) => place == Some(own),
            Holder::Instance(own) => self::is_of(*own, instance),
            Holder::Operator(_) => false,
        }
    }

    /// Whether they may read what is sealed in an instance: the requester and the provider.
    pub fn opens_instance(&self, instance: &InstanceView) -> bool {
        let Some(principal) = self.only() else {
            return self.principal().is_none_or(|principal| principal.roles.has(Role::Admin));
        };
        match &principal.holder {
            Holder::Party(party) => principal.roles.has(Role::Customer) && instance.owner == *party,
            // Of one that is gone its node needs nothing.
            Holder::Computer(own) => {
                let place = instance.allocation.as_ref().filter(|_| instance.lives());
                place.is_some_and(|place| place.computer == *own)
            }
            Holder::Instance(own) => is_of(*own, instance),
            Holder::Operator(_) => false,
        }
    }

    /// Whether they may say what is wanted of an instance: the requester.
    pub fn wants_instance(&self, instance: &InstanceView) -> bool {
        let Some(principal) = self.only() else { return true };
        match &principal.holder {
            Holder::Party(party) => principal.roles.has(Role::Customer) && instance.owner == *party,
            Holder::Instance(own) => instance.requester == Requester::Instance(*own),
            Holder::Computer(_) | Holder::Operator(_) => false,
        }
    }

    /// Whether they may ask for another instance from within this one: whose it is, and itself.
    pub fn asks_from(&self, instance: &InstanceView) -> bool {
        let Some(principal) = self.only() else { return true };
        match &principal.holder {
            Holder::Party(party) => principal.roles.has(Role::Customer) && instance.owner == *party,
            Holder::Instance(own) => instance.id == *own,
            Holder::Computer(_) | Holder::Operator(_) => false,
        }
    }

    /// Whether they may say how an instance is: its node, and itself of itself and of those that share it.
    pub fn speaks_for(&self, instance: &InstanceView) -> bool {
        let Some(principal) = self.only() else { return true };
        match &principal.holder {
            Holder::Computer(own) => instance.allocation.as_ref().is_some_and(|place| place.computer == *own),
            Holder::Instance(own) => {
                instance.id == *own || (instance.shared && instance.host() == Some(*own))
            }
            Holder::Party(_) | Holder::Operator(_) => false,
        }
    }

    /// Whether anything that is sealed is opened for them at all. Of those who see what is others' too, only for
    /// admins:
    /// not for an auditor, whatever else they are.
    pub fn opens(&self) -> bool {
        match self {
            Self::Authenticated { principal, reach: Reach::All } => principal.roles.has(Role::Admin),
            Self::Local | Self::Anonymous | Self::Authenticated { .. } => true,
        }
    }

    /// Whether they may know what is of the ledger itself, and of no project.
    pub fn reaches_all_projects(&self) -> bool {
        self.principal().is_none_or(|principal| principal.all_projects)
    }

    /// Whether a party is them.
    pub fn sees_party(&self, party: PartyId) -> bool {
        self.only().is_none_or(|principal| principal.holder == Holder::Party(party))
    }

    /// Whether they may know what a customer negotiated: that customer, the seller with its admins, and auditors.
    pub fn sees_prices_of(&self, customer: PartyId) -> bool {
        match self {
            Self::Local => true,
            Self::Anonymous => false,
            Self::Authenticated { principal, .. } => {
                let Principal { holder, roles, .. } = &**principal;
                roles.has(Role::Admin)
                    || roles.has(Role::Auditor)
                    || [Holder::Party(customer), Holder::Party(FIRST_PARTY)].contains(holder)
            }
        }
    }

    /// Whether they may read the codes of discounts: the seller, its admins and auditors may.
    pub fn sees_codes(&self) -> bool {
        self.sees_prices_of(FIRST_PARTY)
    }

    /// A computer speaks of itself alone, and an instance of its own partition.
    pub fn check_node(&self, computer: &ComputerId) -> Result<(), Problem> {
        match self.only().map(|principal| &principal.holder) {
            Some(Holder::Computer(own)) if own != computer => {
                Err(forbidden(format!("the certificate is that of {own}, not of {computer}")))
            }
            _ => Ok(()),
        }
    }

    /// The same of a partition; `occupant` is who is in it.
    pub fn check_place(
        &self,
        (computer, partition): (&ComputerId, &PartitionId),
        occupant: Option<InstanceId>,
    ) -> Result<(), Problem> {
        self.check_node(computer)?;
        match self.only().map(|principal| &principal.holder) {
            Some(Holder::Instance(own)) if occupant != Some(*own) => Err(forbidden(format!(
                "the certificate is that of {own}, which is not in partition {partition} of {computer}"
            ))),
            _ => Ok(()),
        }
    }
}

/// What an instance may see: itself, what it asked for, and what shares it.
fn is_of(own: InstanceId, instance: &InstanceView) -> bool {
    instance.id == own
        || instance.requester == Requester::Instance(own)
        || (instance.shared && instance.host() == Some(own))
}

fn not_for(what: &str) -> Problem {
    forbidden(format!("this is for {what}; the credential is for something else"))
}

/// What a caller may not do, though others may.
pub fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, ProblemCode::Forbidden, detail)
}

/// A party as an actor.
pub fn actor_of_party(party: PartyId) -> Actor {
    Actor { kind: ActorKind::Person, id: party.to_string().into(), credential: None }
}

/// A computer as an actor.
pub fn actor_of_computer(computer: &ComputerId) -> Actor {
    Actor { kind: ActorKind::Computer, id: computer.as_str().into(), credential: None }
}
