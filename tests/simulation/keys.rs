//! Random commands about who is let in, and those that only the program itself gives.

use slapledger_core::domain::Command;
use slapledger_core::domain::access::{
    Holder, IssueCredential, OpenProject, Proof, Purpose, Renews, RevokeCredentials, Role, Which,
};
use slapledger_core::domain::clock::ConfirmClock;
use slapledger_core::domain::id::{CredentialId, PartyId, ProjectId, Sequence};
use slapledger_core::domain::log_key::SetLogKey;
use slapledger_core::domain::restore::{RecordRestore, RestoreMark};
use slapledger_core::domain::time::Timestamp;

use crate::commands::{CommandSender, MINUTE};
use crate::whole::Whole;

/// What senders come by.
pub(crate) const SHOWN: std::ops::Range<u8> = 0..12;
/// What is good once.
const TOKENS: std::ops::Range<u8> = 100..124;
/// Certificates of computers and instances.
const CERTIFICATES: std::ops::Range<u8> = 200..240;

/// A credential of one of these ranges.
pub(crate) fn credential(n: u8) -> CredentialId {
    let mut id = [0; 16];
    id[15] = n;
    CredentialId(id)
}

impl CommandSender {
    /// Somebody is let in, or no more.
    pub(crate) fn about_credentials(&mut self, whole: &Whole, project: ProjectId, now: Timestamp) -> Command {
        match self.random.below(9) {
            0..3 => self.issue_access(now),
            3 => revoke(Which::One(self.one_of(SHOWN))),
            4 | 5 => self.issue_token(now),
            6 | 7 => self.issue_certificate(whole, project),
            _ => {
                let holder = Holder::Party(PartyId(self.random.below(3) + 1));
                let certificates = Which::CertificatesOn(self.computer());
                let which = match self.random.below(4) {
                    0 => Which::AllOf(holder),
                    1 => certificates,
                    2 => Which::One(self.one_of(TOKENS)),
                    _ => Which::One(self.one_of(CERTIFICATES)),
                };
                revoke(which)
            }
        }
    }

    /// What an operator or the program does to the ledger itself.
    pub(crate) fn about_ledger(&mut self, last: u64, now: Timestamp) -> Command {
        match self.random.below(8) {
            0..4 => {
                let titles = ["second", "third"];
                Command::OpenProject(OpenProject { title: (*self.random.pick::<&str>(&titles)).into() })
            }
            4 => {
                let filler = self.random.sixteen()[0] % 3;
                Command::SetLogKey(SetLogKey { public: [filler; 32] })
            }
            5..7 => {
                let previous = now.plus_micros(self.random.between(-5, 5) * MINUTE);
                Command::ConfirmClock(ConfirmClock { previous, confirmed: now })
            }
            _ => {
                let kept = Sequence(self.random.below(last + 1));
                let backup_at = now.plus_micros(self.random.between(-50, 2) * MINUTE);
                let mark =
                    RestoreMark::new(u32::from_be_bytes(*self.random.sixteen().first_chunk().expect("16")));
                Command::RecordRestore(Box::new(RecordRestore {
                    ledger: [0; 16],
                    from: "backup".into(),
                    to: "folder".into(),
                    backup_last: kept,
                    backup_at,
                    kept,
                    root: [0; 32],
                    mark,
                    last_numbers: Vec::new(),
                    clock_confirmed: false,
                }))
            }
        }
    }

    fn one_of(&mut self, range: std::ops::Range<u8>) -> CredentialId {
        credential(*self.random.pick(&range.collect::<Vec<_>>()))
    }

    fn issue_access(&mut self, now: Timestamp) -> Command {
        let expires_at =
            self.random.once_in(3).then(|| now.plus_micros(self.random.between(-1, 900) * MINUTE));
        issue(IssueCredential {
            credential: self.one_of(SHOWN),
            holder: Holder::Operator("somebody".into()),
            roles: Role::Admin.into(),
            all_projects: self.random.once_in(2),
            purpose: Purpose::Access,
            proof: Proof::Token { digest: [0; 32] },
            label: None,
            expires_at,
            spends: None,
            renews: Renews::Nothing,
        })
    }

    fn issue_token(&mut self, now: Timestamp) -> Command {
        issue(IssueCredential {
            credential: self.one_of(TOKENS),
            holder: Holder::Party(PartyId(self.random.below(6) + 1)),
            roles: Role::Provider.into(),
            all_projects: false,
            purpose: Purpose::RegisterComputer,
            proof: Proof::Token { digest: [0; 32] },
            label: None,
            expires_at: Some(now.plus_micros(self.random.between(0, 2000) * MINUTE)),
            spends: None,
            renews: Renews::Nothing,
        })
    }

    fn issue_certificate(&mut self, whole: &Whole, project: ProjectId) -> Command {
        let of_computer = !self.random.once_in(3);
        let (holder, role) = if of_computer {
            (Holder::Computer(self.computer()), Role::Node)
        } else {
            (Holder::Instance(self.instance(whole.project(project))), Role::Instance)
        };
        let credential = self.one_of(CERTIFICATES);
        let tokens: Vec<CredentialId> = whole.unspent_tokens(project).collect();
        let token = if tokens.is_empty() || self.random.once_in(6) {
            self.one_of(TOKENS)
        } else {
            *self.random.pick(&tokens)
        };
        issue(IssueCredential {
            credential,
            holder,
            roles: role.into(),
            all_projects: false,
            purpose: Purpose::Access,
            proof: Proof::Certificate { fingerprint: [credential.0[15]; 32] },
            label: None,
            expires_at: None,
            spends: (of_computer && !self.random.once_in(4)).then_some(token),
            renews: if self.random.once_in(2) { Renews::All } else { Renews::Nothing },
        })
    }
}

fn issue(command: IssueCredential) -> Command {
    Command::IssueCredential(Box::new(command))
}

fn revoke(which: Which) -> Command {
    Command::RevokeCredentials(RevokeCredentials { which, issued_since: None })
}
