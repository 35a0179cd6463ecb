//! What may be issued to whom, and what ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::{
    Access, Credential, CredentialIssued, CredentialRevoked, CredentialSpent, Holder, InvalidCredential,
    IssueCredential, OpenProject, ProjectOpened, Proof, Purpose, Renews, RevokeCredentials, Role, Roles,
    Which,
};
use crate::domain::Outcome;
use crate::domain::computer::Computers;
use crate::domain::erasure::{ErasureSubject, KeyDestroyed};
use crate::domain::event::{Event, Stream};
use crate::domain::id::{ComputerId, CredentialId, InvalidText, ProjectId, check_text};
use crate::domain::instance::Instances;
use crate::domain::party::Parties;
use crate::domain::time::Timestamp;

/// The longest title of a project, in bytes.
const MAX_TITLE: usize = 100;
/// The longest label of a credential, and name of an operator.
const MAX_LABEL: usize = 200;
/// How many credentials of a holder may be good at a time: all of them may have to be revoked at once.
const MOST_OF_ONE: usize = 1000;

/// Why a command about access is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefusal {
    /// There is no such project.
    #[error("there is no project {0}")]
    UnknownProject(ProjectId),
    /// Another project is called so.
    #[error("{project} is called {title}")]
    TitleTaken {
        /// Which.
        project: ProjectId,
        /// What it is called.
        title: Box<str>,
    },
    /// The title is empty, too long, or has control characters.
    #[error("title {0}")]
    BadTitle(InvalidText),
    /// The label is empty, too long, or has control characters.
    #[error("label {0}")]
    BadLabel(InvalidText),
    /// The holder does not exist, or not any more.
    #[error("there is no {0}")]
    UnknownHolder(Holder),
    /// The name of an operator is empty, too long, or has control characters.
    #[error("holder {0}")]
    BadHolder(InvalidText),
    /// No role, or one that the holder cannot have.
    #[error("roles must be {0}")]
    BadRoles(&'static str),
    /// Only admins and auditors who are no party have to do with all projects.
    #[error("all_projects is for admins and auditors who are no party")]
    NotForAllProjects,
    /// It would be over before it begins, or would never be.
    #[error("expires_at {0}")]
    BadExpiry(&'static str),
    /// A holder has a certificate that is good, and this one is not said to take its place.
    #[error("Certificate still active.")]
    StillActive,
    /// There is no such credential.
    #[error("there is no credential {0}")]
    Unknown(CredentialId),
    /// What the sender came by is not good any more: it ended before its command had its turn.
    #[error("{0}")]
    Unauthenticated(InvalidCredential),
    /// The token that is to be spent is not good for this.
    #[error("{0}")]
    TokenInvalid(InvalidCredential),
    /// The token that is to be spent is good for something else.
    #[error("the token has another purpose")]
    OtherPurpose,
    /// So many are more than anybody needs, and than can be looked through.
    #[error("{0} has {MOST_OF_ONE} valid credentials, the maximum; revoke some")]
    TooMany(Holder),
    /// The id is that of another credential.
    #[error("credential {0} was issued before")]
    IssuedBefore(CredentialId),
}

/// Where holders are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Holders<'a> {
    pub(crate) parties: &'a Parties,
    pub(crate) computers: &'a Computers,
    pub(crate) instances: &'a Instances,
}

impl Holders<'_> {
    fn know(self, holder: &Holder) -> bool {
        match holder {
            Holder::Operator(_) => true,
            Holder::Party(party) => self.parties.get(*party).is_some_and(|known| !known.erased),
            Holder::Computer(computer) => self.computers.known(computer).is_ok(),
            Holder::Instance(instance) => self.instances.place(*instance).is_some(),
        }
    }

    /// Whether it is an instance in a partition of a computer.
    fn on(self, holder: &Holder, computer: &ComputerId) -> bool {
        let Holder::Instance(instance) = holder else { return false };
        self.instances.place(*instance).is_some_and(|(on, _)| on == computer)
    }
}

