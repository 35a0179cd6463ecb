//! `slapledger user`: those who request and offer, and what they come in by.
//!
//! A user is a party with credentials. Adding one enters the party, and then issues what it comes in by first.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use slapledger_core::domain::access::Role;

use super::options::{Client, ReadOptions};
use super::print::say;
use super::server::Server;
use super::table::table;
use super::token::{credentials_table, hand_over, without_nulls};
use crate::invoices::{path, print_json, text_of};
use crate::private::SecretFile;

#[derive(Subcommand)]
pub enum User {
    /// Add a user and print their single-use token
    Add(Add),
    /// List users with the number of their valid credentials
    List(ReadOptions),
    /// Show a user and their credentials
    Show {
        /// Their id (PARTY-2)
        id: String,
        #[command(flatten)]
        shown: ReadOptions,
    },
    /// Revoke all tokens and certificates of a user
    Revoke {
        /// Their id (PARTY-2)
        id: String,
        /// Also revoke their computers and the instances on them
        #[arg(long)]
        with_computers: bool,
        #[command(flatten)]
        client: Client,
    },
    /// Erase the personal data of a user for ever
    Erase {
        /// Their id (PARTY-2)
        id: String,
        #[command(flatten)]
        client: Client,
    },
}

#[derive(Args)]
pub struct Add {
    /// Name
    name: String,
    /// Time zone of their billing months
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Role; repeatable. Default: customer and provider
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// Write a certificate and its key to this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["token", "out"])]
    certificate: Option<PathBuf>,
    /// Issue an access token
    #[arg(long)]
    token: bool,
    /// Write the token to this file (mode 0600)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(asked: &User) -> anyhow::Result<()> {
    match asked {
        User::Add(asked) => add(asked),
        User::List(shown) => list(shown),
        User::Show { id, shown } => show(id, shown),
        User::Revoke { id, with_computers, client } => {
            let body = json!({"with_computers": with_computers.then_some(true)});
            let party = client
                .server()?
                .post_json(&path(&["v1", "parties", id, "revoke-credentials"]), &without_nulls(body))?;
            let and = if *with_computers { ", nor do their computers" } else { "" };
            say!("{} ({}) comes in no more{and}", text_of(&party["id"]), text_of(&party["name"]));
            say!("their instances run on, and may request others; `slapledger service destroy` ends them");
            if !with_computers {
                say!("their computers go on; --with-computers revokes these too");
            }
            Ok(())
        }
        User::Erase { id, client } => {
            let party = client.server()?.post_json(&path(&["v1", "parties", id, "erase"]), &json!({}))?;
            say!("name and details of {} are erased", text_of(&party["id"]));
            Ok(())
        }
    }
}

