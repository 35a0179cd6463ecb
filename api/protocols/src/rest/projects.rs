//! Projects: worlds of their own in one ledger.
//!
//! Each has a first party, who runs it: it sells where nobody else is named, and what operators ask for is its own. It is
//! entered when the project is opened; should the program die in between, when it starts again.

pub(super) mod describe;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::access::OpenProject;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_projections::Page;
use slapledger_usecases::context::to_its_end;
use slapledger_usecases::first_parties::enter_first_party;

use self::describe::NewProject;
use super::openapi::schema::List;
use super::query::{self, Query};
use crate::access::Authorised;

/// A project.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(crate) struct ProjectForm {
    id: ProjectId,
    title: String,
}

/// `GET /v1/projects`, in the order they were opened.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ProjectForm>>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<ProjectId>()?);
    let position = query.position(&ctx).await?;
    let read = ctx.access().read_at(position, |view, sequence| {
        let all = view.access.projects().filter(|(id, _)| after.is_none_or(|after| after < *id));
        let page = Page::take(all, limit, |(id, _)| *id);
        let items = page.items.into_iter().map(|(id, title)| ProjectForm { id, title: title.to_owned() });
        query::list(items.collect(), page.next, sequence)
    });
    Ok(read.await?)
}

/// `POST /v1/projects`: the project, and its first party, which is called as it is.
pub(super) async fn open(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ProjectForm>, Problem> {
    let (sent, wanted) = json_body::read::<NewProject>(request, json_body::MOST_BYTES).await?;
    let title = wanted.title.0;
    let time_zone = wanted.time_zone.map_or(TimeZone::UTC, Into::into);
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    to_its_end(async move {
        let command = Command::OpenProject(OpenProject { title: title.clone() });
        let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
        let Answer::Project(id) = accepted.answer else {
            return Err(Problem::fault(&"a project was answered with something else"));
        };
        enter_first_party(&ctx.within(id), &title, time_zone).await?;
        ctx.access().reach(accepted.sequence).await?;
        let form = ProjectForm { id, title: title.into() };
        Ok(HttpAnswer::new(StatusCode::CREATED, accepted.sequence, form))
    })
    .await
}
