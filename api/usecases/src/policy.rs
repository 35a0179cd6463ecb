//! What each role may do: the one table.
//!
//! A rule names the roles that a route is for, and how far each of them reaches: all that a project holds, or what is
//! the caller's own. Of several roles the one that reaches furthest counts. Reading and writing have rules of their
//! own, and an auditor is in none that writes.

use std::sync::Arc;

use http::StatusCode;
use slapledger_core::domain::access::{Role, Roles};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;

use super::caller::{Caller, Principal, Reach};

/// For whom a route is.
#[derive(Debug)]
pub struct Policy {
    /// What it is called, in tests and documents.
    pub name: &'static str,
    /// The roles it is for; everybody, if `None`, known or not.
    pub roles: Option<&'static [(Role, Reach)]>,
    /// Whether it is for those alone who reach all projects.
    pub ledger_wide: bool,
}

use Reach::{All, Own};
use Role::{Admin, Auditor, Customer, Instance, Node, Provider, Publisher};

const fn policy(name: &'static str, roles: &'static [(Role, Reach)]) -> Policy {
    Policy { name, roles: Some(roles), ledger_wide: false }
}

const fn ledger_wide(name: &'static str, roles: &'static [(Role, Reach)]) -> Policy {
    Policy { name, roles: Some(roles), ledger_wide: true }
}

/// What answers everybody: how the server is, what its routes are, and what is opened by a token of its own.
pub static PUBLIC: Policy = Policy { name: "public", roles: None, ledger_wide: false };
/// What everybody may know who is known.
pub static KNOWN: Policy = policy(
    "known",
    &[
        (Admin, All),
        (Auditor, All),
        (Provider, All),
        (Publisher, All),
        (Customer, All),
        (Node, All),
        (Instance, All),
    ],
);

/// Computers, as they are.
pub static COMPUTER_READ: Policy =
    policy("computer.read", &[(Admin, All), (Auditor, All), (Provider, Own), (Customer, Own), (Node, Own)]);
/// Entering and describing computers, and having software on them.
pub static COMPUTER_WRITE: Policy = policy("computer.write", &[(Admin, All), (Provider, Own)]);
/// What a computer says of itself.
pub static COMPUTER_REPORT: Policy = policy("computer.report", &[(Admin, All), (Node, Own)]);
/// What a computer fetches, opened parameters and all.
pub static COMPUTER_FETCH: Policy = policy("computer.fetch", &[(Admin, All), (Node, Own), (Instance, Own)]);
/// The private key of an instance: for the instance and its provider. A key that is read leaves no trace, so an admin
/// revokes it, and does not take it.
pub static INSTANCE_KEY: Policy = policy("instance.key", &[(Node, Own), (Instance, Own)]);
/// Making and revoking certificates of computers.
pub static COMPUTER_CERTIFY: Policy =
    policy("computer.certify", &[(Admin, All), (Provider, Own), (Node, Own)]);

/// Which releases there are, and where: on one's own computers, or published by oneself.
pub static SOFTWARE_READ: Policy =
    policy("software.read", &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own)]);
/// The catalogue: what was said of software, and how far the log shows it to be.
pub static CATALOGUE_READ: Policy = policy(
    "catalogue.read",
    &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own), (Customer, Own)],
);
/// Recording and removing its entries.
pub static CATALOGUE_WRITE: Policy = policy("catalogue.write", &[(Admin, All)]);
/// Describing the parameters of releases.
pub static SCHEMA_WRITE: Policy = policy("schema.write", &[(Admin, All), (Provider, Own), (Publisher, Own)]);
/// Publishing releases of products.
pub static SOFTWARE_PUBLISH: Policy = policy("software.publish", &[(Admin, All), (Publisher, Own)]);

/// Instances, as they are.
pub static INSTANCE_READ: Policy = policy(
    "instance.read",
    &[(Admin, All), (Auditor, All), (Customer, Own), (Provider, Own), (Node, Own), (Instance, Own)],
);
/// `request()`.
pub static INSTANCE_REQUEST: Policy =
    policy("instance.request", &[(Admin, All), (Customer, Own), (Instance, Own)]);
/// The same by SLAP, where a node may speak for the instances in its partitions.
pub static INSTANCE_CLAIM: Policy =
    policy("instance.claim", &[(Admin, All), (Customer, Own), (Node, Own), (Instance, Own)]);
/// An instance with what is sealed in it.
pub static INSTANCE_OPEN: Policy =
    policy("instance.open", &[(Admin, All), (Customer, Own), (Node, Own), (Instance, Own)]);
/// Erasing what was sealed for an instance that has ended.
pub static INSTANCE_ERASE: Policy = policy("instance.erase", &[(Admin, All), (Customer, Own)]);
/// What clients of users read of what is theirs.
pub static CLIENT: Policy = policy("client", &[(Admin, All), (Customer, Own), (Provider, Own)]);
/// What a node says of an instance, or an instance of itself.
pub static INSTANCE_REPORT: Policy = policy("instance.report", &[(Admin, All), (Node, Own), (Instance, Own)]);

/// Reporting usage.
pub static USAGE_REPORT: Policy = policy("usage.report", &[(Admin, All), (Node, Own)]);
/// What was used by an instance.
pub static USAGE_READ: Policy = policy(
    "usage.read",
    &[(Admin, All), (Auditor, All), (Customer, Own), (Provider, Own), (Node, Own), (Instance, Own)],
);
/// What of the usage of a computer is suspended or missing.
pub static USAGE_REVIEW: Policy = policy("usage.review", &[(Admin, All), (Auditor, All), (Provider, Own)]);
/// Putting suspended usage right.
pub static USAGE_SETTLE: Policy = policy("usage.settle", &[(Admin, All), (Provider, Own)]);