fn add(asked: &Add) -> anyhow::Result<()> {
    let server = asked.client.server()?;
    let place = asked.out.as_deref().map(SecretFile::at).transpose()?;
    if let Some(folder) = &asked.certificate {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let body = json!({"name": asked.name, "time_zone": asked.time_zone});
    let party = server.post_json("/v1/parties", &body)?;
    let id = text_of(&party["id"]);
    let comes_in = come_in(asked, &server, id, place);
    let token = comes_in.with_context(|| {
        let roles: Vec<_> = roles(asked).iter().map(|role| format!(" --role {role}")).collect();
        let purpose = if asked.token { "access" } else { "get-certificate" };
        let project = asked.client.project().ok().flatten().map(|project| format!(" --project {project}"));
        format!(
            "{id} is added and has no credential yet; `slapledger token issue --holder {id}{} --purpose \
             {purpose}{}` makes it",
            roles.concat(),
            project.unwrap_or_default()
        )
    })?;
    if asked.json {
        return print_json(&json!({"party": party, "credential": token}));
    }
    say!("user      {id} ({})", text_of(&party["name"]));
    let roles: Vec<_> = token["roles"].as_array().into_iter().flatten().map(text_of).collect();
    say!("roles     {}", roles.join(", "));
    match (&asked.certificate, &asked.out) {
        (Some(folder), _) => {
            say!("cert      {}", folder.join(format!("{id}.crt")).display());
            say!("key       {}", folder.join(format!("{id}.key")).display());
        }
        (None, Some(out)) => say!("token     {}", out.display()),
        (None, None) => say!("token     {}", text_of(&token["token"])),
    }
    if asked.certificate.is_none() && !asked.token {
        say!("good      once, until {}", text_of(&token["expires_at"]));
        let url = server.url();
        let token = asked
            .out
            .as_ref()
            .map_or_else(|| "TOKEN".to_owned(), |out| format!("\"$(cat {})\"", out.display()));
        say!("for       slapos configure client --master-url {url} --master-url-web {url} --token {token}");
    }
    Ok(())
}

/// What a user acts as.
fn roles(asked: &Add) -> &[Role] {
    if asked.roles.is_empty() { &[Role::Customer, Role::Provider] } else { &asked.roles }
}

/// Issues what a user comes in by: the credential, with its token if that is to be shown.
fn come_in(asked: &Add, server: &Server, id: &str, place: Option<SecretFile>) -> anyhow::Result<Value> {
    let roles: Vec<_> = roles(asked).iter().map(|role| role.as_str()).collect();
    let purpose = if asked.token { "access" } else { "get_certificate" };
    let body = json!({"holder": id, "roles": roles, "purpose": purpose});
    let mut told = server.post_json("/v1/tokens", &without_nulls(body))?;
    let token = told["token"].clone();
    hand_over(place, (text_of(&told["id"]), text_of(&token)), asked.out.as_deref())?;
    if let Some(folder) = &asked.certificate {
        let places = CertificateTarget::at(folder, id)?;
        let pair = server.trade("/Person_getCertificate", text_of(&token))?;
        places.take(&pair)?;
    }
    if (asked.certificate.is_some() || asked.out.is_some())
        && let Some(members) = told.as_object_mut()
    {
        members.remove("token");
    }
    Ok(told)
}

/// Where a certificate and its key go.
pub struct CertificateTarget {
    certificate: SecretFile,
    key: SecretFile,
}

impl CertificateTarget {
    pub fn at(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let [certificate, key] =
            [".crt", ".key"].map(|end| SecretFile::at(&folder.join(format!("{name}{end}"))));
        Ok(Self { certificate: certificate?, key: key? })
    }

    /// Writes the members `certificate` and `key` of an answer.
    pub fn take(mut self, told: &Value) -> anyhow::Result<[PathBuf; 2]> {
        self.certificate.fill(text_of(&told["certificate"]).as_bytes())?;
        self.key.fill(text_of(&told["key"]).as_bytes())?;
        let files = [&self.certificate, &self.key].map(|place| place.path().to_owned());
        self.key.take()?;
        self.certificate.take()?;
        Ok(files)
    }
}

fn list(shown: &ReadOptions) -> anyhow::Result<()> {
    let server = shown.client.server()?;
    let parties = server.list("/v1/parties", &[])?;
    if shown.json {
        return print_json(&parties.into());
    }
    let credentials = server.list("/v1/credentials", &[])?;
    let mut rows = table(&["user", "name", "time zone", "credentials", "since", "erased"], &[3]);
    for party in &parties {
        let good = of(&credentials, text_of(&party["id"])).filter(|one| one["state"] == "active").count();
        let [id, name, zone, since, erased] = ["id", "name", "time_zone", "registered_at", "erased_at"]
            .map(|member| text_of(&party[member]).to_owned());
        rows.add_row([id, name, zone, good.to_string(), since, erased]);
    }
    rows.print();
    Ok(())
}

fn show(id: &str, shown: &ReadOptions) -> anyhow::Result<()> {
    let server = shown.client.server()?;
    let mut party = server.get(&path(&["v1", "parties", id]), &[])?;
    let credentials = server.list("/v1/credentials", &[])?;
    if shown.json {
        party["credentials"] = of(&credentials, id).cloned().collect();
        return print_json(&party);
    }
    for (name, member) in [
        ("user", "id"),
        ("name", "name"),
        ("time zone", "time_zone"),
        ("since", "registered_at"),
        ("erased", "erased_at"),
    ] {
        let fact = text_of(&party[member]);
        if !fact.is_empty() {
            say!("{name:<10}{fact}");
        }
    }
    say!("\n{}", credentials_table(of(&credentials, id)));
    Ok(())
}

/// The credentials of a party.
fn of<'a>(credentials: &'a [Value], party: &'a str) -> impl Iterator<Item = &'a Value> {
    credentials.iter().filter(move |one| one["holder_kind"] == "party" && one["holder"] == *party)
}