impl Access {
    pub(crate) fn open_project(
        &self,
        command: &OpenProject,
        now: Timestamp,
    ) -> Result<Outcome<ProjectId>, AccessRefusal> {
        check_text(&command.title, MAX_TITLE).map_err(AccessRefusal::BadTitle)?;
        if let Some((project, _)) = self.projects().find(|(_, title)| **title == *command.title) {
            return Err(AccessRefusal::TitleTaken { project, title: command.title.clone() });
        }
        let last = self.projects.last_key_value().map_or(ProjectId::DEFAULT, |(last, _)| *last);
        let project = ProjectId(last.0 + 1);
        let event = ProjectOpened { project, title: command.title.clone(), at: now };
        Ok(Outcome::of(project, [(Stream::Project(project), Event::ProjectOpened(event))]))
    }

    /// A credential is known from its first to its last day; what is wrong is told before anything is issued.
    pub(crate) fn issue(
        &self,
        project: ProjectId,
        holders: Holders<'_>,
        command: &IssueCredential,
        now: Timestamp,
    ) -> Result<Outcome<()>, AccessRefusal> {
        let IssueCredential { credential, holder, roles, all_projects, purpose, proof, .. } = command.clone();
        if !self.knows(project) {
            return Err(AccessRefusal::UnknownProject(project));
        }
        if let Some(known) = self.credentials.get(&credential) {
            let same = known.project == project && known.issued.proof == proof;
            return if same {
                Ok(Outcome::unchanged(()))
            } else {
                Err(AccessRefusal::IssuedBefore(credential))
            };
        }
        if let Holder::Operator(name) = &holder {
            check_text(name, MAX_LABEL).map_err(AccessRefusal::BadHolder)?;
        }
        if let Some(label) = &command.label {
            check_text(label, MAX_LABEL).map_err(AccessRefusal::BadLabel)?;
        }
        if !holders.know(&holder) {
            return Err(AccessRefusal::UnknownHolder(holder));
        }
        check_roles(&holder, roles, purpose)?;
        // A party is one of its project: in another its id is somebody else's.
        if all_projects && !matches!(holder, Holder::Operator(_)) {
            return Err(AccessRefusal::NotForAllProjects);
        }
        let expires_at = command.expires_at;
        if expires_at.is_some_and(|end| end <= now) {
            return Err(AccessRefusal::BadExpiry("must be in the future"));
        }
        if expires_at.is_none() && purpose != Purpose::Access {
            return Err(AccessRefusal::BadExpiry("must be said of a token that is good once"));
        }
        // Those of a namesake who reaches all projects, or does not, are somebody else's.
        let counts = |known: &&Credential| {
            known.issued.all_projects == all_projects && Some(known.issued.credential) != command.spends
        };
        let good = self.active_of(project, &holder).filter(counts).filter(|known| known.check(now).is_ok());
        if good.take(MOST_OF_ONE).count() == MOST_OF_ONE {
            return Err(AccessRefusal::TooMany(holder));
        }
        let spent = command.spends.map(|token| self.spend(project, token, command, now)).transpose()?;
        let revoked = self.renewed(project, command, now)?;
        let label = command.label.clone();
        let issued = CredentialIssued {
            credential,
            holder,
            roles,
            all_projects,
            purpose,
            proof,
            label,
            expires_at,
            at: now,
        };
        let events = spent.into_iter().chain(revoked);
        let issued = (Stream::Credential(credential), Event::CredentialIssued(issued));
        Ok(Outcome::of((), events.chain([issued])))
    }

