//! Projects: worlds of their own in one ledger.
//!
//! Each has a first party, who runs it: it sells where nobody else is named, and what operators ask for is its own. It is
//! entered when the project is opened; should the program die in between, when it starts again.

pub(super) mod describe;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::access::OpenProject;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_projections::{AccessView, Page};
use tokio::sync::Mutex;

use super::json_body;
use super::openapi::schema;
use super::problem::Problem;
use super::query::{self, Query};
use crate::access::{FIRST_PARTY, Here};
use crate::app::{self, App};
use crate::slap::sealing;

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

/// `POST /v1/projects`: the project, and its first party, which is called as it is.
pub(super) async fn open(Here(app): Here, request: Request) -> Result<Response, Problem> {
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        let title = object.required("title", |text| Ok(Box::<str>::from(text)))?;
        Ok((title, object.parsed("time_zone")?.unwrap_or(TimeZone::UTC)))
    });
    let (sent, (title, time_zone)) = told.await?;
    let meta = query::meta(&app, app.caller.actor(), &sent.headers, &sent.content())?;
    app::to_its_end(async move {
        let command = Command::OpenProject(OpenProject { title: title.clone() });
        let accepted = app.ledger.submit(Submission { meta, command }).await?;
        let Answer::Project(id) = accepted.answer else {
            return Err(Problem::fault(&"a project was answered with something else"));
        };
        enter_first_party(&app.within(id), &title, time_zone).await?;
        app.access.reach(accepted.sequence).await?;
        let form = ProjectForm { id, title: title.into() };
        Ok(query::json(StatusCode::CREATED, accepted.sequence, &form))
    })
    .await
}

/// Nobody enters it twice.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Enters the first party of a project that has none.
async fn enter_first_party(app: &App, name: &str, time_zone: TimeZone) -> Result<(), Problem> {
    let _one_at_a_time = ONE_AT_A_TIME.lock().await;
    let last = app.ledger.head().last;
    if app.billing.read_at(last, |view, _| view.billing.knows_party(FIRST_PARTY)).await? {
        return Ok(());
    }
    let key = sealing::fresh(app)?;
    let name = app.keys.seal(key, name.as_bytes()).map_err(|fault| Problem::fault(&fault))?;
    let command = Command::RegisterParty(RegisterParty { name, time_zone, description: None });
    let meta = Arc::new(app.meta(app.caller.actor(), [0; 16]));
    app.ledger.submit(Submission { meta, command }).await?;
    Ok(())
}

/// Enters those that a program which died did not come to.
pub async fn enter_first_parties(app: &App) -> Result<(), Problem> {
    let of = |view: &AccessView, _| {
        view.access.projects().map(|(id, title)| (id, title.to_owned())).collect::<Vec<_>>()
    };
    let all = app.access.read_at(app.ledger.head().last, of).await?;
    for (id, title) in all.into_iter().filter(|(id, _)| *id != ProjectId::DEFAULT) {
        enter_first_party(&app.within(id), &title, TimeZone::UTC).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use slapledger_billing::BillingView;
    use slapledger_core::domain::event::Mode;
    use slapledger_core::domain::id::PartyId;
    use slapledger_core::log::envelope::Actor;

    use super::*;
    use crate::slap::testing::World;

    #[test]
    fn a_start_enters_the_first_party_of_a_project_that_has_none() {
        let world = World::empty(Mode::Serve);
        // As if the program had died after the first of the two.
        let open = Command::OpenProject(OpenProject { title: "south".into() });
        world.app.submit_own(Actor::system(), open).unwrap();
        let south = world.app.within(ProjectId(2));
        let name = || {
            let known = |view: &BillingView| Some(view.billing.party(FIRST_PARTY)?.name.clone());
            let sealed = south.billing_now(known).unwrap();
            sealed
                .map(|sealed| String::from_utf8_lossy(&south.keys.open_sealed(&sealed).unwrap()).into_owned())
        };
        assert_eq!(name(), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..2 {
            runtime.block_on(enter_first_parties(&world.app)).unwrap();
            assert_eq!(name().as_deref(), Some("south"));
        }
        let second = south.billing_now(|view| view.billing.knows_party(PartyId(2))).unwrap();
        assert!(!second, "it is entered once");
    }
}
