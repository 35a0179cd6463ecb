//! `slapledger token issue --data`: a token that is issued in the folder of a master without a server, by anyone who
//! may read it. That is how an admin gets access again who has lost theirs.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use slapledger_client::invoices::print_json;
use slapledger_client::private::SecretFile;
use slapledger_client::token::{self, Issue, Tokens, say_token};
use slapledger_core::domain::access::{Holder, Purpose};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{CredentialId, PartyId, ProjectId};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Actor;
use slapledger_dto::token::Token;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{Engine, Open, accepted, random_bytes};
use slapledger_usecases::certification::WantedCredential;
use slapledger_usecases::context::RequestContext;

use super::{progress, warnings};

pub(super) fn run(asked: &Tokens) -> anyhow::Result<()> {
    match asked {
        Tokens::Issue(asked) if let Some(data) = &asked.folder.data => issue_in_folder(asked, data),
        asked => token::run(asked),
    }
}

/// Without a server.
fn issue_in_folder(asked: &Issue, data: &Path) -> anyhow::Result<()> {
    ensure!(data.join("log").is_dir(), "there is no ledger in {}; --data names its folder", data.display());
    ensure!(!asked.roles.is_empty(), "--role is missing: with --data nobody else says what the token is for");
    let holder = asked.holder.as_deref().unwrap_or("admin");
    let holder = holder.parse::<PartyId>().map_or_else(|_| Holder::Operator(holder.into()), Holder::Party);
    let expires_at = asked.expires.as_deref().map(|text| {
        let rule = || {
            anyhow::anyhow!(
                "--expires {text}: must be an RFC 3339 instant with its offset, such as 2027-01-01T00:00:00Z"
            )
        };
        Timestamp::parse_rfc3339(text).ok_or_else(rule)
    });
    let wanted = WantedCredential {
        holder,
        roles: asked.roles.iter().copied().collect(),
        all_projects: asked.all_projects,
        purpose: asked.purpose.purpose().0,
        label: asked.label.as_deref().map(Into::into),
        expires_at: expires_at.transpose()?,
    };
    if wanted.purpose != Purpose::Access && wanted.expires_at.is_none() {
        bail!("--expires is missing: a token that is good once does not wait for ever");
    }
    let mut place = asked.out.as_deref().map(SecretFile::at).transpose()?;
    warnings::to_stderr();
    let engine = Engine::open(Open {
        data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: asked.folder.master_key.as_deref(),
        progress: &progress::of_views(),
        accept: &accepted,
    })
    .with_context(|| format!("open {}", data.display()))?;
    let ctx = RequestContext::local(Arc::new(engine));
    let issued = issue_to(&ctx, asked.client.project()?, wanted, place.as_mut());
    let closed = ctx.engine.shut_down();
    let token = issued?;
    place.map(SecretFile::take).transpose()?;
    let text = token.text();
    if asked.json {
        let mut told = json!({"id": token.credential.to_string()});
        if asked.out.is_none() {
            told["token"] = text.as_str().into();
        }
        print_json(&told)?;
    } else {
        say_token(&text, asked.out.as_deref());
    }
    // Last: the token is good, and is shown only once.
    closed
}

/// Issues a token that is on the disk before it is good, if it is to be in a file: none is lost between the two.
pub(super) fn issue_to(
    ctx: &RequestContext,
    project: Option<ProjectId>,
    wanted: WantedCredential,
    place: Option<&mut SecretFile>,
) -> anyhow::Result<Token> {
    let token = Token::new(CredentialId(random_bytes()), random_bytes());
    if let Some(place) = place {
        place.fill(token.text().as_bytes())?;
    }
    let ctx = ctx.within(project.unwrap_or(ProjectId::DEFAULT));
    ctx.submit_own(Actor::system(), wanted.token(&token))?;
    Ok(token)
}