    /// A token that is good once, used for what it is for.
    fn spend(
        &self,
        project: ProjectId,
        token: CredentialId,
        command: &IssueCredential,
        now: Timestamp,
    ) -> Result<(Stream, Event), AccessRefusal> {
        let known = self.credentials.get(&token).filter(|known| known.project == project);
        let known = known.ok_or(AccessRefusal::Unknown(token))?;
        known.check(now).map_err(AccessRefusal::TokenInvalid)?;
        let fits = match (known.issued.purpose, &command.holder) {
            (Purpose::RegisterComputer, Holder::Computer(_)) => true,
            (Purpose::GetCertificate, holder) => {
                *holder == known.issued.holder && known.issued.roles.has_all(command.roles)
            }
            _ => false,
        };
        if !fits || !matches!(command.proof, Proof::Certificate { .. }) {
            return Err(AccessRefusal::OtherPurpose);
        }
        let event = CredentialSpent { credential: token, by: command.credential, at: now };
        Ok((Stream::Credential(token), Event::CredentialSpent(event)))
    }

    /// What ends because a certificate is issued anew.
    fn renewed(
        &self,
        project: ProjectId,
        command: &IssueCredential,
        now: Timestamp,
    ) -> Result<Vec<(Stream, Event)>, AccessRefusal> {
        let one_only = matches!(command.holder, Holder::Computer(_) | Holder::Instance(_));
        if !one_only || !matches!(command.proof, Proof::Certificate { .. }) {
            return Ok(Vec::new());
        }
        let mut active = self.certificates_of(project, &command.holder, now).peekable();
        let kept = match command.renews {
            Renews::Nothing if active.peek().is_some() => return Err(AccessRefusal::StillActive),
            Renews::Nothing | Renews::All => None,
            Renews::AllBut(credential) => Some(credential),
        };
        let ends = active.filter(|known| kept != Some(known.issued.credential));
        Ok(ends.map(|credential| revoked(credential, now)).collect())
    }

    /// What is revoked because its holder has ended: nobody comes as an instance that is gone, as a party that was
    /// erased, or as a computer of one.
    pub(crate) fn ended_with(
        &self,
        project: ProjectId,
        holders: Holders<'_>,
        event: &Event,
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        let ended: Vec<_> = match event {
            Event::InstanceEnded(ended) => vec![Holder::Instance(ended.instance)],
            Event::ComputerRetired(retired) => vec![Holder::Computer(retired.computer.clone())],
            Event::KeyDestroyed(KeyDestroyed { subject: ErasureSubject::Party(party), .. }) => {
                let theirs = holders.computers.of(*party).cloned().map(Holder::Computer);
                iter::once(Holder::Party(*party)).chain(theirs).collect()
            }
            _ => return Vec::new(),
        };
        let credentials = ended.iter().flat_map(|holder| self.active_of(project, holder));
        credentials.map(|known| revoked(known, now)).collect()
    }

