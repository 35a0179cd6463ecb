//! What is said of the routes of computers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use slapledger_kit::json_body::Replaced;

use super::certificates::CertificateForm;
use super::counts::{ComputerCounts, ComputerState};
use super::{ComputerItem, ComputerResource};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listComputers", "computers", "Computers, by reference")
        .query::<ComputerState>("state", "Only computers that are seen so")
        .lists::<ComputerItem>("A part of the list")
}

pub(crate) fn counts(operation: Operation) -> Operation {
    operation
        .called("countComputers", "computers", "How many computers there are, by what is seen of them")
        .description("All that the caller may see. `error` is counted beside the other states.")
        .reads::<ComputerCounts>("The counts")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showComputer", "computers", "A computer with its partitions and its software")
        .path::<schema::ComputerId>("id", "Which computer")
        .shows::<ComputerResource>("The computer")
}

/// A computer to be entered: with the reference it keeps, or with a title, and the master names it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComputer {
    pub(super) reference: Option<schema::ComputerId>,
    pub(super) title: Option<schema::ShortText>,
    /// Where times it reports without an offset belong; UTC, if it is not said.
    pub(super) time_zone: Option<schema::TimeZone>,
}

pub(crate) fn enter(operation: Operation) -> Operation {
    operation
        .called("enterComputer", "computers", "Enter a computer")
        .body::<NewComputer>(json!({"title": "A computer in the cellar"}))
        .writes::<ComputerResource>(200, "There is one of this title")
        .location(200)
        .tagged(200)
        .writes::<ComputerResource>(201, "It is entered")
        .location(201)
        .tagged(201)
}

/// What all changes of a computer have in common.
fn changes(operation: Operation) -> Operation {
    operation
        .path::<schema::ComputerId>("id", "Which computer")
        .if_match()
        .writes::<ComputerResource>(200, "The computer as it is now")
        .tagged(200)
        .problem(404)
}

/// What a computer is called and what filters may ask for; what is left out stays, what is null goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Description")]
pub(super) struct ComputerDescription {
    #[serde(default)]
    pub(super) title: Replaced<schema::ShortText>,
    pub(super) attributes: Option<BTreeMap<String, Option<schema::ShortText>>>,
}

pub(crate) fn describe(operation: Operation) -> Operation {
    changes(operation.called("describeComputer", "computers", "Give a computer a title and attributes"))
        .body::<ComputerDescription>(
        json!({"title": "A computer in the cellar", "attributes": {"region": "europe/france"}}),
    )
}

/// What a computer says of itself; partitions that it does not name are withdrawn.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Configuration {
    pub(super) address: Option<schema::NodeText>,
    pub(super) netmask: Option<schema::NodeText>,
    pub(super) partitions: Option<Vec<OfferedPartition>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfferedPartition {
    pub(super) id: schema::PartitionId,
    pub(super) addresses: Option<Vec<OfferedAddress>>,
    pub(super) interface: Option<schema::NodeText>,
    /// Its unix user, under which usage may be reported.
    pub(super) user: Option<schema::NodeText>,
    pub(super) capabilities: Option<Vec<Box<str>>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfferedAddress {
    pub(super) address: Option<schema::NodeText>,
    pub(super) netmask: Option<schema::NodeText>,
    /// Its network interface; that of the partition, if it is not said.
    pub(super) interface: Option<schema::NodeText>,
    pub(super) gateway: Option<schema::NodeText>,
    pub(super) network: Option<schema::NodeText>,
}

pub(crate) fn configure(operation: Operation) -> Operation {
    changes(operation.called("configureComputer", "computers", "Say what a computer offers"))
        .body::<Configuration>(json!({"address": "10.0.0.1", "netmask": "255.255.255.0", "partitions": [
            {"id": "slappart0", "addresses": [{"address": "10.0.1.1", "netmask": "255.255.255.255"}]}]}))
}

/// Whom and what a computer is for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeWanted {
    pub(super) scope: schema::ScopeName,
    /// Whom besides its provider, if it is for a group.
    pub(super) group: Option<schema::Texts<schema::PartyId>>,
    /// The releases it is limited to; all, if there are none.
    pub(super) software: Option<schema::Texts<schema::SoftwareRelease>>,
    /// How many instances it takes at most.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub(super) capacity: Option<u32>,
}

