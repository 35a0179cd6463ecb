//! The SLAP edge: what `SlapOS` nodes and clients say to the master, and what they are answered.
//!
//! `wire` holds the document formats and nothing else; `form` what comes in, `reply` what goes out; `answers` what the
//! views show, `sealing` what they hold only sealed. The other files are the routes, by who speaks of what. Statuses are
//! those that slapos.core 1.26.1 knows: 404 for what does not exist, 408 for what has no partition yet, 400 and the name
//! of the field for what is wrong. A read shows every write that was acknowledged before it began.
//!
//! Not here: what is allowed and what follows from it. That is decided in the core, once for every way a command comes.

pub(crate) mod answers;
pub(crate) mod cache;
pub(crate) mod certificates;
pub(crate) mod form;
pub(crate) mod frontend;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod partition;
mod registration;
mod reply;
pub(crate) mod requesting;
pub(crate) mod requests;
pub(crate) mod sealing;
pub(crate) mod software;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod usage_report;
pub mod wire;

use std::sync::Arc;

use axum::routing::{get, post};
use slapledger_core::domain::id::{ComputerId, PartitionId, Sequence};
use slapledger_core::domain::{Command, RefusalClass};
use slapledger_core::ledger::{Accepted, Submission, SubmitError};
use slapledger_projections::SlapViews;

use crate::access::{Guarded, policy};
use crate::app::App;
use crate::http::problem::Problem;
use form::Form;

pub(crate) use answers::supply_state;
pub(crate) use requests::parse_state;

/// How often a value is sealed anew for an instance that came or went meanwhile.
pub(crate) const ATTEMPTS: usize = 5;

/// The routes of the SLAP tool. Those of slapos.core that are not here answer 404, as slapos proxy does for many.
pub fn routes() -> Guarded {
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

/// Reads the views when they show everything that was acknowledged until now, and everything up to `min`.
pub(crate) async fn read<T>(
    app: &App,
    min: Sequence,
    read: impl FnOnce(&SlapViews, Sequence) -> T,
) -> Result<T, Problem> {
    let min = app.ledger.head().last.max(min);
    app.slap.read_at(min, read).await.map_err(Into::into)
}

/// Whether a command may do when its values are sealed anew.
pub(crate) fn is_retry(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Refused(refusal) if refusal.class() == RefusalClass::Retry)
}

/// Carries out what a node posted. It cannot send it again, so it may wait for room.
async fn submit(
    app: &App,
    form: &Form,
    node: &ComputerId,
    command: Command,
) -> Result<Accepted, SubmitError> {
    submit_as(app, form.digest(&app.keys), node, command).await
}

/// The same, whatever it was posted as. `digest` names its content in the log.
pub(crate) async fn submit_as(
    app: &App,
    digest: [u8; 16],
    node: &ComputerId,
    command: Command,
) -> Result<Accepted, SubmitError> {
    let meta = Arc::new(app.meta(app.caller.actor_at(node), digest));
    let accepted = app.ledger.submit_patiently(Submission { meta, command }).await?;
    app.heard(node);
    Ok(accepted)
}

pub(crate) fn no_computer(computer: &ComputerId) -> Problem {
    Problem::not_found(format!("there is no computer {computer}"))
}

fn no_partition(computer: &ComputerId, partition: &PartitionId) -> Problem {
    Problem::not_found(format!("computer {computer} has no partition {partition}"))
}