    /// What is revoked is revoked for good. Answers which were.
    pub(crate) fn revoke<'a>(
        &'a self,
        project: ProjectId,
        holders: impl Fn(ProjectId) -> Holders<'a>,
        command: &'a RevokeCredentials,
        now: Timestamp,
    ) -> Result<Outcome<Vec<CredentialId>>, AccessRefusal> {
        let mut ends: Vec<&Credential> = match &command.which {
            Which::One(id) => {
                let known = self.credentials.get(id).filter(|known| known.project == project);
                vec![known.ok_or(AccessRefusal::Unknown(*id))?]
            }
            Which::CertificatesOf(holder) => {
                self.active_of(project, holder).filter(|known| known.is_certificate()).collect()
            }
            Which::CertificatesOn(computer) => {
                let of = Holder::Computer(computer.clone());
                let its = self.active_of(project, &of).filter(|known| known.is_certificate());
                its.chain(self.certificates_on(project, holders(project), computer)).collect()
            }
            // What has ended may have issued what has not.
            Which::AllOf(holder) if command.issued_since.is_some() => self.of(project, holder).collect(),
            Which::AllOf(holder) => self.active_of(project, holder).collect(),
            // Where somebody who reaches all projects was let in, whatever is called so is theirs.
            Which::AllOfEverywhere(holder) => {
                let wide = self.everywhere(holder).map(|known| known.project);
                let projects: BTreeSet<_> = wide.chain([project]).collect();
                projects.into_iter().flat_map(|project| self.of(project, holder)).collect()
            }
        };
        if let Some(since) = command.issued_since {
            self.add_issued(&mut ends, since, holders);
        }
        // What has expired is good for nothing as it is.
        let ends: Vec<_> = ends.into_iter().filter(|known| known.check(now).is_ok()).collect();
        let ids = ends.iter().map(|known| known.issued.credential).collect();
        Ok(Outcome::of(ids, ends.into_iter().map(|known| revoked(known, now))))
    }

    /// The certificates of the instances in the partitions of a computer.
    fn certificates_on<'a>(
        &'a self,
        project: ProjectId,
        holders: Holders<'a>,
        computer: &'a ComputerId,
    ) -> impl Iterator<Item = &'a Credential> {
        let on = self.instances_of(project).filter(move |holder| holders.on(holder, computer));
        on.flat_map(move |holder| self.active_of(project, holder)).filter(|known| known.is_certificate())
    }

    /// Adds what these issued from an instant on, and what that issued in turn, each once; where a computer got a
    /// certificate so, also those of what is on it, whose keys it could fetch. What has ended counts: a token that was
    /// spent issued a certificate. One of a project leads to no other, whatever is asked.
    fn add_issued<'a>(
        &'a self,
        to: &mut Vec<&'a Credential>,
        since: Timestamp,
        holders: impl Fn(ProjectId) -> Holders<'a>,
    ) {
        let mut issued: BTreeMap<CredentialId, Vec<&Credential>> = BTreeMap::new();
        for known in self.credentials.values().filter(|known| known.issued.at >= since) {
            if let Some(by) = known.by {
                issued.entry(by).or_default().push(known);
            }
        }
        let mut there: BTreeSet<_> = to.iter().map(|known| known.issued.credential).collect();
        let mut next = 0;
        while let Some(&by) = to.get(next) {
            let of_it = issued.get(&by.issued.credential).into_iter().flatten();
            let within = of_it.filter(|known| by.issued.all_projects || known.project == by.project);
            to.extend(within.filter(|known| there.insert(known.issued.credential)));
            if let Holder::Computer(computer) = &by.issued.holder {
                let beneath = self.certificates_on(by.project, holders(by.project), computer);
                to.extend(beneath.filter(|known| there.insert(known.issued.credential)));
            }
            next += 1;
        }
    }
}

fn revoked(credential: &Credential, now: Timestamp) -> (Stream, Event) {
    let id = credential.issued.credential;
    (Stream::Credential(id), Event::CredentialRevoked(CredentialRevoked { credential: id, at: now }))
}

/// The roles that may reach all projects.
const LEDGER_WIDE: [Role; 2] = [Role::Admin, Role::Auditor];

fn check_roles(holder: &Holder, roles: Roles, purpose: Purpose) -> Result<(), AccessRefusal> {
    let may =
        |allowed: &[Role]| !roles.is_empty() && allowed.iter().copied().collect::<Roles>().has_all(roles);
    let (good, rule) = match (holder, purpose) {
        (Holder::Party(_), Purpose::RegisterComputer) => {
            (roles == Roles::from(Role::Provider), "provider, for a token that registers a computer")
        }
        (Holder::Party(_), _) => (
            may(&[Role::Admin, Role::Provider, Role::Publisher, Role::Customer, Role::Auditor]),
            "some of admin, provider, publisher, customer and auditor, for a party",
        ),
        (Holder::Operator(_), Purpose::Access) => {
            (may(&LEDGER_WIDE), "admin, auditor or both, for somebody who is no party")
        }
        (Holder::Computer(_), Purpose::Access) => (roles == Roles::from(Role::Node), "node, for a computer"),
        (Holder::Instance(_), Purpose::Access) => {
            (roles == Roles::from(Role::Instance), "instance, for an instance")
        }
        _ => (false, "those of a party, for a token that is good once"),
    };
    if good { Ok(()) } else { Err(AccessRefusal::BadRoles(rule)) }
}