pub(crate) fn set_scope(operation: Operation) -> Operation {
    changes(operation.called("setAllocationScope", "computers", "Restrict who and what a computer serves"))
        .body::<ScopeWanted>(json!({"scope": "open"}))
}

/// Why everything is to be processed again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bang {
    pub(crate) message: Option<String>,
}

pub(crate) fn bang(operation: Operation) -> Operation {
    changes(operation.called("bangComputer", "computers", "Have everything on a computer processed again"))
        .body::<Bang>(json!({"message": "the address has changed"}))
        .optional_body()
}

/// A release that is to be on a computer, or to go.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SupplyWanted {
    pub(super) software_release: schema::SoftwareRelease,
    pub(super) state: schema::SupplyState,
}

pub(crate) fn supply(operation: Operation) -> Operation {
    changes(operation.called("supplySoftware", "software", "Ask for a release on a computer, or ask it away"))
        .body::<SupplyWanted>(
            json!({"software_release": "https://example.org/kvm/software.cfg", "state": "available"}),
        )
}

/// The same, of a computer that is named here.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Installation {
    pub(super) computer: schema::ComputerId,
    pub(super) software_release: schema::SoftwareRelease,
    pub(super) state: schema::SupplyState,
}

pub(crate) fn supply_named(operation: Operation) -> Operation {
    let example = json!({"computer": "COMP-1", "software_release": "https://example.org/kvm/software.cfg",
        "state": "available"});
    changes(operation.called("supplySoftware", "software", "Ask for a release on a computer, or ask it away"))
        .body::<Installation>(example)
}

pub(crate) fn issue_certificate(operation: Operation) -> Operation {
    operation
        .called("issueComputerCertificate", "computers", "Issue the certificate of a computer")
        .path::<schema::ComputerId>("id", "Which computer")
        .description(
            "A computer has one at a time: another one is issued when that was revoked, or to the computer itself, in its \
             place. The key is in the answer, and nowhere afterwards.",
        )
        .body::<Nothing>(json!({}))
        .optional_body()
        .answers::<CertificateForm>(201, "It is issued")
        .problem(404)
        .problem(409)
        .problem(413)
        .problem(415)
}

pub(crate) fn revoke_certificate(operation: Operation) -> Operation {
    operation
        .called("revokeComputerCertificate", "computers", "Revoke the certificates of a computer")
        .path::<schema::ComputerId>("id", "Which computer")
        .query::<bool>(
            "with_instances",
            "Whether the certificates of the instances in its partitions are revoked with it, as the computer has seen \
             them. A computer that comes in again is given new ones for them",
        )
        .answers::<ComputerResource>(200, "The computer; its certificates are revoked")
        .problem(404)
        .problem(409)
        .problem(413)
        .problem(415)
}

/// How far a computer is with a release.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SoftwareReport {
    pub(super) software_release: schema::SoftwareRelease,
    pub(super) state: schema::SoftwareState,
    /// What went wrong, with state `error`.
    pub(super) error: Option<String>,
}

pub(crate) fn report_software(operation: Operation) -> Operation {
    let example = json!({"software_release": "https://example.org/kvm/software.cfg", "state": "available"});
    changes(operation.called("reportSoftware", "software", "Say how far a computer is with a release"))
        .body::<SoftwareReport>(example)
}

pub(crate) fn retire(operation: Operation) -> Operation {
    changes(operation.called("retireComputer", "computers", "Retire a computer that is gone"))
        .description(
            "What is on it ends, and is charged until now. Instances that people requested are requested again and get \
             another partition; those that instances requested are requested again by these. Nothing of the past changes. \
             The reference is not used again.",
        )
        .body::<Nothing>(json!({}))
        .optional_body()
}

pub(crate) fn release(operation: Operation) -> Operation {
    changes(operation.called(
        "releasePartition",
        "computers",
        "Give up the instance in a partition that its computer does not offer any more",
    ))
    .path::<schema::PartitionId>("partition", "Which of its partitions")
    .description("The instance ends, as if its computer was retired; a partition that is offered is refused.")
    .body::<Nothing>(json!({}))
    .optional_body()
}
