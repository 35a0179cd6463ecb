//! Access: the projects of a ledger, and the credentials that let somebody into one of them.
//!
//! A credential is a token or a certificate. It has one holder, the roles it lets them act in, and one project; those
//! of admins and auditors may reach all projects. What proves it is kept as a digest: neither tokens nor keys are in
//! the log. Credentials are never deleted, so that every event can be traced to what let its actor in.
//!
//! Not here: what a role may do. That is a policy of the edge, which knows the routes.

mod decide;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::id::{ComputerId, CredentialId, InstanceId, PartyId, ProjectId};
use super::time::Timestamp;

pub use decide::AccessRefusal;
pub(crate) use decide::Holders;

/// What somebody may act as. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything in a project.
    Admin,
    /// Their own computers.
    Provider,
    /// Their own software.
    Publisher,
    /// Their own instances and invoices.
    Customer,
    /// Reads all and writes nothing.
    Auditor,
    /// A computer: itself and its partitions.
    Node,
    /// An instance: its own partition.
    Instance,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Provider,
        Self::Publisher,
        Self::Customer,
        Self::Auditor,
        Self::Node,
        Self::Instance,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Provider => "provider",
            Self::Publisher => "publisher",
            Self::Customer => "customer",
            Self::Auditor => "auditor",
            Self::Node => "node",
            Self::Instance => "instance",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be admin, provider, publisher, customer, auditor, node or instance")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Some roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Roles(u16);

impl Roles {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether this one is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & Self::from(role).0 != 0
    }

    /// Whether all of these are among them.
    pub fn has_all(self, roles: Self) -> bool {
        self.0 & roles.0 == roles.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// They, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(1 << role as u16)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, |all, role| Self(all.0 | Self::from(role).0))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Role::as_str))
    }
}

/// Whom a credential is for. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Holder {
    /// Somebody who runs or audits the ledger and is no party to it.
    Operator(Box<str>),
    /// A user of the cloud.
    Party(PartyId),
    /// A computer.
    Computer(ComputerId),
    /// An instance.
    Instance(InstanceId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => f.write_str(name),
            Self::Party(id) => id.fmt(f),
            Self::Computer(id) => id.fmt(f),
            Self::Instance(id) => id.fmt(f),
        }
    }
}

/// What proves that somebody holds a credential. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Proof {
    /// A token whose secret has this SHA-256 digest.
    Token {
        /// The digest.
        #[serde(skip)]
        digest: [u8; 32],
    },
    /// An X.509 certificate of the ledger's own authority.
    Certificate {
        /// SHA-256 of its DER.
        #[serde(serialize_with = "super::sealed::hex")]
        fingerprint: [u8; 32],
    },
}

/// What a credential is good for. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Whatever its roles may do.
    Access,
    /// To enter one computer and get its certificate, once.
    RegisterComputer,
    /// To get a certificate for its holder with its roles, once.
    GetCertificate,
}

/// Open a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenProject {
    /// Title; unique.
    pub title: Box<str>,
}

/// Let somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueCredential {
    /// The credential: random.
    pub credential: CredentialId,
    /// Whom.
    pub holder: Holder,
    /// To act as what.
    pub roles: Roles,
    /// In all projects.
    pub all_projects: bool,
    /// For what.
    pub purpose: Purpose,
    /// What proves it.
    pub proof: Proof,
    /// What people call it.
    pub label: Option<Box<str>>,
    /// Until when, exclusive; for ever, if not said.
    pub expires_at: Option<Timestamp>,
    /// The token that is good for this, once, and is spent by it.
    pub spends: Option<CredentialId>,
    /// What it takes the place of.
    pub renews: Renews,
}

/// Which certificates of its holder a new one takes the place of. An instance has one that is good, a computer two
/// while it renews, and a party as many as it has machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Renews {
    /// None: it is refused while there is a good one.
    #[default]
    Nothing,
    /// All.
    All,
    /// All but the one it is asked by: should the answer be lost, its holder asks again by that. It ends when another
    /// is asked for by the new one, or when its time is over.
    AllBut(CredentialId),
}

/// Let somebody in no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeCredentials {
    /// By which.
    pub which: Which,
    /// Nor by what these issued from this instant on, nor by what was issued by that in turn.
    pub issued_since: Option<Timestamp>,
}

