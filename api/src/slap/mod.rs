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
mod certificates;
pub(crate) mod form;
pub(crate) mod frontend;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod partition;
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

use axum::Router;
use axum::routing::{get, post};
use slapledger_core::domain::id::{ComputerId, PartitionId, Sequence};
use slapledger_core::domain::{Command, RefusalClass};
use slapledger_core::ledger::{Accepted, Submission, SubmitError};
use slapledger_projections::SlapViews;

use crate::app::{self, App};
use crate::http::problem::Problem;
use form::Form;

pub(crate) use answers::supply_state;
pub(crate) use requests::parse_state;

/// How often a value is sealed anew for an instance that came or went meanwhile.
pub(crate) const ATTEMPTS: usize = 5;

/// The routes of the SLAP tool. Those of slapos.core that are not here answer 404, as slapos proxy does for many.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        // What users and instances ask for.
        .route("/requestComputerPartition", post(requests::request))
        .route("/supplySupply", post(software::supply))
        // What computers say of themselves, ask and report.
        .route("/loadComputerConfigurationFromXML", post(node::configure))
        .route("/getFullComputerInformation", get(node::computer))
        .route("/getComputerInformation", get(node::computer))
        .route("/useComputer", post(node::report_usage))
        .route("/computerBang", post(node::bang))
        .route("/getComputerStatus", get(status::computer))
        .route("/requestComputer", post(node::request))
        .route("/generateComputerCertificate", post(certificates::of_computer))
        .route("/revokeComputerCertificate", post(certificates::of_computer))
        .route("/getRunId", get(node::run_id))
        // What they say of software.
        .route("/buildingSoftwareRelease", post(software::building))
        .route("/availableSoftwareRelease", post(software::available))
        .route("/destroyedSoftwareRelease", post(software::destroyed))
        .route("/softwareReleaseError", post(software::error))
        .route("/getSoftwareInstallationStatus", get(status::software))
        .route("/getSoftwareReleaseListFromSoftwareProduct", get(software::product))
        // What they ask and say of partitions.
        .route("/registerComputerPartition", get(partition::partition))
        .route("/getComputerPartitionCertificate", get(certificates::of_partition))
        .route("/startedComputerPartition", post(partition::started))
        .route("/stoppedComputerPartition", post(partition::stopped))
        .route("/destroyedComputerPartition", post(partition::destroyed))
        .route("/getComputerPartitionStatus", get(status::partition))
        .route("/getHostingSubscriptionIpList", get(partition::tree_addresses))
        .route("/softwareInstanceError", post(partition::error))
        .route("/softwareInstanceBang", post(partition::bang))
        .route("/softwareInstanceRename", post(partition::rename))
        .route("/setComputerPartitionConnectionXml", post(partition::set_connection))
        .route("/updateComputerPartitionRelatedInstanceList", post(partition::set_related))
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
    let meta = Arc::new(app::meta(app::computer(node), app::random_id(), digest));
    let accepted = app.ledger.submit_patiently(Submission { meta, command }).await?;
    app.contacts.heard(node, app.now());
    Ok(accepted)
}

pub(crate) fn no_computer(computer: &ComputerId) -> Problem {
    Problem::not_found(format!("there is no computer {computer}"))
}

fn no_partition(computer: &ComputerId, partition: &PartitionId) -> Problem {
    Problem::not_found(format!("computer {computer} has no partition {partition}"))
}
