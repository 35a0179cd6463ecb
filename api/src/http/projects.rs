//! Projects: worlds of their own in one ledger.

pub(super) mod describe;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::access::OpenProject;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_projections::Page;

use super::json_body;
use super::openapi::schema;
use super::problem::Problem;
use super::query::{self, Query};
use crate::access::Here;

/// A project.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
struct ProjectForm {
    #[schemars(with = "schema::ProjectId")]
    id: ProjectId,
    title: String,
}

/// `GET /v1/projects`, in the order they were opened.
pub(super) async fn list(Here(app): Here, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<ProjectId>()?);
    let position = query.position(&app).await?;
    let read = app.access.read_at(position, |view, sequence| {
        let all = view.access.projects().filter(|(id, _)| after.is_none_or(|after| after < *id));
        let page = Page::take(all, limit, |(id, _)| *id);
        let items = page.items.into_iter().map(|(id, title)| ProjectForm { id, title: title.to_owned() });
        query::list(items.collect(), page.next, sequence)
    });
    Ok(read.await?)
}

/// `POST /v1/projects`.
pub(super) async fn open(Here(app): Here, request: Request) -> Result<Response, Problem> {
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        object.required("title", |text| Ok(Box::<str>::from(text)))
    });
    let (sent, title) = told.await?;
    let meta = query::meta(&app, app.caller.actor(), &sent.headers, &sent.content())?;
    let command = Command::OpenProject(OpenProject { title: title.clone() });
    let accepted = app.ledger.submit(Submission { meta, command }).await?;
    let Answer::Project(id) = accepted.answer else {
        return Err(Problem::fault(&"a project was answered with something else"));
    };
    app.access.reach(accepted.sequence).await?;
    let form = ProjectForm { id, title: title.into() };
    Ok(query::json(StatusCode::CREATED, accepted.sequence, &form))
}