/// Which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(CredentialId),
    /// All certificates of this holder.
    CertificatesOf(Holder),
    /// All certificates of a computer and of the instances in its partitions, which it has seen.
    CertificatesOn(ComputerId),
    /// All of this holder.
    AllOf(Holder),
    /// The same, and of anyone who is called so all in each project where they were let into all projects.
    AllOfEverywhere(Holder),
}

/// A project was opened.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ProjectOpened {
    /// Which.
    pub project: ProjectId,
    /// What people call it.
    pub title: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Somebody may come in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CredentialIssued {
    /// The credential.
    pub credential: CredentialId,
    /// Who.
    pub holder: Holder,
    /// As what.
    pub roles: Roles,
    /// Into all projects.
    pub all_projects: bool,
    /// For what.
    pub purpose: Purpose,
    /// What proves it.
    pub proof: Proof,
    /// What people call it.
    pub label: Option<Box<str>>,
    /// Until when, exclusive.
    pub expires_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// A credential is no longer good.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CredentialRevoked {
    /// Which.
    pub credential: CredentialId,
    /// When.
    pub at: Timestamp,
}

/// A credential that is good once was used.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CredentialSpent {
    /// Which.
    pub credential: CredentialId,
    /// The one it was spent for.
    pub by: CredentialId,
    /// When.
    pub at: Timestamp,
}

/// What became of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is good until it expires.
    Active,
    /// It was taken back, then.
    Revoked(Timestamp),
    /// It was good once, until then.
    Spent(Timestamp),
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Credential {
    /// Into which project it lets.
    pub project: ProjectId,
    /// What was issued.
    pub issued: CredentialIssued,
    /// The credential of its issuer; none, if that was the program itself.
    pub by: Option<CredentialId>,
    /// What became of it.
    pub standing: Standing,
}

/// Why a credential is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// It was revoked.
    #[error("the credential was revoked")]
    Revoked,
    /// It was good once.
    #[error("the token was used already")]
    Spent,
    /// Its time is over.
    #[error("the credential has expired")]
    Expired,
    /// There is none such.
    #[error("the credential is not known")]
    Unknown,
}

impl Credential {
    /// Whether it is good at an instant, and if not, why not.
    pub fn check(&self, now: Timestamp) -> Result<(), InvalidCredential> {
        match self.standing {
            Standing::Revoked(_) => Err(InvalidCredential::Revoked),
            Standing::Spent(_) => Err(InvalidCredential::Spent),
            Standing::Active if self.issued.expires_at.is_some_and(|end| end <= now) => {
                Err(InvalidCredential::Expired)
            }
            Standing::Active => Ok(()),
        }
    }

    /// Whether it is proved by a certificate.
    pub fn is_certificate(&self) -> bool {
        matches!(self.issued.proof, Proof::Certificate { .. })
    }
}

/// Projects and credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Access {
    /// Those that were opened; the first is there from the start.
    projects: BTreeMap<ProjectId, ProjectOpened>,
    credentials: BTreeMap<CredentialId, Credential>,
    by_fingerprint: BTreeMap<[u8; 32], CredentialId>,
    /// Those that are not revoked or spent, nor had expired when their holder was issued the next.
    active: BTreeMap<(ProjectId, Holder), BTreeSet<CredentialId>>,
}

/// What the first project is called, which every ledger has.
pub const FIRST_PROJECT: &str = "default";

impl Access {
    /// Whether there is such a project.
    pub fn knows(&self, project: ProjectId) -> bool {
        project == ProjectId::DEFAULT || self.projects.contains_key(&project)
    }

    /// All projects with their titles, in the order they were opened.
    pub fn projects(&self) -> impl Iterator<Item = (ProjectId, &str)> {
        let opened = self.projects.iter().map(|(id, opened)| (*id, &*opened.title));
        std::iter::once((ProjectId::DEFAULT, FIRST_PROJECT)).chain(opened)
    }

    /// The credential of this id.
    pub fn credential(&self, id: CredentialId) -> Option<&Credential> {
        self.credentials.get(&id)
    }

    /// All credentials of all projects.
    pub fn all(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.values()
    }

    /// The credential that a certificate of this fingerprint proves.
    pub fn certificate(&self, fingerprint: &[u8; 32]) -> Option<&Credential> {
        self.credentials.get(self.by_fingerprint.get(fingerprint)?)
    }

