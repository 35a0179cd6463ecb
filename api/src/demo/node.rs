//! The nodes of the demo: whatever is requested on them, they start, stop or remove before the request is answered.
//!
//! A real node needs minutes. Here a newcomer sees at once what a node does: it publishes connection parameters and
//! reports a state, by the commands of any node. No software runs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{ComputerId, KeyId};
use slapledger_core::domain::instance::{
    InstancePlace, ReportInstance, ReportedState, RequestedState, SetConnectionParameters,
};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_usecases::caller::actor_of_computer;
use slapledger_usecases::context::RequestContext;

use super::one_parameter;
use super::world::{COMPUTERS, NEWCOMER};

/// The route whose answer shows connection parameters: SLAP clients keep that answer.
const REQUEST: &str = "/requestComputerPartition";

/// What a node has to do about one instance.
struct Task {
    place: InstancePlace,
    /// The key and the id of an instance that has published nothing yet.
    publish: Option<(KeyId, String)>,
    /// What the node reports; nothing of a shared instance, which has no state of its own.
    report: Option<ReportedState>,
}

/// Lets the nodes work after each request that may have changed something.
pub(crate) async fn work(State(ctx): State<Arc<RequestContext>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    if request.uri().path() != REQUEST {
        let response = next.run(request).await;
        if response.status().is_success() {
            work_beside(&ctx).await;
        }
        return response;
    }
    let (parts, body) = request.into_parts();
    // The route refuses what is longer than it takes; this is longer than any.
    let body = match Limited::new(body, slapledger_slap_wire::MAX_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")).into_response(),
    };
    let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let response = next.clone().run(Request::from_parts(parts, Body::from(body))).await;
    if response.status() == StatusCode::OK && work_beside(&ctx).await {
        // The same request again changes nothing, and is answered with what was published.
        return next.run(again).await;
    }
    response
}

/// Works on a thread that may wait for the writer; whether something was published.
async fn work_beside(ctx: &Arc<RequestContext>) -> bool {
    let ctx = Arc::clone(ctx);
    let worked = tokio::task::spawn_blocking(move || work_now(&ctx)).await;
    match worked.map_err(anyhow::Error::from).flatten() {
        Ok(published) => published,
        Err(error) => {
            tracing::warn!("a node of the demo: {error:#}");
            false
        }
    }
}

fn work_now(ctx: &RequestContext) -> anyhow::Result<bool> {
    let mut published = false;
    for (name, _, _) in COMPUTERS.iter().chain([&NEWCOMER]) {
        let computer = ComputerId::new(name)?;
        for task in ctx.slap_now(|view| tasks(view, &computer))? {
            let submit = |command| ctx.submit_own(actor_of_computer(&computer), command);
            if let Some((key, id)) = &task.publish {
                let url = one_parameter("url", &format!("https://{id}.example.org/").to_lowercase())?;
                let connection = ctx.keys().seal(*key, url.as_bytes())?;
                let place = task.place.clone();
                submit(Command::SetConnectionParameters(SetConnectionParameters { place, connection }))?;
                published = true;
            }
            if let Some(state) = task.report {
                let place = task.place.clone();
                submit(Command::ReportInstance(ReportInstance { place, state, error: None }))?;
            }
        }
    }
    Ok(published)
}

/// What is to be done on a computer.
fn tasks(view: &SlapViews, computer: &ComputerId) -> Vec<Task> {
    let known = view.inventory.computer(computer.as_str());
    let partitions = known.iter().flat_map(|known| known.partitions());
    let occupied = partitions
        .filter_map(|partition| Some((&partition.offer.partition, view.instances.get(partition.occupant?)?)));
    occupied
        .flat_map(|(partition, instance)| {
            let place = InstancePlace::new(computer.clone(), partition.clone());
            let shares = view.instances.shares(instance.id).filter_map({
                let place = place.clone();
                move |shared| {
                    let publish = Some(unpublished(shared)?);
                    let place = InstancePlace { shared: Some(shared.id), ..place.clone() };
                    Some(Task { place, publish, report: None })
                }
            });
            let (wanted, state) = match instance.requested {
                RequestedState::Started => (unpublished(instance), ReportedState::Started),
                RequestedState::Stopped => (None, ReportedState::Stopped),
                RequestedState::Destroyed => (None, ReportedState::Destroyed),
            };
            let report = (instance.reported != Some(state)).then_some(state);
            let task = Task { place, publish: wanted, report };
            let has_work = task.publish.is_some() || task.report.is_some();
            has_work.then_some(task).into_iter().chain(shares).collect::<Vec<_>>()
        })
        .collect()
}

/// The key and the id of an instance that is to run and has published nothing.
fn unpublished(instance: &InstanceView) -> Option<(KeyId, String)> {
    let wanted = instance.requested == RequestedState::Started && instance.connection.is_none();
    wanted.then(|| (instance.key(), instance.id.to_string()))
}