/// Price books. What single customers pay is shown to them, the seller and auditors.
pub static PRICES_READ: Policy =
    policy("prices.read", &[(Admin, All), (Auditor, All), (Provider, All), (Customer, All)]);
/// Publishing them.
pub static PRICES_WRITE: Policy = policy("prices.write", &[(Admin, All)]);

/// Invoices, and why they say what they say.
pub static INVOICE_READ: Policy = policy(
    "invoice.read",
    &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own), (Customer, Own)],
);
/// Drafts as they would be now: all, or a customer's own.
pub static DRAFT_READ: Policy = policy("draft.read", &[(Admin, All), (Auditor, All), (Customer, Own)]);
/// Invoice runs, drafts of all customers, what other prices would come to, and the books.
pub static BILLING_READ: Policy = policy("billing.read", &[(Admin, All), (Auditor, All)]);
/// Whatever charges somebody or gives back, and what invoices are made by.
pub static BILLING_WRITE: Policy = policy("billing.write", &[(Admin, All)]);

/// Who sells and buys.
pub static PARTY_READ: Policy =
    policy("party.read", &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own), (Customer, Own)]);
/// Entering and describing them.
pub static PARTY_WRITE: Policy = policy("party.write", &[(Admin, All)]);

/// The events of a project.
pub static LOG_READ: Policy = policy("log.read", &[(Admin, All), (Auditor, All)]);
/// Events as they are recorded: all of a project, or those about what is one's own.
pub static LOG_FOLLOW: Policy =
    policy("log.follow", &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own), (Customer, Own)]);
/// Digests of what is derived from the events of all projects.
pub static LOG_DIGEST: Policy = ledger_wide("log.digest", &[(Admin, All), (Auditor, All)]);
/// Deriving it again.
pub static LOG_REBUILD: Policy = ledger_wide("log.rebuild", &[(Admin, All)]);

/// Events of all projects as they are stored, for those who check the log.
pub static LOG_ENTRIES: Policy = ledger_wide("log.entries", &[(Admin, All), (Auditor, All)]);
/// Downloading the log of all projects, sealed values and all.
pub static LOG_BACKUP: Policy = ledger_wide("log.backup", &[(Admin, All)]);

/// Credentials: one's own, or all of a project.
pub static CREDENTIAL_READ: Policy = policy(
    "credential.read",
    &[(Admin, All), (Auditor, All), (Provider, Own), (Publisher, Own), (Customer, Own)],
);
/// Issuing and revoking them.
pub static CREDENTIAL_WRITE: Policy =
    policy("credential.write", &[(Admin, All), (Provider, Own), (Publisher, Own), (Customer, Own)]);
/// Which projects there are.
pub static PROJECT_READ: Policy = ledger_wide("project.read", &[(Admin, All), (Auditor, All)]);
/// Opening them.
pub static PROJECT_WRITE: Policy = ledger_wide("project.write", &[(Admin, All)]);
/// Whether the clock of the server can be believed.
pub static CLOCK_READ: Policy = ledger_wide("clock.read", &[(Admin, All), (Auditor, All)]);
/// Saying that it can.
pub static CLOCK_CONFIRM: Policy = ledger_wide("clock.confirm", &[(Admin, All)]);

impl Policy {
    /// How far these roles reach here; `None`, if not in at all.
    pub fn reach(&self, roles: Roles, all_projects: bool) -> Option<Reach> {
        let Some(rule) = self.roles else { return Some(Reach::Own) };
        if self.ledger_wide && !all_projects {
            return None;
        }
        rule.iter().filter(|(role, _)| roles.has(*role)).map(|(_, reach)| *reach).max()
    }

    /// What a caller may do on a route of this rule; `principal` is who they are, if they are authenticated.
    pub fn admit(&self, principal: Option<&Arc<Principal>>) -> Result<Caller, Problem> {
        let Some(principal) = principal else {
            if self.roles.is_none() {
                return Ok(Caller::Anonymous);
            }
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                ProblemCode::Unauthorized,
                "this needs a client certificate or a token of this server",
            ));
        };
        match self.reach(principal.roles, principal.all_projects) {
            Some(reach) => Ok(Caller::Authenticated { principal: Arc::clone(principal), reach }),
            None => Err(self.forbidden(principal)),
        }
    }

    fn forbidden(&self, principal: &Principal) -> Problem {
        let mut roles: Vec<_> = self.roles.into_iter().flatten().map(|(role, _)| role.as_str()).collect();
        roles.dedup();
        let scope = if self.ledger_wide { " of all projects" } else { "" };
        let detail =
            format!("this is for {}{scope}; the credential is for {}", roles.join(", "), principal.roles);
        Problem::new(StatusCode::FORBIDDEN, ProblemCode::Forbidden, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_roles_the_furthest_counts() {
        let both: Roles = [Customer, Auditor].into_iter().collect();
        assert_eq!(INSTANCE_READ.reach(both, false), Some(All));
        assert_eq!(INSTANCE_READ.reach(Customer.into(), false), Some(Own));
        assert_eq!(INSTANCE_REQUEST.reach(both, false), Some(Own));
        assert_eq!(INSTANCE_REQUEST.reach(Auditor.into(), false), None);
        assert_eq!(LOG_REBUILD.reach(Admin.into(), false), None);
        assert_eq!(LOG_REBUILD.reach(Admin.into(), true), Some(All));
        assert_eq!(PUBLIC.reach(Roles::NONE, false), Some(Own));
    }
}
