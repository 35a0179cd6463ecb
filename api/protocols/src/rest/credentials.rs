//! Credentials: tokens that are issued, and what was issued before.
//!
//! A token is in the answer that issues it, and nowhere afterwards. Anyone who issues one can give no role that they do
//! not have themselves, and to nobody but themselves, unless they are the admin of the project.

pub(super) mod describe;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::access::{
    Access, Credential, Holder, Proof, Purpose, RevokeCredentials, Role, Roles, Standing, Which,
};
use slapledger_core::domain::id::{CredentialId, ProjectId};
use slapledger_core::domain::time::Timestamp;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_projections::Page;
use slapledger_usecases::caller::{Principal, forbidden};
use slapledger_usecases::certification::{self, WantedCredential};
use slapledger_usecases::context::RequestContext;

use self::describe::{NewToken, Revocation};
use super::openapi::rules::instant;
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// A credential as it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Credential")]
pub(crate) struct CredentialForm {
    id: CredentialId,
    /// `token` or `certificate`.
    kind: &'static str,
    project: ProjectId,
    /// Whether it reaches all projects.
    all_projects: bool,
    /// Who: a party, a computer, an instance, or the name of an operator.
    holder: String,
    #[schemars(with = "schema::Text")]
    holder_kind: &'static str,
    #[schemars(with = "Vec<schema::Role>")]
    roles: Roles,
    #[schemars(with = "schema::Purpose")]
    purpose: Purpose,
    label: Option<String>,
    /// `active`, `expired`, `revoked` or `spent`.
    #[schemars(with = "schema::Text")]
    state: &'static str,
    issued_at: Timestamp,
    /// The credential of its issuer; none, if that was the program itself.
    issued_by: Option<CredentialId>,
    expires_at: Option<Timestamp>,
    /// When it was revoked or spent.
    ended_at: Option<Timestamp>,
}

/// A credential that was revoked.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RevokedForm {
    #[serde(flatten)]
    credential: CredentialForm,
    /// Those that were revoked by this request, as they are now; none, if all of them had ended before.
    revoked: Vec<CredentialForm>,
}

/// A token that was issued, shown once.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenForm {
    #[serde(flatten)]
    credential: CredentialForm,
    /// The token itself. It is not kept, and cannot be shown again.
    token: String,
}

impl CredentialForm {
    fn of(credential: &Credential, now: Timestamp) -> Self {
        let issued = &credential.issued;
        let (state, ended_at) = match credential.standing {
            Standing::Revoked(at) => ("revoked", Some(at)),
            Standing::Spent(at) => ("spent", Some(at)),
            Standing::Active if credential.check(now).is_err() => ("expired", issued.expires_at),
            Standing::Active => ("active", None),
        };
        Self {
            id: issued.credential,
            kind: match issued.proof {
                Proof::Token { .. } => "token",
                Proof::Certificate { .. } => "certificate",
            },
            project: credential.project,
            all_projects: issued.all_projects,
            holder: issued.holder.to_string(),
            holder_kind: match issued.holder {
                Holder::Operator(_) => "operator",
                Holder::Party(_) => "party",
                Holder::Computer(_) => "computer",
                Holder::Instance(_) => "instance",
            },
            roles: issued.roles,
            purpose: issued.purpose,
            label: issued.label.as_deref().map(str::to_owned),
            state,
            issued_at: issued.at,
            issued_by: credential.by,
            expires_at: issued.expires_at,
            ended_at,
        }
    }
}

fn sees(ctx: &RequestContext, credential: &Credential) -> bool {
    let own = || ctx.caller.principal().is_some_and(|known| known.holder == credential.issued.holder);
    // One that reaches all projects is not for the admin of one of them to see or to revoke.
    let reaches = ctx.caller.reaches_all_projects() || !credential.issued.all_projects;
    credential.project == ctx.project && reaches && (ctx.caller.reaches_all() || own())
}

fn find(ctx: &RequestContext, access: &Access, id: CredentialId) -> Result<CredentialForm, Problem> {
    let known = access.credential(id).filter(|known| sees(ctx, known));
    known.map(|known| CredentialForm::of(known, ctx.now())).ok_or_else(|| unknown(&id.to_string()))
}

fn unknown(id: &str) -> Problem {
    Problem::unknown(ProblemCode::CredentialUnknown, format!("there is no credential {id}"))
}

