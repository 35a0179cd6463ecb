//! A folder that is asked as a server is: by the same routes, without a socket, and without writing anything in it.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use slapledger_client::print::note;
use slapledger_client::server::{self, MOST_BYTES};
use slapledger_core::domain::id::ProjectId;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{Engine, folder};
use slapledger_protocols::access::Gateway;
use slapledger_protocols::router;
use tower::ServiceExt;

use super::{progress, warnings};

/// A ledger that was opened to be read, and what answers from it.
pub(super) struct FolderReader {
    engine: Arc<Engine>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    /// Where the log ends, until it is said with the first answer: an error is one line.
    end: RefCell<Option<String>>,
}

impl FolderReader {
    /// Opens a folder that no server is using. Where its log ends is said with the first answer.
    pub(super) fn open(
        data: &Path,
        master_key: Option<&Path>,
        project: Option<ProjectId>,
    ) -> anyhow::Result<Self> {
        warnings::to_stderr();
        let progress = progress::of_views();
        let engine = Engine::open_read_only(data, Arc::new(SystemClock), master_key, &progress)
            .with_context(|| format!("open {}", data.display()))?;
        let end = RefCell::new(Some(folder::end_of(&**engine.ledger.store())?));
        let engine = Arc::new(engine);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("start the runtime")?;
        let local_project = project.unwrap_or(ProjectId::DEFAULT);
        let gateway = Gateway { local_project, ..Gateway::open(Arc::clone(&engine)) };
        let router = router::router(Arc::new(gateway));
        Ok(Self { engine, router, runtime, end })
    }

    /// What the route at this path answers.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = Request::get(format!("{path}?{query}")).body(Body::empty());
        let request = request.with_context(|| format!("ask for {path}"))?;
        let (status, body) = self.runtime.block_on(async {
            let Ok(answer) = self.router.clone().oneshot(request).await;
            let (parts, body) = answer.into_parts();
            let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
            let body = Limited::new(body, most).collect().await;
            body.map(|body| (parts.status, body.to_bytes())).map_err(|error| anyhow::anyhow!("{error}"))
        })?;
        let answer: Value =
            serde_json::from_slice(&body).with_context(|| format!("read the answer of {path}"))?;
        if status.is_success() {
            if let Some(end) = self.end.take() {
                note!("{end}");
            }
            return Ok(answer);
        }
        match (answer["detail"].as_str(), answer["field"].as_str()) {
            (Some(detail), Some(field)) => bail!("{field}: {detail}"),
            (Some(detail), None) => bail!("{detail}"),
            _ => bail!("{path} answered {status}"),
        }
    }

    /// All items of a list, page by page.
    pub(super) fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        server::list(&[], |query| self.get(path, query))
    }
}

impl Drop for FolderReader {
    fn drop(&mut self) {
        if let Err(error) = self.engine.shut_down() {
            tracing::warn!("{error:#}");
        }
    }
}
