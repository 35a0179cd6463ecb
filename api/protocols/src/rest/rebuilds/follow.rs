//! `GET /v1/projections/{name}/generations/stream`: how far a rebuild is, until it ends or waits for a decision.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use slapledger_kit::problem::{Problem, ProblemDetails};
use slapledger_usecases::policy;
use tokio::sync::watch;

use super::{generations_of, unknown};
use crate::access::{Authorised, ContinuedRequest, Gateway};
use crate::rest::query::{Named, Query};
use crate::streams::{StreamBounds, StreamSeat, server_sent};

/// How often a reader is told how far it is.
const EVERY: Duration = Duration::from_secs(1);

/// A reader of the generations of a view.
struct GenerationsReader {
    gateway: Arc<Gateway>,
    continued: ContinuedRequest,
    name: String,
    told: watch::Receiver<u64>,
    is_begun: bool,
    is_over: bool,
    _place: StreamSeat,
}

/// `GET /v1/projections/{name}/generations/stream`.
pub(in crate::rest) async fn follow(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (view, _) = ctx.engine.view_of(&name).ok_or_else(|| unknown(&name))?;
    let told = view.generations_changed();
    let continued = ContinuedRequest::of(&gateway, &ctx.caller, &headers);
    let holder = ctx.caller.principal().map(|principal| (principal.project, principal.holder.clone()));
    let limits = &gateway.limits;
    let bounds = StreamBounds { most: limits.most_streams, most_of_one: limits.most_streams_of_one };
    let place = gateway.streams.open(&gateway.engine, holder, bounds)?;
    let (is_begun, is_over) = (false, false);
    let reader = GenerationsReader { gateway, continued, name, told, is_begun, is_over, _place: place };
    let pieces = futures_util::stream::unfold(reader, async |mut reader| {
        reader.next().await.map(|piece| (Ok::<_, Infallible>(piece), reader))
    });
    Ok(server_sent(pieces, position))
}

impl GenerationsReader {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over || self.gateway.engine.health.is_stopping() {
            return None;
        }
        if self.is_begun {
            // A change is told at once, and progress now and then.
            let _ = tokio::time::timeout(EVERY, self.told.changed()).await;
        }
        self.is_begun = true;
        self.told.mark_unchanged();
        let shown = self.continued.check(&self.gateway, &policy::LOG_DIGEST);
        let form = match shown.and_then(|_| generations_of(&self.gateway.engine, &self.name)) {
            Ok(form) => form,
            Err(problem) => {
                self.is_over = true;
                let details =
                    ProblemDetails::new(problem.status, problem.code, problem.detail.as_str().into());
                return written("end", &details).ok();
            }
        };
        self.is_over = !form.is_at_work();
        written("generations", &form).ok()
    }
}

fn written(event: &str, data: &impl serde::Serialize) -> serde_json::Result<Bytes> {
    Ok(format!("event: {event}\ndata: {}\n\n", serde_json::to_string(data)?).into())
}