    /// The credentials of a project after this one, by their ids.
    pub fn after(
        &self,
        project: ProjectId,
        after: Option<CredentialId>,
    ) -> impl Iterator<Item = &Credential> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let rest = self.credentials.range((from, Unbounded)).map(|(_, credential)| credential);
        rest.filter(move |credential| credential.project == project)
    }

    /// The certificates of a holder that are good at an instant.
    pub fn certificates_of(
        &self,
        project: ProjectId,
        holder: &Holder,
        now: Timestamp,
    ) -> impl Iterator<Item = &Credential> {
        self.active_of(project, holder)
            .filter(move |credential| credential.is_certificate() && credential.check(now).is_ok())
    }

    /// Whether somebody may act as this in all projects, at an instant.
    pub fn has_admin(&self, now: Timestamp) -> bool {
        self.credentials.values().any(|credential| {
            credential.issued.all_projects
                && credential.issued.roles.has(Role::Admin)
                && credential.check(now).is_ok()
        })
    }

    /// Whether somebody who is called so was ever let into all projects.
    pub fn reaches_all_projects(&self, holder: &Holder) -> bool {
        self.everywhere(holder).next().is_some()
    }

    /// Whether a credential is good at an instant, and if not, why not.
    pub fn check(&self, id: CredentialId, now: Timestamp) -> Result<(), InvalidCredential> {
        self.credential(id).ok_or(InvalidCredential::Unknown)?.check(now)
    }

    fn active_of(&self, project: ProjectId, holder: &Holder) -> impl Iterator<Item = &Credential> {
        let ids = self.active.get(&(project, holder.clone())).into_iter().flatten();
        ids.filter_map(|id| self.credentials.get(id))
    }

    /// All of a holder, good or not. Looks through those of everybody.
    fn of<'a>(&'a self, project: ProjectId, holder: &'a Holder) -> impl Iterator<Item = &'a Credential> {
        self.after(project, None).filter(move |known| known.issued.holder == *holder)
    }

    /// What reaches all projects, wherever it was issued. Looks through those of everybody.
    fn everywhere<'a>(&'a self, holder: &'a Holder) -> impl Iterator<Item = &'a Credential> {
        let all = self.credentials.values().filter(|known| known.issued.all_projects);
        all.filter(move |known| known.issued.holder == *holder)
    }

    /// The instances of a project that have a credential which is not revoked.
    fn instances_of(&self, project: ProjectId) -> impl Iterator<Item = &Holder> {
        let [first, last] = [0, u64::MAX].map(|id| (project, Holder::Instance(InstanceId(id))));
        self.active.range(first..=last).map(|((_, holder), _)| holder)
    }

    /// Takes a project over.
    pub fn project_opened(&mut self, event: &ProjectOpened) {
        self.projects.insert(event.project, event.clone());
    }

    /// Takes a credential of a project over. Who issued it came by `by`, as the log has it.
    pub fn credential_issued(&mut self, project: ProjectId, by: Option<&str>, event: &CredentialIssued) {
        if let Proof::Certificate { fingerprint } = event.proof {
            self.by_fingerprint.insert(fingerprint, event.credential);
        }
        let active = self.active.entry((project, event.holder.clone())).or_default();
        // What has expired is let go of here, so that nobody has more to look through than may be good.
        let known = |id: &CredentialId| self.credentials.get(id);
        active.retain(|id| known(id).is_some_and(|known| known.check(event.at).is_ok()));
        active.insert(event.credential);
        let by = by.and_then(|id| id.parse().ok());
        let (issued, standing) = (event.clone(), Standing::Active);
        self.credentials.insert(event.credential, Credential { project, issued, by, standing });
    }

    /// Takes the revocation of a credential over.
    pub fn credential_revoked(&mut self, event: &CredentialRevoked) {
        self.ended(event.credential, Standing::Revoked(event.at));
    }

    /// Takes the use of a single-use token over.
    pub fn credential_spent(&mut self, event: &CredentialSpent) {
        self.ended(event.credential, Standing::Spent(event.at));
    }

    fn ended(&mut self, id: CredentialId, standing: Standing) {
        let Some(credential) = self.credentials.get_mut(&id) else { return };
        credential.standing = standing;
        let key = (credential.project, credential.issued.holder.clone());
        if let Some(active) = self.active.get_mut(&key) {
            active.remove(&id);
            if active.is_empty() {
                self.active.remove(&key);
            }
        }
    }
}