/// What is no id is not said again: it may be the token itself.
fn named(id: &str) -> Result<CredentialId, Problem> {
    id.parse().map_err(|_| {
        Problem::unknown(
            ProblemCode::CredentialUnknown,
            "there is no such credential: an id is 32 hexadecimal digits",
        )
    })
}

/// `GET /v1/credentials`, by id; all of them, or those that expire soon.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<CredentialForm>>, Problem> {
    let query = Query::read(&uri, &["expires_before"])?;
    let (limit, after) = (query.limit()?, query.cursor::<CredentialId>()?);
    let expires_before = query.text("expires_before");
    let expires_before =
        expires_before.map(|text| instant(text).map_err(|rule| Problem::field("expires_before", rule)));
    let expires_before = expires_before.transpose()?;
    let position = query.position(&ctx).await?;
    let now = ctx.now();
    // What has ended does not expire any more.
    let is_wanted = |known: &&Credential| {
        expires_before.is_none_or(|before| {
            matches!(known.standing, Standing::Active)
                && known.issued.expires_at.is_some_and(|at| now < at && at < before)
        })
    };
    let read = ctx.access().read_at(position, |view, sequence| {
        let all = view.access.after(ctx.project, after).filter(|known| sees(&ctx, known)).filter(is_wanted);
        let page = Page::take(all, limit, |known| known.issued.credential);
        let items = page.items.into_iter().map(|known| CredentialForm::of(known, ctx.now()));
        query::list(items.collect(), page.next, sequence)
    });
    Ok(read.await?)
}

