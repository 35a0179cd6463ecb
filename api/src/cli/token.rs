//! `slapledger token`: what lets somebody in.
//!
//! A token is printed once, or written to a file for its owner alone; it is kept nowhere. Without a server it is issued in
//! the folder itself, by whoever may read it: that is how an admin comes in again who has lost theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::access::{Holder, IssueCredential, Proof, Purpose, Renews, Role, Roles};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{PartyId, ProjectId};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Actor;

use super::client::{path, print_json, text_of};
use super::options::Client;
use super::print::say;
use super::private::Place;
use super::table::{pair_lines, table};
use super::warnings;
use crate::access::token::Token;
use crate::app::{App, Open};
use crate::clock::SystemClock;

#[derive(Subcommand)]
pub(super) enum Tokens {
    /// Issue a token, and print it once
    ///
    /// With --data it is issued in the folder of a master that is stopped, whoever has lost theirs:
    ///
    ///     slapledger token issue --data DIR --role admin --all-projects
    #[command(verbatim_doc_comment)]
    Issue(Issue),
    /// List credentials: tokens and certificates that were issued
    List(Shown),
    /// Show a credential: who may come in by it, as what, until when
    Show {
        /// Its id, as the list has it, or the token itself
        id: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Have a credential be good for nothing from now on
    Revoke {
        /// Its id, as the list has it, or the token itself
        id: String,
        /// And every other credential of its holder: who has had a token may have issued others by it
        #[arg(long)]
        all_of_holder: bool,
        /// And what it issued to anybody from this instant on, and what was issued by that in turn; of a computer that was
        /// entered by it, the certificate. For admins
        #[arg(long, value_name = "INSTANT")]
        issued_since: Option<String>,
        #[command(flatten)]
        client: Client,
    },
}

#[derive(Args)]
pub(super) struct Shown {
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Issue {
    /// Whom it lets in: a party (PARTY-2), or the name of an admin or auditor who is none; whoever asks, if it is not said
    #[arg(long, value_name = "PARTY|NAME")]
    holder: Option<String>,
    /// What it lets them act as; may be given more than once. What whoever asks may act as, if it is for them
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// In all projects
    #[arg(long)]
    all_projects: bool,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Until when. If it is not said: a day, for one that is good once; as long as what it is issued by, for whoever asks;
    /// for ever, for others
    #[arg(long, value_name = "INSTANT")]
    expires: Option<String>,
    /// For what: all that its roles may do, or once to enter a computer or to get a certificate
    #[arg(long, value_name = "PURPOSE", default_value = "access")]
    purpose: For,
    /// Write it to this file, for its owner alone, and do not print it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Issue it in this folder; no server may be using it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// With --data: the file of the master key, if it does not lie beside the key ring
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_MASTER_KEY_FILE")]
    master_key: Option<PathBuf>,
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum For {
    Access,
    RegisterComputer,
    GetCertificate,
}

impl For {
    fn purpose(self) -> (Purpose, &'static str) {
        match self {
            Self::Access => (Purpose::Access, "access"),
            Self::RegisterComputer => (Purpose::RegisterComputer, "register_computer"),
            Self::GetCertificate => (Purpose::GetCertificate, "get_certificate"),
        }
    }
}

pub(super) fn run(asked: &Tokens) -> anyhow::Result<()> {
    match asked {
        Tokens::Issue(asked) => match &asked.data {
            Some(data) => issue_in_folder(asked, data),
            None => issue(asked),
        },
        Tokens::List(shown) => list(shown),
        Tokens::Show { id, shown } => {
            let credential = shown.client.server()?.get(&path(&["v1", "credentials", &id_of(id)]), &[])?;
            if shown.json {
                return print_json(&credential);
            }
            say!("{}", facts(&credential));
            Ok(())
        }
        Tokens::Revoke { id, all_of_holder, issued_since, client } => {
            let body = json!({"all_of_holder": all_of_holder.then_some(true), "issued_since": issued_since});
            let told = client
                .server()?
                .post_json(&path(&["v1", "credentials", &id_of(id), "revoke"]), &without_nulls(body))?;
            let and = if *all_of_holder { ", and every other," } else { "" };
            let issued = match issued_since {
                Some(since) => format!(", with all that was issued by it since {since},"),
                None => String::new(),
            };
            let (id, holder) = (text_of(&told["id"]), text_of(&told["holder"]));
            say!("{id}{and} of {holder}{issued} is good for nothing from now on");
            if *all_of_holder || issued_since.is_some() {
                say!("revoked:\n{}", credentials_table(told["revoked"].as_array().into_iter().flatten()));
            }
            Ok(())
        }
    }
}

fn issue(asked: &Issue) -> anyhow::Result<()> {
    let server = asked.client.server()?;
    let place = asked.out.as_deref().map(Place::at).transpose()?;
    let roles: Vec<_> = asked.roles.iter().map(|role| role.as_str()).collect();
    let body = json!({
        "holder": asked.holder, "roles": roles, "all_projects": asked.all_projects, "label": asked.label,
        "expires_at": asked.expires, "purpose": asked.purpose.purpose().1,
    });
    let mut told = server.post_json("/v1/tokens", &without_nulls(body))?;
    let token = told["token"].take();
    hand_over(place, (text_of(&told["id"]), text_of(&token)), asked.out.as_deref())?;
    if !asked.json {
        say_token(text_of(&token), asked.out.as_deref());
        return Ok(());
    }
    match asked.out {
        Some(_) => drop(told.as_object_mut().map(|members| members.remove("token"))),
        None => told["token"] = token,
    }
    print_json(&told)
}

/// The id of a credential. Whoever has found a token may know it by that alone; its secret is sent to nobody.
fn id_of(text: &str) -> String {
    Token::read(text).map_or_else(|| text.to_owned(), |token| token.credential.to_string())
}

/// Members that are not said are left out.
pub(super) fn without_nulls(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

/// Writes a token that was issued to where it is to be.
pub(super) fn hand_over(
    place: Option<Place>,
    (id, token): (&str, &str),
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let (Some(mut place), Some(out)) = (place, out) else { return Ok(()) };
    let lost = || format!("{} got no token; revoke {id}, which was issued", out.display());
    place.fill(token.as_bytes()).with_context(lost)?;
    place.take().with_context(lost)
}

/// The token alone, so that it can be caught; or where it is.
fn say_token(token: &str, out: Option<&Path>) {
    match out {
        Some(out) => say!("the token is in {}", out.display()),
        None => say!("{token}"),
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
    let wanted = Offline {
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
    let mut place = asked.out.as_deref().map(Place::at).transpose()?;
    warnings::to_stderr();
    let app = App::open(Open {
        data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: asked.master_key.as_deref(),
    })
    .with_context(|| format!("open {}", data.display()))?;
    let issued = issue_to(&app, asked.client.project()?, wanted, place.as_mut());
    let closed = app.shut_down();
    let token = issued?;
    place.map(Place::take).transpose()?;
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

/// A token that is issued by the program itself.
pub(super) struct Offline {
    pub(super) holder: Holder,
    pub(super) roles: Roles,
    pub(super) all_projects: bool,
    pub(super) purpose: Purpose,
    pub(super) label: Option<Box<str>>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Issues a token that is on the disk before it is good, if it is to be in a file: none is lost between the two.
pub(super) fn issue_to(
    app: &App,
    project: Option<ProjectId>,
    wanted: Offline,
    place: Option<&mut Place>,
) -> anyhow::Result<Token> {
    let token = Token::random();
    if let Some(place) = place {
        place.fill(token.text().as_bytes())?;
    }
    let Offline { holder, roles, all_projects, purpose, label, expires_at } = wanted;
    let issue = IssueCredential {
        credential: token.credential,
        holder,
        roles,
        all_projects,
        purpose,
        proof: Proof::Token { digest: token.digest() },
        label,
        expires_at,
        spends: None,
        renews: Renews::Nothing,
    };
    let app = app.within(project.unwrap_or(ProjectId::DEFAULT));
    app.submit_own(Actor::system(), Command::IssueCredential(Box::new(issue)))?;
    Ok(token)
}

fn list(shown: &Shown) -> anyhow::Result<()> {
    let items = shown.client.server()?.list("/v1/credentials", &[])?;
    if shown.json {
        return print_json(&items.into());
    }
    say!("{}", credentials_table(items.iter()));
    Ok(())
}

/// Credentials as the list route gives them, a row each.
pub(super) fn credentials_table<'a>(items: impl Iterator<Item = &'a Value>) -> comfy_table::Table {
    let mut rows = table(&["credential", "kind", "holder", "roles", "state", "until", "label"], &[]);
    for item in items {
        let [id, kind, holder, state, until, label] =
            ["id", "kind", "holder", "state", "expires_at", "label"]
                .map(|name| text_of(&item[name]).to_owned());
        let kind = match text_of(&item["purpose"]) {
            "register_computer" => "to enter a computer".to_owned(),
            "get_certificate" => "to get a certificate".to_owned(),
            _ => kind,
        };
        rows.add_row([id, kind, holder, roles_of(item), state, until, label]);
    }
    rows
}

fn roles_of(credential: &Value) -> String {
    let roles: Vec<_> = credential["roles"].as_array().into_iter().flatten().map(text_of).collect();
    let everywhere = if credential["all_projects"] == true { " in all projects" } else { "" };
    format!("{}{everywhere}", roles.join(", "))
}

/// What is known of a credential, a line for each fact.
fn facts(credential: &Value) -> String {
    let told = |name: &str| text_of(&credential[name]).to_owned();
    let mut facts = vec![
        ("credential", told("id")),
        ("kind", told("kind")),
        ("purpose", told("purpose").replace('_', " ")),
        ("holder", format!("{} ({})", told("holder"), told("holder_kind"))),
        ("roles", roles_of(credential)),
        ("project", told("project")),
        ("label", told("label")),
        ("state", told("state")),
        ("issued", told("issued_at")),
        ("issued by", told("issued_by")),
        ("until", told("expires_at")),
        ("ended", told("ended_at")),
    ];
    facts.retain(|(_, fact)| !fact.is_empty());
    let facts: Vec<_> = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
    pair_lines(&facts)
}
