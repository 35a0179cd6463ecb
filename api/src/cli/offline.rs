//! A folder that is asked as a server is: by the same routes, without a socket, and without writing anything in it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Request, Response, Uri};
use http_body_util::BodyExt;
use slapledger_client::options::FolderAsked;
use slapledger_client::print::note;
use slapledger_client::server::{FolderRoutes, Server};
use slapledger_core::domain::id::ProjectId;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{Engine, folder};
use slapledger_protocols::access::Gateway;
use slapledger_protocols::router;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::{log_key, progress, warnings};

/// A ledger that was opened to be read, and what answers from it.
struct FolderReader {
    engine: Arc<Engine>,
    router: Router,
    runtime: Arc<Runtime>,
    /// Where the log ends, until it is said with the first answer: an error is one line.
    end: Mutex<Option<String>>,
}

/// Opens a folder that no server is using. Where its log ends is said with the first answer.
pub(super) fn open(asked: &FolderAsked<'_>) -> anyhow::Result<Server> {
    warnings::to_stderr();
    let FolderAsked { data, master_key, project } = *asked;
    let progress = progress::of_views();
    let engine = Engine::open_read_only(data, Arc::new(SystemClock), master_key, &progress)
        .with_context(|| format!("open {}", data.display()))?;
    if let Some(project) = project
        && !engine.access.read(|view, _| view.access.knows(project))
    {
        bail!(
            "--project: {} has no project {project}; leave --project out for {}",
            data.display(),
            ProjectId::DEFAULT
        );
    }
    let end = Mutex::new(Some(folder::end_of(&**engine.ledger.store())?));
    log_key::take_up_to_read(&engine, data);
    let engine = Arc::new(engine);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = Arc::new(runtime.context("start the runtime")?);
    let local_project = project.unwrap_or(ProjectId::DEFAULT);
    let gateway = Gateway { local_project, ..Gateway::open(Arc::clone(&engine)) };
    let router = router::router(Arc::new(gateway));
    Ok(Server::of_folder(FolderReader { engine, router, runtime, end }))
}

impl FolderRoutes for FolderReader {
    fn answer(&self, request: Request<Vec<u8>>) -> io::Result<Response<Box<dyn Read + Send + Sync>>> {
        let (asked, body) = request.into_parts();
        let place = asked.uri.path_and_query().cloned();
        let mut routed =
            Request::builder().method(asked.method).uri(place.map_or_else(Uri::default, Uri::from));
        for name in [CONTENT_TYPE, ACCEPT] {
            if let Some(value) = asked.headers.get(&name) {
                routed = routed.header(name, value);
            }
        }
        let routed = routed.body(Body::from(body)).map_err(io::Error::other)?;
        let Ok(answer) = self.runtime.block_on(self.router.clone().oneshot(routed));
        if answer.status().is_success()
            && let Some(end) = self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            note!("{end}");
        }
        Ok(answer.map(|body| {
            let (runtime, body) = (Arc::clone(&self.runtime), Mutex::new(body));
            Box::new(AnswerBody { runtime, body, rest: Bytes::new() }) as Box<dyn Read + Send + Sync>
        }))
    }
}

impl Drop for FolderReader {
    fn drop(&mut self) {
        if let Err(error) = self.engine.shut_down() {
            tracing::warn!("{error:#}");
        }
    }
}

/// The body of an answer, read as it comes.
struct AnswerBody {
    runtime: Arc<Runtime>,
    body: Mutex<Body>,
    rest: Bytes,
}

impl Read for AnswerBody {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        while self.rest.is_empty() {
            match self.runtime.block_on(body.frame()) {
                Some(frame) => self.rest = frame.map_err(io::Error::other)?.into_data().unwrap_or_default(),
                None => return Ok(0),
            }
        }
        let read = into.len().min(self.rest.len());
        into[..read].copy_from_slice(&self.rest.split_to(read));
        Ok(read)
    }
}
