//! Registration by token, as the manual of SlapOS tells its users: `slapos node register` and `slapos configure client`.
//!
//! The token stands for the certificate that its sender does not have yet, so these two routes are for everybody. A token
//! is good once: it is spent with the certificate, and not by what went wrong before.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use slapledger_core::domain::access::{Holder, Purpose, Role};
use slapledger_core::domain::computer::RequestComputer;
use slapledger_core::domain::id::{ComputerId, CredentialId};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;

use super::form::{Form, SMALL};
use super::reply::Reply;
use crate::access::token::Token;
use crate::access::{self, Caller, Here, Known, Reach};
use crate::app::{App, to_its_end};
use crate::ca::Subject;
use crate::certification::{self, Because, Pair};
use crate::http::problem::Problem;
use crate::net::Peer;

/// The header that carries the token.
const TOKEN: &str = "x-access-token";

/// `POST Person_requestComputer`: enters a computer by its title, and gives it its certificate.
pub(super) async fn request_computer(Here(app): Here, request: Request) -> Reply {
    app.certifier()?;
    let (known, app) = bearer(&app, Shown::of(&request), Purpose::RegisterComputer).await?;
    let form = Form::read(request, SMALL).await?;
    let title = form.fields.text("title")?.into();
    let command = RequestComputer { owner: app.caller.party()?, title, time_zone: TimeZone::UTC };
    let meta = Arc::new(app.meta(app.caller.actor(), form.digest(&app.keys)));
    let submission = Submission { meta, command: Command::RequestComputer(command) };
    let (pair, computer) =
        to_its_end(async move { registered(&app, known.credential, submission).await }).await?;
    Ok(handed_out(&pair, computer.as_str()))
}

/// Enters a computer and spends the token, before the next one is entered: a token enters one.
async fn registered(
    app: &App,
    token: CredentialId,
    submission: Submission,
) -> Result<(Pair, ComputerId), Problem> {
    let _one_at_a_time = app.certifier()?.registering.lock().await;
    if app.access.read(|view, _| view.access.check(token, app.now())).is_err() {
        return Err(not_good());
    }
    let Answer::Computer(computer) = app.ledger.submit(submission).await?.answer else {
        return Err(Problem::fault(&"a computer was answered with something else"));
    };
    let because = Because { spends: Some(token), ..Because::default() };
    Ok((certification::certify_computer(app, &computer, because).await?, computer))
}

/// `POST Person_getCertificate`: a certificate for whoever the token is for.
pub(super) async fn get_certificate(Here(app): Here, request: Request) -> Reply {
    app.certifier()?;
    let (known, app) = bearer(&app, Shown::of(&request), Purpose::GetCertificate).await?;
    let party = app.caller.party()?;
    let because = Because { spends: Some(known.credential), ..Because::default() };
    let subject = Subject::Person { party };
    let holder = (Holder::Party(party), known.roles);
    let pair = certification::certify(&app, holder, &subject, because).await?;
    Ok(handed_out(&pair, &party.to_string()))
}

fn handed_out(pair: &Pair, reference: &str) -> Response {
    let body = json!({"certificate": pair.certificate, "key": *pair.key, "reference": reference});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// What a request shows of its sender.
struct Shown {
    token: Option<Token>,
    address: Option<IpAddr>,
}

impl Shown {
    fn of(request: &Request) -> Self {
        let told = request.headers().get(TOKEN).and_then(|value| value.to_str().ok());
        Self {
            token: told.and_then(|text| Token::read(text.trim())),
            address: request.extensions().get::<Peer>().map(|peer| peer.address.ip()),
        }
    }
}

fn not_good() -> Problem {
    access::forbidden(
        "the token is not good for this: it is unknown, was used, has expired, or is for something else",
    )
}

/// Whoever holds the token of a request, and the program as they may see it.
async fn bearer(
    app: &App,
    Shown { token, address }: Shown,
    purpose: Purpose,
) -> Result<(Arc<Known>, Arc<App>), Problem> {
    let found = token.and_then(|token| access::by_token(app, &token).ok());
    let good = found.and_then(|id| {
        let credential = app.access.read(|view, _| view.access.credential(id).cloned())?;
        let is_good = credential.check(app.now()).is_ok() && credential.issued.purpose == purpose;
        is_good.then_some(credential)
    });
    let Some(credential) = good else {
        if let (Some(doors), Some(address)) = (&app.doors, address) {
            doors.guesses.failed(address).await?;
        }
        return Err(not_good());
    };
    let mut roles = credential.issued.roles;
    if purpose == Purpose::RegisterComputer {
        roles = Role::Provider.into();
    }
    let known = Arc::new(Known {
        credential: credential.issued.credential,
        holder: credential.issued.holder,
        roles,
        project: credential.project,
        all_projects: false,
        home: credential.project,
        until: credential.issued.expires_at,
    });
    let caller = Caller::Known { known: Arc::clone(&known), reach: Reach::Own };
    Ok((known, Arc::new(app.seen_by(&caller))))
}
