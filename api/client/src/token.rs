//! `slapledger token`: what lets somebody in.
//!
//! A token is printed once, or written to a file for its owner alone; it is kept nowhere. Without a server it is issued
//! in the folder itself, by anyone who may read it: so an admin who lost their token gets a new one.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use slapledger_core::domain::access::{Purpose, Role};
use slapledger_dto::token::Token;

use super::invoices::{path, print_json, text_of};
use super::options::{Client, ReadOptions, UnusedFolder};
use super::print::say;
use super::table::{TextTable, pair_lines, table};
use crate::private::SecretFile;

#[derive(Subcommand)]
pub enum Tokens {
    /// Issue a token and print it once
    ///
    /// If the last admin token is lost, stop the master and issue one with --data:
    ///
    ///     slapledger token issue --data DIR --role admin --all-projects
    #[command(verbatim_doc_comment)]
    Issue(Issue),
    /// List credentials: tokens and certificates that were issued
    List(ReadOptions),
    /// Show a credential: holder, roles, expiry
    Show {
        /// Id as listed, or the token itself
        id: String,
        #[command(flatten)]
        shown: ReadOptions,
    },
    /// Revoke a credential
    Revoke {
        /// Id as listed, or the token itself
        id: String,
        /// Also revoke every other credential of its holder
        #[arg(long)]
        all_of_holder: bool,
        /// Also revoke what was issued with it since; admins only
        ///
        /// That is every credential issued with it since this instant, directly or indirectly, and the certificates of
        /// computers registered with it.
        #[arg(long, value_name = "INSTANT")]
        issued_since: Option<String>,
        #[command(flatten)]
        client: Client,
    },
}

#[derive(Args)]
pub struct Issue {
    /// Holder: a party (PARTY-2), admin or auditor. Default: the caller
    #[arg(long, value_name = "PARTY|NAME")]
    pub holder: Option<String>,
    /// Role of the holder; repeatable. Default: the caller's roles, if the caller is the holder
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<Role>,
    /// Grant access to all projects
    #[arg(long)]
    pub all_projects: bool,
    /// Label
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Expiry. Default: 24 h for single-use tokens; the caller's own expiry for the caller; otherwise none
    #[arg(long, value_name = "INSTANT")]
    pub expires: Option<String>,
    /// What the token may be used for
    #[arg(long, value_name = "PURPOSE", default_value = "access")]
    pub purpose: For,
    /// Write it to this file (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub folder: UnusedFolder,
    #[command(flatten)]
    pub client: Client,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum For {
    Access,
    RegisterComputer,
    GetCertificate,
}

impl For {
    pub fn purpose(self) -> (Purpose, &'static str) {
        match self {
            Self::Access => (Purpose::Access, "access"),
            Self::RegisterComputer => (Purpose::RegisterComputer, "register_computer"),
            Self::GetCertificate => (Purpose::GetCertificate, "get_certificate"),
        }
    }
}

/// Carries a command out by asking the server.
pub fn run(asked: &Tokens) -> anyhow::Result<()> {
    match asked {
        Tokens::Issue(asked) => issue(asked),
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
            say!("{id}{and} of {holder}{issued} is revoked");
            if *all_of_holder || issued_since.is_some() {
                say!("revoked:\n{}", credentials_table(told["revoked"].as_array().into_iter().flatten()));
            }
            Ok(())
        }
    }
}

fn issue(asked: &Issue) -> anyhow::Result<()> {
    let server = asked.client.server()?;
    let place = asked.out.as_deref().map(SecretFile::at).transpose()?;
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

/// The id of a credential. Anyone who has found a token may know it by that alone; its secret is sent to nobody.
fn id_of(text: &str) -> String {
    Token::read(text).map_or_else(|| text.to_owned(), |token| token.credential.to_string())
}

/// Members that are not said are left out.
pub fn without_nulls(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

/// Writes a token that was issued to where it is to be.
pub fn hand_over(
    place: Option<SecretFile>,
    (id, token): (&str, &str),
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let (Some(mut place), Some(out)) = (place, out) else { return Ok(()) };
    let lost = || format!("{} got no token; revoke {id}, which was issued", out.display());
    place.fill(token.as_bytes()).with_context(lost)?;
    place.take().with_context(lost)
}

/// The token alone, so that it can be caught; or where it is.
pub fn say_token(token: &str, out: Option<&Path>) {
    if let Some(out) = out {
        say!("the token is in {}", out.display());
    } else {
        say!("{token}");
    }
}

fn list(shown: &ReadOptions) -> anyhow::Result<()> {
    let items = shown.client.server()?.list("/v1/credentials", &[])?;
    if shown.json {
        return print_json(&items.into());
    }
    say!("{}", credentials_table(items.iter()));
    Ok(())
}

/// Credentials as the list route gives them, a row each.
pub fn credentials_table<'a>(items: impl Iterator<Item = &'a Value>) -> TextTable {
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
