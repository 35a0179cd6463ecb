//! The SLAP edge: what `SlapOS` nodes and clients say to the master, and what they are answered.
//!
//! `wire` holds the document formats and nothing else; `form` what comes in, `reply` what goes out; `answers` what the
//! views show, `sealing` what they hold only sealed. The other files are the routes, by who speaks of what. Statuses are
//! those that slapos.core 1.26.1 knows: 404 for what does not exist, 408 for what has no partition yet, 400 and the name
//! of the field for what is wrong. A read shows every write that was acknowledged before it began.
//!
//! Not here: what is allowed and what follows from it. That is decided in the core, once for every way a command comes.

mod certificates;
mod form;
mod node;
mod partition;
mod registration;
mod reply;
mod requests;
mod software;
mod status;
#[cfg(test)]
mod tests;

use axum::routing::{get, post};
use slapledger_core::domain::Command;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::ledger::{Accepted, SubmitError};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::policy;
use slapledger_usecases::reading::submit_as;

use crate::access::Guarded;
use crate::slap::form::PostedForm;

/// The routes of the SLAP tool. Those of slapos.core that are not here answer 404, as slapos proxy does for many.
pub(super) fn routes() -> Guarded {
    Guarded::new(reply::refuse)
        // What users and instances ask for.
        .route("/requestComputerPartition", &policy::INSTANCE_CLAIM, post(requests::request))
        .route("/supplySupply", &policy::COMPUTER_WRITE, post(software::supply))
        // By a token, for those who have no certificate yet. Clients join address and name with a slash that may be one
        // too many.
        .route("/Person_requestComputer", &policy::PUBLIC, post(registration::request_computer))
        .route("//Person_requestComputer", &policy::PUBLIC, post(registration::request_computer))
        .route("/Person_getCertificate", &policy::PUBLIC, post(registration::get_certificate))
        .route("//Person_getCertificate", &policy::PUBLIC, post(registration::get_certificate))
        // What computers say of themselves, ask and report.
        .route("/loadComputerConfigurationFromXML", &policy::COMPUTER_REPORT, post(node::configure))
        .route("/getFullComputerInformation", &policy::COMPUTER_FETCH, get(node::computer))
        .route("/getComputerInformation", &policy::COMPUTER_FETCH, get(node::computer))
        .route("/useComputer", &policy::USAGE_REPORT, post(node::report_usage))
        .route("/computerBang", &policy::COMPUTER_REPORT, post(node::bang))
        .route("/getComputerStatus", &policy::COMPUTER_READ, get(status::computer))
        .route("/requestComputer", &policy::COMPUTER_WRITE, post(node::request))
        .route("/generateComputerCertificate", &policy::COMPUTER_CERTIFY, post(certificates::generate))
        .route("/revokeComputerCertificate", &policy::COMPUTER_CERTIFY, post(certificates::revoke))
        .route("/getRunId", &policy::KNOWN, get(node::run_id))
        // What they say of software.
        .route("/buildingSoftwareRelease", &policy::COMPUTER_REPORT, post(software::building))
        .route("/availableSoftwareRelease", &policy::COMPUTER_REPORT, post(software::available))
        .route("/destroyedSoftwareRelease", &policy::COMPUTER_REPORT, post(software::destroyed))
        .route("/softwareReleaseError", &policy::COMPUTER_REPORT, post(software::error))
        .route("/getSoftwareInstallationStatus", &policy::COMPUTER_READ, get(status::software))
        .route("/getSoftwareReleaseListFromSoftwareProduct", &policy::KNOWN, get(software::product))
        // What they ask and say of partitions.
        .route("/registerComputerPartition", &policy::INSTANCE_OPEN, get(partition::partition))
        .route("/getComputerPartitionCertificate", &policy::INSTANCE_KEY, get(certificates::of_partition))
        .route("/startedComputerPartition", &policy::INSTANCE_REPORT, post(partition::started))
        .route("/stoppedComputerPartition", &policy::INSTANCE_REPORT, post(partition::stopped))
        .route("/destroyedComputerPartition", &policy::INSTANCE_REPORT, post(partition::destroyed))
        .route("/getComputerPartitionStatus", &policy::INSTANCE_OPEN, get(status::partition))
        .route("/getHostingSubscriptionIpList", &policy::COMPUTER_FETCH, get(partition::tree_addresses))
        .route("/softwareInstanceError", &policy::INSTANCE_REPORT, post(partition::error))
        .route("/softwareInstanceBang", &policy::INSTANCE_REPORT, post(partition::bang))
        .route("/softwareInstanceRename", &policy::INSTANCE_REPORT, post(partition::rename))
        .route(
            "/setComputerPartitionConnectionXml",
            &policy::INSTANCE_REPORT,
            post(partition::set_connection),
        )
        .route(
            "/updateComputerPartitionRelatedInstanceList",
            &policy::INSTANCE_REPORT,
            post(partition::set_related),
        )
}

/// Carries out what a node posted. It cannot send it again, so it may wait for room.
async fn submit(
    ctx: &RequestContext,
    form: &PostedForm,
    node: &ComputerId,
    command: Command,
) -> Result<Accepted, SubmitError> {
    submit_as(ctx, form.digest(ctx.keys()), node, command).await
}