/// `GET /v1/credentials/{id}`.
pub(super) async fn show(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<CredentialForm>, Problem> {
    let id = named(&id)?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let read = ctx.access().read_at(position, |view, sequence| {
        find(&ctx, &view.access, id).map(|form| HttpAnswer::resource(sequence, form))
    });
    read.await?
}

/// `POST /v1/credentials/{id}/revoke`: revokes a credential; with `all_of_holder`, also every other one of its holder;
/// with
/// `issued_since`, also what they issued since then.
pub(super) async fn revoke(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<RevokedForm>, Problem> {
    let id = named(&id)?;
    let (sent, revocation) = json_body::read_optional::<Revocation>(request, json_body::MOST_BYTES).await?;
    let all = revocation.all_of_holder.unwrap_or(false);
    let issued_since: Option<Timestamp> = revocation.issued_since.map(Into::into);
    if issued_since.is_some_and(|at| at > ctx.now()) {
        return Err(Problem::field("issued_since", "must not be in the future"));
    }
    if issued_since.is_some() && !ctx.caller.reaches_all() {
        let detail = "is for admins: what a token issued may be of others";
        return Err(Problem { field: Some("issued_since".into()), ..forbidden(detail) });
    }
    let which = ctx.access().read(|view, _| to_revoke(&ctx, &view.access, id, all))?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let command = RevokeCredentials { which, issued_since };
    let revoked = certification::revoke_named(&ctx, meta, command).await?;
    ctx.access().read(|view, sequence| {
        let credential = find(&ctx, &view.access, id)?;
        let revoked = revoked.iter().filter_map(|id| view.access.credential(*id));
        let revoked = revoked.map(|known| CredentialForm::of(known, ctx.now())).collect();
        Ok(HttpAnswer::ok(sequence, RevokedForm { credential, revoked }))
    })
}

fn to_revoke(
    ctx: &RequestContext,
    access: &Access,
    id: CredentialId,
    all_of_holder: bool,
) -> Result<Which, Problem> {
    let known =
        access.credential(id).filter(|known| sees(ctx, known)).ok_or_else(|| unknown(&id.to_string()))?;
    if !all_of_holder {
        return Ok(Which::One(id));
    }
    let holder = &known.issued.holder;
    let mut all = access.after(ctx.project, None).filter(|other| other.issued.holder == *holder);
    if all.any(|other| !sees(ctx, other)) {
        let detail = "the holder has a credential that reaches all projects, which is not yours to revoke";
        return Err(Problem { field: Some("all_of_holder".into()), ..forbidden(detail) });
    }
    // Theirs is what reaches all projects, whichever of it is named.
    let everywhere = ctx.caller.reaches_all_projects() && access.reaches_all_projects(holder);
    if everywhere {
        return Ok(Which::AllOfEverywhere(holder.clone()));
    }
    Ok(Which::AllOf(holder.clone()))
}

/// `POST /v1/tokens`: issues one.
pub(super) async fn issue(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<TokenForm>, Problem> {
    let (sent, token) = json_body::read::<NewToken>(request, json_body::MOST_BYTES).await?;
    let wanted = wanted(&ctx, token)?;
    if sent.headers.contains_key("idempotency-key") {
        let rule = "is not taken here: a token is shown once, and could not be shown again";
        return Err(Problem::field("idempotency-key", rule));
    }
    let token = certification::issue_token(&ctx, wanted).await?;
    let text = token.text();
    ctx.access().read(|view, sequence| {
        let credential = find(&ctx, &view.access, token.credential)?;
        let form = TokenForm { credential, token: text.as_str().to_owned() };
        Ok(HttpAnswer::new(StatusCode::CREATED, sequence, form).not_stored())
    })
}

fn wanted(ctx: &RequestContext, token: NewToken) -> Result<WantedCredential, Problem> {
    let own = ctx.caller.principal();
    let holder = match (token.holder.map(|text| holder(&text.0)), own) {
        (Some(holder), _) => holder,
        (None, Some(own)) => own.holder.clone(),
        (None, None) => return Err(Problem::field("holder", "is missing")),
    };
    let purpose = token.purpose.map_or(Purpose::Access, Into::into);
    let roles: Roles = token.roles.into_iter().flat_map(|roles| roles.0).map(Role::from).collect();
    let roles = match (roles.is_empty(), purpose, own) {
        (false, _, _) => roles,
        (true, Purpose::RegisterComputer, _) => Role::Provider.into(),
        (true, _, Some(own)) if own.holder == holder => own.roles,
        (true, _, _) => {
            return Err(Problem::field("roles", "is missing: name at least one role"));
        }
    };
    let all_projects = token.all_projects.unwrap_or(false);
    let label = token.label.map(Into::into);
    let expires_at = token.expires_at.map(Into::into);
    let once = WantedCredential::once(ctx, holder, roles, purpose);
    let expires_at = expires_at.or_else(|| match purpose {
        Purpose::Access => own.filter(|own| is_bounded(own, &once)).and_then(|own| own.until),
        Purpose::RegisterComputer | Purpose::GetCertificate => once.expires_at,
    });
    let wanted = WantedCredential { all_projects, label, expires_at, ..once };
    may_issue(ctx, &wanted)?;
    Ok(wanted)
}

/// Whether a credential must end with the one it is issued by: one of the same holder, and one that may let others in
/// or read all, whatever its holder is called.
fn is_bounded(own: &Principal, wanted: &WantedCredential) -> bool {
    wanted.holder == own.holder || wanted.roles.has(Role::Admin) || wanted.roles.has(Role::Auditor)
}

/// Nobody gives what they do not have, nor what is theirs for longer than they have it.
fn may_issue(ctx: &RequestContext, wanted: &WantedCredential) -> Result<(), Problem> {
    let Some(own) = ctx.caller.principal() else { return Ok(()) };
    let refused = |field: &str, detail: &str| Err(Problem { field: Some(field.into()), ..forbidden(detail) });
    if wanted.all_projects && !own.all_projects {
        return refused("all_projects", "is for those whose own credential reaches all projects");
    }
    // All that is theirs is ended at once: `all_of_holder` finds what reaches all projects, and what is of one.
    if wanted.holder == own.holder && own.all_projects && !wanted.all_projects && ctx.project != own.home {
        return refused("holder", "must be somebody else, or all_projects true: you are of another project");
    }
    if let Some(end) = own.until
        && is_bounded(own, wanted)
    {
        match wanted.purpose {
            Purpose::Access | Purpose::RegisterComputer if wanted.expires_at.is_none_or(|at| at > end) => {
                let rule = format!("must not be later than the end of the credential it is issued by, {end}");
                return refused("expires_at", &rule);
            }
            Purpose::GetCertificate => {
                return refused(
                    "purpose",
                    "must not be get_certificate: the certificate would outlive the credential it is asked by",
                );
            }
            Purpose::Access | Purpose::RegisterComputer => {}
        }
    }
    if ctx.caller.reaches_all() {
        return Ok(());
    }
    if wanted.holder != own.holder {
        return refused("holder", "must be yourself");
    }
    if !own.roles.has_all(wanted.roles) {
        return refused("roles", "must be among your own");
    }
    Ok(())
}

/// A holder as it is written: a party, or the name of somebody who is none. Computers and instances have certificates.
fn holder(text: &str) -> Holder {
    text.parse().map_or_else(|_| Holder::Operator(text.into()), Holder::Party)
}
