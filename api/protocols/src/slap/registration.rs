//! Registration by token, as the manual of SlapOS tells its users: `slapos node register` and `slapos configure
//! client`.
//!
//! The token stands for the certificate that its sender does not have yet, so these two routes are for everybody. A
//! token is good once: it is spent with the certificate, and not by what went wrong before.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use slapledger_ca::CertificateSubject;
use slapledger_core::domain::access::{Holder, Purpose, Role};
use slapledger_core::domain::computer::RequestComputer;
use slapledger_core::domain::id::{ComputerId, CredentialId};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_dto::token::Token;
use slapledger_kit::problem::Problem;
use slapledger_kit::text::SMALL;
use slapledger_net::Peer;
use slapledger_usecases::caller::{Caller, Principal, Reach, forbidden};
use slapledger_usecases::certification::{self, Because, CertificatePair};
use slapledger_usecases::context::{RequestContext, to_its_end};

use super::form::PostedForm;
use super::reply::SlapReply;
use crate::access::{self, Authorised, Gateway};

/// The header that carries the token.
const TOKEN: &str = "x-access-token";

/// `POST Person_requestComputer`: enters a computer by its title, and gives it its certificate.
pub(super) async fn request_computer(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    request: Request,
) -> SlapReply {
    ctx.certifier()?;
    let (known, ctx) =
        bearer((&gateway, &ctx), PresentedToken::of(&request), Purpose::RegisterComputer).await?;
    let form = PostedForm::read(request, SMALL).await?;
    let title = form.fields.text("title")?.into();
    let command = RequestComputer { owner: ctx.caller.party()?, title, time_zone: TimeZone::UTC };
    let meta = Arc::new(ctx.meta(ctx.caller.actor(), form.digest(ctx.keys())));
    let submission = Submission { meta, command: Command::RequestComputer(command) };
    let (pair, computer) =
        to_its_end(async move { registered(&ctx, known.credential, submission).await }).await?;
    Ok(handed_out(&pair, computer.as_str()))
}

/// Enters a computer and spends the token, before the next one is entered: a token enters one.
async fn registered(
    ctx: &RequestContext,
    token: CredentialId,
    submission: Submission,
) -> Result<(CertificatePair, ComputerId), Problem> {
    let _one_at_a_time = ctx.certifier()?.registering.lock().await;
    if ctx.access().read(|view, _| view.access.check(token, ctx.now())).is_err() {
        return Err(not_good());
    }
    let Answer::Computer(computer) = ctx.ledger().submit(submission).await?.answer else {
        return Err(Problem::fault(&"a computer was answered with something else"));
    };
    let because = Because { spends: Some(token), ..Because::default() };
    Ok((certification::certify_computer(ctx, &computer, because).await?, computer))
}

/// `POST Person_getCertificate`: a certificate for the holder of the token.
pub(super) async fn get_certificate(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    request: Request,
) -> SlapReply {
    ctx.certifier()?;
    let (known, ctx) =
        bearer((&gateway, &ctx), PresentedToken::of(&request), Purpose::GetCertificate).await?;
    let party = ctx.caller.party()?;
    let because = Because { spends: Some(known.credential), ..Because::default() };
    let subject = CertificateSubject::Person { party };
    let holder = (Holder::Party(party), known.roles);
    let pair = certification::certify(&ctx, holder, &subject, because).await?;
    Ok(handed_out(&pair, &party.to_string()))
}

fn handed_out(pair: &CertificatePair, reference: &str) -> Response {
    let body = json!({"certificate": pair.certificate, "key": *pair.key, "reference": reference});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// What a request shows of its sender.
struct PresentedToken {
    token: Option<Token>,
    address: Option<IpAddr>,
}

impl PresentedToken {
    fn of(request: &Request) -> Self {
        let told = request.headers().get(TOKEN).and_then(|value| value.to_str().ok());
        Self {
            token: told.and_then(|text| Token::read(text.trim())),
            address: request.extensions().get::<Peer>().map(|peer| peer.address.ip()),
        }
    }
}

fn not_good() -> Problem {
    forbidden(
        "the token is not good for this: it is unknown, was used, has expired, or is for something else",
    )
}

/// The holder of the token of a request, and the program as they may see it.
async fn bearer(
    (gateway, ctx): (&Gateway, &RequestContext),
    PresentedToken { token, address }: PresentedToken,
    purpose: Purpose,
) -> Result<(Arc<Principal>, Arc<RequestContext>), Problem> {
    let found = token.and_then(|token| access::by_token(&gateway.engine, &token).ok());
    let good = found.and_then(|id| {
        let credential = ctx.access().read(|view, _| view.access.credential(id).cloned())?;
        let is_good = credential.check(ctx.now()).is_ok() && credential.issued.purpose == purpose;
        is_good.then_some(credential)
    });
    let Some(credential) = good else {
        if let (Some(access), Some(address)) = (&gateway.access, address) {
            access.failed_attempts.failed(address).await?;
        }
        return Err(not_good());
    };
    let mut roles = credential.issued.roles;
    if purpose == Purpose::RegisterComputer {
        roles = Role::Provider.into();
    }
    let known = Arc::new(Principal {
        credential: credential.issued.credential,
        holder: credential.issued.holder,
        roles,
        project: credential.project,
        all_projects: false,
        home: credential.project,
        until: credential.issued.expires_at,
    });
    let caller = Caller::Authenticated { principal: Arc::clone(&known), reach: Reach::Own };
    Ok((known, Arc::new(ctx.seen_by(&caller))))
}
